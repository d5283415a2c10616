"""Contracts on streams that break off: that the client is told so, in a way that it understands."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import DONE, judge_each
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.turn import sent
from pytest_llmcompat.verdict import expect, fail, inconclusive

_SDK: Final = "openai-python 3.57 _streaming.py:96-108, openai-node src/streaming.ts:122-128"
_ENDS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


def _begun(exchange: Exchange) -> list[Document]:
    """The events of a stream of chunks but [DONE], each with its JSON or its text; inconclusive without any."""
    probe = PROBES.get(exchange.probe)
    left = probe is not None and probe.abort_after is not None
    chat = exchange.request.url.endswith("/chat/completions")
    if sent(exchange, "stream") is not True or left or not chat or not 200 <= exchange.status < 300:
        inconclusive(f"{exchange.probe} is no stream that was begun")
    data = [
        (number, event.data) for number, event in enumerate(exchange.events) if event.data.lower() != "[done]"
    ]
    values = [(number, text if (value := read_json(text)) is MISSING else value) for number, text in data]
    events = [Document(exchange.probe, f"event {number}", value) for number, value in values]
    if len(events) < 2 or not events[0].items("/choices"):
        inconclusive(f"{exchange.probe}: no chunk came before the end")
    return events


def _finished(events: list[Document]) -> bool:
    return any(_ends(choice) for event in events for choice in event.items("/choices"))


def _ends(choice: Document) -> bool:
    reason = choice.at("/finish_reason")
    return isinstance(reason, str) and reason in _ENDS


def _is_error(event: Document) -> bool:
    """True for an event that tells of a failure, in whatever shape."""
    if not isinstance(event.value, dict):
        return True
    told = bool(event.at("/error")) or event.at("/object") == "error" or event.at("/type") == "error"
    return told and not event.items("/choices")


def _sentinel(exchange: Exchange) -> bool:
    return any(event.data.lower() == DONE.lower() for event in exchange.events)


@contract(
    "chat.stream.mid-error-shape",
    MUST,
    source=f"{_SDK}; measured: an error without the key `error`, and a silent end, pass for a whole answer",
    breaks="The official clients take half an answer for a whole one; other clients hang or raise a parse error.",
    fix='End a stream that fails with `data: {"error": {"message": …}}`, and close it.',
    catches=("stream-error-flat", "stream-error-text", "stream-ends-silently"),
    cases=("BerriAI/litellm#40578", "mozilla-ai/any-llm#847", "diegosouzapw/OmniRoute#8210"),
)
def test_failure_in_a_stream_is_told(every_exchange: tuple[Exchange, ...]) -> None:
    """A stream that fails after its beginning says so by an event with an `error` object, and ends."""
    judge_each(_expect_told, *every_exchange)


def _expect_told(exchange: Exchange) -> None:
    events = _begun(exchange)
    last = events[-1]
    if _finished(events) or (not _is_error(last) and (_sentinel(exchange) or exchange.failure is not None)):
        inconclusive(f"{exchange.probe}: the stream did not break off by itself")
    expected = 'data: {"error": {"message": …}}'
    if _is_error(last):
        message = last.at("/error/message")
        expect(isinstance(message, str) and message != "", last, "", expected)
        return
    if any(event.items("/choices") and event.at("/error") for event in events):
        inconclusive(f"{exchange.probe}: a chunk bears an error (error.no-error-key-on-success judges that)")
    if not exchange.blocks[-1].terminated:
        inconclusive(f"{exchange.probe}: the last event is cut")
    fail(last, "", f"a finish_reason, or {expected}, before the end")


@contract(
    "chat.stream.truncation-visible",
    SHOULD,
    source="own rule, with BerriAI/litellm#32159: `stop` was made up when the provider had broken off",
    breaks="Half an answer is stored and shown as a whole one.",
    fix="Send no finish_reason when the model did not finish.",
    catches=("stream-error-after-finish",),
    cases="BerriAI/litellm#32159",
)
def test_broken_stream_does_not_look_finished(every_exchange: tuple[Exchange, ...]) -> None:
    """A stream that breaks off has no finish_reason."""
    judge_each(_expect_unfinished, *every_exchange)


def _expect_unfinished(exchange: Exchange) -> None:
    events = _begun(exchange)
    if not isinstance(events[-1].value, dict) or not _is_error(events[-1]):
        inconclusive(f"{exchange.probe}: the stream did not break off with an error")
    for event in events:
        for choice in event.items("/choices"):
            expect(not _ends(choice), choice, "/finish_reason", "null, since the stream broke off")
