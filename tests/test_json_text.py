"""JSON in what a model wrote: read strictly, found in other text, and checked against a schema."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.json_text import (
    joined_objects,
    json_object_in,
    read_json,
    unsafe_json,
    violation,
    without_thinking,
)

TOO_DEEP_AND_SAFE = pytest.param('{"a":' * 100_000, None, id="too-deep")
TOO_DEEP = pytest.param('{"a":' * 100_000, id="too-deep")


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": 1}', {"a": 1}), (" \n[1]\n", [1]), ('"x"', "x"), ("null", None), ("{}", {})]
)
def test_one_json_value_is_read(text: str, value: object) -> None:
    """A text that is one JSON value, white space apart, is that value."""
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text", ["", "{", "{}{}", "```json\n{}\n```", "Sure: {}", "NaN", '{"a": Infinity}', TOO_DEEP]
)
def test_anything_else_is_missing(text: str) -> None:
    """What is not exactly one JSON value is MISSING, however deep or un-JSON it is."""
    assert read_json(text) is MISSING


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("<think>hm {}</think>\n{}", "\n{}"),
        ("\n<thinking>a\nb</thinking>x", "x"),
        ("<think>never closed {}", "<think>never closed {}"),
        ("{} <think>later</think>", "{} <think>later</think>"),
    ],
)
def test_leading_thinking_is_left_out(text: str, behind: str) -> None:
    """Only a closed block of thinking in front is left out."""
    assert without_thinking(text) == behind


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure! {"a": {"b": 2}} Anything else?', {"a": {"b": 2}}),
        ('{not this} {"a": 1}', {"a": 1}),
        ("a set {1, 2}", None),
        ("[1, 2]", None),
        pytest.param("{" * 200_000, None, id="braces"),
        pytest.param('{"a":' * 100_000, None, id="too-deep"),
    ],
)
def test_first_object_in_a_text_is_found(text: str, value: object) -> None:
    """An object is found in fences and prose; where there is none the search ends soon."""
    assert json_object_in(text) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
        ('{"a":1}\n , {"b":2} ', [{"a": 1}, {"b": 2}]),
        ("{}", [{}]),
        ("", []),
        ('{"a":1}{"b', []),
        ("[1][2]", []),
        pytest.param("{}" * 100_000, [], id="flood"),
    ],
)
def test_objects_in_a_row_are_told_apart(text: str, values: list[dict[str, Any]]) -> None:
    """Objects one behind the other are read apart; any other text, or a flood of them, is no such row."""
    assert joined_objects(text) == values


def test_violation_tells_where_and_what() -> None:
    """The pointer leads to the offending value; a value that conforms has no violation."""
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}}
    assert violation({"mood": "good"}, schema) is None
    broken = violation({"mood": "tired"}, schema)
    assert broken is not None
    assert broken[0] == "/mood"
    assert "tired" in broken[1]


@pytest.mark.parametrize(
    ("text", "unsafe"),
    [
        ('{"a": NaN}', "NaN"),
        ("[1, -Infinity]", "-Infinity"),
        ('{"a": 1, "b": [{"c": 1, "d": 2, "c": 1}]}', 'the name "c" twice in one object'),
        ('{"a\\u001b": 1, "a\\u001b": 2}', 'the name "a\\u001b" twice in one object'),
        ('{"a": {"a": 1}, "b": "NaN"}', None),
        ("{", None),
        ("[DONE]", None),
        TOO_DEEP_AND_SAFE,
    ],
)
def test_json_that_parsers_disagree_on_is_named(text: str, unsafe: str | None) -> None:
    """What no parser takes is no matter of this, and neither is how deep it is."""
    assert unsafe_json(text) == unsafe


def test_many_names_are_compared_in_no_time() -> None:
    """A hostile object has a hundred thousand names, and only the last of them is there already."""
    members = [f'"{number}": 0' for number in range(100_000)]
    assert unsafe_json(f"{{{', '.join([*members, members[-1]])}}}") == 'the name "99999" twice in one object'
