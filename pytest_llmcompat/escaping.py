"""Text of foreign origin on its way into another language, where it must stay text."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.plain import line, plain

__all__ = ["markdown", "markdown_code", "workflow"]

# Invisible, and no part of any name: behind it GitHub sees no mention, issue or address.
_JOINER: Final = "\u2060"
_PUNCTUATION: Final = re.compile(r"""[!"#$%'()*+,\-./:;=?@\[\\\]^_`{|}~]""")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_REFERENCE: Final = re.compile(r"(\\[@#]|\bgh\\-(?=\d))", re.IGNORECASE)
_BACKTICKS: Final = re.compile(r"`+")


def markdown(text: str) -> str:
    """A text as one line of GitHub's Markdown, also in a table: no markup, HTML, link, mention or issue in it.

    Any ASCII punctuation may stand behind a backslash (CommonMark 0.31.2 section 2.4). Mentions and issues are
    looked for in what has been rendered, where the backslash is gone already.
    """
    escaped = _PUNCTUATION.sub(r"\\\g<0>", line(text))
    entities = "".join(_ENTITIES.get(character, character) for character in escaped)
    return _REFERENCE.sub(rf"\1{_JOINER}", entities)


def markdown_code(text: str, *, in_table: bool = False) -> str:
    """A text as a code span of one line (CommonMark 0.31.2 section 6.1), in which nothing is markup.

    in_table: a pipe would end the cell, in code too (GitHub Flavored Markdown section 4.10).
    """
    code = line(text) or " "
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(code)), default=0))
    pad = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{fence}{pad}{code.replace('|', chr(92) + '|') if in_table else code}{pad}{fence}"


def workflow(text: str, *, parameter: bool = False) -> str:
    """A text as data of a workflow command of GitHub Actions, such as `::error::DATA`.

    parameter: as the value of a parameter, such as `title` in `::error title=VALUE::…`. The escapes are those that
    the runner resolves (github.com/actions/runner, ActionCommand.cs).
    """
    escapes = {"%": "%25", "\r": "%0D", "\n": "%0A"} | ({":": "%3A", ",": "%2C"} if parameter else {})
    return "".join(escapes.get(character, character) for character in plain(text))
