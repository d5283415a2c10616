"""The embedding model: a direction of its own for each token, added up and brought to length 1."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from typing import Final

from pytest_llmcompat.reference.tokens import tokenize

__all__ = ["DIMENSIONS", "Tokens", "Vector", "embed", "token_ids"]

Tokens = tuple[int, ...]
Vector = tuple[float, ...]

DIMENSIONS: Final = 64
_VOCABULARY: Final = 100_000


def token_ids(text: str) -> Tokens:
    """The tokens of a text as numbers, as a token array has them."""
    return tuple(zlib.crc32(token.encode()) % _VOCABULARY for token in tokenize(text))


def embed(tokens: Tokens, dimensions: int) -> Vector:
    """The unit vector of some tokens, shortened as models of the Matryoshka kind are: the first numbers of it.

    Its numbers are such that float32 holds, so it is the same in every encoding.
    """
    directions = [hashlib.blake2b(f"{place}:{id}".encode()).digest() for place, id in enumerate(tokens)]
    summed = [sum(column) - 127.5 * len(directions) for column in zip(*directions, strict=True)]
    length = math.hypot(*summed[:dimensions])
    form = f"<{dimensions}f"
    vector: Vector = struct.unpack(form, struct.pack(form, *(n / length for n in summed[:dimensions])))
    return vector
