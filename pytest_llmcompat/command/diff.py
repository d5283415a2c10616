"""`llmcompat diff`: what has changed between two reports; exit status 1 for regressions, 4 for bad input."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from pytest_llmcompat.baseline import match
from pytest_llmcompat.change import Change, Comparison, compare_results
from pytest_llmcompat.command.parsing import Commands, print_lines
from pytest_llmcompat.plain import line
from pytest_llmcompat.report import Report, read_report
from pytest_llmcompat.settings import WrongUsage

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "diff",
        help="what has changed between two reports",
        description="Compare two JSON reports, contract by contract. Exit status 1 when a contract that passed is "
        "broken or unsupported now, 4 for bad input.",
    )
    parser.add_argument("old", metavar="OLD", help="the earlier JSON report")
    parser.add_argument("new", metavar="NEW", help="the later JSON report")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a contract that passed and is inconclusive now is a regression, too",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmcompat.reporting.changes import conclusion

    old, new = read_report(given.old, "diff"), read_report(given.new, "diff")
    matches = match(old.targets, new.targets)
    pairs = {target: theirs for target, theirs in matches.items() if theirs is not None}
    if not pairs:
        raise WrongUsage(
            f"diff: no target of {new.path} is in {old.path}; there are {', '.join(old.targets) or 'none'} in the "
            f"one and {', '.join(new.targets) or 'none'} in the other"
        )
    # Contracts that read no target stand under "" in both.
    comparisons = {
        target: compare_results(old.of(theirs), new.of(target), strict=given.strict)
        for target, theirs in {**pairs, "": ""}.items()
    }
    print_lines(
        [
            conclusion(comparisons.values(), str(old.path)),
            *_about_targets(old, matches),
            *_lists(comparisons, titled=len(pairs) > 1),
        ]
    )
    return int(any(comparison.of(Change.REGRESSION) for comparison in comparisons.values()))


def _about_targets(old: Report, matches: Mapping[str, str | None]) -> Iterator[str]:
    from pytest_llmcompat.reporting.changes import match_lines

    yield from match_lines(matches, str(old.path))
    for target in old.targets:
        if target not in matches.values():
            yield line(f"{target} is in {old.path} alone")


def _lists(comparisons: Mapping[str, Comparison], *, titled: bool) -> Iterator[str]:
    from pytest_llmcompat.reporting.changes import changes_in

    for target, comparison in comparisons.items():
        lines = list(changes_in(comparison, whole=True))
        if lines and titled:
            yield line(f"== {target or 'without a target'}")
        yield from lines
