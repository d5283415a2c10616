"""Suite `legacy`: text completions, the API before chat."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.probe import Body, Context, Probe, Unsendable

__all__ = ["PROBES", "PROMPTS", "STOP"]

# A text model goes on counting, and so comes to the stop string, whether it was trained to chat or not.
PROMPTS: Final = ("1 2 3", "2 3 4")
STOP: Final = "7"

_PATH: Final = "/completions"
_BASIC: Final[dict[str, Any]] = {"stop": STOP, "logprobs": 1, "temperature": 0, "max_tokens": 16}


def _complete(prompt: Any, **parameters: Any) -> Body:
    return lambda context: {"model": context.model, "prompt": prompt, **parameters}


def _single(context: Context) -> dict[str, Any]:
    """One prompt, for a server that refuses several, or falls over them."""
    several = context.exchanges["completions-basic"]
    if several.status not in (400, 422, 500):
        raise Unsendable("completions-single was not sent: several prompts were not refused")
    return {"model": context.model, "prompt": PROMPTS[0], **_BASIC}


def _streamed(context: Context) -> dict[str, Any]:
    several = context.exchanges["completions-basic"]
    if several.status in (404, 405, 501):
        raise Unsendable(
            f"completions-basic was refused with {several.status}, so completions-stream was not sent",
            unsupported=True,
        )
    return {
        "model": context.model,
        "prompt": PROMPTS[0],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 16,
    }


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "completions-basic",
        "legacy",
        path=_PATH,
        body=_complete(list(PROMPTS), **_BASIC),
        features=("stop", "logprobs"),
    ),
    Probe(
        "completions-single",
        "legacy",
        path=_PATH,
        body=_single,
        parents=("completions-basic",),
        features=("stop", "logprobs"),
    ),
    Probe(
        "completions-stream",
        "legacy",
        path=_PATH,
        body=_streamed,
        parents=("completions-basic",),
        features=("stream_options",),
    ),
)
