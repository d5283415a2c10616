"""Bad chat requests are refused before generation, with the status and parameter that OpenAI names."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pytest_llmcompat.reference import Reference

HI: dict[str, Any] = {"role": "user", "content": "hi"}
TIME: dict[str, Any] = {"type": "function", "function": {"name": "get_time"}}
CALL: dict[str, Any] = {
    "id": "call_a",
    "type": "function",
    "function": {"name": "get_time", "arguments": "{}"},
}
ASKED: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
LOOSE: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}


def strict_tool(parameters: dict[str, Any]) -> dict[str, Any]:
    """A strict function with these parameters."""
    return {"type": "function", "function": {"name": "f", "strict": True, "parameters": parameters}}


def schema(**keys: Any) -> dict[str, Any]:
    """A response format with a schema."""
    return {"type": "json_schema", "json_schema": keys}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": 7}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "bot", "content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    (
        {"messages": [HI, {"role": "tool", "content": "1", "tool_call_id": "call_a"}]},
        "messages[1].tool_call_id",
    ),
    (
        {"messages": [HI, ASKED, {"role": "tool", "content": "1", "tool_call_id": "call_b"}]},
        "messages[2].tool_call_id",
    ),
    ({"messages": [HI, ASKED, HI]}, "messages[1].tool_calls"),
    ({"messages": [HI, ASKED]}, "messages[1].tool_calls"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"presence_penalty": 2.5}, "presence_penalty"),
    ({"frequency_penalty": -2.5}, "frequency_penalty"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"n": True}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_completion_tokens": -1}, "max_completion_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
    ({"seed": "seven"}, "seed"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"logprobs": 2}, "logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"service_tier": "gold"}, "service_tier"),
    ({"tools": []}, "tools"),
    ({"tools": [{"type": "function", "function": {"name": "get time"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [strict_tool(LOOSE)]}, "tools[0].function.parameters"),
    ({"tools": [strict_tool({"type": "objekt"})]}, "tools[0].function.parameters"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"tools": [TIME], "tool_choice": "maybe"}, "tool_choice"),
    ({"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ({"response_format": {"type": "json_object"}}, "messages"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": schema(schema=LOOSE)}, "response_format.json_schema.name"),
    ({"response_format": schema(name="a b", schema=LOOSE)}, "response_format.json_schema.name"),
    ({"response_format": schema(name="a", schema={"type": "objekt"})}, "response_format"),
    ({"response_format": schema(name="a", schema=LOOSE, strict=True)}, "response_format"),
]


@pytest.mark.parametrize(
    ("change", "param"), REFUSED, ids=[f"{param}-{n}" for n, (_, param) in enumerate(REFUSED)]
)
def test_bad_parameter_is_named(
    http: httpx.Client, reference: Reference, change: dict[str, Any], param: str
) -> None:
    """One fault in a good request is refused with 400, the envelope, and the parameter's name."""
    answer = http.post("/chat/completions", json={"model": reference.model, "messages": [HI], **change})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"model": "m", ',
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"model": "\\ud800"}',
        b"[" * 9999,
    ],
    ids=range(9),
)
def test_body_that_is_no_json_object_is_refused(http: httpx.Client, body: bytes) -> None:
    """Malformed bodies get 400 and the envelope, never 500."""
    answer = http.post("/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


GOOD: list[dict[str, Any]] = [
    {
        "temperature": None,
        "top_p": None,
        "stop": None,
        "n": None,
        "seed": None,
        "tools": None,
        "max_tokens": None,
    },
    {"llmcompat_unknown": True, "reasoning_effort": "low", "modalities": ["text"]},
    {"user": "u", "store": False, "metadata": {"a": "b"}, "service_tier": "auto", "logit_bias": {"5": -100}},
    {"stop": "x"},
    {"stop": []},
    {"response_format": {"type": "text"}},
    {"messages": [{"role": "assistant", "content": "Before."}, HI]},
    {"messages": [HI, ASKED, {"role": "tool", "content": "1", "tool_call_id": "call_a"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
]


@pytest.mark.parametrize("change", GOOD, ids=range(len(GOOD)))
def test_good_request_is_served(http: httpx.Client, reference: Reference, change: dict[str, Any]) -> None:
    """Nulls, unknown parameters and all documented ones are taken."""
    answer = http.post("/chat/completions", json={"model": reference.model, "messages": [HI], **change})
    assert answer.status_code == 200, answer.text


def test_prompt_longer_than_the_context_is_refused(http: httpx.Client, reference: Reference) -> None:
    """Nothing is cut silently: 400 with the code that clients shorten their history by."""
    message = {"role": "user", "content": "herring and bread, " * 3000}
    answer = http.post("/chat/completions", json={"model": reference.model, "messages": [message]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
