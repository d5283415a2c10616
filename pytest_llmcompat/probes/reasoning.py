"""Suite `reasoning`: a model that thinks before it answers, plain and streamed."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.probe import Context, Probe
from pytest_llmcompat.probes.core import chat, user

__all__ = ["PROBES"]

_PRODUCT: Final = [user("17*23? Answer with the number only.")]
_ASKED: Final[dict[str, Any]] = {"reasoning_effort": "low", "max_completion_tokens": 1024}
_THOUGHTS: Final = ("reasoning_content", "reasoning")


def _reasons(context: Context) -> bool:
    """True when one of the ordinary answers counts reasoning tokens or tells the reasoning."""
    return any(_told(context.exchanges[id].json) for id in ("chat-basic", "chat-mct"))


def _told(completion: Any) -> bool:
    try:
        message = completion["choices"][0]["message"]
        if any(message.get(key) for key in _THOUGHTS):
            return True
        spent = completion["usage"]["completion_tokens_details"]["reasoning_tokens"]
    except (LookupError, TypeError, AttributeError):
        return False
    return isinstance(spent, int) and spent > 0


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "reasoning",
        "reasoning",
        body=chat(_PRODUCT, **_ASKED),
        parents=("chat-basic", "chat-mct"),
        features=("reasoning_effort",),
        wanted=_reasons,
    ),
    Probe(
        "reasoning-stream",
        "reasoning",
        body=chat(_PRODUCT, **_ASKED, stream=True),
        parents=("chat-basic", "chat-mct", "reasoning"),
        requires="reasoning",
        features=("reasoning_effort",),
        wanted=_reasons,
    ),
)
