"""What has changed since an earlier report, in lines for a terminal: first the conclusion, then the lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pytest_llmcompat.change import Change, Comparison, Difference
from pytest_llmcompat.plain import line
from pytest_llmcompat.reporting.replacement import plural, shortened

__all__ = ["change_line", "changes_in", "conclusion", "match_lines"]

_TITLES: Final = {
    Change.REGRESSION: "regressions",
    Change.NEW: "new contracts, which fail nothing yet",
    Change.WEAKER: "weaker than before: broken below the level, kept in a weaker form, or waived",
    Change.STILL_BROKEN: "not kept before, and not now",
    Change.UNSETTLED: "settled before, inconclusive now",
    Change.SETTLED: "inconclusive before, settled now",
    Change.IMPROVEMENT: "improvements",
    Change.REMOVED: "no longer there",
}
# Beyond this many a list says how many there are more; regressions are always listed whole.
_MOST: Final = 20


def conclusion(comparisons: Iterable[Comparison], earlier: str) -> str:
    """One line: how many regressions there are against a report, and how much was compared.

    earlier: what the reader calls the earlier report, such as its path.
    """
    every = list(comparisons)
    counts = {change: sum(len(comparison.of(change)) for comparison in every) for change in Change}
    compared = sum(counts.values()) - counts[Change.NEW] - counts[Change.REMOVED] - counts[Change.LEFT_OUT]
    regressions = counts[Change.REGRESSION]
    parts = [
        f"{plural(compared, 'contract')} compared",
        _counted(counts[Change.IMPROVEMENT], "improved"),
        _counted(counts[Change.WEAKER], "weaker"),
        _counted(counts[Change.STILL_BROKEN], "still broken"),
        _counted(counts[Change.UNSETTLED], "no longer settled"),
        _counted(counts[Change.SETTLED], "settled now"),
        _counted(counts[Change.NEW], "new"),
        _counted(counts[Change.REMOVED], "no longer there"),
        _counted(counts[Change.LEFT_OUT], "not chosen"),
    ]
    said = plural(regressions, "regression") if regressions else "no regression"
    return line(f"{said} against {earlier}: {', '.join(part for part in parts if part)}")


def changes_in(comparison: Comparison, *, whole: bool = False) -> Iterator[str]:
    """Lists of the contracts that have changed or still fail, by kind of change; nothing when there are none.

    whole: list all, however many.
    """
    for change, title in _TITLES.items():
        differences = comparison.of(change)
        if not differences:
            continue
        yield f"{title}:"
        shown = len(differences) if whole or change is Change.REGRESSION else _MOST
        for difference in differences[:shown]:
            yield f"  {change_line(difference)}"
        if len(differences) > shown:
            yield f"  and {len(differences) - shown} more, all in the report"


def change_line(difference: Difference) -> str:
    """One contract: level, id, earlier and later verdict, and the reason of the later one."""
    old = difference.old["verdict"] if difference.old is not None else "(none)"
    new = difference.new["verdict"] if difference.new is not None else "(none)"
    verdicts = old if old == new else f"{old} → {new}"
    reason = difference.new["reason"] if difference.new is not None else ""
    return shortened(f"{difference.level.name:<6} {line(difference.contract)}: {verdicts}", reason)


def match_lines(matches: Mapping[str, str | None], earlier: str) -> Iterator[str]:
    """Which targets have no earlier results, and which are compared with one of another id."""
    for target, theirs in matches.items():
        if theirs is None:
            yield line(f"{target} is not in {earlier}: its verdicts alone count")
        elif theirs != target:
            yield line(f"{target} is compared with {theirs}, the only target in {earlier}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count else ""
