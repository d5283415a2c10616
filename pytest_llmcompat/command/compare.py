"""`llmcompat compare`: can one target stand in for another? Exit status 1 when it cannot, 4 for bad input."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_llmcompat.command.parsing import Commands, level_of, print_lines
from pytest_llmcompat.replaceable import one_of, replaceable
from pytest_llmcompat.report import Report, Result, read_report
from pytest_llmcompat.settings import WrongUsage

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "compare",
        help="can one target stand in for another?",
        description="Say whether target B keeps every contract that target A keeps, so that it can stand in for A. "
        "Exit status 1 when it does not, or nothing is known; 4 for bad input.",
    )
    what = "target id (or a glob that fits one) in the reports; without --report, a JSON report of one target"
    parser.add_argument("first", metavar="A", help=what)
    parser.add_argument("second", metavar="B", help="likewise, the one that is to stand in for A")
    parser.add_argument(
        "--report",
        metavar="FILE",
        action="append",
        default=[],
        help="JSON report with A, B or both; repeatable",
    )
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        default="must",
        help="weakest level that counts: must (default), should, may",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmcompat.reporting.replacement import losses_in, verdict_on

    level = level_of(given.level)
    if given.report:
        reports = [read_report(path, "--report") for path in given.report]
        (first, of_first), (second, of_second) = (
            _found(reports, text) for text in (given.first, given.second)
        )
        if first == second:
            raise WrongUsage(f"compare: {given.first} and {given.second} are the same target, {first}")
    else:
        (first, of_first), (second, of_second) = (_only(path) for path in (given.first, given.second))
        if first == second:
            first, second = f"{first} of {given.first}", f"{second} of {given.second}"
    replacement = replaceable(of_first, of_second, level)
    print_lines([verdict_on(replacement, first, second), *losses_in(replacement, second, whole=True)])
    return int(not replacement.holds)


def _found(reports: Sequence[Report], text: str) -> tuple[str, Sequence[Result]]:
    """The one target that is meant, with its results."""
    owners: dict[str, Report] = {}
    for report in reports:
        for target in report.targets:
            if (other := owners.setdefault(target, report)) is not report:
                raise WrongUsage(
                    f"compare: {target} is in {other.path} and in {report.path}; join them with `llmcompat merge`, "
                    "or leave one out"
                )
    target = one_of(list(owners), text, "compare")
    return target, owners[target].of(target)


def _only(path: str) -> tuple[str, Sequence[Result]]:
    if not Path(path).exists():
        raise WrongUsage(
            f"compare: there is no file {path}; name a JSON report of one target, or say with --report=FILE where "
            "the target is"
        )
    report = read_report(path, "compare")
    if len(report.targets) != 1:
        raise WrongUsage(
            f"compare: {path} has {len(report.targets)} targets ({', '.join(report.targets)}); name two of them and "
            f"add --report={path}"
        )
    return report.targets[0], report.of(report.targets[0])
