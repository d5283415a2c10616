"""A configuration checked against its JSON Schema; what does not fit gets a line with its place and a remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema

from pytest_llmcompat.evidence import shown

__all__ = ["SCHEMA_FILE", "Fault", "first_fault"]

SCHEMA_FILE: Final = Path(__file__).with_name("configuration.schema.json")

Fault = tuple[tuple[str | int, ...], str]
"""Where in the document, as keys and positions, and what to do."""

_KEY_IN_FILE: Final = (
    "a key does not belong into a file; put it into the environment and name the variable with api_key_env"
)
# What these hold is told back, since no secret stands there.
_QUOTED: Final = frozenset({"enum", "format", "exclusiveMinimum", "minimum", "exclusiveMaximum"})


@cache
def _schema() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(SCHEMA_FILE.read_text("utf-8"))
    return value


def first_fault(document: Mapping[str, Any]) -> Fault | None:
    """The first thing in a configuration that does not fit, None when all does."""
    validator = jsonschema.Draft202012Validator(_schema(), format_checker=jsonschema.FormatChecker(["date"]))
    faults = (_fault(error, document) for error in validator.iter_errors(document))
    return min(faults, key=lambda fault: [str(part) for part in fault[0]], default=None)


def _fault(error: jsonschema.ValidationError, document: Mapping[str, Any]) -> Fault:
    path = tuple(error.absolute_path)
    schema: Any = error.schema
    found: Any = error.instance
    if error.validator == "additionalProperties":
        known = schema["properties"]
        unknown = next(key for key in found if key not in known)
        hint = (
            _KEY_IN_FILE if unknown == "api_key" else f"unknown key {shown(unknown)}{_close(unknown, known)}"
        )
        return (*path, unknown), hint
    if error.validator == "required":
        missing = next(key for key in schema["required"] if key not in found)
        return path, f"{missing!r} is missing; give {_description(schema['properties'][missing])}"
    if error.validator == "pattern" and found in _keys_at(document, path):
        return (*path, str(found)), f"{shown(found)} is no name; give {schema['description']}"
    quoted = f"{shown(found)} does not fit; " if error.validator in _QUOTED else ""
    return path, f"{quoted}give {schema['description']}"


def _description(schema: Mapping[str, str]) -> str:
    """What to give, as a schema or the definition that it refers to says."""
    text: str = (
        schema.get("description") or _schema()["$defs"][schema["$ref"].rpartition("/")[2]]["description"]
    )
    return text


def _keys_at(document: Any, path: Sequence[str | int]) -> Iterable[Any]:
    """The keys of the table at a path: the faults of a key's own name are reported with the table's path."""
    for part in path:
        document = document[part]
    return document if isinstance(document, dict) else ()


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"
