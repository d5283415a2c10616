"""Change: what has become of an earlier verdict, contract by contract."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pytest_llmcompat.contract import Level
from pytest_llmcompat.report import Result, is_weak_form
from pytest_llmcompat.verdict import Outcome

__all__ = ["Change", "Comparison", "Difference", "change_of", "compare_results", "difference_of"]


class Change(StrEnum):
    """From the earlier verdict to the later one; docs/baseline.md has the whole table."""

    REGRESSION = "regression"
    """Kept before, and now broken or unsupported; or broken, and waived no longer. This alone fails a run."""
    WEAKER = "weaker"
    """Passed before; now broken below the level, kept in a weaker form, or broken and waived."""
    STILL_BROKEN = "still broken"
    """Not kept before, and not now."""
    IMPROVEMENT = "improvement"
    """Not kept before, and passes now."""
    UNSETTLED = "unsettled"
    """Settled before, inconclusive now."""
    SETTLED = "settled"
    """Inconclusive before, settled now."""
    NEW = "new"
    """No earlier verdict."""
    REMOVED = "removed"
    """No later verdict, and the contract exists no more."""
    LEFT_OUT = "left out"
    """No later verdict, since the contract was not chosen."""
    SAME = "same"
    """Nothing has changed, and nothing fails."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A contract with its earlier and its later result; one of the two may be None."""

    contract: str
    level: Level
    change: Change
    old: Result | None
    new: Result | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All contracts of a target, strongest level first, then by id."""

    differences: tuple[Difference, ...]

    def of(self, change: Change) -> tuple[Difference, ...]:
        """Those with one kind of change."""
        return tuple(difference for difference in self.differences if difference.change is change)


def compare_results(
    old: Iterable[Result], new: Iterable[Result], *, existing: Collection[str] = (), strict: bool = False
) -> Comparison:
    """Compare the results of one target.

    existing: ids of contracts that were there to be judged, chosen or not. strict: a contract that passed and is
    inconclusive now is a regression, too.
    """
    earlier = {result["contract"]: result for result in old}
    later = {result["contract"]: result for result in new}
    found = [
        difference_of(earlier.get(id), later.get(id), exists=id in existing, strict=strict)
        for id in earlier.keys() | later.keys()
    ]
    return Comparison(
        tuple(sorted(found, key=lambda difference: (difference.level.rank, difference.contract)))
    )


def difference_of(
    old: Result | None, new: Result | None, *, exists: bool = True, strict: bool = False
) -> Difference:
    """What has become of one contract; at most one of its results is None."""
    said = new or old
    assert said is not None
    if old is None:
        change = Change.NEW
    elif new is None:
        change = Change.LEFT_OUT if exists else Change.REMOVED
    else:
        change = change_of(old, new, strict=strict)
    return Difference(said["contract"], Level(said["level"]), change, old, new)


def change_of(old: Result, new: Result, *, strict: bool = False) -> Change:
    """From one result to another of the same contract; `strict` as in `compare_results`."""
    before, after = Outcome(old["verdict"]), Outcome(new["verdict"])
    if before is after:
        return Change.STILL_BROKEN if after is Outcome.FAIL else Change.SAME
    if after is Outcome.INCONCLUSIVE:
        return Change.REGRESSION if strict and before is Outcome.PASS else Change.UNSETTLED
    if before is Outcome.INCONCLUSIVE:
        return Change.SETTLED
    if after is Outcome.PASS:
        return Change.IMPROVEMENT
    if before is Outcome.PASS:
        return Change.WEAKER if after in (Outcome.WARN, Outcome.WAIVED) else Change.REGRESSION
    # A waiver ends on the day that was agreed on, and clients survived the weaker form but not this.
    if after is Outcome.FAIL and (before is Outcome.WAIVED or is_weak_form(old)):
        return Change.REGRESSION
    return Change.STILL_BROKEN
