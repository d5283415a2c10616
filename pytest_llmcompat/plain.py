"""Text of foreign origin on its way to a terminal."""

from __future__ import annotations

__all__ = ["line", "plain"]


def plain(text: str) -> str:
    """A text whose control characters, line feeds apart, are shown as escapes instead of being obeyed."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def line(text: str) -> str:
    """A text as one line, likewise."""
    return plain(" ".join(text.split()))
