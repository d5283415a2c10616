"""The pieces of Markdown show whatever text they are given, and that text does nothing."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

import pytest

from pytest_llmcompat.plain import line
from pytest_llmcompat.reporting.markup import bullets, cell, code, fenced, folded, prose, table

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "<!-- --> </details></summary></table></pre>",
    "[click](https://evil.example) ![x](https://evil.example/pixel.png) <https://evil.example>",
    "[^1] [x]: https://evil.example [!WARNING]",
    "**bold** __bold__ *i* _i_ ~~gone~~ `code` ``` \\* \\",
    "| a | b |",
    "a | b \\| c",
    "$x^2$ $$y$$ &lt;b&gt; &#60;b&#62;",
    "@octocat @org/team mail@evil.example mailto:mail@evil.example xmpp:a@b.example",
    "#1 owner/repo#2 GH-3 gh-4",
    "https://evil.example http://evil.example ftp://evil.example www.evil.example WWW.evil.example",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "23) item",
    "> quote",
    "=====",
    "---",
    "`",
    "``` a",
    "a\n\n# heading\r\n- item\x00\x1b[2J\u202e\u2028<b>",
]
# An escape, a span of code, an element, a reference to a character, or a character that stands for itself.
_PIECES = re.compile(r"\\([!-/:-@\[-`{-~])|(`+)(?!`)(.+?)(?<!`)\2(?!`)|</?(\w+)>|(&\w+;|&#\d+;)|(.)")
MEANS_SOMETHING = frozenset("<>`*_[]|~\\$@#")


@dataclass(frozen=True)
class Seen:
    """A line of Markdown, without its spans of code.

    written: as it stands. text: as a reader sees it. elements: of HTML. bare: what has a meaning and no escape.
    """

    written: str
    text: str
    elements: list[str]
    bare: list[str]


def read(markdown: str) -> Seen:
    """A line as CommonMark 0.31.2 reads it, by its sections 2.4, 2.5, 6.1 and 6.6."""
    written, text, elements, bare = "", "", [], []
    for found in _PIECES.finditer(markdown):
        escaped, fence, _, element, reference, other = found.groups(default="")
        written += "" if fence else found[0]
        text += escaped or html.unescape(reference) or other
        elements += [element] if element else []
        bare += [other] if other in MEANS_SOMETHING else []
    return Seen(written, text, elements, bare)


def links(seen: Seen) -> list[str]:
    """What GitHub makes links of: mentions and references that a reader sees, addresses as they are written."""
    mentions = re.findall(r"[@#]\w+|\bGH-\d+", seen.text, re.IGNORECASE)
    return mentions + re.findall(r"\w+://|\bwww\.|mailto:|xmpp:", seen.written, re.IGNORECASE)


def visible(text: str) -> str:
    """A text without blanks and invisible joiners."""
    return re.sub(r"[\s\u200b\u2060]", "", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_is_a_text_without_meaning(text: str) -> None:
    """One line that shows the text: no markup, element, mention, reference, link or list comes out of it."""
    written = prose(text)
    seen = read(written)
    assert "\n" not in written
    assert visible(seen.text) == visible(line(text))
    assert (seen.elements, seen.bare) == ([], [])
    assert not links(seen)
    assert not re.match(r"[-+=>]|#+( |$)|\d+[.)]( |$)", written)


@pytest.mark.parametrize("text", HOSTILE)
def test_code_is_one_span_that_holds_the_text(text: str) -> None:
    """The fence is longer than any run of backticks in it."""
    fence, _, inside, *_ = re.fullmatch(r"(`+)( ?)([^`].*|.*[^`])\2\1", code(text)).groups()  # type: ignore[union-attr]
    assert fence not in re.findall("`+", inside)
    assert visible(inside) == visible(line(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_cell_keeps_its_column(text: str) -> None:
    """Every pipe within is escaped, so that a row has as many cells as its table."""
    row = table(["a", "b"], [[cell(text), prose(text)]], most=1).splitlines()[-1]
    assert len(re.split(r"(?<!\\)(?:\\\\)*\|", row.replace("\\|", ""))) == 4


@pytest.mark.parametrize("text", [*HOSTILE, "`````\n```sh\n</details>"])
def test_fenced_text_ends_with_its_fence(text: str) -> None:
    """No line of the text closes the block."""
    first, *lines, last = fenced(text).split("\n")
    assert first == f"{last}sh"
    assert set(last) == {"`"}
    assert not [inner for inner in lines if inner.strip().startswith(last)]


def test_long_texts_and_lists_are_cut() -> None:
    """With a sign that something is missing, and how much."""
    assert prose("x" * 5000).endswith("x …")
    assert len(prose("x" * 5000)) == 600
    assert prose("x" * 50, 10) == f"{'x' * 8} …"
    assert len(code("x" * 5000)) == 162
    assert bullets(["a", "b", "c"], 1) == "- a\n- and 2 more, all in the JSON report"
    assert table(["a", "#b"], [["1", "2"], ["3", "4"]], 1) == (
        "| a | b |\n| --- | --: |\n| 1 | 2 |\n\nand 1 more, all in the JSON report"
    )


def test_empty_texts_and_blocks_leave_nothing() -> None:
    """No empty span of code, which Markdown would show as backticks, and no empty block."""
    assert (prose(""), code(""), cell("")) == ("", "", "")
    assert folded("more", "", "text") == "<details><summary>more</summary>\n\ntext\n\n</details>"
