"""Readings of embeddings: the vectors of an answer, whichever way they are written, and how close two of them are."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from pytest_llmcompat.answer import answered, body, settled
from pytest_llmcompat.evidence import Document, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.embeddings import lacks_embeddings
from pytest_llmcompat.refusal import error_message
from pytest_llmcompat.verdict import inconclusive, unsupported

__all__ = ["Vector", "cosine", "decoded", "embedded", "entries", "is_finite", "unpacked", "vector"]

Vector = tuple[float, ...]

# The largest number that float32 holds is just below this.
_BEYOND: Final = 3.41e38


def embedded(exchange: Exchange, *features: str) -> Document:
    """The body of a 2xx answer; unsupported when the endpoint or the model has no embeddings."""
    settled(exchange)
    if lacks_embeddings(exchange):
        unsupported(f"{exchange.probe} was refused with {exchange.status}: {shown(error_message(exchange))}")
    return body(answered(exchange, *features))


def entries(exchange: Exchange, *features: str) -> list[Document]:
    """The entries of `data`, at least one; inconclusive when there is none."""
    document = embedded(exchange, *features)
    if not isinstance(document.at("/data"), list):
        inconclusive(f"{exchange.probe}: there is no `data` array (embeddings.shape judges that)")
    found = document.items("/data")
    if not found:
        inconclusive(f"{exchange.probe}: `data` is empty (embeddings.batch-count judges that)")
    return found


def vector(entry: Document) -> Vector | None:
    """The vector of an entry, from numbers or from base64 of float32; None when it is neither."""
    value = entry.at("/embedding")
    if isinstance(value, list) and value and all(map(is_finite, value)):
        return tuple(map(float, value))
    octets = decoded(value)
    numbers = unpacked(octets, "<f") if octets else None
    return numbers if numbers and all(map(is_finite, numbers)) else None


def is_finite(value: Any) -> bool:
    """True for a number that float32 holds; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BEYOND


def decoded(value: Any) -> bytes | None:
    """The bytes of a base64 text in the standard alphabet (RFC 4648 section 4); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def unpacked(octets: bytes, form: str) -> Vector | None:
    """The numbers that bytes hold one after the other, each packed as `struct` calls it (`<f` is float32)."""
    if len(octets) % struct.calcsize(form):
        return None
    return tuple(number for (number,) in struct.iter_unpack(form, octets))


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors; 0 for a zero vector, and for vectors of different lengths."""
    size = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or not math.isfinite(size) or size == 0:
        return 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / size
