"""The pieces of Markdown that reports are made of; whatever text they are given shows as it is, and does nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pytest_llmcompat.escaping import markdown, markdown_code
from pytest_llmcompat.plain import line, plain

__all__ = ["bullets", "cell", "code", "fenced", "folded", "prose", "table"]

_LONGEST: Final = 600
_LONGEST_CODE: Final = 160


def prose(text: str, longest: int = _LONGEST) -> str:
    """A text as one line of prose, shortened; for cells of a table, too."""
    return markdown(_shortened(text, longest))


def code(text: str) -> str:
    """A text as a span of code, shortened; nothing for no text. Not for cells of a table."""
    shown = _shortened(text, _LONGEST_CODE)
    return markdown_code(shown) if shown else ""


def cell(text: str) -> str:
    """A text as a span of code in a cell of a table."""
    shown = _shortened(text, _LONGEST_CODE)
    return markdown_code(shown, in_table=True) if shown else ""


def fenced(text: str) -> str:
    """A text as a block of shell code, with its lines."""
    shown = plain(text)
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", shown))])
    return f"{fence}sh\n{shown}\n{fence}"


def folded(summary: str, *blocks: str) -> str:
    """Blocks that show only when asked for. summary: words of our own, for no Markdown is read there."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *(b for b in blocks if b), "</details>"])


def bullets(items: Iterable[str], most: int) -> str:
    """A list. items: made of the pieces above; beyond `most`, the list says how many there are more."""
    every = list(items)
    more = [f"and {len(every) - most} more, all in the JSON report"] if len(every) > most else []
    return "\n".join(f"- {item}" for item in [*every[:most], *more])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], most: int) -> str:
    """A table; columns whose title begins with `#` hold numbers. Cells: made of `prose` and `cell`."""
    every = list(rows)
    lines = [
        [column.removeprefix("#") for column in columns],
        ["--:" if column.startswith("#") else "---" for column in columns],
        *every[:most],
    ]
    drawn = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return drawn if len(every) <= most else f"{drawn}\n\nand {len(every) - most} more, all in the JSON report"


def _shortened(text: str, longest: int) -> str:
    shown = line(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 2]} …"
