"""`llmcompat lint`: judge recorded traffic; exit status 1 for a broken contract, 2 for bad input."""

from __future__ import annotations

import argparse
import os
from typing import Final

from pytest_llmcompat.command.parsing import Commands

__all__ = ["add"]

# pytest's own statuses for wrong use and for nothing to do.
_WRONG_USE: Final = {4: 2, 5: 2}
# A linter works the same in every folder: nothing of a project's own pytest settings takes part.
_ALONE: Final = ("-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "pytest_llmcompat.plugin")
_SHORT: Final = ("-q", "--no-header", "-rN")


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "lint",
        help="judge recorded traffic; nothing is sent",
        description="Judge recorded HTTP traffic by all contracts that hold for any exchange. Exit status 1 when "
        "a contract at or above the level is broken, 2 for bad input.",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help="a cassette of vcrpy or of VCR for Ruby (YAML or JSON), a HAR file, JSON Lines, or a folder of them",
    )
    parser.add_argument("--report", metavar="PATH", help="write a report; its ending says which kind (.json)")
    parser.add_argument(
        "--level",
        metavar="LEVEL",
        default="must",
        help="weakest level that fails: must (default), should, may",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    import pytest

    from pytest_llmcompat.suite import CONTRACTS

    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    asked = [f"--llm-lint={path}" for path in given.paths] + [f"--llm-level={given.level}"]
    if given.report is not None:
        asked.append(f"--llm-report={given.report}")
    status = int(pytest.main([*_ALONE, *_SHORT, f"--rootdir={CONTRACTS}", *asked]))
    return _WRONG_USE.get(status, status)
