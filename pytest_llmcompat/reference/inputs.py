"""The `input` of an embeddings request: a text, a token array, or a list of either."""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_llmcompat.reference.checks import check_array, wrong_type
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import crash, invalid
from pytest_llmcompat.reference.vectors import Tokens, token_ids

__all__ = ["read_input"]

STRING_REFUSED = defect("embeddings-string-refused", "A string as input is refused.", row="D-B04")
STRING_SPLIT = defect(
    "embeddings-string-split", "A string is taken for a list of its characters.", row="D-B04"
)
STRING_OTHER = defect("embeddings-string-other", "A string gets another vector than in a list.", row="D-B04")
TOKENS_500 = defect("token-arrays-500", "Token arrays are answered 500.", row="D-B06")
TOKENS_AS_TEXT = defect("token-arrays-as-text", "Token arrays are embedded as their text.", row="D-B06")
TOKENS_FLAT = defect("token-arrays-flattened", "Each token of an array is embedded by itself.", row="D-B06")
EMPTY_NO_DATA = defect("embeddings-empty-no-data", "An empty input gets no data.", row="D-B07")
EMPTY_VECTOR = defect("embeddings-empty-vector", "An empty input gets a vector.", row="D-B07")
EMPTY_500 = defect("embeddings-empty-500", "An empty input is answered 500.", row="D-B07")

_MOST: Final = 2048


def read_input(given: Any, defects: Defects) -> list[Tokens]:
    """The tokens of each input. Raises ApiError 400 for what is no input, and for an empty one."""
    if given == "":
        return _empty(defects)
    if isinstance(given, str):
        return [token_ids(text) for text in _texts(given, defects)]
    check_array("input", given, least=1, most=_MOST)
    several = [given] if _is_token_array(given) else given
    return [tokens for number, one in enumerate(several) for tokens in _one(one, number, defects)]


def _empty(defects: Defects) -> list[Tokens]:
    if EMPTY_500 in defects:
        raise crash()
    if EMPTY_NO_DATA in defects:
        return []
    if EMPTY_VECTOR in defects:
        return [(0,)]
    raise invalid("'input' cannot be an empty string.", "input")


def _texts(given: str, defects: Defects) -> list[str]:
    if STRING_REFUSED in defects:
        raise wrong_type("input", given, "an array")
    if STRING_SPLIT in defects:
        return list(given)
    return [f"query: {given}"] if STRING_OTHER in defects else [given]


def _one(given: Any, number: int, defects: Defects) -> list[Tokens]:
    """The tokens of one entry of a list; of several inputs where a defect makes them of one."""
    if isinstance(given, str) and given:
        return [token_ids(given)]
    if not _is_token_array(given):
        raise invalid(f"'input[{number}]' must be a text that is not empty, or a token array.", "input")
    if TOKENS_500 in defects:
        raise crash()
    if TOKENS_AS_TEXT in defects:
        return [token_ids(json.dumps(given))]
    return [(id,) for id in given] if TOKENS_FLAT in defects else [tuple(given)]


def _is_token_array(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(type(id) is int and id >= 0 for id in value)
