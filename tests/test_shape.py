"""The shape of an exchange: what belongs to it, what does not, and that nothing that a server sends breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.shape import Form, Shape, place_of, shape

EVENT_STREAM = "text/event-stream"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content", "type", "code", "error", "index", "usage"]
            )
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def exchange(body: bytes, content_type: str = "application/json", *names: str, status: int = 200) -> Exchange:
    """An answer."""
    headers = (("content-type", content_type), *((name, "x") for name in names))
    return Exchange("chat-basic", "t", Request("POST", "http://h/v1", (), b""), status, headers, body)


def of(value: Any) -> Shape:
    """The shape of a JSON body."""
    return shape(exchange(json.dumps(value).encode()))


def streamed(*events: Any) -> Shape:
    """The shape of a stream; texts stand for data that is no JSON."""
    data = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return shape(exchange("".join(f"data: {d}\n\n" for d in data).encode(), EVENT_STREAM))


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a chat stream."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def types(found: Shape) -> dict[str, set[str]]:
    """The types by place."""
    return {place_of(spot): set(names) for spot, names in found.types.items()}


def test_keys_and_types_are_shape_and_arrays_are_merged() -> None:
    """A path leads to the types of all elements; null is one, and whole numbers are none of their own."""
    found = types(of({"data": [{"a": 1}, {"a": None}, {"a": 0.5, "b/c": True}, "x"], "none": []}))
    assert found == {
        "body": {"object"},
        "body /data": {"array"},
        "body /data/*": {"object", "string"},
        "body /data/*/a": {"number", "null"},
        "body /data/*/b~1c": {"boolean"},
        "body /none": {"array"},
    }


def test_values_do_not_count() -> None:
    """Another text, id, time and number of elements make the same shape."""
    one = {
        "id": "a",
        "created": 1,
        "choices": [{"message": {"content": "x"}}],
        "usage": {"completion_tokens": 3},
    }
    two = {
        "id": "b",
        "created": 2,
        "choices": [{"message": {"content": "y"}}] * 3,
        "usage": {"completion_tokens": 4},
    }
    assert of(one) == of(two)


@pytest.mark.parametrize(
    ("place", "one", "two"),
    [
        ("body /choices/*/finish_reason", *({"choices": [{"finish_reason": w}]} for w in ("stop", "eos"))),
        ("body /object", {"object": "list"}, {"object": "models"}),
        ("body /error/code", {"error": {"code": "a"}}, {"error": {"code": "b"}}),
        ("body /error/code", {"error": {"code": 400}}, {"error": {"code": 422}}),
        ("body /error/type", {"error": {"type": "a"}}, {"error": {"type": "b"}}),
        ("body /code", {"code": 400}, {"code": 422}),
        ("body /status", {"status": "completed"}, {"status": "failed"}),
        (
            "body /incomplete_details/reason",
            {"incomplete_details": {"reason": "a"}},
            {"incomplete_details": {"reason": "b"}},
        ),
        ("body /output/*/type", {"output": [{"type": "message"}]}, {"output": [{"type": "reasoning"}]}),
    ],
)
def test_vocabulary_counts(place: str, one: Any, two: Any) -> None:
    """Of these the value is shape."""
    words = [{place_of(spot): found for spot, found in of(value).words.items()} for value in (one, two)]
    assert words[0][place] != words[1][place]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        *(
            ({key: {"a": 1}}, {key: {"b": {"c": "d"}}})
            for key in ("metadata", "logit_bias", "parameters", "schema")
        ),
        ({"arguments": '{"a": 1}'}, {"arguments": '["b"]'}),
        ({"logprobs": {"top_logprobs": [{"The": -1}]}}, {"logprobs": {"top_logprobs": [{"A": -1}]}}),
        ({str(n): n for n in range(300)}, {str(-n): n for n in range(1, 301)}),
    ],
)
def test_what_the_user_or_the_model_named_is_a_value(one: Any, two: Any) -> None:
    """Free-form maps, JSON inside of texts and maps of hundreds of keys are not looked into."""
    assert of(one) == of(two)


def test_elements_with_a_type_are_kept_apart() -> None:
    """A reasoning item beside a message does not give the message its keys."""
    output = [{"type": "message", "role": "assistant"}, {"type": "reasoning", "summary": []}]
    found = types(of({"output": output}))
    assert "body /output/*:message/role" in found
    assert "body /output/*:message/summary" not in found


def test_headers_of_the_way_are_left_out() -> None:
    """What proxies and connections add says nothing of the API; everything else has a name that counts."""
    of_the_way = (
        "date",
        "server",
        "via",
        "cf-ray",
        "x-cache-hits",
        "x-envoy-upstream-service-time",
        "set-cookie",
    )
    kept = (
        "x-request-id",
        "openai-version",
        "access-control-allow-origin",
        "x-ratelimit-limit-tokens",
        "retry-after",
    )
    found = shape(exchange(b"{}", "application/json", *of_the_way, *kept, "content-encoding", "connection"))
    assert found.headers == {"content-type", *kept}


def test_number_of_deltas_is_the_models() -> None:
    """5 and 50 deltas are the same shape, whose sequence says what came in which order."""
    few, many = (
        streamed(
            chunk(role="assistant", content=""), *[chunk(content="a")] * n, chunk(finish="stop"), "[DONE]"
        )
        for n in (5, 50)
    )
    assert few == many
    assert few.sequences == {("role+content", "content", "finish_reason", "[DONE]")}


def test_groups_that_repeat_are_collapsed() -> None:
    """Three calls in a streamed response are as good as one."""
    call = [{"type": f"response.{name}"} for name in ("added", "delta", "delta", "done")]
    assert streamed(*call, {"type": "response.completed"}) == streamed(
        *call * 3, {"type": "response.completed"}
    )


def test_chance_mix_of_choices_does_not_count() -> None:
    """Whether choices take turns or come one after the other is a matter of time."""
    parts = [[chunk(i, role="assistant"), chunk(i, content="a"), chunk(i, finish="stop")] for i in range(2)]
    turns = [event for pair in zip(*parts, strict=True) for event in pair]
    assert streamed(*parts[0], *parts[1], "[DONE]") == streamed(*turns, "[DONE]")


def test_order_end_and_event_lines_count() -> None:
    """A stream without its sentinel, in another order or without event lines has another shape."""
    first, last = {"type": "response.created"}, {"type": "response.completed"}
    assert (
        len({streamed(*events).sequences for events in ([first, last], [last, first], [first], [last])}) == 4
    )
    with_line = shape(exchange(b'event: a\ndata: {"type": "a"}\n\n', EVENT_STREAM))
    assert set(types(with_line)) - set(types(streamed({"type": "a"}))) == {"event a /event:"}


@pytest.mark.parametrize(
    ("body", "content_type", "form"),
    [
        (b"", "application/json", Form.EMPTY),
        (b"<html>", "text/html", Form.OTHER),
        (b"data: {}\n\n", "application/json", Form.EVENTS),
        (b"{}", EVENT_STREAM, Form.JSON),
    ],
)
def test_form_is_read_off_the_body(body: bytes, content_type: str, form: Form) -> None:
    """The Content-Type may be wrong, and is part of the shape by itself."""
    found = shape(exchange(body, content_type))
    assert (found.form, found.media_type) == (form, content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"a": 1, "a": [2]}',
        b'{"a": "\xff\xfe", "\\ud800": 1}',
        b'{"code": {"code": [null]}, "error": [], "type": {}, "choices": {"*": 1}}',
        b"1" * 5000,
        b'{"n": NaN}',
        b"\x00\xff" * 100,
    ],
)
@pytest.mark.parametrize("framing", [b"%s", b"data: %s\n\n", b"event: \x1b[2J\ndata: %s\n\n"])
def test_hostile_body_has_some_shape(body: bytes, framing: bytes) -> None:
    """Too deep, doubled, no UTF-8: never an error, and the same shape each time."""
    answer = exchange(framing % body, EVENT_STREAM)
    assert shape(answer) == shape(answer)
    assert max((len(spot) for spot in shape(answer).types), default=0) < 40


@given(JSON, st.sampled_from(["%s", "data: %s\n\n", "event: e\ndata: %s\n\n"]))
def test_any_json_has_a_shape(value: Any, framing: str) -> None:
    """Whatever a server says in JSON, plainly or in an event."""
    assert shape(exchange((framing % json.dumps(value)).encode(), EVENT_STREAM)).status == 200


@given(st.binary())
def test_any_bytes_have_a_shape(body: bytes) -> None:
    """Whatever else a server sends."""
    assert shape(exchange(body, EVENT_STREAM)).media_type == EVENT_STREAM
