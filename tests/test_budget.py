"""Budgets: what a request may take at most, and that no more goes out than they allow."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.budget import Budget, BudgetedSource, Ledger, Spending, worst_case
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.price import Price
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.reference import serve
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Withheld

PRICE = Price(input=2.0, output=8.0)


def posted(path: str, body: Any) -> Request:
    """A POST of a JSON body."""
    return Request("POST", f"https://a.example/v1{path}", (), json.dumps(body).encode())


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (Request("GET", "https://a.example/v1/models", (), b""), 0),
        (posted("/chat/completions", {"max_tokens": 40}), len('{"max_tokens": 40}') // 2 + 40),
        (
            posted("/chat/completions", {"max_completion_tokens": 40, "n": 3}),
            len('{"max_completion_tokens": 40, "n": 3}') // 2 + 120,
        ),
        (posted("/responses", {"max_output_tokens": 7}), len('{"max_output_tokens": 7}') // 2 + 7),
        (posted("/chat/completions", {}), 1 + 4096),
        (posted("/embeddings", {"input": "x" * 87}), 50),
        (Request("POST", "https://a.example/v1/chat/completions", (), b"{not json"), 4),
    ],
)
def test_request_takes_its_prompt_and_its_longest_answer_at_most(request_: Request, tokens: int) -> None:
    """A cap bounds the answer; without one it may be long, and only routes that generate give one."""
    assert worst_case(request_, None) == Spending(1, tokens, 0.0)


def test_cost_is_that_of_both_kinds_of_tokens() -> None:
    """Input and output have prices of their own."""
    most = worst_case(posted("/chat/completions", {"max_tokens": 1000}), PRICE)
    assert most.cost == pytest.approx((10 * 2.0 + 1000 * 8.0) / 1e6)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(requests=2), "the budget of 2 requests is spent (--llm-max-requests)"),
        (
            Budget(tokens=250),
            "200 of 250 tokens are spent, and the next request may take 100 (--llm-max-tokens)",
        ),
        (
            Budget(cost=0.25),
            "0.2000 of 0.25 USD are spent, and the next request may cost 0.1000 (--llm-max-cost)",
        ),
    ],
)
def test_request_that_could_exceed_a_budget_is_withheld(budget: Budget, reason: str) -> None:
    """The reason names the option; after it nothing goes out any more, however small."""
    ledger, most = Ledger(budget), Spending(1, 100, 0.1)
    for _ in range(2):
        ledger.enter(most)
        ledger.settle(most, most)
    for wanted in (most, Spending()):
        with pytest.raises(Withheld) as withheld:
            ledger.enter(wanted)
        assert str(withheld.value) == reason
    assert (ledger.spent.requests, ledger.spent.tokens) == (2, 200)
    assert ledger.spent.cost == pytest.approx(0.2)


def test_what_was_not_taken_is_given_back() -> None:
    """A cautious estimate does not eat up the budget."""
    ledger = Ledger(Budget(tokens=150))
    for _ in range(10):
        ledger.enter(Spending(1, 100))
        ledger.settle(Spending(1, 100), Spending(1, 5))
    assert ledger.spent == Spending(10, 50)


def test_request_waits_for_those_under_way_before_it_is_withheld() -> None:
    """What is under way may turn out to take less than it could."""
    ledger, entered = Ledger(Budget(tokens=150)), threading.Event()
    ledger.enter(Spending(1, 100))

    def another() -> None:
        ledger.enter(Spending(1, 100))
        entered.set()

    thread = threading.Thread(target=another, daemon=True)
    thread.start()
    assert not entered.wait(0.05)
    ledger.settle(Spending(1, 100), Spending(1, 5))
    assert entered.wait(10)
    thread.join(10)


def test_processes_share_a_ledger_by_its_file(tmp_path: Path) -> None:
    """Two ledgers on one file are one: what one enters, the other knows, and so with the end of the budget."""
    one, other = (Ledger(Budget(requests=2), tmp_path / "ledger.json") for _ in range(2))
    one.enter(Spending(1))
    other.enter(Spending(1))
    one.settle(Spending(1), Spending(1, 10))
    other.settle(Spending(1), Spending(1, 20))
    assert one.spent == other.spent == Spending(2, 30)
    for ledger in (one, other):
        with pytest.raises(Withheld):
            ledger.enter(Spending(1))


def test_probe_that_is_withheld_is_not_sent_and_says_why() -> None:
    """The contracts on it are inconclusive with this reason."""
    with serve(pause=0.0) as reference:
        target = Target("t", reference.base_url, reference.model, reference.key)
        ledger = Ledger(Budget(requests=3))
        lab = Lab(target, BudgetedSource(LiveSource(target, Limits()), ledger, PRICE))
        lab.prefetch([id for id, probe in PROBES.items() if probe.suite == "core"], concurrency=4)
        exchanges = lab.obtained()
        lab.close()
    sent = [exchange for exchange in exchanges if exchange.unsent is None]
    withheld = [e.unsent for e in exchanges if e.unsent is not None and "--llm-max-requests" in e.unsent]
    assert sum(exchange.requests for exchange in exchanges) == ledger.spent.requests == 3
    assert len(sent) <= 3
    assert len(withheld) > 20
    assert all("was not sent: the budget of 3 requests is spent" in reason for reason in withheld)
    assert ledger.spent.cost == pytest.approx(sum(PRICE.of(*tokens) for tokens in _counted(sent)), abs=1e-12)


def _counted(exchanges: Any) -> list[tuple[int, int]]:
    from pytest_llmcompat.usage import tokens_of

    return [tokens_of(exchange) or (0, 0) for exchange in exchanges]
