"""Waivers: which failures they cover, and what is said of those that have had their day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.verdict import Outcome, Verdict
from pytest_llmcompat.waiver import Waiver, contradictions, review, unknown, waive, waivers_of

TODAY = date(2026, 11, 25)
WAIVER = Waiver("chat.*", "*@local", "comes with the next release", date(2027, 1, 31), "https://x.example/1")
CONTRACT = Contract("chat.a", Level.MUST, "A.", "chat", "", "", "", (), (), (), (), lambda: None)
FAILURE = Verdict(CONTRACT, "m@local", Outcome.FAIL, "it is broken", broken=True)


def result(verdict: str, contract: str = "chat.a", target: str = "m@local") -> dict[str, Any]:
    """A result as it stands in a report."""
    return {"contract": contract, "target": target, "verdict": verdict}


def test_failure_is_waived_with_its_reason() -> None:
    """The verdict says until when, why, and where it is discussed, and what is broken."""
    waived = waive(FAILURE, [WAIVER], TODAY)
    assert waived.outcome is Outcome.WAIVED
    assert waived.broken
    assert waived.reason == (
        "waived until 2027-01-31: comes with the next release, https://x.example/1; it is broken"
    )


@pytest.mark.parametrize(
    "verdict",
    [
        replace(FAILURE, outcome=Outcome.WARN),
        replace(FAILURE, outcome=Outcome.PASS),
        replace(FAILURE, outcome=Outcome.UNSUPPORTED),
        replace(FAILURE, target="m@production"),
        replace(FAILURE, contract=replace(CONTRACT, id="tools.a")),
    ],
)
def test_what_is_no_failure_of_its_own_stays(verdict: Verdict) -> None:
    """A waiver accepts failures of some contracts on some targets, and nothing else."""
    assert waive(verdict, [WAIVER], TODAY) is verdict


def test_waiver_holds_to_the_end_of_its_day() -> None:
    """It ends with the day that it names."""
    assert waive(FAILURE, [WAIVER], WAIVER.expires).outcome is Outcome.WAIVED
    assert waive(FAILURE, [WAIVER], WAIVER.expires + timedelta(days=1)) is FAILURE


def test_of_several_waivers_the_longest_counts() -> None:
    """A short one beside it takes nothing away."""
    short = replace(WAIVER, contract="chat.a", expires=TODAY, reason="short")
    assert "until 2027-01-31" in waive(FAILURE, [short, WAIVER], TODAY).reason


def test_same_contract_and_target_twice_contradict() -> None:
    """Nobody could say which reason and which day count."""
    again = replace(WAIVER, reason="another")
    other = replace(WAIVER, target="*")
    assert contradictions([WAIVER, other, again]) == [2]


def test_waiver_about_no_contract_is_unknown() -> None:
    """Contracts are renamed, and ids mistyped."""
    assert unknown([WAIVER], ["tools.a"]) == [WAIVER]
    assert unknown([WAIVER], ["tools.a", "chat.a"]) == []


def test_used_waiver_counts_its_failures() -> None:
    """A glob may waive several."""
    found = review(
        [WAIVER], [result("waived"), result("waived", "chat.b")], ["chat.a", "chat.b"], ["m@local"], TODAY
    )
    assert found.used == ((WAIVER, 2),)
    assert (found.expired, found.unused, found.unknown) == ((), (), ())


def test_waiver_that_nothing_needs_is_unused() -> None:
    """What it was about is mended."""
    found = review([WAIVER], [result("pass")], ["chat.a"], ["m@local"], TODAY)
    assert found.unused == (WAIVER,)


@pytest.mark.parametrize(
    ("results", "targets"),
    [
        ([], ["m@local"]),
        ([result("inconclusive")], ["m@local"]),
        ([result("pass", target="m@production")], ["m@production"]),
    ],
)
def test_waiver_that_was_not_put_to_the_test_is_not_called_unused(
    results: list[dict[str, Any]], targets: list[str]
) -> None:
    """A selection with `-k`, an outage, or another target of the matrix says nothing about it."""
    assert review([WAIVER], results, ["chat.a"], targets, TODAY).unused == ()


def test_expired_waiver_is_reported_once() -> None:
    """It is expired, not unused, whatever the contract does now."""
    old = replace(WAIVER, expires=TODAY - timedelta(days=1))
    for verdict in ("pass", "fail"):
        found = review([old], [result(verdict)], ["chat.a"], ["m@local"], TODAY)
        assert (found.expired, found.unused, found.used) == ((old,), (), ())


def test_target_and_link_may_be_left_out() -> None:
    """Then it is about every target."""
    (waiver,) = waivers_of([{"contract": "a", "reason": " r ", "expires": "2027-01-31"}])
    assert (waiver.target, waiver.reason, waiver.link) == ("*", "r", "")
