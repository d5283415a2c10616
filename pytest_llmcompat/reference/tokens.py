"""The tokenizer: small pieces of words, about four characters each, that join to exactly the same text."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["count", "tokenize"]

# A piece never splits a code point, so no chunk of a stream can hold half a character.
_PIECE: Final = re.compile(r" ?[^\W\d_]{1,5}| ?\d{1,3}| ?[^\w\s]{1,2}|\s{1,4}|_+")


def tokenize(text: str) -> tuple[str, ...]:
    """The tokens of a text, in order; joined they are the text."""
    return tuple(_PIECE.findall(text))


def count(text: str) -> int:
    """How many tokens a text has."""
    return len(tokenize(text))
