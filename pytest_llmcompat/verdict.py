"""Verdicts: what a contract says of a target, and the outcomes that a judgement raises to say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.evidence import MISSING, Evidence, Place

__all__ = [
    "Broken",
    "Doubtful",
    "Inconclusive",
    "Outcome",
    "Unsupported",
    "Verdict",
    "expect",
    "fail",
    "inconclusive",
    "judge",
    "unsupported",
    "warn",
    "warn_unless",
]


class Outcome(StrEnum):
    """The six verdicts; see docs/verdicts.md for when each is given."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"


class Broken(AssertionError):
    """The claim does not hold; carries the evidence."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(str(evidence))
        self.evidence = evidence


class Doubtful(Broken):
    """The claim holds in a weaker form that clients survive: a warning at any level."""


class Unsupported(Exception):
    """The endpoint says that it does not have the feature."""


class Inconclusive(Exception):
    """The exchanges do not settle the claim: no answer, a rambling model, a pre-condition that never came."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one contract says of one target.

    reason: one line that says why; "" for a pass.
    evidence: the places that broke the claim; empty unless the outcome is fail, warn or waived.
    broken: the claim does not hold; False for a warning about one that holds in a weaker form.
    """

    contract: Contract
    target: str
    outcome: Outcome
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    broken: bool = False


def expect(holds: bool, place: Place, where: str, expected: str, found: object = MISSING) -> None:
    """Raise Broken unless `holds`; `found` is what stands at `where`, read off the place when left out."""
    if not holds:
        raise Broken(place.evidence(where, expected, found))


def fail(place: Place, where: str, expected: str, found: object = MISSING) -> NoReturn:
    """The claim does not hold: raise Broken with evidence."""
    raise Broken(place.evidence(where, expected, found))


def warn_unless(holds: bool, place: Place, where: str, expected: str, found: object = MISSING) -> None:
    """Raise Doubtful unless `holds`: a warning whatever the level of the contract."""
    if not holds:
        raise Doubtful(place.evidence(where, expected, found))


def warn(place: Place, where: str, expected: str, found: object = MISSING) -> NoReturn:
    """A weaker form of the claim holds: raise Doubtful with evidence."""
    raise Doubtful(place.evidence(where, expected, found))


def unsupported(reason: str) -> NoReturn:
    """The endpoint does not have the feature, and says so."""
    raise Unsupported(reason)


def inconclusive(reason: str) -> NoReturn:
    """The exchanges do not settle the claim."""
    raise Inconclusive(reason)


def judge(
    contract: Contract, target: str, read: Callable[[str], Any], fails_at: Level | None = Level.MUST
) -> Verdict:
    """Run a judgement on what `read` gives for each of its parameters.

    A broken contract at or above the level `fails_at` is a fail, one below it a warning; None fails none.
    """
    fails = fails_at is not None and contract.level.rank <= fails_at.rank
    try:
        contract.judgement(**{name: read(name) for name in contract.reads})
    except Doubtful as doubt:
        return Verdict(contract, target, Outcome.WARN, str(doubt), (doubt.evidence,))
    except Broken as broken:
        outcome = Outcome.FAIL if fails else Outcome.WARN
        return Verdict(contract, target, outcome, str(broken), (broken.evidence,), broken=True)
    except AssertionError as plain:
        outcome = Outcome.FAIL if fails else Outcome.WARN
        reason = str(plain) or "the assertion does not hold"
        return Verdict(contract, target, outcome, reason, broken=True)
    except Unsupported as missing:
        return Verdict(contract, target, Outcome.UNSUPPORTED, str(missing))
    except Inconclusive as unsettled:
        return Verdict(contract, target, Outcome.INCONCLUSIVE, str(unsettled))
    return Verdict(contract, target, Outcome.PASS)
