"""Evidence: pointers into answers, and values as they are shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmcompat.evidence import MISSING, Document, shown

ANSWER = Document(
    "chat-basic", "body", {"choices": [{"index": 0, "text": None}], "": {"a": 1}, "usage": {"0": 5}}
)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", ANSWER.value),
        ("/choices/0/index", 0),
        ("/choices/0/text", None),
        ("/choices/1", MISSING),
        ("/choices/-1", MISSING),
        ("/choices/²", MISSING),
        ("/choices/x", MISSING),
        ("/choices/0/text/more", MISSING),
        ("/usage/0", 5),
        ("//a", 1),
        ("/nowhere", MISSING),
    ],
)
def test_pointer_leads_to_its_value(pointer: str, value: object) -> None:
    """Null is a value, a path that breaks off is MISSING, whatever types lie on it."""
    assert ANSWER.at(pointer) == value
    assert ANSWER.has(pointer) is (value is not MISSING)


@pytest.mark.parametrize("value", [MISSING, None, True, 7, "text", [1], {"choices": "x"}])
def test_pointer_into_any_value_is_harmless(value: object) -> None:
    """A body of another kind has no choices."""
    assert Document("p", "body", value).items("/choices") == []


def test_entries_of_an_array_know_where_they_stood() -> None:
    """Evidence about an entry points into the whole body."""
    (choice,) = ANSWER.items("/choices")
    evidence = choice.evidence("/text", "a string", MISSING)
    assert str(evidence) == "chat-basic, body /choices/0/text: found null; expected a string"
    assert (
        str(ANSWER.evidence("/id", "an id", MISSING))
        == "chat-basic, body /id: found (absent); expected an id"
    )


def test_missing_is_no_json_value() -> None:
    """It is falsy, and not None."""
    assert not MISSING
    assert MISSING is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("a\nb", '"a\\nb"'),
        ("日本", '"日本"'),
        ("\u202e\ud800", '"\\u202e\\ud800"'),
        (b"\xff\n", "'\\xff\\n'"),
        ({1, 2}, "{1, 2}"),
        (float("nan"), "NaN"),
    ],
)
def test_value_is_shown_in_one_printable_line(value: object, text: str) -> None:
    """What could garble a terminal is escaped."""
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10**6, b"x" * 10**6, list(range(10**5)), "\0" * 199, b"\0" * 199])
def test_long_value_is_shortened(value: object) -> None:
    """However long the body, the line stays short and says that it was cut."""
    text = shown(value)
    assert len(text) <= 200
    assert text.endswith(" …")


def test_endless_nesting_is_cut_like_any_long_value() -> None:
    """A hostile body must not break the report on it, and its end is not even looked for."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert shown(value) == f"{'[' * 198} …"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_value_is_shown(value: object) -> None:
    """One printable line for everything that json can parse."""
    assert shown(json.loads(json.dumps(value))).isprintable()
