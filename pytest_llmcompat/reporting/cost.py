"""What a run cost: requests, tokens and times of each exchange."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.exchange import Exchange

__all__ = ["Cost", "cost_of", "tokens_of"]

# In chat and embeddings, and in the Responses API.
_NAMES: Final = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))


@dataclass(frozen=True, slots=True)
class Cost:
    """HTTP requests sent, and the tokens that the endpoint says it counted."""

    requests: int
    prompt_tokens: int
    completion_tokens: int


def cost_of(exchanges: Iterable[Exchange]) -> Cost:
    """The sum over some exchanges; replayed ones count as what they cost when they were recorded."""
    every = list(exchanges)
    tokens = [tokens_of(exchange) or (0, 0) for exchange in every]
    return Cost(sum(e.requests for e in every), sum(p for p, _ in tokens), sum(c for _, c in tokens))


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
