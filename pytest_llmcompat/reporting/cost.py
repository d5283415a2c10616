"""What a run cost: requests, tokens and times of each exchange."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.usage import tokens_of

__all__ = ["Cost", "cost_of"]


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
