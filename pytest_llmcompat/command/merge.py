"""`llmcompat merge`: one report of several; exit status 4 for bad input."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_llmcompat.client_profile import profiles
from pytest_llmcompat.command.parsing import Commands, print_lines
from pytest_llmcompat.merging import merged
from pytest_llmcompat.readiness import readiness
from pytest_llmcompat.report import read_report
from pytest_llmcompat.settings import WrongUsage

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "merge",
        help="one report of several, such as those of jobs with --llm-shard",
        description="Join JSON reports of one level and one version. Exit status 4 when they contradict each other, "
        "when a shard is missing, and for other bad input.",
    )
    parser.add_argument("reports", metavar="REPORT", nargs="+", help="a JSON report")
    parser.add_argument("--output", metavar="FILE", required=True, help="path of the joined report")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmcompat.reporting.conclusion_json import client_values
    from pytest_llmcompat.reporting.json_report import json_text, write_text
    from pytest_llmcompat.reporting.replacement import plural

    output = Path(given.output)
    if output.is_dir():
        raise WrongUsage(f"--output: {output} is a folder; give the path of a file")
    reports = [read_report(path, "merge") for path in given.reports]
    document = merged(reports)
    for target, summary in document["summary"]["targets"].items():
        its = [result for result in document["results"] if result["target"] == target]
        summary["clients"] = client_values(readiness(profile, its) for profile in profiles().values())
    try:
        write_text(output, json_text(document))
    except OSError as error:
        raise WrongUsage(f"--output: {output} cannot be written: {error.strerror}") from None
    summary = document["summary"]
    counted = [f"{count} {verdict}" for verdict, count in summary.items() if isinstance(count, int) and count]
    said = [plural(len(reports), "report"), plural(len(document["targets"]), "target"), *counted]
    print_lines([f"{output}: {', '.join(said)}"])
    return 0
