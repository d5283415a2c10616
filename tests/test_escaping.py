"""Foreign text in the languages of reports."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmcompat.escaping import markdown, markdown_code, workflow
from pytest_llmcompat.plain import line, plain

# What GitHub looks for in rendered text: mentions, issues, and addresses.
RENDERED = re.compile(r"(?<!\w)@\w|#\d|\bgh-\d", re.IGNORECASE)


def rendered(source: str) -> str:
    """What a reader of CommonMark makes of a text all of whose markup is escaped.

    Raises AssertionError for ASCII punctuation that is neither behind a backslash nor part of an entity of ours.
    """
    tokens = re.findall(r"\\[!-/:-@\[-`{-~]|&(?:amp|lt|gt);|[^!-/:-@\[-`{-~]+|.", source, re.DOTALL)
    for token in tokens:
        assert len(token) > 1 or token.isalnum() or not token.isascii() or token == " ", source
    return "".join(token[1] if token.startswith("\\") else html.unescape(token) for token in tokens)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "&lt; &#60; &amp;",
        "[a](javascript:b) ![i](http://x/y.png) <http://x> http://x www.x.example me@x.example",
        "| a | b |\n|---|---|\n# heading\n- [ ] item\n1. one\n> quote\n---",
        "`code` ```fence``` ~~~ *a* _b_ ~~c~~ $x$ \\",
        "@octocat @org/team #123 owner/repo#4 GH-5 gh-6",
        "::error::x\x1b[31m\x00",
    ],
)
def test_markdown_shows_the_text_and_nothing_comes_of_it(text: str) -> None:
    """One line, in which every sign of markup stands for itself, and no name is behind an @ or #."""
    source = markdown(text)
    assert "\n" not in source
    shown = rendered(source)
    assert shown.replace("\u2060", "") == line(text)
    assert RENDERED.search(shown) is None


@given(st.text())
def test_markdown_of_any_text_reads_as_its_line(text: str) -> None:
    """Whatever it holds."""
    shown = rendered(markdown(text))
    assert shown.replace("\u2060", "") == line(text).replace("\u2060", "")
    assert RENDERED.search(shown) is None


@given(st.text("`| a\\<@#\n"), st.booleans())
def test_markdown_code_ends_where_it_should(text: str, in_table: bool) -> None:
    """No run of backticks within is as long as the fence; a pipe in a table is escaped."""
    code = markdown_code(text, in_table=in_table)
    fence = re.match(r"`+", code)
    assert fence is not None
    inner = code[len(fence[0]) : -len(fence[0])]
    assert code.endswith(fence[0])
    assert fence[0] not in re.findall(r"`+", inner)
    if in_table:
        assert re.search(r"(?<!\\)\|", inner) is None
        inner = inner.replace("\\|", "|")
    assert inner.strip() == line(text).strip()
    assert not inner.startswith("`")
    assert not inner.endswith("`")


def resolved(data: str, *, parameter: bool) -> str:
    """What GitHub's runner reads (ActionCommand.cs): one code after the other, the per cent sign last."""
    codes = {"%0D": "\r", "%0A": "\n", **({"%3A": ":", "%2C": ","} if parameter else {}), "%25": "%"}
    for code, character in codes.items():
        data = data.replace(code, character)
    return data


@given(st.text("%0ADa25:,3C\r\n\x1b#[]"), st.booleans())
def test_workflow_data_comes_out_as_it_was(text: str, parameter: bool) -> None:
    """No text ends the command or its parameter, and the runner resolves it to what stood there."""
    data = workflow(text, parameter=parameter)
    assert not set("\r\n") & set(data)
    assert not (parameter and set(":,") & set(data))
    assert resolved(data, parameter=parameter) == plain(text)
