"""What is in the shape of a body that no reader should have to bear: levels and long numbers.

Everything here is a few passes over the bytes at the speed of C, without a list of what was found, and none of it
parses: parsing is what it guards.
"""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.limits import Limits

__all__ = ["shape_fault"]

_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(set(range(256)) - set(b'[]{}"'))
# Neighbours are taken together, and a text without its end too: else a hostile body makes this quadratic.
_TEXTS: Final = re.compile(rb'(?:"[^"]*+"?)++')
_INNERMOST: Final = re.compile(rb"(?:\[\]|\{\})++")


def shape_fault(body: bytes, limits: Limits, *, by_line: bool) -> str | None:
    """What no reader should have to bear in the shape of a body, None for nothing.

    by_line: each line is JSON by itself, as in a stream of events.
    """
    if any(_is_too_deep(text, limits.depth) for text in (body.splitlines() if by_line else (body,))):
        return f"the body holds JSON of more than {limits.depth} levels"
    if _has_long_number(body, limits.digits):
        return f"the body holds a number of more than {limits.digits} digits"
    return None


def _is_too_deep(text: bytes, levels: int) -> bool:
    """True for more levels of brackets that match; those that do not make no JSON, and no parser goes on there."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _TEXTS.sub(b"", _unescaped(text).translate(None, _NEITHER_BRACKET_NOR_QUOTE))
    for _ in range(levels):
        outer = _INNERMOST.sub(b"", brackets)
        if outer == brackets:
            return False
        brackets = outer
    return _INNERMOST.search(brackets) is not None


def _has_long_number(body: bytes, digits: int) -> bool:
    """True for a number that does not stand within a text; texts never go over the end of a line."""
    position, is_in_text = 0, False
    # Looking only where digits begin keeps the search linear.
    for found in re.finditer(rb"(?<![0-9])[0-9]{%d}" % (digits + 1), body):
        between = body[position : found.start()]
        line = between[max(between.rfind(b"\n"), between.rfind(b"\r")) + 1 :]
        is_in_text = (is_in_text and len(line) == len(between)) ^ (_unescaped(line).count(b'"') % 2 == 1)
        if not is_in_text:
            return True
        position = found.end()
    return False


def _unescaped(text: bytes) -> bytes:
    """JSON without the quotation marks and backslashes that are escaped in its texts."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"")
