"""How many tokens an exchange took, as the endpoint counts them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from pytest_llmcompat.exchange import Exchange

__all__ = ["tokens_of"]

# In chat and embeddings, and in the Responses API.
_NAMES: Final = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))


def tokens_of(exchange: Exchange) -> tuple[int, int] | None:
    """(prompt tokens, completion tokens) of the usage of an answer, plain or streamed; None without one.

    Of a response that is only fetched again the tokens were counted when it was made.
    """
    if exchange.request.method == "GET":
        return None
    for value in (exchange.json, *_event_values(exchange)):
        usage = _usage(value)
        if usage is not None:
            prompt, completion = (usage.get(a, usage.get(b)) for a, b in _NAMES)
            return _count(prompt), _count(completion)
    return None


def _usage(value: Any) -> dict[str, Any] | None:
    """The usage of a body or event; the events of the Responses API bear it in the response."""
    holder = value.get("response", value) if isinstance(value, dict) else None
    usage = holder.get("usage") if isinstance(holder, dict) else None
    return usage if isinstance(usage, dict) else None


def _event_values(exchange: Exchange) -> Iterable[Any]:
    if exchange.is_json:
        return
    for event in reversed(exchange.events):
        try:
            yield json.loads(event.data)
        except (ValueError, RecursionError):
            continue


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
