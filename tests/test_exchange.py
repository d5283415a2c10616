"""Exchanges: what can be read off an answer, whatever came."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.refusal import error_message, error_param, names

REQUEST = Request("POST", "http://h/v1/x", (), b'{"model": "m"}')


def answered(body: bytes = b"", **changes: Any) -> Exchange:
    """An exchange with an answer."""
    return Exchange("p", "t", REQUEST, **{"status": 200, "body": body, **changes})


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"a": [1]}', {"a": [1]}), (b" null ", None), ('"日本"'.encode(), "日本"), (b"7", 7)],
)
def test_json_body_is_parsed(body: bytes, value: object) -> None:
    """Any one JSON value is JSON."""
    assert answered(body).is_json
    assert answered(body).json == value


@pytest.mark.parametrize("body", [b"", b"{", b"{} {}", b"<html>", b"[" * 100_000, b"1" * 5000, b"\xff"])
def test_other_body_is_no_json(body: bytes) -> None:
    """Cut, doubled, endless or no text at all: None, and no exception."""
    assert not answered(body).is_json
    assert answered(body).json is None


def test_header_is_found_by_any_spelling_and_its_last_value_counts() -> None:
    """Names of headers have no case."""
    exchange = answered(
        headers=(("x-a", "1"), ("content-type", "Text/Event-Stream ; charset=utf-8"), ("x-a", "2"))
    )
    assert exchange.header("X-A") == "2"
    assert exchange.header("x-b") is None
    assert exchange.media_type == "text/event-stream"
    assert answered().media_type == ""


def test_broken_off_answer_is_not_ok() -> None:
    """200 and half a body is no success."""
    assert answered().ok
    assert not answered(failure="the connection broke").ok
    assert not answered(status=302).ok


def test_events_leave_out_what_no_client_dispatches() -> None:
    """Comments, blocks without data and the open end are blocks, but no events."""
    exchange = answered(b": hi\n\nid: 1\n\ndata: a\n\ndata: b")
    assert [block.data for block in exchange.events] == ["a"]
    assert len(exchange.blocks) == 4


def test_arrival_is_that_of_the_part_with_the_byte() -> None:
    """Times are looked up by offsets such as those of event blocks."""
    exchange = answered(b"abcdef", arrivals=((0.1, 2), (0.2, 3), (0.5, 1)), total=0.6)
    assert [exchange.arrival(offset) for offset in (1, 2, 3, 5, 6, 7)] == [0.1, 0.1, 0.2, 0.2, 0.5, 0.6]


def test_curl_command_repeats_the_request_without_the_key() -> None:
    """The shell takes the key from the environment, and everything else word for word."""
    headers = (
        ("accept", "application/json"),
        ("authorization", "Bearer $OPENAI_API_KEY"),
        ("x-stainless-lang", "python"),
        ("x-odd", "a'b $(rm) $OPENAI_API_KEY"),
    )
    command = Request("POST", "http://h/v1/x?a=1&b='", headers, '{"content": "it\'s 日本"}'.encode()).curl()
    assert '-H "authorization: Bearer $OPENAI_API_KEY"' in command
    assert shlex.split(command) == [
        *("curl", "-sS", "-i", "-X", "POST", "http://h/v1/x?a=1&b='"),
        *("-H", "authorization: Bearer $OPENAI_API_KEY", "-H", "x-odd: a'b $(rm) $OPENAI_API_KEY"),
        *("--data-binary", '{"content": "it\'s 日本"}'),
    ]
    assert "'x-odd: a'" in command


# --- refusals ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"error": {"code": 7}}', '{"code": 7}'),
        (b'{"detail": "no"}', "no"),
        (
            b'{"detail": [{"loc": ["body", "n"], "msg": "no", "input": {"seed": 7}}]}',
            '[{"loc": ["body", "n"], "msg": "no"}]',
        ),
        (b"<html>no", "<html>no"),
        (b'{"error": null}', '{"error": null}'),
        (b"[]", "[]"),
        (b"x" * 9000, "x" * 500),
    ],
)
def test_message_is_found_in_errors_of_any_shape(body: bytes, message: str) -> None:
    """OpenAI's envelope, FastAPI's detail, a bare text; without what the server only repeats."""
    assert error_message(answered(body, status=400)) == message


@pytest.mark.parametrize(
    ("body", "parameter", "named"),
    [
        (b'{"error": {"message": "bad", "param": "n"}}', "n", True),
        (b'{"error": {"message": "bad", "param": "stream_options.include_usage"}}', "stream_options", True),
        (b'{"error": {"message": "bad", "param": "messages[0].role"}}', "messages", True),
        (b'{"error": {"message": "max_tokens is unknown", "param": null}}', "max_tokens", True),
        (b'{"error": {"message": "use max_completion_tokens", "param": null}}', "max_tokens", False),
        (b'{"error": {"message": "unknown \'n\'"}}', "n", True),
        (b'{"error": {"message": "n"}}', "n", False),
        (b'{"error": {"message": "x", "param": 7}}', "n", False),
        (b"", "n", False),
    ],
)
def test_parameter_is_named_by_param_or_as_a_word(body: bytes, parameter: str, named: bool) -> None:
    """Part of another word is not the parameter; everyday words count when quoted."""
    assert names(answered(body, status=400), parameter) is named


def test_param_is_a_text_or_none() -> None:
    """Servers put numbers, lists and empty texts there."""
    assert error_param(answered(b'{"error": {"param": "n"}}')) == "n"
    for odd in (b'""', b"7", b"[]", b"null"):
        assert error_param(answered(b'{"error": {"param": ' + odd + b"}}")) is None
