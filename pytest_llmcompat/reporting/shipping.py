"""May it ship? What fails a run, read off its JSON report, and the answer in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pytest_llmcompat.change import Change
from pytest_llmcompat.contract import Level
from pytest_llmcompat.report import Result
from pytest_llmcompat.reporting.replacement import plural
from pytest_llmcompat.reporting.result import NOT_JUDGED
from pytest_llmcompat.verdict import Outcome

__all__ = ["Failure", "Shipping", "failures", "faults", "missing", "reasons", "shipping"]

Document = Mapping[str, Any]

_SETTLED: Final = frozenset({Outcome.PASS, Outcome.FAIL, Outcome.WARN, Outcome.WAIVED})


class Shipping(StrEnum):
    """The answer, as the first words of a report."""

    YES = "May ship"
    NO = "Do not ship"
    UNKNOWN = "Not known whether it may ship"


@dataclass(frozen=True, slots=True)
class Failure:
    """A contract that fails the run: its result, and the verdict in the baseline when it has become worse since."""

    result: Result
    was: str | None = None
    is_regression: bool = False


def failures(document: Document) -> list[Failure]:
    """The contracts that fail the run, strongest level first: with a baseline, what has become worse.

    A target that the baseline does not know fails by its verdicts alone.
    """
    gate = document.get("gate", {}).get("targets", {})
    worse = {
        (target, change["contract"]): change["was"]
        for target, its in gate.items()
        for change in its.get("regressions", ())
    }
    found = []
    for result in document["results"]:
        key = (result["target"], result["contract"])
        if key in worse or result.get("gate") == Change.REGRESSION:
            found.append(Failure(result, worse.get(key), is_regression=True))
        elif result["verdict"] == Outcome.FAIL and "gate" not in result:
            found.append(Failure(result))
    return sorted(
        found, key=lambda f: (Level(f.result["level"]).rank, f.result["contract"], f.result["target"])
    )


def faults(document: Document) -> list[str]:
    """Why the run fails beside its contracts, one line each."""
    return list(document.get("faults", ()))


def missing(document: Document) -> Counter[str]:
    """Why contracts were not judged at all, which fails the run too, and how many."""
    found = (result["reason"] for result in document["results"])
    return Counter(reason.removeprefix(NOT_JUDGED) for reason in found if reason.startswith(NOT_JUDGED))


def shipping(document: Document) -> Shipping:
    """The answer."""
    if failures(document) or faults(document):
        return Shipping.NO
    settled = any(result["verdict"] in _SETTLED for result in document["results"])
    return Shipping.YES if settled and not missing(document) else Shipping.UNKNOWN


def reasons(document: Document) -> Iterator[str]:
    """The reasons of the answer: what fails, or that nothing does; plain text."""
    failing = failures(document)
    baseline = document.get("gate", {}).get("baseline")
    worse = sum(failure.is_regression for failure in failing)
    if worse:
        yield f"{plural(worse, 'regression')} against {baseline or 'the baseline'}"
    if len(failing) > worse:
        yield f"{plural(len(failing) - worse, 'contract')} failed"
    yield from faults(document)
    if count := missing(document).total():
        yield f"{plural(count, 'contract')} not judged"
    if not failing:
        yield f"no regression against {baseline}" if baseline else "no contract failed"
