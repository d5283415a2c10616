"""The command `llmcompat`: a thin face of what the plugin does; exit status 2 for wrong use."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

# pytest's own statuses for wrong use and for nothing to do.
_WRONG_USE: Final = {4: 2, 5: 2}
# A linter works the same in every folder: nothing of a project's own pytest settings takes part.
_ALONE: Final = ("-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "pytest_llmcompat.plugin")
_SHORT: Final = ("-q", "--no-header", "-rN")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand with some arguments (those of the process by default) and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="llmcompat", description="Will code written for the OpenAI API work against this endpoint?"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    lint = commands.add_parser(
        "lint",
        help="judge recorded traffic; nothing is sent",
        description="Judge recorded HTTP traffic by all contracts that hold for any exchange. Exit status 1 when "
        "a contract at or above the level is broken, 2 for bad input.",
    )
    lint.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help="a cassette of vcrpy or of VCR for Ruby (YAML or JSON), a HAR file, JSON Lines, or a folder of them",
    )
    lint.add_argument("--report", metavar="PATH", help="write a report; its ending says which kind (.json)")
    lint.add_argument(
        "--level",
        metavar="LEVEL",
        default="must",
        help="weakest level that fails: must (default), should, may",
    )
    explain = commands.add_parser("explain", help="all that is known of a contract")
    explain.add_argument("contract", metavar="CONTRACT-ID", help="such as chat.stream.done-sentinel")
    given = parser.parse_args(arguments)
    if given.command == "explain":
        return _explain(given.contract)
    return _lint(given.paths, given.report, given.level)


def _lint(paths: Sequence[str], report: str | None, level: str) -> int:
    import pytest

    from pytest_llmcompat.suite import CONTRACTS

    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    asked = [f"--llm-lint={path}" for path in paths] + [f"--llm-level={level}"]
    if report is not None:
        asked.append(f"--llm-report={report}")
    status = int(pytest.main([*_ALONE, *_SHORT, f"--rootdir={CONTRACTS}", *asked]))
    return _WRONG_USE.get(status, status)


def _explain(id: str) -> int:
    from pytest_llmcompat.reporting.description import close_ids, described
    from pytest_llmcompat.suite import bundled_contracts

    contracts = bundled_contracts()
    for contract in contracts:
        if contract.id == id:
            _print(described(contract))
            return 0
    close = close_ids(id, contracts)
    hint = f"did you mean {', '.join(close)}?" if close else "`pytest --llm-list` prints all of them"
    sys.stderr.write(f"llmcompat: there is no contract {id!r}; {hint}\n")
    return 2


def _print(text: str) -> None:
    """A text; characters that the terminal's encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
