"""Answers that are too much: each limit of size and shape ends an exchange, is named, and bounds the memory."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.live import LiveClient
from pytest_llmcompat.lab.structure import shape_fault
from pytest_llmcompat.limits import MIB, Limits
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.wire import Answer
from tests.servers import (
    PATIENCE,
    Connection,
    Received,
    Script,
    completion,
    lab_on,
    limited,
    serving,
    target_of,
)

POSTED, FETCHED = Probe("posted", "core"), Probe("fetched", "core", method="GET")
SMALL: Final[dict[str, Any]] = {"body": 100_000, "parsed": 400_000}


@contextmanager
def client_on(
    script: Script, allowance: Allowance | None = None, **limits: Any
) -> Iterator[Callable[[Probe], Answer]]:
    """Sends requests to a server within limits."""
    with serving(script) as server:
        client = LiveClient(target_of(server), limited(PATIENCE, **limits), allowance)
        try:
            yield lambda probe: client.send(Request("GET", f"{server.base_url}/x", (), b""), probe)
        finally:
            client.close()


def answer_to(script: Script, probe: Probe = POSTED, **limits: Any) -> Answer:
    """The answer of a server within limits."""
    with client_on(script, **limits) as send:
        return send(probe)


def body(content: bytes, **headers: str) -> Script:
    """A server that answers with a body; `_` in the names of headers is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _, connection: connection.answer(content, 200, named)


def for_ever(part: bytes, content_type: str = "application/json") -> Script:
    """A server whose body never ends."""

    def script(_: Received, connection: Connection) -> None:
        connection.begin(200, {"content-type": content_type})
        while True:
            connection.chunk(part)

    return script


def bomb(length: int, wbits: int = 16 + zlib.MAX_WBITS) -> bytes:
    """Zeros, as many as there should be, in a few bytes."""
    coder = zlib.compressobj(9, wbits=wbits)
    return b"".join(coder.compress(bytes(MIB)) for _ in range(length // MIB)) + coder.flush()


# --- length ---


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain"])
def test_endless_body_ends_at_a_length(content_type: str) -> None:
    """What is kept is enough to see what came, and its arrivals are those of what is kept."""
    answer = answer_to(for_ever(b"x" * 1000, content_type), **SMALL)
    assert answer.failure == "the body is longer than 100000 bytes; more is not read"
    assert answer.body == b"x" * 65536
    assert sum(length for _, length in answer.arrivals) == 65536


def test_what_is_fetched_may_be_longer() -> None:
    """A list of 100,000 models is no attack."""
    whole = body(b"x" * 300_000)
    assert answer_to(whole, FETCHED, **SMALL).failure is None
    assert answer_to(whole, **SMALL).failure is not None
    assert "longer than 400000 bytes" in (answer_to(body(b"x" * 500_000), FETCHED, **SMALL).failure or "")


def test_hundred_thousand_models_are_read() -> None:
    """With the limits that a run has."""
    entry = {"id": "vendor/some-model", "object": "model", "created": 1700000000, "owned_by": "somebody"}
    models = json.dumps({"object": "list", "data": [entry] * 100_000}).encode()
    answer = answer_to(body(models), FETCHED)
    assert (answer.failure, answer.body) == (None, models)


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        ("gzip", lambda: bomb(200 * MIB)),
        ("deflate", lambda: bomb(200 * MIB, zlib.MAX_WBITS)),
        ("deflate", lambda: bomb(200 * MIB, -zlib.MAX_WBITS)),
        ("gzip, gzip", lambda: gzip.compress(bomb(200 * MIB))),
        ("deflate, gzip", lambda: gzip.compress(bomb(200 * MIB, zlib.MAX_WBITS))),
    ],
)
def test_bomb_is_put_off_before_it_takes_memory(coding: str, coded: Callable[[], bytes]) -> None:
    """However small it is on the wire, and however often it is coded, no more than the limit comes of it."""
    script = body(coded(), content_encoding=coding)
    tracemalloc.start()
    try:
        answer = answer_to(script, **SMALL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.failure == "the body is longer than 100000 bytes; more is not read"
    assert peak < 8 * MIB


def test_coding_within_a_coding_is_bounded_where_it_gives_nothing() -> None:
    """The inner coding ends at once, and what follows it never reaches the body."""
    inner = gzip.compress(b"{}") + bytes(200 * MIB)
    answer = answer_to(body(gzip.compress(inner, 1), content_encoding="gzip, gzip"), **SMALL)
    expected = "the body, with one of its codings removed, is longer than 100000 bytes; more is not read"
    assert answer.failure == expected


def test_wire_is_bounded_where_the_coding_gives_nothing() -> None:
    """Nothing comes of what follows the end of the coding, but it takes time and traffic."""

    def script(_: Received, connection: Connection) -> None:
        connection.begin(200, {"content-encoding": "gzip"})
        connection.chunk(gzip.compress(b"{}"))
        while True:
            connection.chunk(bytes(1000))

    answer = answer_to(script, **SMALL)
    assert answer.failure == "the body, as it is sent, is longer than 100000 bytes; more is not read"


def test_too_many_codings_are_not_undone() -> None:
    """A chain of a thousand codings is no way to send JSON."""
    answer = answer_to(body(b"{}", content_encoding=", ".join(["gzip"] * 1000)))
    expected = "the body cannot be decoded: it has 1000 content codings, and at most 3 are read"
    assert (answer.status, answer.failure) == (200, expected)


def test_unknown_coding_stays_on() -> None:
    """What was not asked for is kept as it came, whatever libraries are installed; contracts judge it."""
    answer = answer_to(body(b"\x0b\x01\x80{}\x03", content_encoding="br"))
    assert (answer.failure, answer.body) == (None, b"\x0b\x01\x80{}\x03")


@pytest.mark.parametrize("wbits", [16 + zlib.MAX_WBITS, zlib.MAX_WBITS])
def test_coding_that_is_cut_is_a_failure(wbits: int) -> None:
    """The framing is whole and the coding is not: no client can tell what is missing."""
    coder = zlib.compressobj(wbits=wbits)
    coded = coder.compress(json.dumps(completion("x" * 1000)).encode()) + coder.flush()
    coding = "gzip" if wbits > zlib.MAX_WBITS else "deflate"
    answer = answer_to(body(coded[:-12], content_encoding=coding))
    assert answer.failure == f"the body ended before its {coding} coding did"


def test_stream_may_leave_out_the_end_of_its_coding() -> None:
    """Clients have read all events when it ends, and never miss it."""
    coder = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    coded = coder.compress(b"data: [DONE]\n\n") + coder.flush(zlib.Z_SYNC_FLUSH)
    answer = answer_to(body(coded, content_encoding="gzip", content_type="text/event-stream"))
    assert (answer.failure, answer.body) == (None, b"data: [DONE]\n\n")


def test_step_that_fills_up_exactly_loses_nothing() -> None:
    """All coded bytes may be taken in while there is more to come out."""
    for length in (65535, 65536, 65537, 131072, 200_000):
        answer = answer_to(body(gzip.compress(bytes(length)), content_encoding="gzip"))
        assert (answer.failure, len(answer.body)) == (None, length)


# --- heads ---


def test_large_header_is_read() -> None:
    """64 KB of one header are odd, but no client has to fail."""
    answer = answer_to(body(b"{}", x_large="y" * 65_000))
    assert (answer.failure, len(dict(answer.headers)["x-large"])) == (None, 65_000)


def test_head_without_an_end_is_named() -> None:
    """The limit of the HTTP library is told as one of ours, for it is one."""

    def script(_: Received, connection: Connection) -> None:
        connection.raw(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.raw(b"x-more: " + b"y" * 1000 + b"\r\n")

    answer = answer_to(script)
    assert answer.failure == "the head of the answer is longer than 100 KiB; more is not read"


def test_thousands_of_headers_are_named() -> None:
    """Those up to the limit are kept."""

    def script(_: Received, connection: Connection) -> None:
        connection.raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 3000 + b"content-length: 2\r\n\r\n{}")
        connection.close()

    answer = answer_to(script)
    assert (answer.status, len(answer.headers)) == (200, 1000)
    assert answer.failure == "the answer has more than 1000 headers; more is not read"


def test_storm_of_interim_answers_ends_by_time() -> None:
    """However many 1xx come, the answer has not begun."""

    def script(_: Received, connection: Connection) -> None:
        while True:
            connection.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    answer = answer_to(script, first_byte=0.3)
    assert answer.failure == "no answer had come after 0.3 s (--llm-first-byte-timeout)"
    assert answer.total < PATIENCE


# --- shape ---


def test_parts_beyond_some_thousands_share_their_times() -> None:
    """A body of single bytes does not take a hundred times its memory."""

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        connection.raw(b"1\r\nx\r\n" * 20_000)
        connection.chunk(b"")

    answer = answer_to(script)
    assert (answer.failure, len(answer.body)) == (None, 20_000)
    assert len(answer.arrivals) <= 5000
    assert sum(length for _, length in answer.arrivals) == 20_000
    assert [seconds for seconds, _ in answer.arrivals] == sorted(seconds for seconds, _ in answer.arrivals)


def test_million_events_are_named() -> None:
    """Events are small and cost hundreds of times their length when they are parsed."""
    answer = answer_to(for_ever(b"data: 1\n\n" * 1000, "text/event-stream"))
    assert answer.failure == "the body has more than 40000 lines; more is not read"


def test_json_may_have_any_number_of_lines() -> None:
    """A long list that is written nicely is no stream."""
    lines = b"[\n" + b"1,\n" * 60_000 + b"1\n]"
    assert answer_to(body(lines, content_type="application/json")).failure is None
    assert answer_to(body(lines)).failure is None


@pytest.mark.parametrize("value", [b"{},", b"[],", b'"ab",', b"1.5,"])
def test_masses_of_small_values_are_named(value: bytes) -> None:
    """Two bytes on the wire may be a hundred in memory."""
    answer = answer_to(body(b"[" + value * 400_000 + b"0]"))
    assert answer.failure == "the body takes more than 20 MiB of memory when it is parsed; more is not read"


def test_wide_characters_count_as_what_they_take() -> None:
    """One emoji makes Python keep four bytes for each character of a text."""
    assert answer_to(body(b"x" * 90_000), body=100_000, parsed=200_000).failure is None
    answer = answer_to(body(b"x" * 90_000 + "😀".encode()), body=100_000, parsed=200_000)
    assert "when it is parsed" in (answer.failure or "")


def nested(levels: int) -> bytes:
    """Arrays and objects in turn."""
    return b'{"a":[' * (levels // 2) + b"]}" * (levels // 2)


def test_deep_json_is_named() -> None:
    """Ten thousand levels break recursive parsers; whoever reads the verdict learns it."""
    answer = answer_to(body(nested(10_000)))
    assert answer.failure == "the body holds JSON of more than 100 levels; more is not read"
    assert answer_to(body(nested(100))).failure is None


def test_long_number_is_named() -> None:
    """Python refuses numbers of 4300 digits, and takes a quadratic time for shorter ones."""
    answer = answer_to(body(b'{"id": ' + b"9" * 1_000_000 + b"}"))
    assert answer.failure == "the body holds a number of more than 300 digits; more is not read"
    assert answer_to(body(b'{"id": "' + b"9" * 1_000_000 + b'"}')).failure is None


@pytest.mark.parametrize(
    "harmless",
    [
        b'{"a": "' + b"[" * 500 + b"]" * 500 + b'"}',
        b'{"a": "\\"' + b"[" * 500 + b"]" * 500 + b'"}',
        b"[" + b"{}," * 500 + b"{}]",
        b"[" * 500,
        b"[}" * 500,
        b'"' + b"9" * 400 + b'"',
        b'{"a\\\\": "\\"' + b"9" * 400 + b'"}',
    ],
)
def test_harmless_shape_is_not_blamed(harmless: bytes) -> None:
    """Brackets and digits in texts, many small values, and brackets that never match are for the parser."""
    assert shape_fault(harmless, Limits(), by_line=False) is None


@pytest.mark.parametrize(
    "harmful",
    [
        nested(102),
        b"[ 7, " * 101 + b"]" * 101,
        b'["]",' * 101 + b"1" + b"]" * 101,
        b'["\\"]",' * 101 + b"1" + b"]" * 101,
        b'{"a": "' + b"9" * 400 + b'", "b": ' + b"9" * 301 + b"}",
        b"-" + b"9" * 301,
        b"[0." + b"9" * 301 + b"]",
    ],
)
def test_harmful_shape_is_found(harmful: bytes) -> None:
    """Texts that look like brackets do not hide levels, and texts full of digits hide no number."""
    assert shape_fault(harmful, Limits(), by_line=False) is not None


def test_lines_of_a_stream_are_judged_each_by_itself() -> None:
    """Brackets that are open at the end of a line are not those of the next."""
    assert shape_fault(b'data: {"a": [\n' * 500, Limits(), by_line=True) is None
    assert shape_fault(b'data: "\ndata: ' + nested(200) + b"\n", Limits(), by_line=True) is not None
    assert shape_fault(b'data: "\ndata: ' + b"9" * 400 + b"\n", Limits(), by_line=True) is not None


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"a": "' + b'\\"' * 2_000_000 + b'"}',
        b'"' * 4_000_000 + b"[" * 200,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 300 + b" ",
        (b"9" * 301 + b" ") * 12_000,
        b'"' + (b"9" * 301 + b" ") * 12_000,
        b"\\" * 4_000_000 + b"[" * 200 + b"]" * 200,
    ],
)
def test_looking_at_the_shape_takes_no_time(hostile: bytes) -> None:
    """What guards against hostile bodies is not slow on one: a quadratic search would take hours here."""
    done = threading.Event()

    def look() -> None:
        shape_fault(hostile, Limits(), by_line=False)
        done.set()

    threading.Thread(target=look, daemon=True).start()
    assert done.wait(PATIENCE)


# --- the run as a whole ---


def test_answers_of_a_run_share_their_memory() -> None:
    """What does not fit any more is refused and named; what was refused gives its memory back."""
    allowance = Allowance(memory=MIB)
    with client_on(body(b"x" * 300_000), allowance, body=400_000) as send:
        answers = [send(POSTED) for _ in range(5)]
    assert [answer.failure for answer in answers[:3]] == [None] * 3
    assert {answer.failure for answer in answers[3:]} == {
        "the answers of the run take more than 1 MiB; more is not read"
    }
    assert max(len(answer.body) for answer in answers[3:]) <= 65536


def test_excess_is_not_tried_again() -> None:
    """It would come again, and cost its time and traffic twice."""
    with (
        serving(for_ever(b"x" * 100_000)) as server,
        lab_on(server) as lab,
    ):
        exchange = lab.exchange("models-list")
    assert (exchange.requests, exchange.retried) == (1, ())
    assert "; more is not read" in (exchange.failure or "")


def test_what_a_server_said_is_not_sent_back_when_it_is_long() -> None:
    """A call of two megabytes would be two requests of two megabytes."""
    arguments = json.dumps({"city": "x" * 2 * MIB})
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    script: Script = lambda _, connection: connection.answer(completion(choices=[choice]))  # noqa: E731
    with serving(script) as server, lab_on(server) as lab:
        exchange = lab.exchange("tool-result")
    assert exchange.unsent == "tool-result was not sent: what it takes from an earlier answer is too long"


def test_half_a_character_is_sent_back_as_it_came() -> None:
    """A lone surrogate in the id of a call has no UTF-8; as an escape it goes back to whom it came from."""
    call = {"id": "call_\ud800", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    script: Script = lambda _, connection: connection.answer(completion(choices=[choice]))  # noqa: E731
    with serving(script) as server, lab_on(server) as lab:
        exchange = lab.exchange("tool-result")
    assert exchange.unsent is None
    assert b'"call_\\ud800"' in server.received[-1].body
