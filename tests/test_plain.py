"""Foreign text on its way to a terminal."""

from __future__ import annotations

import time

import pytest

from pytest_llmcompat.plain import line, plain, printed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain «text» 日本 🏓\nin two lines", "plain «text» 日本 🏓\nin two lines"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("back\r\b\x00\x7f\x9b", "back\\r\\x08\\x00\\x7f\\x9b"),
        ("over\u202eturned", "over\\u202eturned"),
        ("half \ud800 a pair", "half \\ud800 a pair"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    """Printable text of any script passes, and so do line feeds."""
    assert plain(text) == shown
    assert all(character.isprintable() or character == "\n" for character in plain(text))


def test_line_is_one_line() -> None:
    """White space of any kind becomes single blanks."""
    assert line(" a\r\n\tb\u2028c \x1b ") == "a b c \\x1b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\x3a:error::x"),
        ("a\n   ::set-output name=a::b", "a\n   \\x3a:set-output name=a::b"),
        ("\n\n::x", "\n\n\\x3a:x"),
        ("a ##[error]b", "a #\\x23[error]b"),
        ("##vso[task.x]", "#\\x23vso[task.x]"),
        ("a::b, ## heading, #[x]", "a::b, ## heading, #[x]"),
    ],
)
def test_commands_of_build_services_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    """GitHub's runner reads `::name` behind white space and `##[name]` anywhere, Azure Pipelines `##vso[`."""
    assert plain(text) == shown
    assert plain(plain(text)) == plain(text)


def test_line_that_is_wrapped_later_holds_no_command_either() -> None:
    """pytest wraps reasons with `-vv`; node ids stay as they are."""
    assert line("reason: ::error::x ::add-mask::y") == "reason: \\x3a:error\\x3a:x \\x3a:add-mask::y"
    assert line("contracts/test_chat.py::chat.object") == "contracts/test_chat.py::chat.object"


def test_what_was_printed_keeps_tabs_and_colours() -> None:
    """And nothing else that a terminal obeys, be it cut short or made to look like a colour."""
    assert printed("\x1b[1;32mgreen\x1b[0m\tx\n") == "\x1b[1;32mgreen\x1b[0m\tx\n"
    assert printed("\x1b[2J\x1b]0;t\x07\x1b[\r\x1b[31\nm") == "\\x1b[2J\\x1b]0;t\\x07\\x1b[\\r\\x1b[31\nm"
    assert printed("a\n::error::x") == "a\n\\x3a:error::x"


def test_many_blank_lines_take_no_time() -> None:
    """The search is linear."""
    text = "\n  " * 100_000 + " " * 100_000 + ":"
    started = time.process_time()
    assert plain(text) == text
    assert time.process_time() - started < 2.0
