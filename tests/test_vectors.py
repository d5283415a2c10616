"""Readings of embeddings: whichever way vectors are written, and however broken they are."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

from pytest_llmcompat.evidence import Document
from pytest_llmcompat.vectors import cosine, decoded, is_finite, unpacked, vector


def item(embedding: Any) -> Document:
    """An item of `data`."""
    return Document("emb-float", "body /data/0", {"embedding": embedding})


def packed(form: str, *numbers: float) -> str:
    """Numbers in base64."""
    return base64.b64encode(struct.pack(form, *numbers)).decode()


def test_vector_is_read_from_both_encodings() -> None:
    """A list of numbers and base64 of little-endian float32 give the same."""
    assert vector(item([0.5, -2, 1.25])) == vector(item(packed("<3f", 0.5, -2, 1.25))) == (0.5, -2.0, 1.25)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        [],
        {},
        7,
        [None],
        [[0.5]],
        [True],
        ["0.5"],
        [math.nan],
        [math.inf],
        [10**400],
        [3.5e38],
        "no base64!",
        "AAA=",
        packed("<f", math.nan),
        packed("<f", -math.inf),
        packed("<f", 0.5)[:-1],
        "Zm9v\nZm9v",
        "ﬀ",
    ],
)
def test_broken_vector_is_none_and_raises_nothing(value: Any) -> None:
    """Whatever stands in the place of a vector is told from one."""
    assert vector(item(value)) is None


def test_missing_vector_is_none() -> None:
    """An item without the key, and one that is no object, have no vector."""
    assert vector(Document("emb-float", "body", {})) is None
    assert vector(Document("emb-float", "body", [1.0])) is None


def test_base64_of_urls_is_not_taken() -> None:
    """Python's decoder would skip the two characters that differ, and give other numbers."""
    octets = b"\xfb\xff\xbf\x3e"
    assert decoded(base64.b64encode(octets).decode()) == octets
    assert decoded(base64.urlsafe_b64encode(octets).decode()) is None


@pytest.mark.parametrize(("form", "numbers"), [("<f", (0.5, -1.0)), (">f", (0.5, -1.0)), ("<d", (0.1,))])
def test_bytes_are_unpacked_in_the_form_given(form: str, numbers: tuple[float, ...]) -> None:
    """Wrong forms can be recognised by reading them; a remainder is no number."""
    octets = b"".join(struct.pack(form, number) for number in numbers)
    assert unpacked(octets, form) == numbers
    assert unpacked(octets + b"x", form) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((3, 4), (6, 8), 1),
        ((1, 0), (0, 1), 0),
        ((1, 0), (-2, 0), -1),
        ((0, 0), (1, 0), 0),
        ((1, 0), (1, 0, 0), 0),
        ((), (), 0),
        ((math.nan, 1), (1, 1), 0),
        ((3e38, 3e38), (3e38, 3e38), 1),
    ],
)
def test_cosine_tells_directions_only(
    one: tuple[float, ...], other: tuple[float, ...], expected: float
) -> None:
    """Length does not matter, and what is no direction is like nothing."""
    assert cosine(one, other) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, True), (-2.5, True), (True, False), ("1", False), (None, False)]
)
def test_only_numbers_are_finite(value: Any, expected: bool) -> None:
    """Texts, null and booleans are no numbers."""
    assert is_finite(value) is expected
