"""JSON that a model wrote: read strictly, found inside other text, checked against the schema sent."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from typing import Any, Final, NoReturn

from pytest_llmcompat.evidence import MISSING, shown

__all__ = [
    "joined_objects",
    "json_object_in",
    "most_telling",
    "read_json",
    "unsafe_json",
    "violation",
    "without_thinking",
]

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


class _Unsafe(ValueError):
    """Python reads it, and others do not, or read something else."""


def unsafe_json(text: str) -> str | None:
    """What in a text that Python reads as JSON is none to others, or something else; None for nothing.

    NaN and Infinity are no JSON (RFC 8259 section 6); of a name that an object has twice some readers take the
    first value, some the last, and some none (section 4).
    """
    try:
        json.loads(text, parse_constant=_name_constant, object_pairs_hook=_name_twice)
    except _Unsafe as unsafe:
        return str(unsafe)
    except (ValueError, RecursionError):
        return None
    return None


def _name_constant(constant: str) -> NoReturn:
    raise _Unsafe(constant)


def _name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _Unsafe(f"the name {shown(name)} twice in one object")
    return value


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

    return most_telling(Draft202012Validator(schema), value)


def most_telling(validator: Any, value: Any) -> tuple[str, str] | None:
    """JSON Pointer and message of what a jsonschema validator minds most about a value; None for nothing."""
    from jsonschema.exceptions import best_match

    try:
        error = best_match(validator.iter_errors(value))
    except RecursionError:
        # Unknown parts are not looked into, so this stands where something else should.
        return "", "a part of it is nested too deeply to be shown"
    return None if error is None else ("".join(f"/{step}" for step in error.absolute_path), error.message)
