"""Contracts on the items of streamed responses, and on what the official client makes of them."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.answer import judge_each
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.responses import ResponseStream, message_text, response_stream
from pytest_llmcompat.sdk import take
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_HELPER: Final = "openai-python 3.57 lib/streaming/responses/_responses.py"
_ADDED: Final = "response.output_item.added"
_DELTA: Final = "response.output_text.delta"
_TEXT_DONE: Final = "response.output_text.done"


@contract(
    "responses.stream.item-added",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER}:507-513 raises RuntimeError without",
    breaks="`client.responses.stream()` raises at the first delta.",
    fix="Send `response.output_item.added` before anything else about an item.",
    catches="response-item-added-missing",
)
def test_item_is_announced(resp_stream: Exchange, resp_tool: Exchange) -> None:
    """`response.output_item.added` comes before any other event about its `output_index`."""
    judge_each(_expect_announced, resp_stream, resp_tool)


def _expect_announced(exchange: Exchange) -> None:
    announced: list[Any] = []
    about = [event for event in response_stream(exchange).events if event.has("/output_index")]
    if not about:
        inconclusive(f"{exchange.probe}: no event is about an item")
    for event in about:
        index = event.at("/output_index")
        if event.at("/type") == _ADDED:
            announced.append(index)
        expect(index in announced, event, "/output_index", f"{_ADDED} before it")


@contract(
    "responses.stream.part-added",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER}:459; measured: IndexError without",
    breaks="`client.responses.stream()` raises at the first delta of text.",
    fix="Send `response.content_part.added` before the deltas of a part.",
    catches="response-part-added-missing",
    cases="ggml-org/llama.cpp#24957",
)
def test_part_is_announced(resp_stream: Exchange) -> None:
    """`response.content_part.added` comes before the deltas of text of its item."""
    stream = response_stream(resp_stream)
    if not stream.of(_DELTA):
        inconclusive(f"{resp_stream.probe}: no text was streamed")
    announced: list[Any] = []
    for event in stream.events:
        if event.at("/type") == "response.content_part.added":
            announced.append(event.at("/output_index"))
        if event.at("/type") == _DELTA:
            known = event.at("/output_index") in announced
            expect(known, event, "/content_index", "response.content_part.added before it")


@contract(
    "responses.stream.text-delta",
    MUST,
    passive="responses-stream",
    source=f"{_SPEC.format(60183, 'ResponseTextDeltaEvent')}; measured: wrong indexes are an IndexError",
    breaks="Users who watch the text grow see another one than those who wait for the end.",
    fix="Send `item_id`, `output_index`, `content_index` and the next piece of the text with each delta.",
    catches=(
        "response-delta-index-wrong",
        "response-delta-item-id-missing",
        "response-deltas-lossy",
        "response-deltas-cumulative",
        "response-text-done-other",
    ),
)
def test_deltas_join_to_the_text(resp_stream: Exchange) -> None:
    """The deltas of a text name their place, and join to the text of its `.done` event and of the response."""
    stream = response_stream(resp_stream)
    for delta in stream.of(_DELTA):
        _expect_place(stream, delta)
    if stream.failed or not stream.ends:
        inconclusive(
            f"{resp_stream.probe}: the stream has no end (responses.stream.completed-last judges that)"
        )
    joined: dict[tuple[str, str], str] = {}
    for delta in stream.of(_DELTA):
        joined[_place(delta)] = joined.get(_place(delta), "") + delta.at("/delta")
    if any("\ufffd" in text for text in joined.values()):
        inconclusive(f"{resp_stream.probe}: the model writes half characters, which no two texts show alike")
    for done in stream.of(_TEXT_DONE):
        text = joined.get(_place(done), "")
        expect(done.at("/text") == text, done, "/text", f"the joined deltas {text!r}")
    final, streamed = stream.final, "".join(joined[place] for place in sorted(joined, key=_order))
    text = message_text(final)
    if not text and not streamed:
        inconclusive(f"{resp_stream.probe}: no text came")
    if text:
        expect(text == streamed, final, "/output", f"the joined deltas {streamed!r}", text)


def _place(event: Document) -> tuple[str, str]:
    return shown(event.at("/output_index")), shown(event.at("/content_index"))


def _order(place: tuple[str, str]) -> tuple[int, int]:
    return int(place[0]), int(place[1])


def _expect_place(stream: ResponseStream, delta: Document) -> None:
    for key in ("output_index", "content_index"):
        index = delta.at(f"/{key}")
        expect(isinstance(index, int) and not isinstance(index, bool), delta, f"/{key}", "a whole number")
    for key in ("item_id", "delta"):
        expect(isinstance(delta.at(f"/{key}"), str), delta, f"/{key}", "a text")
    parts = stream.about("response.content_part.added", delta)
    known = {part.at("/content_index") for part in parts if isinstance(part.at("/content_index"), int)}
    expect(
        not known or delta.at("/content_index") in known, delta, "/content_index", "that of a part that came"
    )


@contract(
    "responses.stream.text-done",
    SHOULD,
    passive="responses-stream",
    source="OpenAI's specification: ResponseTextDoneEvent, ResponseContentPartDoneEvent, ResponseOutputItemDoneEvent",
    breaks="Clients that act on finished items or texts never do.",
    fix="Close each text, part and item with its `.done` event.",
    catches=("response-text-done-missing", "response-part-done-missing", "response-item-done-missing"),
    cases=("ogx-ai/ogx#5309", "vllm-project/vllm#37071"),
)
def test_items_are_closed(resp_stream: Exchange) -> None:
    """`output_text.done`, `content_part.done` and `output_item.done` close each text that was streamed."""
    stream = response_stream(resp_stream)
    if stream.failed or not stream.ends or stream.ends[-1].at("/type") != "response.completed":
        inconclusive(f"{resp_stream.probe}: the stream did not come to its end")
    if not stream.of(_DELTA):
        inconclusive(f"{resp_stream.probe}: no text was streamed")
    for delta in stream.of(_DELTA):
        for closing in (_TEXT_DONE, "response.content_part.done", "response.output_item.done"):
            if not stream.about(closing, delta):
                fail(stream, "body", f"{closing} for output_index {delta.at('/output_index')}", "none")


@contract(
    "responses.stream.logprobs-key",
    MAY,
    passive="responses-stream",
    source=_SPEC.format(60183, "`logprobs` is required; OpenAI's streams of 2025 do without"),
    breaks="Typed clients that require the key end in a parse error.",
    fix="Send `logprobs: []` with deltas of text and their `.done`.",
    catches="response-delta-logprobs-missing",
    cases="BerriAI/litellm#28899",
)
def test_text_events_have_logprobs(resp_stream: Exchange) -> None:
    """Deltas of text and their `.done` have `logprobs`, a list."""
    events = response_stream(resp_stream).of(_DELTA, _TEXT_DONE)
    if not events:
        inconclusive(f"{resp_stream.probe}: no text was streamed")
    for event in events:
        warn_unless(isinstance(event.at("/logprobs"), list), event, "/logprobs", "a list")


@contract(
    "sdk.responses-stream-helper",
    MUST,
    passive="responses-stream",
    source=f"{_HELPER} runs on the recorded bytes",
    breaks="`client.responses.stream()` raises, or `get_final_response()` lacks the text.",
    fix="See the responses.stream contracts that fail.",
    catches=(
        "response-created-missing",
        "response-item-added-missing",
        "response-part-added-missing",
        "response-delta-index-wrong",
        "response-end-missing",
        "response-end-empty",
        "response-id-changes",
        "response-item-id-changes",
        "response-done-early",
        "response-call-id-missing",
    ),
    cases="ggml-org/llama.cpp#24957",
)
def test_stream_helper_reaches_the_end(resp_stream: Exchange) -> None:
    """`client.responses.stream()` reads the whole stream, and its final response has the streamed text."""
    stream = response_stream(resp_stream)
    if stream.failed:
        inconclusive(f"{resp_stream.probe}: the stream broke off")
    if stream.ends and stream.ends[-1].at("/type") != "response.completed":
        inconclusive(f"{resp_stream.probe}: the stream ends with {stream.ends[-1].at('/type')}")
    expected = "a stream that client.responses.stream() reads to its end"
    found = take(resp_stream, _final_text, expected)
    text = "".join(t for e in stream.of(_TEXT_DONE) if isinstance(t := e.at("/text"), str))
    held = message_text(stream.final) or text
    expect(found == held, resp_stream, "body", f"the final text {held!r}", found)


def _final_text(openai: Any) -> Any:
    with openai.responses.stream(model="", input="") as events:
        events.until_done()
        return events.get_final_response().output_text
