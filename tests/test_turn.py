"""Turns: text, tool calls and end of an answer, put together the same way from plain and streamed ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.turn import distorted, every_call, gathered, sent, turn, turns
from pytest_llmcompat.verdict import Inconclusive, Unsupported

ASKED = {"tools": [{"type": "function", "function": {"name": "get_weather"}}], "tool_choice": "required"}


def exchange(
    body: str, *, asked: dict[str, Any] | None = None, status: int = 200, probe: str = "p"
) -> Exchange:
    """An answer to a request with tools."""
    request = Request("POST", "http://h/v1/chat/completions", (), json.dumps(asked or ASKED).encode())
    return Exchange(probe, "t", request, status=status, body=body.encode())


def plain(message: Any, finish: Any = "stop") -> Exchange:
    """A plain answer with this message."""
    return exchange(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}))


def streamed(*deltas: Any, finish: Any = "stop") -> Exchange:
    """A streamed answer with these deltas and an end."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    body = "".join(f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices)
    return exchange(f"{body}data: [DONE]\n\n", asked={**ASKED, "stream": True})


def fragment(**parts: Any) -> dict[str, Any]:
    """A delta with one fragment of a tool call."""
    return {"tool_calls": [parts]}


CALL = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


def test_plain_and_streamed_turn_are_read_alike() -> None:
    """The same answer, plain and streamed, amounts to the same text, calls and end."""
    whole = turn(plain({"content": "Hm.", "tool_calls": [CALL]}, "tool_calls"))
    pieces = turn(
        streamed(
            {"role": "assistant", "content": "H"},
            {"content": "m."},
            fragment(index=0, id="a", type="function", function={"name": "get_weather", "arguments": ""}),
            fragment(index=0, function={"arguments": "{"}),
            fragment(index=0, function={"arguments": "}"}),
            finish="tool_calls",
        )
    )
    for read in (whole, pieces):
        [call] = read.calls
        assert (read.text, read.finish, read.cut) == ("Hm.", "tool_calls", False)
        assert (call.id, call.name, call.arguments, call.cut) == ("a", "get_weather", "{}", False)
        assert call.definition == {"name": "get_weather"}


@pytest.mark.parametrize("message", [None, [], "text", 7])
def test_answer_without_a_message_settles_nothing(message: object) -> None:
    """Where there is no message there is no turn, and no blame here."""
    with pytest.raises(Inconclusive):
        turn(plain(message))


@pytest.mark.parametrize(
    "message", [{}, {"content": []}, {"content": None, "tool_calls": {}}, {"tool_calls": "x", "refusal": 3}]
)
def test_odd_message_is_an_empty_turn(message: dict[str, Any]) -> None:
    """Values of the wrong type count as absent."""
    read = turn(plain(message))
    assert (read.text, read.refusal, read.calls) == ("", "", ())


@pytest.mark.parametrize(("finish", "cut"), [("length", True), ("content_filter", True), ("stop", False)])
def test_cut_turn_marks_its_calls(finish: str, cut: bool) -> None:
    """Calls of a turn that the cap or a filter ended may be incomplete, and say so."""
    read = turn(plain({"tool_calls": [CALL]}, finish))
    assert read.cut is cut
    assert read.calls[0].cut is cut


def test_stream_without_an_end_marks_its_calls() -> None:
    """A stream that broke off may have left its calls incomplete."""
    read = turn(streamed(fragment(index=0, **CALL), finish=None))
    assert read.finish is MISSING
    assert read.calls[0].cut


def test_text_behind_the_end_is_not_counted() -> None:
    """What comes after the finish reason is judged elsewhere and spoils no text here."""
    first = {"index": 0, "delta": {"content": "{}"}, "finish_reason": "stop"}
    late = {"index": 0, "delta": {"content": " more"}, "finish_reason": None}
    body = "".join(f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in (first, late))
    assert turn(exchange(body, asked={**ASKED, "stream": True})).text == "{}"


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [("Hello.", "stop", True), ("  ", "stop", False), ("Hello.", "length", False), ("Hello.", None, False)],
)
def test_plain_text_that_stopped_is_told_from_the_rest(text: str, finish: object, expected: bool) -> None:
    """Only whole text, by the API's own account, stands for «text instead of a call»."""
    assert turn(plain({"content": text}, finish)).wrote_and_stopped is expected
    assert not turn(plain({"content": text, "tool_calls": [CALL]}, finish)).wrote_and_stopped


def calls_of(*fragments: Any) -> list[list[int]]:
    """The positions of the fragments of each call."""
    documents = [Document("p", f"{n}", value) for n, value in enumerate(fragments)]
    return [[int(part.where) for part in call] for call in gathered(documents)]


def named(index: object, id: object) -> dict[str, Any]:
    """The first fragment of a call."""
    return {"index": index, "id": id, "function": {"name": "get_weather", "arguments": ""}}


def more(index: object, **parts: Any) -> dict[str, Any]:
    """A later fragment."""
    return {"index": index, "function": {"arguments": "x"}, **parts}


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ([named(0, "a"), more(0), named(1, "b"), more(1)], [[0, 1], [2, 3]]),
        ([named(0, "a"), named(1, "b"), more(0), more(1)], [[0, 2], [1, 3]]),
        ([named(1, "a"), more(1), named(2, "b"), more(2)], [[0, 1], [2, 3]]),
        ([named(0, "a"), more(0), named(0, "b"), more(0)], [[0, 1], [2, 3]]),
        ([named(None, "a"), more(None), named(None, "b"), more(None)], [[0, 1], [2, 3]]),
        ([named(True, "a"), more("0")], [[0, 1]]),
        ([named(0, "a"), more(0, id="b"), more(0, id="c")], [[0, 1, 2]]),
        ([named(0, "a"), named(0, "a"), named(0, "")], [[0, 1, 2]]),
        ([named(0, None), named(0, None)], [[0, 1]]),
        ([None, [], "x", named(0, "a")], [[0, 1, 2], [3]]),
        ([], []),
    ],
    ids=[
        "in-turn",
        "interleaved",
        "from-one",
        "constant-index",
        "no-index",
        "odd-index",
        "changing-id",
        "repeated-id-and-name",
        "no-id",
        "no-objects",
        "nothing",
    ],
)
def test_fragments_are_gathered_into_the_calls_that_were_meant(
    fragments: list[Any], expected: list[list[int]]
) -> None:
    """A broken number, id or name alone does not garble calls, so each fault is blamed once."""
    assert calls_of(*fragments) == expected


@pytest.mark.parametrize(
    ("functions", "arguments"),
    [
        ([{"arguments": None}, {"arguments": "{}"}], "{}"),
        ([{"arguments": None}, {"arguments": None}], None),
        ([{"arguments": "{"}, {"arguments": {"a": 1}}], {"a": 1}),
        ([{"arguments": "{}"}, None], MISSING),
        ([{}, {}], MISSING),
    ],
)
def test_streamed_arguments_are_what_a_client_joins(functions: list[Any], arguments: object) -> None:
    """Strings are joined; what is no string shows as it is; a lost function leaves no arguments to judge."""
    read = turn(streamed(*(fragment(index=0, function=function) for function in functions)))
    assert read.calls[0].arguments == arguments


@pytest.mark.parametrize(
    ("names", "name"),
    [(["get_weather"] * 3, "get_weather"), (["get_", "weather"], "get_weather"), ([None], None)],
)
def test_streamed_name_is_the_one_meant(names: list[Any], name: object) -> None:
    """A repeated name is that name, and one in pieces is put together."""
    read = turn(streamed(*(fragment(index=0, function={"name": part}) for part in names)))
    assert read.calls[0].name == name


@pytest.mark.parametrize(
    "name",
    [
        "functions.get_weather",
        "get_weather:0",
        "functions.get_weather:0",
        "get_weatherget_weather",
        "get_weather ",
        "get_weather<|channel|>commentary",
        "\nget_weather",
    ],
)
def test_known_name_with_something_added_is_distorted(name: str) -> None:
    """Only the API doubles a name or puts a namespace or a token beside it."""
    assert distorted(name, ["get_time", "get_weather"])


@pytest.mark.parametrize(
    "name", ["get_weather", "get_weather_forecast", "weather", "Get_Weather", "", "get_weather2"]
)
def test_other_name_is_the_models_own(name: str) -> None:
    """A sound name is not distorted, and neither is one that the model made up."""
    assert not distorted(name, ["get_time", "get_weather"])


def test_unreadable_turns_are_left_out_while_others_can_be_read() -> None:
    """One refused probe does not hide what another one shows; when none can be read, the first says why."""
    refused = exchange('{"error": {"message": "Tool use is not supported"}}', status=400, probe="refused")
    down = exchange("busy", status=503, probe="down")
    assert [read.text for read in turns(refused, plain({"content": "Hi."}), down)] == ["Hi."]
    with pytest.raises(Unsupported, match="Tool use"):
        turns(refused, down)
    with pytest.raises(Inconclusive, match="no tool call"):
        every_call(refused, plain({"content": "Hi."}))


def test_parameters_are_those_that_were_sent() -> None:
    """A parameter reads as it went out after negotiation, MISSING when it was left out."""
    asked = plain({})
    assert sent(asked, "tool_choice") == "required"
    assert sent(asked, "tools/0/function/name") == "get_weather"
    assert sent(asked, "parallel_tool_calls") is MISSING
