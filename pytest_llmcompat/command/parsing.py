"""What the subcommands share: how they are added, the level, and output for any terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TypeAlias

from pytest_llmcompat.contract import Level
from pytest_llmcompat.settings import WrongUsage

__all__ = ["Commands", "level_of", "print_lines"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def level_of(text: str) -> Level:
    """The level that is written as `must`, `should` or `may`. Raises WrongUsage."""
    try:
        return Level(text.lower())
    except ValueError:
        raise WrongUsage(f"--level: {text!r} is no level; give must, should or may") from None


def print_lines(lines: Iterable[str]) -> None:
    """Print some lines; characters that the terminal's encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "".join(f"{each}\n" for each in lines)
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
