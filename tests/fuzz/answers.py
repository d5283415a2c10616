"""Answers with something wrong: in the bytes of the body, the events, the status, the headers, the times."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.sse import Block, parse
from pytest_llmcompat.wire import Answer
from tests.fuzz.documents import broken_document, odd_text, written

__all__ = ["broken", "broken_bytes", "broken_json", "event_text"]

_STATUSES: Final = (
    100, 101, 199, 200, 201, 204, 206, 299, 301, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 499,
    500, 501, 502, 503, 504, 529, 599, 600, 999,
)  # fmt: skip
_TYPES: Final = (
    "application/json", "text/event-stream", "text/html", "text/plain; charset=utf-16", "", ";", "/",
    "\x00", "application/json; charset=no-such", "APPLICATION/JSON;;=", "text/event-stream; " + "x" * 5000,
    "ł",
)  # fmt: skip
_NUMBERS: Final = (
    "nan", "NaN", "inf", "-inf", "1e400", "-1", "0", "", " ", "1.5", "1" + "0" * 400, "٣", "0x10", "1_000",
    "1,2", "120.0001", "9" * 5000, "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359", "1h", "6m0s", "7.66s", "2m59.56s", "-5ms", "1d2h", "PT1S", "s",
    "1s1s", "９s", "2026-01-01T00:00:00Z",
)  # fmt: skip
_NUMBERED: Final = (
    "retry-after", "retry-after-ms", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens", "openai-processing-ms", "content-length", "age", "date",
)  # fmt: skip
_NAMED: Final = (
    "x-request-id", "openai-version", "openai-model", "openai-organization", "www-authenticate", "location",
    "allow", "content-encoding", "access-control-allow-origin", "set-cookie", "vary", "link",
    "x-should-retry", "connection",
)  # fmt: skip
_TEXTS: Final = (
    "", " ", "x", "\x1b[2J", "::error::", "ł€", "\udcff", "a" * 5000, "Bearer", "Basic realm=", "http://[",
    "http://[::1", "//", "gzip, br", "true", "false", "close", ",", ";", '"', "\x7f", "../../x",
    "http://127.0.0.1:1/v1/models", "?", "#",
)  # fmt: skip
_BODIES: Final = (
    b"", b" ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf{}", b"null", b"[]", b"{}", b'"x"', b"1",
    b"<!DOCTYPE html><h1>502</h1>", b"data: [DONE]\n\n", b"data:\n\n", b"data\n\n", b": \n\n", b"\n\n\n",
    b"\r", b"data: {}\n\n", b"data: null\n\n", b"data: [1]\n\n", b'{"error": "no"}',
    b'{"error": {"message": {}, "param": [], "code": {}}}', b'{"error": [null]}', b'{"detail": [[]]}',
    b'{"detail": [{"loc": 1, "msg": null}]}', b'{"message": [0]}', b'{"choices": [{}]}',
    b'{"choices": [{"message": {}}]}', b'{"data": [{}]}', b'{"data": [null]}', b"event: error\ndata: x\n\n",
    b"NaN", b"1e400",
)  # fmt: skip


def broken(random: Random, answer: Answer, other: Answer | None = None) -> Answer:
    """An answer with one to three things wrong; `other` lends its body and headers."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        answer = _broken_once(random, answer, other)
    return answer


def _broken_once(random: Random, answer: Answer, other: Answer | None = None) -> Answer:
    """An answer with one thing wrong, most often in the body."""
    kind = random.randrange(20)
    if kind < 13:
        return _with_body(random, answer, _broken_body(random, answer))
    if kind == 13 and other is not None:
        return replace(
            _with_body(random, answer, other.body), headers=random.choice((answer.headers, other.headers))
        )
    if kind == 14:
        return replace(answer, status=random.choice(_STATUSES))
    if kind == 15:
        failure = "the connection broke: \x1b[31mreset"
        return replace(answer, failure=failure, status=random.choice((0, answer.status)))
    if kind == 16:
        return replace(answer, started=random.choice((0.0, 2e9)), total=random.choice((0.0, 1e6)))
    return replace(answer, headers=_broken_headers(random, answer.headers))


def broken_json(random: Random, text: str) -> str:
    """The text of a JSON document with one thing wrong; any other text as an odd one."""
    try:
        return written(broken_document(random, json.loads(text)))
    except (ValueError, RecursionError):
        return odd_text(random)


def broken_bytes(random: Random, body: bytes) -> bytes:
    """Bytes cut, flipped, mixed up, or others altogether."""
    return random.choice(_BYTE_FAULTS)(random, body)


def _broken_body(random: Random, answer: Answer) -> bytes:
    blocks = parse(answer.body)
    is_stream = any(block.is_event for block in blocks) and answer.body.lstrip()[:1] != b"{"
    if random.random() < 0.2:
        return broken_bytes(random, answer.body)
    if is_stream:
        return _broken_stream(random, list(blocks))
    # Lone surrogates in a raw text cannot be sent, but an escape of one can.
    return broken_json(random, answer.body.decode(errors="replace")).encode(errors="surrogatepass")


def _with_body(random: Random, answer: Answer, body: bytes) -> Answer:
    """The answer with another body, which arrives in parts of any size."""
    pieces: list[tuple[float, int]] = []
    left, seconds = len(body), 0.0
    while left:
        length = random.choice((1, 7, 100, left)) if len(pieces) < 20 else left
        length = min(length, left)
        seconds += random.choice((0.0, 0.01, 3.0))
        pieces.append((seconds, length))
        left -= length
    return replace(answer, body=body, arrivals=tuple(pieces), total=max(answer.total, seconds))


def _broken_headers(random: Random, headers: Headers) -> Headers:
    kind = random.randrange(6)
    if kind == 0:
        return ()
    if kind == 1 and headers:
        return tuple(header for header in headers if header != random.choice(headers))
    if kind == 2:
        return (*(h for h in headers if h[0] != "content-type"), ("content-type", random.choice(_TYPES)))
    if kind == 3:
        return (*headers, (random.choice(_NAMED), random.choice(_TEXTS)))
    return (*headers, *((random.choice(_NUMBERED), random.choice(_NUMBERS)) for _ in range(kind)))


def _broken_stream(random: Random, blocks: list[Block]) -> bytes:
    kind, at = random.randrange(12), random.randrange(len(blocks))
    end = random.choice(("\n", "\n", "\n", "\r\n", "\r"))
    texts = [event_text(block, end) for block in blocks]
    if kind < 6:
        texts[at] = event_text(blocks[at], end, lambda data: broken_json(random, data))
    elif kind == 6:
        del texts[at]
    elif kind == 7:
        texts.insert(random.randrange(len(texts)), texts[at])
    elif kind == 8:
        texts = texts[at:] + texts[:at]
    elif kind == 9:
        texts[at] = event_text(
            blocks[at], end, lambda _: random.choice(("", "x", "[DONE]", "{}", "[]", '{"error": []}'))
        )
    elif kind == 10:
        texts[at] = random.choice(
            (
                f"event: \x1b{end}{texts[at]}",
                f": c{end}",
                f"id: \0{end}retry: x{end}{texts[at]}",
                f"data{end}{end}",
            )
        )
    else:
        texts = [event_text(block, end, lambda data: broken_json(random, data)) for block in blocks]
    return "".join(texts).encode(errors="surrogatepass")


def event_text(block: Block, end: str, change: Callable[[str], str] = lambda data: data) -> str:
    """A block as text again; a line feed in its data begins another data field, as the standard has it."""
    lines = [f":{comment}" for comment in block.comments]
    lines += [f"{name}: {value}" for name, value in block.fields if name != "data"]
    if any(name == "data" for name, _ in block.fields):
        lines += [f"data: {part}" for part in change(block.data).split("\n")]
    return "".join(f"{line}{end}" for line in (*lines, ""))


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _flipped(random: Random, body: bytes) -> bytes:
    if not body:
        return b"\x80"
    at = random.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << random.randrange(8))]) + body[at + 1 :]


def _inserted(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body) + 1)
    piece = random.choice(
        (
            b"\0",
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\r",
            b"\n\n",
            b"\xef\xbb\xbf",
            b"data: ",
            b"{",
            b'"',
            b",",
        )
    )
    return body[:at] + piece + body[at:]


def _repeated(random: Random, body: bytes) -> bytes:
    one, other = sorted((random.randrange(len(body) + 1), random.randrange(len(body) + 1)))
    return body[:other] + body[one:]


def _another(random: Random, body: bytes) -> bytes:
    del body
    return random.choice(_BODIES)


_BYTE_FAULTS: Final[tuple[Callable[[Random, bytes], bytes], ...]] = (
    _cut,
    _flipped,
    _inserted,
    _repeated,
    _another,
)
