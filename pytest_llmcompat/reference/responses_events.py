"""A streamed response: its events, in OpenAI's order, and their lines on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

from pytest_llmcompat.reference.completion import LEGAL_VENDOR_KEYS
from pytest_llmcompat.reference.defect import Defect, Defects, defect
from pytest_llmcompat.reference.framing import LEGAL_BURST, LEGAL_COMMENTS, LEGAL_CRLF
from pytest_llmcompat.reference.responses_output import Written, response, shown
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.tokens import tokenize
from pytest_llmcompat.reference.transport import encode

__all__ = ["answer_events", "events"]

CREATED_MISSING = defect("response-created-missing", "Streams begin without response.created.", row="D-X07")
IN_PROGRESS_MISSING = defect(
    "response-in-progress-missing", "Streams have no response.in_progress.", row="D-X07"
)
ITEM_ADDED_MISSING = defect("response-item-added-missing", "Streams have no output_item.added.", row="D-X07")
PART_ADDED_MISSING = defect("response-part-added-missing", "Streams have no content_part.added.", row="D-X07")
TEXT_DONE_MISSING = defect("response-text-done-missing", "Streams have no output_text.done.", row="D-X07")
PART_DONE_MISSING = defect("response-part-done-missing", "Streams have no content_part.done.", row="D-X07")
ITEM_DONE_MISSING = defect("response-item-done-missing", "Streams have no output_item.done.", row="D-X07")
LINES_MISSING = defect("response-event-lines-missing", "Streams have no event lines.", row="D-X06")
LINES_OTHER = defect("response-event-lines-other", "Every event line says «message».", row="D-X06")
INDEX_WRONG = defect("response-delta-index-wrong", "Text deltas have content_index 1.", row="D-X08")
ITEM_ID_MISSING = defect("response-delta-item-id-missing", "Text deltas have no item_id.", row="D-X08")
LOSSY = defect("response-deltas-lossy", "Text deltas lose their white space.", row="D-X08")
CUMULATIVE = defect("response-deltas-cumulative", "Each text delta is the text so far.", row="D-X08")
DONE_OTHER = defect("response-text-done-other", "output_text.done holds half the text.", row="D-X08")
LOGPROBS_MISSING = defect(
    "response-delta-logprobs-missing", "Text events have no logprobs.", row="supplement"
)
END_MISSING = defect("response-end-missing", "Streams end without response.completed.", row="D-X09")
END_TWICE = defect("response-end-twice", "response.completed comes twice.", row="D-X09")
END_EMPTY = defect("response-end-empty", "response.completed has an empty output.", row="D-X09")
DONE_EARLY = defect("response-done-early", "[DONE] comes before response.completed.", row="supplement")
CAPPED_COMPLETED = defect(
    "response-capped-event-completed", "A capped stream ends with response.completed.", row="D-X05"
)
SEQUENCE_MISSING = defect("response-sequence-missing", "Events have no sequence_number.", row="D-X10")
SEQUENCE_CONSTANT = defect("response-sequence-constant", "sequence_number is always 0.", row="D-X10")
SEQUENCE_FALLING = defect("response-sequence-falling", "sequence_number counts down.", row="D-X10")
SEQUENCE_GAPS = defect("response-sequence-gaps", "sequence_number counts by two.", row="D-X10")
ID_CHANGES = defect("response-id-changes", "The last event has another response id.", row="D-X11")
ITEM_ID_CHANGES = defect("response-item-id-changes", "output_item.done has another id.", row="D-X11")
ARGUMENTS_LOSSY = defect(
    "response-arguments-deltas-lossy", "Deltas of arguments lose their quotes.", row="D-X12"
)
ARGUMENTS_DONE_MISSING = defect(
    "response-arguments-done-missing", "Streams have no function_call_arguments.done.", row="D-X12"
)
FLAT_ERROR = defect("response-stream-flat-error", "Streams break off with a bare {'error': …}.", row="D-S22")
LEGAL_FAILS = defect(
    "legal-response-stream-fails",
    "Streamed responses break off with an error event.",
    row="D-S22",
    legal=True,
)
LEGAL_DONE = defect("legal-response-done", "Streamed responses end with [DONE].", row="G-16", legal=True)

Event = dict[str, Any]

_DELTA: Final = "response.output_text.delta"
_ARGUMENTS: Final = "response.function_call_arguments.delta"
_TEXT_DONE: Final = "response.output_text.done"
_DONE: Final = b"data: [DONE]\n\n"
_LAST: Final = ("response.completed", "response.incomplete")
# As many events as a stream has before it breaks off: it has begun an item by then.
_BEFORE_FAULT: Final = 5


def events(written: Written) -> list[Event]:
    """The events of a response, numbered from 0."""
    defects = written.request.defects
    sent = [{"type": f"response.{s}", "response": response(written, "in_progress")} for s in _BEGINNING]
    for index, item in enumerate(written.items):
        sent += _item_events(index, item, defects)
    capped = written.capped and CAPPED_COMPLETED not in defects
    final = response(written)
    ending = "incomplete" if capped and final["status"] == "incomplete" else "completed"
    sent.append({"type": f"response.{ending}", "response": final})
    for fault, change in _FAULTS.items():
        if fault in defects:
            sent = change(sent)
    return _numbered(sent, defects)


_BEGINNING: Final = ("created", "in_progress")


def _item_events(index: int, item: Event, defects: Defects) -> list[Event]:
    """One item from its beginning to its end."""
    whole = shown(item, defects)
    at = {"item_id": whole["id"], "output_index": index}
    begun = {**whole, "status": "in_progress"}
    inside: list[Event] = []
    if item["type"] == "message":
        begun["content"] = []
        inside = [
            e for n, part in enumerate(item["content"]) for e in _part({**at, "content_index": n}, part)
        ]
    elif item["type"] == "function_call":
        begun["arguments"] = ""
        inside = [{"type": _ARGUMENTS, **at, "delta": text} for text in tokenize(item["arguments"])]
        inside.append({"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]})
    else:
        begun = whole
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *inside,
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ]


def _part(at: Event, part: Event) -> list[Event]:
    text = part["text"]
    return [
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": _DELTA, **at, "delta": piece, "logprobs": []} for piece in tokenize(text)),
        {"type": _TEXT_DONE, **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
    ]


def _numbered(sent: list[Event], defects: Defects) -> list[Event]:
    numbers = list(range(len(sent)))
    if SEQUENCE_MISSING in defects:
        return sent
    if SEQUENCE_CONSTANT in defects:
        numbers = [0] * len(sent)
    if SEQUENCE_FALLING in defects:
        numbers.reverse()
    if SEQUENCE_GAPS in defects:
        numbers = [2 * number for number in numbers]
    return [{**event, "sequence_number": number} for event, number in zip(sent, numbers, strict=True)]


def _without(*types: str) -> Callable[[list[Event]], list[Event]]:
    return lambda sent: [event for event in sent if event["type"] not in types]


def _each(type: str, change: Callable[[Event], Event]) -> Callable[[list[Event]], list[Event]]:
    return lambda sent: [change(event) if event["type"] == type else event for event in sent]


def _last(change: Callable[[Event], Event]) -> Callable[[list[Event]], list[Event]]:
    """Change the response of the last event."""
    return lambda sent: [*sent[:-1], {**sent[-1], "response": change(dict(sent[-1]["response"]))}]


def _cumulative(sent: list[Event]) -> list[Event]:
    so_far = ""
    for event in sent:
        if event["type"] == _DELTA:
            so_far += event["delta"]
            event["delta"] = so_far
    return sent


def _key_missing(key: str) -> Callable[[Event], Event]:
    return lambda event: {name: value for name, value in event.items() if name != key}


def _broken_off(last: Event) -> Callable[[list[Event]], list[Event]]:
    return lambda sent: [*sent[:_BEFORE_FAULT], last]


_REASON: Final = {"message": "The model crashed.", "code": "server_error", "param": None}
_FAULTS: Final[Mapping[Defect, Callable[[list[Event]], list[Event]]]] = {
    CREATED_MISSING: _without("response.created"),
    IN_PROGRESS_MISSING: _without("response.in_progress"),
    ITEM_ADDED_MISSING: _without("response.output_item.added"),
    PART_ADDED_MISSING: _without("response.content_part.added"),
    TEXT_DONE_MISSING: _without(_TEXT_DONE),
    PART_DONE_MISSING: _without("response.content_part.done"),
    ITEM_DONE_MISSING: _without("response.output_item.done"),
    ARGUMENTS_DONE_MISSING: _without("response.function_call_arguments.done"),
    END_MISSING: _without(*_LAST),
    INDEX_WRONG: _each(_DELTA, lambda event: {**event, "content_index": 1}),
    ITEM_ID_MISSING: _each(_DELTA, _key_missing("item_id")),
    LOSSY: _each(_DELTA, lambda event: {**event, "delta": event["delta"].strip()}),
    CUMULATIVE: _cumulative,
    DONE_OTHER: _each(_TEXT_DONE, lambda event: {**event, "text": event["text"][: len(event["text"]) // 2]}),
    LOGPROBS_MISSING: lambda sent: [_key_missing("logprobs")(event) for event in sent],
    ARGUMENTS_LOSSY: _each(_ARGUMENTS, lambda event: {**event, "delta": event["delta"].replace('"', "")}),
    ITEM_ID_CHANGES: _each(
        "response.output_item.done", lambda event: {**event, "item": {**event["item"], "id": "item_2"}}
    ),
    ID_CHANGES: _last(lambda shape: {**shape, "id": "resp_2"}),
    END_EMPTY: _last(lambda shape: {**shape, "output": []}),
    END_TWICE: lambda sent: [*sent, sent[-1]],
    LEGAL_VENDOR_KEYS: _each(_DELTA, lambda event: {**event, "obfuscation": "kx7"}),
    FLAT_ERROR: _broken_off({"type": "", "error": _REASON}),
    LEGAL_FAILS: _broken_off({"type": "error", **_REASON}),
}


def answer_events(sent: list[Event], state: State, headers: Mapping[str, str]) -> StreamingResponse:
    """The response that sends the events one by one, with the state's pause between them."""
    return StreamingResponse(
        _paced(_frames(sent, state.defects), state.pause),
        headers=dict(headers),
        media_type="text/event-stream; charset=utf-8",
    )


async def _paced(frames: list[bytes], pause: float) -> AsyncIterator[bytes]:
    for number, frame in enumerate(frames):
        if number:
            await asyncio.sleep(pause)
        yield frame


def _frames(sent: list[Event], defects: Defects) -> list[bytes]:
    frames = [_frame(event, defects) for event in sent]
    if LEGAL_DONE in defects:
        frames.append(_DONE)
    if DONE_EARLY in defects:
        frames.insert(-1, _DONE)
    if LEGAL_COMMENTS in defects:
        frames = [b": ping\n\n" + frame for frame in frames]
    if LEGAL_CRLF in defects:
        frames = [frame.replace(b"data: ", b"data:", 1).replace(b"\n", b"\r\n") for frame in frames]
    return [b"".join(frames)] if LEGAL_BURST in defects else frames


def _frame(event: Event, defects: Defects) -> bytes:
    if not event["type"]:
        return b"data: " + encode({"error": event["error"]}) + b"\n\n"
    data = b"data: " + encode(event) + b"\n\n"
    if LINES_MISSING in defects:
        return data
    line = "message" if LINES_OTHER in defects else event["type"]
    return b"event: " + line.encode() + b"\n" + data
