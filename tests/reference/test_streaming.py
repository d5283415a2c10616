"""Streams: framed by the rules, paced, equal to the plain answer, and ended when nobody listens."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from pytest_llmcompat.reference import Reference, serve

COUNT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Count from 1 to 30, separated by spaces."}]
}


def streamed(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    """The chunks of a streamed answer."""
    answer = http.post("/chat/completions", json={**body, "stream": True})
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text(chunks: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice."""
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_chunks_have_the_order_of_openai(http: httpx.Client, reference: Reference) -> None:
    """Role first, then text, then an empty delta with the finish reason, then the usage without choices."""
    options = {"include_usage": True}
    first, *texts, last, usage = streamed(http, model=reference.model, stream_options=options, **COUNT)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in texts)
    assert {chunk["choices"][0]["finish_reason"] for chunk in (first, *texts)} == {None}
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert usage["choices"] == []
    assert {chunk["usage"] for chunk in (first, *texts, last)} == {None}


def test_usage_comes_only_when_asked_for(http: httpx.Client, reference: Reference) -> None:
    """Clients that index choices[0] meet no empty list, and no chunk has a key usage."""
    chunks = streamed(http, model=reference.model, **COUNT)
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)


PLAIN_TWINS: list[dict[str, Any]] = [
    COUNT,
    {**COUNT, "max_tokens": 7},
    {**COUNT, "stop": ["12 ", "x"]},
    {**COUNT, "stop": "5 6 7"},
    {"messages": [{"role": "user", "content": "Repeat: pong 🏓 日本 e\u0301 👩‍👩‍👧"}], "n": 2},
    {
        **COUNT,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": ["b"]}}},
    },
]


@pytest.mark.parametrize("body", PLAIN_TWINS, ids=range(len(PLAIN_TWINS)))
def test_streamed_answer_equals_the_plain_one(
    http: httpx.Client, reference: Reference, body: dict[str, Any]
) -> None:
    """Text, finish reasons and usage do not depend on `stream`."""
    plain = http.post("/chat/completions", json={"model": reference.model, **body}).json()
    chunks = streamed(http, model=reference.model, stream_options={"include_usage": True}, **body)
    assert [choice["message"]["content"] for choice in plain["choices"]] == [
        text(chunks, index) for index in range(len(plain["choices"]))
    ]
    finishes = [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    assert finishes == [choice["finish_reason"] for choice in plain["choices"]]
    assert chunks[-1]["usage"] == plain["usage"]


def test_stop_string_over_several_chunks_is_left_out(http: httpx.Client, reference: Reference) -> None:
    """Neither the stop string nor its beginning is sent before it is whole."""
    chunks = streamed(http, model=reference.model, stop=["12 13 14"], **COUNT)
    assert text(chunks).endswith("10 11 ")
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_capped_tool_call_ends_with_length(http: httpx.Client, reference: Reference) -> None:
    """A call that the cap cuts is not passed off as whole."""
    tool = {
        "type": "function",
        "function": {
            "name": "note",
            "parameters": {"type": "object", "properties": {"text": {"minLength": 200}}},
        },
    }
    chunks = streamed(
        http, model=reference.model, tools=[tool], tool_choice="required", max_completion_tokens=12, **COUNT
    )
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_logprobs_join_to_the_text_in_both_ways(http: httpx.Client, reference: Reference) -> None:
    """Tokens, bytes and candidates are consistent, streamed or not."""
    body = {"model": reference.model, "logprobs": True, "top_logprobs": 3, **COUNT}
    plain = http.post("/chat/completions", json=body).json()["choices"][0]
    entries = plain["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == plain["message"]["content"]
    assert b"".join(bytes(entry["bytes"]) for entry in entries).decode() == plain["message"]["content"]
    for entry in entries:
        tops = [candidate["logprob"] for candidate in entry["top_logprobs"]]
        assert len(tops) == 3
        assert tops == sorted(tops, reverse=True)
        assert entry["logprob"] == tops[0] <= 0
    choices = [chunk["choices"][0] for chunk in streamed(http, **body)]
    assert [e for choice in choices if choice["logprobs"] for e in choice["logprobs"]["content"]] == entries


def test_response_is_marked_as_a_stream(http: httpx.Client, reference: Reference) -> None:
    """Media type and headers tell clients and proxies that events will trickle in."""
    body = {"model": reference.model, "stream": True, **COUNT}
    with http.stream("POST", "/chat/completions", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["transfer-encoding"] == "chunked"


def test_chunks_arrive_one_by_one() -> None:
    """Between two chunks lies the pause, so a client sees the first long before the last."""
    pause = 0.01
    with serve(pause=pause) as slow:
        body = {"model": slow.model, "stream": True, **COUNT}
        headers = {"authorization": f"Bearer {slow.key}"}
        with httpx.stream("POST", f"{slow.base_url}/chat/completions", json=body, headers=headers) as answer:
            arrivals = [time.perf_counter() for _ in answer.iter_raw()]
    assert len(arrivals) > 30
    assert arrivals[-1] - arrivals[0] >= 30 * pause


def test_generation_ends_when_the_client_leaves() -> None:
    """An abandoned stream is cancelled: its slot is free long before its text would have ended."""
    with serve(["disconnect-blocks"], pause=0.5) as slow:
        body = {"model": slow.model, "stream": True, **COUNT}
        headers = {"authorization": f"Bearer {slow.key}"}
        with httpx.stream("POST", f"{slow.base_url}/chat/completions", json=body, headers=headers) as answer:
            next(answer.iter_raw())
        plain = httpx.post(
            f"{slow.base_url}/chat/completions", json={"model": slow.model, **COUNT}, headers=headers
        )
    # The defect begins where a cancelled generation ends, so the 503 proves that it was noticed.
    assert plain.status_code == 503


def test_refused_stream_is_a_plain_error(http: httpx.Client) -> None:
    """Before the first byte an error has its real status and JSON, streamed or not."""
    answer = http.post("/chat/completions", json={"model": "nobody", "stream": True, **COUNT})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
