"""Text of foreign origin on its way to a terminal, or to the log of a build service that reads commands there."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["line", "plain", "printed"]

# What the runner of GitHub Actions takes for a command: `::name` behind white space at the beginning of a line, and
# `##[name]` anywhere (github.com/actions/runner, ActionCommand.cs); Azure Pipelines and TeamCity read `##vso[` and
# `##teamcity[`. Line feeds are the only white space besides blanks and tabs that is left when this is looked for.
_AT_BEGINNING: Final = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_WITHIN: Final = re.compile(r":(?=:[A-Za-z-]+[ :])")
_ANYWHERE: Final = re.compile(r"##(?=\w{0,20}\[)")
_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]{0,40}m)")


def plain(text: str) -> str:
    """A text whose control characters, line feeds apart, are shown as escapes instead of being obeyed.

    So are the beginnings of commands that build services obey in what a step prints.
    """
    return _without_commands("".join(c if c == "\n" else _visible(c) for c in text))


def printed(text: str) -> str:
    """What somebody's own test has printed, likewise; tabs and colours stay."""
    parts = _COLOUR.split(text)
    parts[::2] = ["".join(c if c in "\n\t" else _visible(c) for c in part) for part in parts[::2]]
    return _without_commands("".join(parts))


def line(text: str) -> str:
    """A text as one line, as `plain` shows it; it may be wrapped afterwards, as pytest does with reasons."""
    return _WITHIN.sub(r"\\x3a", plain(" ".join(text.split())))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _without_commands(text: str) -> str:
    return _ANYWHERE.sub(r"#\\x23", _AT_BEGINNING.sub(r"\1\\x3a", text))
