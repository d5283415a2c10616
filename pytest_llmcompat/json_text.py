"""JSON that a model wrote: read strictly, found inside other text, checked against the schema sent."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, Final, NoReturn

from pytest_llmcompat.evidence import MISSING

__all__ = ["joined_objects", "json_object_in", "read_json", "violation", "without_thinking"]

_THINKING: Final = re.compile(r"\s*<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL)
_SPACE: Final = re.compile(r"[\s,]*")
# Looking further would take a hostile body's time and tell nothing more.
_MOST: Final = 50


def read_json(text: str) -> Any:
    """The value of a text that is one JSON value and nothing else (white space apart), else MISSING.

    NaN and Infinity are no JSON (RFC 8259 section 6), though Python reads them.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return MISSING


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def without_thinking(text: str) -> str:
    """The text behind a leading block of <think> markup, which other contracts judge."""
    found = _THINKING.match(text)
    return text[found.end() :] if found else text


def json_object_in(text: str) -> dict[str, Any] | None:
    """The first JSON object anywhere in a text: fenced, introduced or followed by prose; None for none."""
    for found in islice(re.finditer(r"\{", text), _MOST):
        value, _ = _decoded(text, found.start())
        if isinstance(value, dict):
            return value
    return None


def joined_objects(text: str) -> list[dict[str, Any]]:
    """The objects of a text that is JSON objects one after the other and nothing else; [] for any other."""
    objects: list[dict[str, Any]] = []
    position = _behind_space(text, 0)
    while position < len(text):
        value, end = _decoded(text, position)
        if not isinstance(value, dict) or len(objects) == _MOST:
            return []
        objects.append(value)
        position = _behind_space(text, end)
    return objects


def _behind_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _decoded(text: str, position: int) -> tuple[Any, int]:
    try:
        value, end = json.JSONDecoder().raw_decode(text, position)
    except (ValueError, RecursionError):
        return MISSING, position
    return value, end


def violation(value: Any, schema: Any) -> tuple[str, str] | None:
    """JSON Pointer and message of what is most wrong with a value by a schema; None when it conforms."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(value))
    return None if error is None else ("".join(f"/{step}" for step in error.absolute_path), error.message)
