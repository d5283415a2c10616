"""JSON Schemas (2020-12) of what clients rely on: tolerant of unknown fields, strict about documented ones."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pytest_llmcompat.evidence import Document, shown
from pytest_llmcompat.json_text import most_telling
from pytest_llmcompat.suite import CONTRACTS
from pytest_llmcompat.verdict import fail

__all__ = ["expect_conforms", "first_violation"]


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    folder = CONTRACTS / "schemas"
    contents = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in contents.values()
    )
    return Draft202012Validator(contents[name], registry=registry)


def first_violation(value: Any, name: str) -> tuple[str, str] | None:
    """JSON Pointer and message of the most telling violation of the schema `name`; None when it conforms."""
    return most_telling(_validator(name), value)


def expect_conforms(document: Document, name: str, at: str = "") -> None:
    """Break the contract when the value at the pointer `at` does not conform to the schema `name`."""
    value = document.at(at) if at else document.value
    violation = first_violation(value, name)
    if violation is not None:
        pointer, message = violation
        fail(document, f"{at}{pointer}", f"what the schema «{name}» asks for: {shown(message)}")
