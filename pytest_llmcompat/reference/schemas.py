"""Checks of JSON Schemas that requests bring: for tools and response formats, and the stricter rules of `strict`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_llmcompat.reference.errors import ApiError, invalid

__all__ = ["check_schema"]


def check_schema(schema: Any, param: str, whose: str, code: str | None, *, strict: bool) -> None:
    """Raises ApiError 400 when no validator takes the schema, or `strict` does not.

    whose: for the message, such as `function 'get_weather'`.
    Strict rules: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise _refused(whose, error.message, param, code) from None
    if strict:
        for place, part in _objects(schema, ()):
            _check_strict(place, part, param, whose, code)


def _objects(schema: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each subschema that describes an object, with its place."""
    if isinstance(schema, list):
        for part in schema:
            yield from _objects(part, place)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        yield place, schema
    for key in ("properties", "$defs", "definitions"):
        for name, part in (schema.get(key) or {}).items():
            yield from _objects(part, (*place, key, name))
    for key in ("items", "anyOf"):
        yield from _objects(schema.get(key), (*place, key))


def _check_strict(
    place: tuple[str, ...], schema: dict[str, Any], param: str, whose: str, code: str | None
) -> None:
    context = f"In context={place!r}, "
    if schema.get("additionalProperties") is not False:
        raise _refused(whose, context + "'additionalProperties' is required to be false.", param, code)
    left_out = set(schema.get("properties", ())) - set(schema.get("required", ()))
    if left_out:
        raise _refused(
            whose, f"{context}'required' must list every key; missing: {min(left_out)!r}.", param, code
        )


def _refused(whose: str, why: str, param: str, code: str | None) -> ApiError:
    return invalid(f"Invalid schema for {whose}: {why}", param, code)
