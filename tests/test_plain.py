"""Foreign text on its way to a terminal."""

from __future__ import annotations

import pytest

from pytest_llmcompat.plain import line, plain


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
