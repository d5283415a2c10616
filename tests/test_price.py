"""What models cost: the user's table, the prices that come with the package, and which of them decides."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

import pytest_llmcompat
from pytest_llmcompat.price import Price, known_prices, price_of
from pytest_llmcompat.reference.models import CHAT_MODELS, EMBEDDING_MODEL

ENTRIES = json.loads(Path(pytest_llmcompat.__file__).with_name("prices.json").read_text("utf-8"))


def test_cost_is_by_the_million_tokens() -> None:
    """Input and output are counted apart."""
    assert Price(2.0, 8.0).of(500_000, 250_000) == pytest.approx(3.0)
    assert Price(2.0, 8.0).of(0, 0) == 0


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4.1", Price(2, 8)),
        ("gpt-4.1-2025-04-14", Price(2, 8)),
        ("gpt-4.1-mini-2025-04-14", Price(0.4, 1.6)),
        ("gpt-4o-2024-11-20", Price(2.5, 10)),
        ("gpt-4o-2024-05-13", Price(5, 15)),
        ("openai/gpt-4.1", Price(2, 8)),
        ("openrouter/openai/gpt-4.1-nano-2025-04-14", Price(0.1, 0.4)),
        ("models/gemini-2.5-flash", Price(0.3, 2.5)),
        ("text-embedding-3-small", Price(0.02, 0)),
    ],
)
def test_price_of_a_well_known_model(model: str, price: Price) -> None:
    """By its id, by that of a dated snapshot, and under the name that a gateway gives it."""
    assert price_of(model, {}) == price


@pytest.mark.parametrize(
    "model",
    [
        "",
        "/",
        "gpt-4.1/",
        "GPT-4.1",
        "gpt-4.1-turbo",
        "gpt-4o-audio-preview-2024-12-17",
        "deepseek/deepseek-flash:free",
        "llama3.2:1b",
    ],
)
def test_model_that_is_not_known_has_no_price(model: str) -> None:
    """A wrong price is worse than none: what only looks like a known id is another model."""
    assert price_of(model, {}) is None


@pytest.mark.parametrize("model", [*CHAT_MODELS, EMBEDDING_MODEL])
def test_reference_costs_nothing(model: str) -> None:
    """Its models run on this machine."""
    assert price_of(model, {}) == Price(0, 0)


A, B, C = Price(1, 1), Price(2, 2), Price(3, 3)


@pytest.mark.parametrize(
    ("model", "own", "price"),
    [
        ("gpt-4.1", {"gpt-4.1": A}, A),
        ("gpt-4.1", {"*": A}, A),
        ("gpt-4.1", {"gpt-5*": A}, Price(2, 8)),
        ("ours", {"ours": A, "our?": B, "*": C}, A),
        ("ours-1", {"*": C, "ours-*": B, "our*": A}, B),
        ("us/ours", {"ours": A}, A),
        ("us/ours", {"ours": A, "us/*": B}, B),
        ("us/gpt-4.1", {"gpt-4.1": A}, A),
        ("openai/gpt-oss-120b", {"gpt-oss-120b": A}, A),
        ("Ours", {"our*": A}, None),
        ("ours[fast]", {"ours[fast]": A}, A),
        ("ours[fast]-1", {"ours[fast]-*": A}, A),
        ("oursf-1", {"ours[fast]-*": A}, None),
    ],
)
def test_table_of_the_user_decides_first(model: str, own: dict[str, Price], price: Price | None) -> None:
    """In each table the exact id goes before globs, the longest glob before others, the whole id before its end."""
    assert price_of(model, own) == price


def test_data_file_names_no_model_twice() -> None:
    """The later of two would silently win."""
    text = Path(pytest_llmcompat.__file__).with_name("prices.json").read_text("utf-8")
    names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
    assert len(names) == len(set(names)) == len(known_prices())


@pytest.mark.parametrize("model", ENTRIES)
def test_entry_is_sane(model: str) -> None:
    """Prices of a plausible size, a source, and the day on which it was read."""
    entry = ENTRIES[model]
    assert entry.keys() == {"input", "output", "source", "checked"}
    assert 0 <= entry["input"] <= entry["output"] <= 200 or entry["output"] == 0 <= entry["input"] <= 200
    assert entry["source"].startswith("https://") or model.startswith("reference-")
    assert date.fromisoformat(entry["checked"]).isoformat() == entry["checked"]


@pytest.mark.parametrize("glob", [model for model in ENTRIES if "*" in model or "?" in model])
def test_glob_stands_for_dated_snapshots_only(glob: str) -> None:
    """And costs what the model without a date does, which is listed too."""
    found = re.fullmatch(r"(.+)-20(\?\?-\?\?-\?\?|\?{6})", glob)
    assert found
    assert known_prices()[glob] == known_prices()[found[1]]
