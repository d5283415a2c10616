"""The Responses API of the reference, through the official client and over real sockets."""

from __future__ import annotations

import json
from typing import Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel

from pytest_llmcompat.reference import Reference, serve

COUNT = "Count from 1 to 5, separated by spaces."
CITIES = "What is the weather in Rome and in Oslo?"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Mood(BaseModel):
    """What the client is to parse answers into."""

    mood: Literal["good", "bad"]
    n: int


def test_create_gives_text_and_usage(client: openai.OpenAI, reference: Reference) -> None:
    """A plain response arrives typed, with honest counts."""
    answer = client.responses.create(model=reference.model, input=COUNT)
    assert (answer.status, answer.output_text) == ("completed", "1 2 3 4 5")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5
    assert answer.usage.total_tokens == answer.usage.input_tokens + 5


def test_answer_passes_the_clients_strict_validation(reference: Reference) -> None:
    """Every field that the newest specification requires is there, with the right type."""
    strict = openai.OpenAI(
        base_url=reference.base_url, api_key=reference.key, _strict_response_validation=True
    )
    with strict as client:
        assert client.responses.create(model=reference.model, input=COUNT).output_text == "1 2 3 4 5"
        events = list(client.responses.create(model=reference.model, input=COUNT, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_stream_helper_rebuilds_the_text(client: openai.OpenAI, reference: Reference) -> None:
    """The deltas join to the text of the final response, and the events come in OpenAI's order."""
    with client.responses.stream(model=reference.model, input=COUNT) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == final.output_text == "1 2 3 4 5"
    others = [event.type for event in events if event.type != "response.output_text.delta"]
    assert others == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_cap_leaves_the_response_incomplete(client: openai.OpenAI, reference: Reference) -> None:
    """A response that met its cap says so, plain and streamed."""
    asked: dict[str, Any] = {"model": reference.model, "input": "Count to 100.", "max_output_tokens": 16}
    plain = client.responses.create(**asked)
    assert plain.status == "incomplete"
    assert plain.incomplete_details is not None
    assert plain.incomplete_details.reason == "max_output_tokens"
    assert plain.usage is not None
    assert plain.usage.output_tokens == 16
    *_, last = client.responses.create(**asked, stream=True)
    assert last.type == "response.incomplete"


def test_loop_of_an_agent_works_without_state(client: openai.OpenAI, reference: Reference) -> None:
    """The calls of a streamed response go back with their outputs, and the answer tells them."""
    history: list[Any] = [{"role": "user", "content": CITIES}]
    asked: dict[str, Any] = {"model": reference.model, "tools": [WEATHER], "store": False}
    with client.responses.stream(**asked, input=history, tool_choice="required") as stream:
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Rome", "Oslo"]
    for call in calls:
        history.append(call.model_dump(exclude={"parsed_arguments"}, exclude_none=True))
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": "31.7 degrees"})
    answer = client.responses.create(**asked, input=history)
    assert answer.output_text.count("31.7") == 2


def test_text_format_is_parsed(client: openai.OpenAI, reference: Reference) -> None:
    """`.parse()` makes the typed object."""
    parsed = client.responses.parse(model=reference.model, input="How do you feel?", text_format=Mood)
    assert isinstance(parsed.output_parsed, Mood)


def test_previous_response_is_remembered_without_its_instructions(
    client: openai.OpenAI, reference: Reference
) -> None:
    """A chain of responses brings all earlier turns, but no instructions."""
    ask = client.responses.create
    first = ask(model=reference.model, input="My code word is TEAL-4.", instructions="Answer in capitals.")
    assert first.output_text.isupper()
    second = ask(model=reference.model, input="Say ok.", previous_response_id=first.id)
    assert second.output_text == "ok"
    third = ask(
        model=reference.model, input="Which code word? Answer with it only.", previous_response_id=second.id
    )
    assert third.output_text == "TEAL-4"


def test_kept_response_is_fetched_listed_and_deleted(client: openai.OpenAI, reference: Reference) -> None:
    """What is kept is there until it is deleted; streamed responses are kept as well."""
    events = list(client.responses.create(model=reference.model, input=COUNT, stream=True))
    assert events[-1].type == "response.completed"
    made = events[-1].response
    assert client.responses.retrieve(made.id).to_dict() == made.to_dict()
    [item] = client.responses.input_items.list(made.id).data
    assert item.type == "message"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_response_that_is_not_to_be_stored_is_not(client: openai.OpenAI, reference: Reference) -> None:
    """`store: false` is kept to."""
    made = client.responses.create(model=reference.model, input=COUNT, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_background_response_is_cancelled(client: openai.OpenAI, reference: Reference) -> None:
    """A response in the background is queued until it is cancelled; others cannot be."""
    made = client.responses.create(model=reference.model, input=COUNT, background=True)
    assert made.status == "queued"
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"
    ordinary = client.responses.create(model=reference.model, input=COUNT)
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(ordinary.id)


def test_counted_input_is_the_input_used(client: openai.OpenAI, reference: Reference) -> None:
    """What /responses/input_tokens counts is what the answer reports."""
    asked: dict[str, Any] = {"model": reference.model, "input": COUNT, "tools": [WEATHER]}
    used = client.responses.create(**asked).usage
    assert used is not None
    assert client.responses.input_tokens.count(**asked).input_tokens == used.input_tokens


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "nobody", "content": "hi"}]}, "input[0].role"),
        ({"input": [{"type": "nothing"}]}, "input[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"messages": []}, "messages"),
        ({"model": "nobody"}, "model"),
        ({"background": True, "store": False}, "background"),
    ],
)
def test_bad_parameter_is_named(
    http: httpx.Client, reference: Reference, change: dict[str, Any], param: str
) -> None:
    """One fault in a good request is refused with 400, the envelope, and the parameter's name."""
    answer = http.post("/responses", json={"model": reference.model, "input": "hi", **change})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/responses/resp_0"),
        ("DELETE", "/responses/resp_0"),
        ("GET", "/responses/resp_0/input_items"),
        ("POST", "/responses/resp_0/cancel"),
    ],
)
def test_unknown_response_is_not_found(http: httpx.Client, method: str, path: str) -> None:
    """What was never kept is 404 with the envelope."""
    answer = http.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]


def test_faults_of_chat_leave_responses_alone() -> None:
    """A defect says what breaks, and the two APIs have their own."""
    faults = ["max-tokens-ignored", "tools-dropped", "usage-total-wrong"]
    with (
        serve(faults, pause=0.001) as broken,
        openai.OpenAI(base_url=broken.base_url, api_key=broken.key) as client,
    ):
        answer = client.responses.create(
            model=broken.model, input=CITIES, tools=[WEATHER], tool_choice="required"
        )
    assert [item.type for item in answer.output] == ["function_call", "function_call"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
