"""The official openai package works against the reference, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import openai
import pytest
from openai.lib.streaming.chat import ChunkEvent
from pydantic import BaseModel

from pytest_llmcompat.reference import Reference, serve

COUNT: list[Any] = [{"role": "user", "content": "Count from 1 to 5, separated by spaces."}]
CITIES: list[Any] = [{"role": "user", "content": "What is the weather in Rome and in Oslo, in celsius?"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Mood(BaseModel):
    """What the client is to parse answers into."""

    mood: Literal["good", "bad"]
    n: int


def test_create_gives_the_answer_and_its_usage(client: openai.OpenAI, reference: Reference) -> None:
    """A plain completion arrives typed, with honest token counts."""
    answer = client.chat.completions.create(model=reference.model, messages=COUNT)
    assert answer.choices[0].message.content == "1 2 3 4 5"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5


def test_async_client_gets_the_same(reference: Reference) -> None:
    """AsyncOpenAI reads plain and streamed answers."""

    async def ask() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=reference.base_url, api_key=reference.key) as client:
            plain = await client.chat.completions.create(model=reference.model, messages=COUNT)
            stream = await client.chat.completions.create(model=reference.model, messages=COUNT, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return plain.choices[0].message.content, "".join(parts)

    assert asyncio.run(ask()) == ("1 2 3 4 5", "1 2 3 4 5")


def test_stream_helper_rebuilds_the_text(client: openai.OpenAI, reference: Reference) -> None:
    """`.stream()` ends with a whole completion, usage included, and gave every chunk."""
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(
        model=reference.model, messages=COUNT, stream_options=options
    ) as stream:
        chunks = [event.chunk for event in stream if isinstance(event, ChunkEvent)]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "1 2 3 4 5"
    assert final.choices[0].message.role == "assistant"
    assert final.usage is not None
    assert final.usage.completion_tokens == 5
    assert len(chunks) == 1 + 5 + 1 + 1


def test_stream_helper_keeps_two_choices_apart(client: openai.OpenAI, reference: Reference) -> None:
    """Interleaved choices come out with a text and an end of their own."""
    with client.chat.completions.stream(
        model=reference.model, messages=[{"role": "user", "content": "Say something."}], n=2
    ) as stream:
        first, second = stream.get_final_completion().choices
    assert (first.index, second.index) == (0, 1)
    assert first.message.content
    assert second.message.content
    assert first.message.content != second.message.content
    assert first.finish_reason == second.finish_reason == "stop"


def test_stream_helper_rebuilds_tool_calls(client: openai.OpenAI, reference: Reference) -> None:
    """Fragments of two calls join to two calls."""
    tools: Any = [WEATHER]
    with client.chat.completions.stream(model=reference.model, messages=CITIES, tools=tools) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    parsed = [call.function.parsed_arguments for call in choice.message.tool_calls]
    assert parsed == [{"city": "Rome", "unit": "celsius"}, {"city": "Oslo", "unit": "celsius"}]


def test_tool_results_are_used(client: openai.OpenAI, reference: Reference) -> None:
    """The loop of an agent works: call, result, answer with the result in it."""
    tools: Any = [WEATHER]
    turn = client.chat.completions.create(model=reference.model, messages=CITIES, tools=tools)
    message = turn.choices[0].message
    assert message.tool_calls is not None
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"temp": 31.7})}
        for call in message.tool_calls
    ]
    history: Any = [*CITIES, message.model_dump(exclude_none=True), *results]
    answer = client.chat.completions.create(model=reference.model, messages=history, tools=tools)
    assert "31.7" in (answer.choices[0].message.content or "")


def test_parse_gives_the_typed_object(client: openai.OpenAI, reference: Reference) -> None:
    """`.parse()` turns the answer into the caller's own class."""
    answer = client.chat.completions.parse(
        model=reference.model,
        messages=[{"role": "user", "content": "Tell me how bad you feel."}],
        response_format=Mood,
    )
    assert answer.choices[0].message.parsed == Mood(mood="bad", n=1)


def test_raw_response_has_the_headers(client: openai.OpenAI, reference: Reference) -> None:
    """`with_raw_response` shows request id and rate limits, and still parses."""
    raw = client.chat.completions.with_raw_response.create(model=reference.model, messages=COUNT)
    assert raw.request_id is not None
    assert raw.request_id.startswith("req_")
    assert raw.headers["openai-processing-ms"].isdigit()
    assert raw.parse().choices[0].message.content == "1 2 3 4 5"


def test_models_are_listed_and_found(client: openai.OpenAI, reference: Reference) -> None:
    """Each listed model can be retrieved, the one with a slash in its id as well."""
    ids = [model.id for model in client.models.list()]
    assert reference.model in ids
    assert any("/" in id for id in ids)
    assert [client.models.retrieve(id).id for id in ids] == ids


@pytest.mark.parametrize(
    ("request_", "error", "code", "param"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found", None),
        ({"temperature": 3}, openai.BadRequestError, "decimal_above_max_value", "temperature"),
        ({"messages": []}, openai.BadRequestError, "empty_array", "messages"),
        ({"model": "nobody", "stream": True}, openai.NotFoundError, "model_not_found", None),
    ],
)
def test_refusals_raise_the_right_class(
    client: openai.OpenAI,
    reference: Reference,
    request_: dict[str, Any],
    error: type[openai.APIStatusError],
    code: str,
    param: str | None,
) -> None:
    """The client finds status, code and parameter where it looks for them."""
    parameters = {"model": reference.model, "messages": COUNT, **request_}
    with pytest.raises(error) as caught:
        client.chat.completions.create(**parameters)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.type == "invalid_request_error"


def test_wrong_key_is_refused_without_showing_it(reference: Reference) -> None:
    """A wrong key raises AuthenticationError, and the message does not hold the key."""
    key = "sk-wrong-0123456789abcdef0123456789abcdef"
    with (
        openai.OpenAI(base_url=reference.base_url, api_key=key) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert key not in str(caught.value)


def test_keyless_server_takes_any_client() -> None:
    """A reference without a key serves whoever comes."""
    with (
        serve(key=None) as keyless,
        openai.OpenAI(base_url=keyless.base_url, api_key="whatever") as client,
    ):
        assert keyless.key is None
        assert client.models.list().data
