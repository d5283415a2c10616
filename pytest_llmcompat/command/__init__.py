"""The command `llmcompat`: a thin face of what the plugin does; each subcommand is a module with `add`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from pytest_llmcompat.command import compare, diff, explain, init, lint, merge
from pytest_llmcompat.plain import line
from pytest_llmcompat.settings import WrongUsage

__all__ = ["main"]

_SUBCOMMANDS: Final = (init, lint, explain, diff, compare, merge)
# As pytest ends a run that was asked for wrongly.
_WRONG_USE: Final = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand with some arguments (those of the process by default) and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="llmcompat", description="Will code written for the OpenAI API work against this endpoint?"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for subcommand in _SUBCOMMANDS:
        subcommand.add(commands)
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except WrongUsage as wrong:
        sys.stderr.write(f"llmcompat: {line(str(wrong))}\n")
        return _WRONG_USE
    return status
