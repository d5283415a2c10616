"""Contracts on streamed responses: their events, from the first to the last."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from pytest_llmcompat.answer import DONE, answered, judge_each
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.responses import ENDS, ResponseStream, output_items, response_stream
from pytest_llmcompat.sse import Block
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn, warn_unless

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2): {}"
_HELPER: Final = "openai-python 3.57 lib/streaming/responses/_responses.py"
_LIFECYCLE: Final = ("response.created", "response.queued", "response.in_progress", *ENDS)
# OpenAI's own streams bear no sequence_number up to the spring of 2025, and all of them since: Unix time.
_NUMBERED_SINCE: Final = 1_748_736_000


def _is_flat_error(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("error")) and "type" not in value


@contract(
    "responses.stream.sse",
    MUST,
    passive="responses-stream",
    source=_SPEC.format("the streamed 200 of /responses is text/event-stream; every event has a `type`"),
    breaks="SDKs yield nothing and raise nothing: the user sees an empty answer.",
    fix="When `stream` is true, answer with server-sent events whose data is JSON with a `type`.",
    catches="response-stream-ignored",
)
def test_stream_is_made_of_typed_events(resp_stream: Exchange) -> None:
    """A streamed response is made of server-sent events whose data is a JSON object with a `type`."""
    answered(resp_stream)
    expect(resp_stream.events != (), resp_stream, "body", "server-sent events", resp_stream.body)
    for number, event in enumerate(resp_stream.events):
        value = read_json(event.data)
        if event.data.startswith(DONE) or _is_flat_error(value):
            continue
        document = Document(resp_stream.probe, f"event {number}", value)
        expect(isinstance(document.at("/type"), str), document, "", "an object with a `type`", event.data)


@contract(
    "responses.stream.event-line",
    SHOULD,
    passive="responses-stream",
    source="openai-node src/streaming.ts:122 needs `event: error`; browsers dispatch by the line",
    breaks="Clients that listen by event name hear nothing, or take one event for another.",
    fix="Send `event: TYPE` in front of the data, with the `type` of the data.",
    catches=("response-event-lines-missing", "response-event-lines-other"),
)
def test_event_line_names_the_type(resp_stream: Exchange) -> None:
    """Each event has an `event` line that is equal to its `type`."""
    typed = [(e, d) for e in resp_stream.events if (d := _type_of(e)) is not None]
    if not answered(resp_stream).events or not typed:
        inconclusive("no event with a type came (responses.stream.sse judges that)")
    for number, event in enumerate(resp_stream.events):
        type = _type_of(event)
        if type is not None and any(name == "event" for name, _ in event.fields):
            document = Document(resp_stream.probe, f"event {number}", None)
            expect(event.event == type, document, "", f"the line event: {type}", f"event: {event.event}")
    bare = [e for e, _ in typed if not any(name == "event" for name, _ in e.fields)]
    warn_unless(not bare, resp_stream, "body", "an event line with each event", f"{len(bare)} without one")


def _type_of(event: Block) -> str | None:
    value = read_json(event.data)
    type = value.get("type") if isinstance(value, dict) else None
    return type if isinstance(type, str) else None


@contract(
    "responses.stream.created-first",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER}:516 raises RuntimeError on any other",
    breaks="`client.responses.stream()` raises at the first event.",
    fix="Begin the stream with `response.created`.",
    catches="response-created-missing",
)
def test_first_event_is_created(resp_stream: Exchange) -> None:
    """The first event is `response.created`."""
    stream = response_stream(resp_stream)
    if stream.failed and not stream.of("response.created"):
        inconclusive(f"{resp_stream.probe}: the stream broke off before it began")
    first = stream.events[0]
    expect(first.at("/type") == "response.created", first, "/type", "response.created")
    expect(isinstance(first.at("/response"), dict), first, "/response", "the response as it begins")


@contract(
    "responses.stream.in-progress",
    MAY,
    passive="responses-stream",
    source=_SPEC.format("ResponseInProgressEvent; measured: openai-python 3.57 does without"),
    breaks="Clients that show progress by it show none.",
    fix="Send `response.in_progress` behind `response.created`.",
    catches="response-in-progress-missing",
)
def test_progress_is_told(resp_stream: Exchange) -> None:
    """`response.in_progress` follows at some time."""
    stream = response_stream(resp_stream)
    warn_unless(bool(stream.of("response.in_progress")), stream, "body", "a response.in_progress")


@contract(
    "responses.stream.completed-last",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER}: RuntimeError without it; measured: an empty output gives an empty `output_text`",
    breaks="`get_final_response()` raises or is empty; clients wait for the end until their time-out.",
    fix="End with one `response.completed` (incomplete, failed) that holds the whole response.",
    catches=("response-end-missing", "response-end-twice", "response-end-empty"),
    cases="diegosouzapw/OmniRoute#8210",
)
def test_last_event_holds_the_whole_response(resp_stream: Exchange) -> None:
    """The last event is `response.completed` (incomplete or failed), once, with all the items that came."""
    stream = response_stream(resp_stream)
    if stream.failed:
        inconclusive(f"{resp_stream.probe}: the stream broke off (responses.stream.error-event judges that)")
    if not stream.ends:
        fail(stream, "body", "response.completed at the end", f"last {stream.events[-1].at('/type')}")
    expect(len(stream.ends) == 1, stream.ends[-1], "/type", "one event that ends the response")
    last = stream.events[-1]
    expect(last is stream.ends[0], last, "/type", "no event behind the one that ends the response")
    final = stream.final
    expect(isinstance(final.at("/output"), list), final, "/output", "an array of items")
    finished, held = len(stream.of("response.output_item.done")), len(output_items(final))
    expect(held >= finished, final, "/output", f"the {finished} items that were finished", f"{held} items")


@contract(
    "responses.stream.sequence",
    MUST,
    passive="responses-stream",
    source=_SPEC.format("`sequence_number` is required on every event"),
    breaks="Typed clients end in a parse error; those that order or resume by it lose events.",
    fix="Number the events of a stream from 0, one by one.",
    catches=(
        "response-sequence-missing",
        "response-sequence-constant",
        "response-sequence-falling",
        "response-sequence-gaps",
    ),
    cases=("ggml-org/llama.cpp#24957", "BerriAI/litellm#28899", "Blaizzy/mlx-vlm#494"),
)
def test_events_are_numbered(resp_stream: Exchange, resp_tool: Exchange) -> None:
    """Every event has a `sequence_number` that grows by one, from 0 or 1."""
    judge_each(_expect_numbers, resp_stream, resp_tool)


def _expect_numbers(exchange: Exchange) -> None:
    stream = response_stream(exchange)
    # An error is made by whatever failed, which need not know the number.
    events = [event for event in stream.events if event.at("/type") != "error"]
    if not any(event.has("/sequence_number") for event in events) and _is_old(stream):
        inconclusive(f"{exchange.probe}: the recording is older than the numbers")
    for event in events:
        number = event.at("/sequence_number")
        whole = isinstance(number, int) and not isinstance(number, bool)
        expect(whole, event, "/sequence_number", "a whole number")
    for before, event in pairwise(events):
        least = before.at("/sequence_number") + 1
        expect(event.at("/sequence_number") >= least, event, "/sequence_number", f"{least}, or more")
    for before, event in pairwise(events):
        following = before.at("/sequence_number") + 1
        warn_unless(event.at("/sequence_number") == following, event, "/sequence_number", f"{following}")
    if events:
        warn_unless(events[0].at("/sequence_number") in (0, 1), events[0], "/sequence_number", "0 or 1")


def _is_old(stream: ResponseStream) -> bool:
    created = [event.at("/response/created_at") for event in stream.of(*_LIFECYCLE)]
    return any(isinstance(at, int | float) and 0 < at < _NUMBERED_SINCE for at in created)


@contract(
    "responses.stream.id-constant",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER}:407-415 and 466 raise RuntimeError on an identity that changes",
    breaks="`client.responses.stream()` raises in the middle of the answer.",
    fix="Keep the id of the response, and that of each item, from its first event to its last.",
    catches=("response-id-changes", "response-item-id-changes"),
)
def test_ids_stay(resp_stream: Exchange, resp_tool: Exchange) -> None:
    """The response keeps its id through the stream, and so does each item."""
    judge_each(_expect_steady_ids, resp_stream, resp_tool)


def _expect_steady_ids(exchange: Exchange) -> None:
    stream = response_stream(exchange)
    ids = [(event, "/response/id") for event in stream.of(*_LIFECYCLE) if event.has("/response/id")]
    _expect_equal(ids)
    for begun in stream.of("response.output_item.added"):
        named = [(begun, "/item/id")] if begun.has("/item/id") else []
        named += [(event, "/item_id") for event in _inside(stream, begun) if event.has("/item_id")]
        named += [(event, "/item/id") for event in stream.about("response.output_item.done", begun)]
        _expect_equal(named)
    if not ids:
        inconclusive(f"{exchange.probe}: no event names the response")


def _inside(stream: ResponseStream, begun: Document) -> list[Document]:
    """The events about the content or the arguments of an item."""
    index = begun.at("/output_index")
    return [e for e in stream.events if e.at("/output_index") == index and not e.has("/item")]


def _expect_equal(places: list[tuple[Document, str]]) -> None:
    for document, pointer in places[1:]:
        first = places[0][0].at(places[0][1])
        expect(document.at(pointer) == first, document, pointer, f"{first}, as before")


@contract(
    "responses.stream.no-done-needed",
    MAY,
    passive="responses-stream",
    source="measured with openai-python 3.57: it stops reading at `[DONE]`; OpenAI sends none on this route",
    breaks="Clients leave at `[DONE]`: `get_final_response()` raises.",
    fix="Leave `[DONE]` out of this stream, or send it behind everything else.",
    catches="response-done-early",
)
def test_nothing_comes_behind_done(resp_stream: Exchange) -> None:
    """`[DONE]` is no part of this stream; where it is sent, nothing comes behind it."""
    response_stream(resp_stream)
    data = [event.data.strip() for event in resp_stream.events]
    if DONE in data:
        late = Document(resp_stream.probe, f"event {data.index(DONE)}", DONE)
        expect(set(data[data.index(DONE) :]) == {DONE}, late, "", "no event behind [DONE]")


@contract(
    "responses.stream.error-event",
    SHOULD,
    passive="responses-stream",
    source=_SPEC.format("ResponseErrorEvent, ResponseFailedEvent; openai-node raises on `event: error`"),
    breaks="openai-python raises nothing at a bare error object: half an answer passes for a whole one.",
    fix="Tell of a failure by an event of the type `error` or `response.failed`, with its event line.",
    catches="response-stream-flat-error",
    cases="BerriAI/litellm#29223",
)
def test_failure_is_an_event(resp_stream: Exchange, resp_length: Exchange, resp_tool: Exchange) -> None:
    """A stream that fails on the way says so by an event of the type `error` or `response.failed`."""
    judge_each(_expect_failure_event, resp_stream, resp_length, resp_tool)


def _expect_failure_event(exchange: Exchange) -> None:
    if not response_stream(exchange).failed:
        inconclusive(f"{exchange.probe}: the stream did not fail")
    for number, event in enumerate(exchange.events):
        value, type = read_json(event.data), _type_of(event)
        document = Document(exchange.probe, f"event {number}", value)
        if _is_flat_error(value):
            fail(document, "/type", "error, or response.failed", MISSING)
        if type in ("error", "response.failed") and event.event != type:
            warn(document, "", f"the line event: {type}", f"event: {event.event}")
