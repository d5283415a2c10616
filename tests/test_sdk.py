"""The official client over recorded answers: it gets exactly what was recorded, and no socket is touched."""

from __future__ import annotations

import gzip
import json
import socket
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openai
import pytest

from pytest_llmcompat.exchange import Exchange, Headers, Request
from pytest_llmcompat.sdk import (
    arguments,
    async_client,
    client,
    raised,
    strict_tools,
    take,
    take_async,
)
from pytest_llmcompat.verdict import Broken

SENT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 7}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong 🏓"}}
    ],
}
JSON_TYPE = ("content-type", "application/json")
SSE_TYPE = ("content-type", "text/event-stream")


def exchange(
    body: Any, *, status: int = 200, headers: Headers = (JSON_TYPE,), asked: dict[str, Any] | None = None
) -> Exchange:
    """A recorded answer; a body that is no text goes out as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    request = Request("POST", "http://h/v1/chat/completions", (), json.dumps(asked or SENT).encode())
    return Exchange("p", "t", request, status=status, headers=headers, body=content)


def streamed(*deltas: dict[str, Any], object: str = "chat.completion.chunk") -> Exchange:
    """A recorded stream."""
    head: dict[str, Any] = {"id": "chatcmpl-1", "object": object, "created": 1, "model": "m"}
    choices: list[dict[str, Any]] = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [json.dumps({**head, "choices": [choice]}, ensure_ascii=False) for choice in choices]
    body = "".join(f"data: {data}\n\n" for data in [*chunks, "[DONE]"])
    return exchange(body.encode(), headers=(SSE_TYPE,))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect fails the test."""

    def refuse(*_: object) -> None:
        raise AssertionError("a replay opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def create(asked: Exchange) -> Callable[[openai.OpenAI], Any]:
    """The call that a user of the client makes."""
    return lambda sdk: sdk.chat.completions.create(**arguments(asked))


def test_plain_answer_becomes_the_typed_object() -> None:
    """A user's call gives the completion that was recorded."""
    answer = exchange(ANSWER)
    completion = client(answer).chat.completions.create(**arguments(answer))
    assert completion.choices[0].message.content == "pong 🏓"
    assert completion.created == 1_700_000_000


def test_async_client_gives_the_same_object() -> None:
    """Both clients make the same of one answer."""
    answer = exchange(ANSWER)
    awaited = take_async(answer, lambda sdk: sdk.chat.completions.create(**arguments(answer)), "an answer")
    assert awaited == take(answer, create(answer), "an answer")


def test_async_client_leaves_the_current_event_loop_alone() -> None:
    """A run inside somebody's test session neither uses nor replaces the session's loop."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        answer = exchange(ANSWER)
        take_async(answer, lambda sdk: sdk.chat.completions.create(**arguments(answer)), "an answer")
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_stream_is_replayed_in_the_parts_that_came() -> None:
    """The parts of the body reach the client as they arrived, a character cut between two included."""
    answer = streamed({"role": "assistant", "content": "pong 🏓"})
    cut = answer.body.index("🏓".encode()) + 2
    answer = replace(answer, arrivals=((0.1, cut), (0.2, len(answer.body) - cut)))
    with client(answer).chat.completions.with_streaming_response.create(**arguments(answer)) as raw:
        parts = list(raw.iter_bytes())
    assert parts == [answer.body[:cut], answer.body[cut:]]
    chunks = list(client(answer).chat.completions.create(**arguments(answer), stream=True))
    assert chunks[0].choices[0].delta.content == "pong 🏓"


def test_stream_helper_puts_the_answer_together() -> None:
    """The `.stream()` helper runs on a recorded stream."""
    answer = streamed({"role": "assistant", "content": "po"}, {"content": "ng"})
    with client(answer).chat.completions.stream(**arguments(answer)) as events:
        assert events.get_final_completion().choices[0].message.content == "pong"


def test_headers_of_framing_are_not_replayed() -> None:
    """The body is kept decoded, so the client must not decode it again or count its bytes."""
    framing = (
        ("content-encoding", "gzip"),
        ("content-length", str(len(gzip.compress(b"{}")))),
        ("transfer-encoding", "chunked"),
    )
    answer = exchange(ANSWER, headers=(JSON_TYPE, *framing, ("x-request-id", "req_1"), ("x-who", "日本")))
    raw = client(answer).chat.completions.with_raw_response.create(**arguments(answer))
    assert not {name for name, _ in framing} & set(raw.headers)
    assert (raw.headers["x-request-id"], raw.headers["x-who"]) == ("req_1", "日本")


def test_refusal_is_raised_at_once() -> None:
    """The client meets the recorded status and body, and does not send again where it usually would."""
    answer = exchange(
        {"error": {"message": "slow down", "type": "t", "param": None, "code": "c"}}, status=429
    )
    error = raised(answer, create(answer))
    assert isinstance(error, openai.RateLimitError)
    assert (error.code, error.type, error.status_code) == ("c", "t", 429)


def test_good_answer_raises_nothing() -> None:
    """What the client takes is no fault."""
    answer = exchange(ANSWER)
    assert raised(answer, create(answer)) is None


def test_models_are_listed_from_the_recording() -> None:
    """Other calls than chat run on recorded answers, too."""
    answer = exchange(
        {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "o"}]}
    )
    assert [model.id for model in client(answer).models.list()] == ["m"]


def test_taking_a_broken_answer_names_what_the_client_raised() -> None:
    """The contract breaks with the exception's name and the answer that the client could take."""
    answer = exchange(b"{", headers=(JSON_TYPE,))
    with pytest.raises(Broken, match="expected a completion; openai-python raised JSONDecodeError") as broken:
        take(answer, create(answer), "a completion")
    assert broken.value.evidence.probe == "p"


def test_taking_a_broken_answer_asynchronously_does_the_same() -> None:
    """The asynchronous client's exceptions are evidence as well."""
    answer = exchange(b"{", headers=(JSON_TYPE,))
    with pytest.raises(Broken, match="a completion; openai-python raised JSONDecodeError"):
        take_async(answer, lambda sdk: sdk.chat.completions.create(**arguments(answer)), "a completion")


def test_warnings_of_the_client_are_no_crash() -> None:
    """A run under `-W error` judges the answer, not what pydantic thinks of its types."""

    def noisy(_: openai.OpenAI) -> str:
        warnings.warn("a type that does not fit", UserWarning, stacklevel=1)
        return "taken"

    assert take(exchange(ANSWER), noisy, "an answer") == "taken"


def test_arguments_are_there_whatever_was_sent() -> None:
    """The client asks for a model and messages, also where the request on trial had none."""
    assert arguments(exchange({}, asked=SENT)) == {"model": "m", "messages": SENT["messages"]}
    broken = replace(exchange({}), request=Request("POST", "http://h", (), b"["))
    assert arguments(broken) == {"model": "", "messages": []}


def test_strict_tools_are_those_that_say_so() -> None:
    """Only tools with `strict: true` are handed to the client, which refuses all others."""
    strict = {"type": "function", "function": {"name": "a", "strict": True, "parameters": {}}}
    loose = {"type": "function", "function": {"name": "b", "strict": False}}
    assert strict_tools(exchange({}, asked={**SENT, "tools": [strict, loose, None]})) == [strict]
    assert strict_tools(exchange({}, asked={**SENT, "tools": None})) == []


def test_environment_does_not_reach_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and keys of the user's environment have no part in a replay."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    answer = exchange(ANSWER)
    assert client(answer).api_key != "sk-real"
    assert async_client(answer).api_key != "sk-real"
    assert take(answer, create(answer), "an answer").id == "chatcmpl-1"
