"""Excess: more than anybody can take of bytes, headers, events, codings and models."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Final

from pytest_llmcompat.limits import Limits
from tests.hostile.answering import body, chunk, endless, rewriting, stream
from tests.hostile.behaviour import INCONCLUSIVE, PASS, Behaviour
from tests.hostile.wrapping import Answering, afflicting, everything, later, models_list, plain, streams
from tests.servers import Connection, Received, completion, refusal

__all__ = ["ROWS"]

_MIB: Final = 1 << 20
_HEAD: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _HEAD + b"transfer-encoding: chunked\r\n\r\n"
# For rows that are about memory, and that slow machines are to see the end of.
_PATIENT: Final = ("--llm-run-timeout=30", "--llm-timeout=10", "--llm-first-byte-timeout=5")
_COMPLETION: Final = json.dumps(completion()).encode()


def slowly() -> Iterable[bytes]:
    """An event every tenth of a second for ever: never idle, never done."""
    while True:
        yield chunk()
        time.sleep(0.1)


@cache
def deflated() -> bytes:
    """2 GiB of spaces in raw deflate: one block over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(b" " * (8 * _MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * 256


def gzip_bomb() -> bytes:
    """2 GiB of spaces in gzip."""
    return b"\x1f\x8b\x08\0\0\0\0\0\2\xff" + deflated()


def zlib_bomb() -> bytes:
    """2 GiB of spaces in zlib's format, which HTTP calls deflate."""
    return b"\x78\xda" + deflated()


@cache
def models() -> bytes:
    """A list of 100,000 models."""
    data = [{"id": f"big-{n}", "object": "model", "created": 1, "owned_by": "o"} for n in range(100_000)]
    return json.dumps({"object": "list", "data": data}).encode()


def without_the_model(request: Received, connection: Connection) -> None:
    """Many models, none of them the one that is asked for."""
    if models_list(request):
        connection.answer(models(), headers={"content-type": "application/json"})
    else:
        connection.answer(refusal("no such model"), 404)


def verbose(request: Received, connection: Connection) -> None:
    """A refusal of 1.5 MB."""
    del request
    connection.answer(refusal("no " * 500_000), 400)


def _stream(id: str, what: str, how: Answering, *says: str) -> Behaviour:
    verdicts = {"chat.stream.done-sentinel": INCONCLUSIVE}
    return Behaviour(id, what, afflicting(streams, how), 0, says, verdicts, "done-sentinel")


def _answer(id: str, what: str, how: Answering, *says: str, verdict: str = INCONCLUSIVE) -> Behaviour:
    verdicts = {"chat.finish-length": verdict}
    return Behaviour(id, what, afflicting(plain, how), 0, says, verdicts, "finish-length or multi-turn")


ROWS = (
    _stream("stream-for-ever", "Streams never end.", stream(lambda: itertools.repeat(chunk() * 100))),
    _stream("stream-slow-for-ever", "Streams never end, and never rest.", stream(slowly)),
    _stream(
        "comments-for-ever",
        "Streams of comments never end.",
        stream(lambda: itertools.repeat(b": wait\n\n" * 500)),
    ),
    _stream(
        "line-for-ever",
        "A line of a stream never ends.",
        stream(lambda: itertools.repeat(b"data: " * 10_000)),
    ),
    _stream(
        "events-million", "A stream has a million events.", stream(lambda: [b"data: {}\n\n" * 10_000] * 100)
    ),
    _stream(
        "parts-for-ever", "A stream comes in parts of a byte.", endless(b"1\r\n \r\n" * 10_000, _CHUNKED)
    ),
    _stream(
        "event-huge", "An event has 20 MB.", stream(lambda: [chunk("x" * 20 * _MIB), b"data: [DONE]\n\n"])
    ),
    _stream("event-lines", "An event has a million lines.", stream(lambda: [b"data:\n" * 10_000] * 100)),
    _stream("chunk-size-for-ever", "The size of a chunk never ends.", endless(b"0" * 65536, _CHUNKED)),
    _answer(
        "body-500-mb",
        "A body has 500 MB.",
        endless(b" " * _MIB, _HEAD + b"content-length: 524288000\r\n\r\n"),
    ),
    _answer("gzip-bomb", "2 GB in 2 MB of gzip.", body(gzip_bomb, content_encoding="gzip")),
    _answer("deflate-bomb", "2 GB in 2 MB of deflate.", body(zlib_bomb, content_encoding="deflate")),
    _answer(
        "gzip-twice",
        "2 GB in gzip in gzip.",
        body(lambda: gzip.compress(gzip_bomb()), content_encoding="gzip, gzip"),
    ),
    _answer(
        "codings-hundred",
        "A hundred codings on top of each other.",
        body(gzip.compress(_COMPLETION), content_encoding=", ".join(["gzip"] * 100)),
    ),
    Behaviour(
        "bomb-for-all",
        "Answers everything with a bomb.",
        afflicting(everything, body(gzip_bomb, content_encoding="gzip")),
        4,
    ),
    Behaviour(
        "models-100000",
        "Lists 100,000 models.",
        afflicting(models_list, body(models)),
        0,
        (),
        {"models.list-object": PASS},
        "models",
        _PATIENT,
        30.0,
    ),
    Behaviour(
        "models-but-not-this",
        "Lists 100,000 models, and not the one that is asked for.",
        afflicting(everything, without_the_model),
        4,
        ("does not have the model",),
        arguments=_PATIENT,
        seconds=30.0,
    ),
    _answer(
        "header-64-kb", "A header has 64 KB.", body(_COMPLETION, x_long="y" * 65_000), verdict=INCONCLUSIVE
    ),
    _answer(
        "headers-4000",
        "An answer has 4,000 headers.",
        body(_COMPLETION, **{f"x_{n}": "y" for n in range(4000)}),
    ),
    _answer("header-for-ever", "A header never ends.", endless(b"y" * 65536, _HEAD + b"x-long: ")),
    _answer("headers-for-ever", "Headers never end.", endless(b"x-y: z\r\n" * 1000, _HEAD)),
    _answer("status-for-ever", "The status line never ends.", endless(b"O" * 65536, b"HTTP/1.1 200 ")),
    Behaviour(
        "error-long",
        "Refuses with a message of 1.5 MB.",
        afflicting(later, verbose),
        0,
        (),
        {"error.bad-role-400": PASS},
        "unknown-model or bad-role or auth.401",
    ),
    Behaviour(
        "padded-to-the-limit",
        "Answers rightly, and each answer is as long as is borne.",
        rewriting(lambda request: not streams(request), lambda answer: answer.ljust(Limits().body - 1)),
        0,
        select="(chat. or usage.) and not stream",
        arguments=_PATIENT,
        seconds=30.0,
    ),
)
