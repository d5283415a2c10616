"""Filled schemas are valid against the schema, whatever it asks for."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmcompat.reference.filling import fill
from pytest_llmcompat.reference.hints import Hints

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "label": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "leaves": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["label", "next", "leaves"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS: dict[str, Any] = {
    "recursive": TREE,
    "bounded numbers": {
        "type": "object",
        "properties": {
            "low": {"type": "integer", "minimum": 10, "maximum": 12},
            "open": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "step": {"type": "integer", "minimum": 7, "multipleOf": 5},
            "negative": {"type": "number", "maximum": -3},
        },
        "required": ["low", "open", "step", "negative"],
    },
    "bounded strings and arrays": {
        "type": "object",
        "properties": {
            "long": {"type": "string", "minLength": 40},
            "short": {"type": "string", "maxLength": 2},
            "three": {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
            "none": {"type": "array", "items": {"type": "string"}, "maxItems": 0},
            "pair": {"type": "array", "prefixItems": [{"const": "x"}, {"type": "null"}], "items": False},
        },
        "required": ["long", "short", "three", "none", "pair"],
    },
    "several types": {"type": ["null", "integer"]},
    "parts": {
        "allOf": [
            {"type": "object", "properties": {"a": {"enum": [3, 4]}}, "required": ["a"]},
            {"properties": {"b": {"oneOf": [{"const": True}, {"const": "no"}]}}, "required": ["b"]},
        ]
    },
    "formats": {
        "type": "object",
        "properties": {
            name: {"type": "string", "format": name} for name in ("date", "email", "uuid", "ipv4")
        },
    },
    "no type": {"properties": {"items": {"items": {"type": "string"}}}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_ordinary_schema_is_kept(name: str) -> None:
    """The filled value is what the schema describes."""
    value = fill(SCHEMAS[name], Hints("Any prompt about Rome and 8 geese."))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(value, SCHEMAS[name], jsonschema.Draft202012Validator, format_checker=checker)


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["red", "green"]},
        {"const": 5},
        {"type": ["string", "null"]},
    ]
)


def _grown(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.dictionaries(st.sampled_from("abcd"), children, max_size=3).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )
    arrays = children.map(lambda items: {"type": "array", "items": items})
    return objects | arrays | st.lists(children, min_size=1, max_size=2).map(lambda any_of: {"anyOf": any_of})


@given(st.recursive(LEAVES, _grown, max_leaves=12))
def test_nested_schema_is_kept(schema: dict[str, Any]) -> None:
    """Objects, arrays and alternatives in any nesting are filled by the rules."""
    jsonschema.validate(fill(schema, Hints("")), schema, jsonschema.Draft202012Validator)


BOTTOMLESS: list[dict[str, Any]] = [
    {"type": "array", "items": {"type": "null"}, "minItems": 10**30},
    {"type": "array", "items": {"$ref": "#"}, "minItems": 2},
    {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
    {"type": "string", "minLength": 10**30},
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}]},
]


@pytest.mark.parametrize("schema", BOTTOMLESS, ids=range(len(BOTTOMLESS)))
def test_bottomless_schema_gets_a_bounded_value(schema: dict[str, Any]) -> None:
    """No schema makes the server run out of time, memory or stack."""
    assert len(json.dumps(fill(schema, Hints("")))) < 100_000


def test_values_come_from_the_prompt() -> None:
    """Names, numbers, words and pairs of the prompt go before made-up values."""
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "tone": {"type": "string"},
        },
    }
    hints = Hints("What will it be like in San Marino for the next 4 days, in fahrenheit? tone = dry")
    assert fill(schema, hints) == {"city": "San Marino", "days": 4, "unit": "fahrenheit", "tone": "dry"}
