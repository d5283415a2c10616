"""Server-sent events on the wire: framed, paced, ended with [DONE]."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import StreamingResponse

from pytest_llmcompat.reference.defect import Defect, defect
from pytest_llmcompat.reference.errors import ApiError
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.transport import encode

__all__ = ["answer_stream", "await_turn", "event"]

AS_JSON_TYPE = defect("stream-as-json-type", "Streams are sent as application/json.", row="D-S01")
NDJSON = defect("stream-ndjson", "Streams are lines of JSON.", row="D-S02")
SINGLE_NEWLINE = defect("stream-single-newline", "No blank line between events.", row="D-S03")
UNTERMINATED = defect("stream-last-unterminated", "No blank line after the last event.", row="D-S03")
KEEPALIVE = defect("stream-keepalive-as-data", "Keep-alives are sent as data.", row="D-S04")
EMPTY_EVENT = defect("stream-empty-event", "Events have ids, and comments a blank line.", row="D-S05")
EMPTY_DATA = defect("stream-empty-data", "An event has no data.", row="D-S05")
WITHOUT_DONE = defect("stream-without-done", "Streams end without [DONE].", row="D-S06")
DONE_LOWER = defect("stream-done-lower-case", "Streams end with [done].", row="D-S06")
DONE_TWICE = defect("stream-done-twice", "Streams end with [DONE] twice.", row="D-S06")
DONE_EARLY = defect("stream-done-before-usage", "[DONE] comes before the usage chunk.", row="D-S06")
HELD_OPEN = defect("stream-held-open", "Streams stay open for 2.6 s after [DONE].", row="D-S07")
INVALID_UTF8 = defect("stream-invalid-utf8", "Streams hold emoji cut to invalid UTF-8.", row="D-S14")
NOT_A_NUMBER = defect("stream-with-nan", "The second event of streams holds a NaN.", row="supplement")
NAME_TWICE = defect("stream-name-twice", "The second event of streams has a name twice.", row="supplement")
BUFFERED = defect("stream-buffered", "Streams are held back and sent at the end.", row="D-S21")
BLOCKS = defect("disconnect-blocks", "After a client left a stream, all is 503 for 6 s.", row="D-S23")
SLOW = defect("slow-to-begin", "Chat answers begin after 0.6 s.", row="own")
CACHEABLE = defect(
    "stream-headers-missing", "Streams do not say that they may not be buffered or cached.", row="D-S21"
)
LEGAL_CRLF = defect("legal-crlf", "CRLF, no space after «data:», event lines.", row="G-01", legal=True)
LEGAL_COMMENTS = defect("legal-comments", "Comments between the events.", row="G-02", legal=True)
LEGAL_BURST = defect("legal-burst", "The whole stream in one write.", row="G-14", legal=True)

_DONE: Final = b"data: [DONE]\n\n"
_ASTRAL: Final = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")
# Proxies such as nginx hold a stream back unless told not to.
_HEADERS: Final = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_HELD_OPEN: Final = 2.6
_HELD_BACK: Final = 1.8
_BLOCKED: Final = 6.0
# Long enough for the loop to notice a client that left right before this request came.
_NOTICED: Final = 0.05
_SLOW: Final = 0.6


def event(document: Any) -> bytes:
    """An event whose data is a JSON document."""
    return b"data: " + encode(document) + b"\n\n"


def answer_stream(
    chunks: Sequence[dict[str, Any]],
    state: State,
    headers: dict[str, str],
    change: Callable[[list[bytes]], list[bytes]] | None = None,
) -> StreamingResponse:
    """The response that sends the chunks one by one, with the state's pause between them.

    change: what becomes of the frames before they are sent.
    """
    frames = _frames(chunks, state)
    own = {} if CACHEABLE in state.defects else _HEADERS
    media_type = "application/json" if AS_JSON_TYPE in state.defects else "text/event-stream; charset=utf-8"
    return StreamingResponse(
        _paced(frames if change is None else change(frames), state),
        headers={**headers, **own},
        media_type=media_type,
    )


async def await_turn(state: State) -> None:
    """Let the request begin, in its time. Raises ApiError 503 while an abandoned generation blocks the server."""
    if SLOW in state.defects:
        await asyncio.sleep(_SLOW)
    if BLOCKS in state.defects:
        await asyncio.sleep(_NOTICED)
        if time.monotonic() < state.blocked_until:
            raise ApiError(503, "The server is busy with another generation.", type="server_error")


async def _paced(frames: list[bytes], state: State) -> AsyncIterator[bytes]:
    """The frames, one at a time. A client that leaves cancels this, and with it the generation."""
    finished = False
    try:
        if LEGAL_BURST in state.defects:
            frames = [b"".join(frames)]
        if BUFFERED in state.defects:
            await asyncio.sleep(max(_HELD_BACK, state.pause * len(frames)))
        for number, frame in enumerate(frames):
            if number:
                await asyncio.sleep(0 if BUFFERED in state.defects else state.pause)
            yield frame
        finished = True
        if HELD_OPEN in state.defects:
            await asyncio.sleep(_HELD_OPEN)
    finally:
        if BLOCKS in state.defects and not finished:
            state.blocked_until = time.monotonic() + _BLOCKED


def _frames(chunks: Sequence[dict[str, Any]], state: State) -> list[bytes]:
    frames = [*map(event, chunks), _DONE]
    if DONE_EARLY in state.defects and not chunks[-1].get("choices"):
        frames[-2:] = reversed(frames[-2:])
    for fault, change in _FAULTS.items():
        if fault in state.defects:
            frames = change(frames)
    return frames


def _every_fourth(frame: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Put a frame of its own behind every fourth one."""
    return lambda frames: [
        f for n, own in enumerate(frames, 1) for f in ((own, frame) if n % 4 == 0 else (own,))
    ]


def _ndjson(frames: list[bytes]) -> list[bytes]:
    return [frame.removeprefix(b"data: ").rstrip() + b"\n" for frame in frames[:-1]]


def _single_newline(frames: list[bytes]) -> list[bytes]:
    return [*(frame.rstrip() + b"\n" for frame in frames[:-1]), frames[-1]]


def _with_ids(frames: list[bytes]) -> list[bytes]:
    numbered = [b"id: %d\n%b" % (number, frame) for number, frame in enumerate(frames)]
    return [*numbered[:2], b": ping\n\n", *numbered[2:]]


def _second_begins(start: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Let the object of the second event begin with a member of its own."""
    return lambda frames: [
        frame.replace(b"data: {", b"data: {" + start, 1) if number == 1 else frame
        for number, frame in enumerate(frames)
    ]


def _crlf(frames: list[bytes]) -> list[bytes]:
    data = [frame.removeprefix(b"data: ").rstrip() for frame in frames]
    return [b"event: message\r\ndata:" + line + b"\r\n\r\n" for line in data]


_FAULTS: Final[Mapping[Defect, Callable[[list[bytes]], list[bytes]]]] = {
    INVALID_UTF8: lambda frames: [_ASTRAL.sub(lambda found: found[0][:2], frame) for frame in frames],
    NOT_A_NUMBER: _second_begins(b'"score":NaN,'),
    NAME_TWICE: _second_begins(b'"score":1,"score":2,'),
    NDJSON: _ndjson,
    SINGLE_NEWLINE: _single_newline,
    UNTERMINATED: lambda frames: [*frames[:-1], frames[-1].rstrip() + b"\n"],
    KEEPALIVE: _every_fourth(b"data: : keepalive\n\n"),
    EMPTY_EVENT: _with_ids,
    EMPTY_DATA: lambda frames: [*frames[:2], b"data:\n\n", *frames[2:]],
    WITHOUT_DONE: lambda frames: [frame for frame in frames if frame != _DONE],
    DONE_LOWER: lambda frames: [b"data: [done]\n\n" if frame == _DONE else frame for frame in frames],
    DONE_TWICE: lambda frames: [*frames, _DONE],
    LEGAL_CRLF: _crlf,
    LEGAL_COMMENTS: _every_fourth(b": ping\n\n"),
}
