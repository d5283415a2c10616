"""Faults on the wire: silence, trickles, resets, and answers that are no HTTP or not what they say they are."""

from __future__ import annotations

import gzip
import json
import time

from tests.hostile.behaviour import INCONCLUSIVE, PASS, Behaviour
from tests.hostile.wrapping import (
    Answering,
    afflicting,
    everything,
    later,
    plain,
    streams,
)
from tests.servers import Connection, Received, completion

__all__ = ["ROWS"]

_EVENT = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
_BODY = json.dumps(completion()).encode()
_OPEN = {"content-type": "text/event-stream"}


def silent(request: Received, connection: Connection) -> None:
    """Take the request and say nothing."""
    del request
    connection.gone()
    connection.close()


def saying(data: bytes, then: Answering = silent) -> Answering:
    """Send bytes as they are, and then something else."""

    def how(request: Received, connection: Connection) -> None:
        connection.raw(data)
        then(request, connection)

    return how


def closing(request: Received, connection: Connection) -> None:
    """End the connection."""
    del request
    connection.close()


def resetting(request: Received, connection: Connection) -> None:
    """End the connection by a reset."""
    del request
    connection.reset()


def streaming(*parts: bytes, then: Answering) -> Answering:
    """Begin a stream, send parts of it, and do something else in place of its end."""

    def how(request: Received, connection: Connection) -> None:
        connection.begin(200, _OPEN)
        for part in parts:
            connection.chunk(part)
        then(request, connection)

    return how


def trickling(request: Received, connection: Connection) -> None:
    """A byte a second."""
    del request
    connection.begin(200, _OPEN)
    for byte in _EVENT * 100:
        connection.chunk(bytes([byte]))
        time.sleep(1)


def trickling_head(request: Received, connection: Connection) -> None:
    """A byte of the head every tenth of a second."""
    del request
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x-wait: longer\r\n" * 1000:
        connection.raw(bytes([byte]))
        time.sleep(0.1)


def informing(request: Received, connection: Connection) -> None:
    """Interim answers for ever."""
    del request
    while True:
        connection.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 50)


def whole(*lines: str, body: bytes = _BODY, then: Answering = closing) -> Answering:
    """An answer 200 with these header lines, as JSON."""
    head = "\r\n".join(["HTTP/1.1 200 OK", "content-type: application/json", *lines, "", ""])
    return saying(head.encode() + body, then)


_SERVED = "chat.stream.served or done-sentinel or finish-length"
_STREAM_LOST = {"chat.stream.done-sentinel": INCONCLUSIVE, "chat.finish-length": PASS}
_PLAIN = "finish-length or multi-turn or stream.done-sentinel"
_PLAIN_LOST = {
    "chat.finish-length": INCONCLUSIVE,
    "chat.multi-turn": INCONCLUSIVE,
    "chat.stream.done-sentinel": PASS,
}
_TOO_LONG = f"content-length: {len(_BODY) + 100}"
_TOO_SHORT = f"content-length: {len(_BODY) - 20}"
_LENGTH = f"content-length: {len(_BODY)}"


def _lost_stream(id: str, what: str, how: Answering, *says: str) -> Behaviour:
    """Streams alone are afflicted, so that an endpoint which answers plain requests breaks its promise of streams."""
    return Behaviour(id, what, afflicting(streams, how), 0, says, _STREAM_LOST, _SERVED)


def _lost_answer(id: str, what: str, how: Answering, *says: str) -> Behaviour:
    """Plain answers behind pre-flight are afflicted; what can't be judged for that is inconclusive."""
    return Behaviour(id, what, afflicting(plain, how), 0, says, _PLAIN_LOST, _PLAIN)


def _unreachable(id: str, what: str, how: Answering, *says: str) -> Behaviour:
    """Every answer is afflicted, so that pre-flight ends the run."""
    return Behaviour(id, what, afflicting(everything, how), 4, says)


ROWS = (
    _unreachable("silence", "Takes connections and says nothing.", silent, "no answer had come"),
    Behaviour(
        "silence-later",
        "Falls silent after pre-flight, before the whole suite.",
        afflicting(later, silent),
        1,
        ("the run's time of 5 s was up (--llm-run-timeout)",),
        {"chat.finish-length": INCONCLUSIVE, "chat.object": PASS},
        arguments=("--llm-run-timeout=5",),
        seconds=5.0,
    ),
    _lost_answer("silence-for-some", "Falls silent for plain requests.", silent, "--llm-first-byte-timeout"),
    _unreachable(
        "silence-after-head",
        "Sends a head and no body.",
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        "gives no answer to a plain chat request",
    ),
    _lost_stream(
        "silence-in-stream",
        "Streams fall silent after an event.",
        streaming(_EVENT, then=silent),
        "the body had not ended",
    ),
    _lost_stream("byte-a-second", "Streams come in at a byte a second.", trickling, "the body had not ended"),
    _unreachable("head-trickles", "The head comes in byte by byte.", trickling_head, "no answer had come"),
    _unreachable("reset-at-once", "Resets each connection.", resetting, "the connection broke"),
    _lost_answer("reset-later", "Resets connections after pre-flight.", resetting, "the connection broke"),
    _lost_answer(
        "reset-in-head",
        "Resets within a head.",
        saying(b"HTTP/1.1 200 OK\r\ncontent-le", resetting),
        "the connection broke",
    ),
    _lost_answer(
        "reset-in-body",
        "Resets within a body.",
        whole(_TOO_LONG, then=resetting),
        "the connection broke",
    ),
    _lost_stream(
        "reset-in-stream",
        "Resets within a stream.",
        streaming(_EVENT, _EVENT, then=resetting),
        "the connection broke",
    ),
    _lost_stream(
        "end-in-stream",
        "Ends the connection within a stream.",
        streaming(_EVENT, then=closing),
        "the connection broke",
    ),
    _lost_answer(
        "length-too-long", "Sends less than it announces.", whole(_TOO_LONG), "the connection broke"
    ),
    Behaviour(
        "length-too-short",
        "Sends more than it announces.",
        afflicting(plain, whole(_TOO_SHORT)),
        0,
        (),
        _PLAIN_LOST,
        _PLAIN,
    ),
    _lost_answer(
        "length-twice",
        "Announces two lengths.",
        whole(_LENGTH, "content-length: 7"),
        "the connection broke",
    ),
    _lost_answer(
        "length-negative",
        "Announces a length below nought.",
        whole("content-length: -1"),
        "the connection broke",
    ),
    _lost_answer(
        "chunk-size-broken",
        "Announces chunks whose size is no number.",
        whole("transfer-encoding: chunked", body=b"zz\r\n" + _BODY),
        "the connection broke",
    ),
    _lost_answer(
        "chunk-cut",
        "Ends within a chunk.",
        whole("transfer-encoding: chunked", body=b"ffff\r\n" + _BODY),
        "the connection broke",
    ),
    _unreachable(
        "status-line-broken", "Sends a status that is no number.", saying(b"HTTP/1.1 OK\r\n\r\n", closing)
    ),
    _unreachable(
        "garbage", "Sends random bytes.", saying(bytes(range(256)) * 40, closing), "the connection broke"
    ),
    _unreachable(
        "http-0.9", "Sends a body without a head.", saying(b"pong\n", closing), "the connection broke"
    ),
    _unreachable("interim-storm", "Sends interim answers for ever.", informing, "no answer had come"),
    _unreachable(
        "protocol-switched", "Switches to a protocol of its own.", saying(b"HTTP/1.1 101 Switching\r\n\r\n")
    ),
    Behaviour(
        "empty-200",
        "Answers 200 with an empty body.",
        afflicting(plain, lambda _, connection: connection.answer(b"")),
        0,
        (),
        _PLAIN_LOST,
        _PLAIN,
    ),
    Behaviour(
        "empty-204",
        "Answers 204.",
        afflicting(plain, saying(b"HTTP/1.1 204 No Content\r\n\r\n", closing)),
        0,
        (),
        _PLAIN_LOST,
        _PLAIN,
    ),
    _lost_answer(
        "gzip-cut",
        "Ends within a body in gzip.",
        whole("content-encoding: gzip", "connection: close", body=gzip.compress(_BODY)[:60]),
    ),
    _lost_answer(
        "gzip-in-name-only",
        "Labels a plain body as gzip.",
        whole("content-encoding: gzip", _LENGTH),
        "cannot be decoded",
    ),
    Behaviour(
        "coding-unknown",
        "Labels a body with a coding that nobody asked for.",
        afflicting(plain, whole("content-encoding: snappy", _LENGTH, body=bytes(reversed(_BODY)))),
        0,
        (),
        _PLAIN_LOST,
        _PLAIN,
    ),
)
