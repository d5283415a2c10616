"""The port of openai-node's rules at the end of a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmcompat.answer import stream
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.node import objection

ROLE: dict[str, Any] = {"role": "assistant"}
CALL: dict[str, Any] = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": ""},
}


def objected(*deltas: Any, finish: Any = "stop", index: Any = 0) -> str | None:
    """What openai-node misses in a stream of these deltas; None for nothing."""
    choices = [{"index": index, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": index, "delta": {}, "finish_reason": finish})
    body = "".join(f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices)
    request = Request("POST", "http://h", (), b"")
    found = objection(stream(Exchange("p", "t", request, status=200, body=body.encode())))
    return None if found is None else found.missing


def call(**changed: Any) -> dict[str, Any]:
    """The first delta of a tool call; None takes a key out."""
    return {"tool_calls": [{key: v for key, v in {**CALL, **changed}.items() if v is not None}]}


ARGUMENTS = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}


def test_whole_stream_is_taken() -> None:
    """Role, text, a call in pieces and an end are all that is asked for."""
    assert objected({**ROLE, "content": "Hm."}, call(), ARGUMENTS, finish="tool_calls") is None


@pytest.mark.parametrize("finish", [None, ""])
def test_choice_without_end_is_missed(finish: Any) -> None:
    """An empty finish reason counts as none, as everything does that JavaScript takes for false."""
    assert objected(ROLE, finish=finish) == "finish_reason for choice 0"


@pytest.mark.parametrize("first", [{}, {"role": ""}, {"role": None}, None])
def test_choice_without_role_is_missed(first: Any) -> None:
    """The role may come in any delta, but it has to come."""
    assert objected(first, {"content": "Hm."}) == "role for choice 0"
    assert objected(first, ROLE) is None


@pytest.mark.parametrize("key", ["id", "type"])
def test_call_without_key_is_missed(key: str) -> None:
    """A call needs its id and type in some delta."""
    missing = f"choices[0].tool_calls[0].{key}"
    assert objected(ROLE, call(**{key: None}), ARGUMENTS) == missing
    assert objected(ROLE, call(**{key: ""}), ARGUMENTS) == missing


def test_call_without_function_is_missed() -> None:
    """A function without name and arguments is taken, none at all is not."""
    assert objected(ROLE, call(function=None)) == "choices[0].tool_calls[0].function"
    assert objected(ROLE, call(function={})) is None


def test_what_arrays_of_javascript_lose_is_not_missed() -> None:
    """Calls and choices without a number for an index vanish in openai-node without an error."""
    assert objected(ROLE, call(index=None, id=None)) is None
    assert objected({}, finish=None, index=None) is None


def test_second_choice_is_looked_at_as_well() -> None:
    """Every choice has to end."""
    assert objected(ROLE, finish=None, index=1) == "finish_reason for choice 1"
