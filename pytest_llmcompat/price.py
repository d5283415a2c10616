"""What a model costs: USD per million tokens, by the user's own table or by the prices that come with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Price", "known_prices", "price_of"]


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens of input and of output."""

    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, in USD."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / 1_000_000


@cache
def known_prices() -> Mapping[str, Price]:
    """The prices that come with the package, by model id or glob; prices.json says where each is from.

    They are list prices of the vendor for short prompts, nothing cached, at peak hours; a reseller has its own.
    """
    text = Path(__file__).with_name("prices.json").read_text("utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    return {model: Price(entry["input"], entry["output"]) for model, entry in entries.items()}


def price_of(model: str, own: Mapping[str, Price]) -> Price | None:
    """What a model costs, None when neither table knows it.

    own: the user's table by model id or glob; it decides before the one that comes with the package. A gateway's
    `openai/gpt-4.1` costs what `gpt-4.1` does, unless a table names it with its provider.
    """
    bare = model.rpartition("/")[2]
    for table in (own, known_prices()):
        for name in dict.fromkeys((model, bare)):
            if (price := _find(name, table)) is not None:
                return price
    return None


def _find(name: str, table: Mapping[str, Price]) -> Price | None:
    """The price of the exact id, else that of the longest glob: it says the most about the model."""
    if name in table:
        return table[name]
    # Brackets stand in ids of models and are no part of a glob.
    fitting = [glob for glob in table if fnmatchcase(name, glob.replace("[", "[[]"))]
    return table[max(fitting, key=len)] if fitting else None
