"""`llmcompat init`: a commented configuration to begin with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_llmcompat.command.parsing import Commands
from pytest_llmcompat.configuration import FILE_NAME, STARTER_FILE
from pytest_llmcompat.settings import WrongUsage

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "init",
        help=f"write {FILE_NAME} to begin with",
        description=f"Write a commented {FILE_NAME} into the working directory; never over one that is there.",
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    path = Path(FILE_NAME)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER_FILE.read_text("utf-8"))
    except FileExistsError:
        raise WrongUsage(f"{FILE_NAME} is there already; edit it, or move it away first") from None
    except OSError as error:
        raise WrongUsage(
            f"{FILE_NAME} cannot be written: {error.strerror}; go to a folder of your own"
        ) from None
    sys.stdout.write(f"wrote {FILE_NAME}; try it with: pytest --llm-target=reference\n")
    return 0
