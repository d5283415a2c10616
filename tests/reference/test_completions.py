"""Legacy text completions: prompts are gone on with, plain and streamed."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from pytest_llmcompat.reference.models import DEFAULT_MODEL, EMBEDDING_MODEL
from pytest_llmcompat.reference.tokens import count


def completed(http: httpx.Client, **parameters: Any) -> dict[str, Any]:
    """The answer to a good request."""
    answer = http.post("/completions", json={"model": DEFAULT_MODEL, **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("prompt", "parameters", "text", "finish"),
    [
        ("1 2 3", {"stop": "7"}, " 4 5 6 ", "stop"),
        ("1 2 3", {"stop": ["9", "6"]}, " 4 5 ", "stop"),
        ("10 8 6", {"max_tokens": 2}, " 4 2", "length"),
        ("1 2 3", {"max_tokens": 3, "stop": "7"}, " 4 5 6", "length"),
        ("1 2 3", {"max_tokens": 0}, "", "length"),
        ("Once upon a time", {"max_tokens": 100}, None, "stop"),
    ],
)
def test_text_goes_on_to_the_stop_string_or_the_cap(
    http: httpx.Client, prompt: str, parameters: dict[str, Any], text: str | None, finish: str
) -> None:
    """The stop string ends the text and is left out; the cap ends it with `length`."""
    (choice,) = completed(http, prompt=prompt, **parameters)["choices"]
    assert choice["finish_reason"] == finish
    assert choice["text"] == text if text is not None else choice["text"].endswith(".")


def test_answer_has_the_documented_shape(http: httpx.Client) -> None:
    """One choice for each prompt, and 16 tokens of each when no cap is given."""
    answer = completed(http, prompt=["1 2 3", "Once upon a time"])
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["choices"][0]["logprobs"] is None
    usage = answer["usage"]
    assert usage["prompt_tokens"] == count("1 2 3") + count("Once upon a time")
    assert usage["completion_tokens"] == sum(count(choice["text"]) for choice in answer["choices"])
    assert count(answer["choices"][0]["text"]) == 16
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_logprobs_are_four_arrays_of_one_length(http: httpx.Client) -> None:
    """Each token has its probability, its candidates and its offset."""
    (choice,) = completed(http, prompt="1 2 3", logprobs=1)["choices"]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert len({len(column) for column in logprobs.values()}) == 1
    assert all(
        choice["text"][offset:].startswith(token)
        for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True)
    )


def test_stream_joins_to_the_plain_text(client: openai.OpenAI) -> None:
    """The chunks are text completions of one id, and the last one bears the usage."""
    asked: dict[str, Any] = {"model": DEFAULT_MODEL, "prompt": ["1 2 3", "5 5"], "stop": "8"}
    plain = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert {(chunk.id, chunk.object) for chunk in chunks} == {(chunks[0].id, "text_completion")}
    for choice in plain.choices:
        parts = [part for chunk in chunks for part in chunk.choices if part.index == choice.index]
        assert "".join(part.text for part in parts) == choice.text
        assert [part.finish_reason for part in parts if part.finish_reason] == [choice.finish_reason]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].choices, chunks[-1].usage) == ([], plain.usage)


def test_stream_ends_with_done(http: httpx.Client) -> None:
    """It is an event stream, without usage when nobody asked for it."""
    answer = http.post("/completions", json={"model": DEFAULT_MODEL, "prompt": "1 2 3", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    assert "usage" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"prompt": None}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": [[1, 2]]}, 400, "prompt[0]"),
        ({"prompt": 7}, 400, "prompt"),
        ({"model": None}, 400, "model"),
        ({"model": EMBEDDING_MODEL}, 404, None),
        ({"logprobs": 6}, 400, "logprobs"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"stop": ["a"] * 5}, 400, "stop"),
        ({"stop": [1]}, 400, "stop[0]"),
        ({"stream": "yes"}, 400, "stream"),
        ({"temperature": 3}, 400, "temperature"),
    ],
)
def test_bad_request_is_refused_with_its_field(
    http: httpx.Client, body: dict[str, Any], status: int, param: str | None
) -> None:
    """What cannot be gone on with is refused in the envelope."""
    answer = http.post("/completions", json={"model": DEFAULT_MODEL, "prompt": "1 2 3", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
