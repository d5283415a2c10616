"""Contracts on how a stream is laid out: media type, events, their data and its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_llmcompat.answer import DONE, answered, broke_off, is_foreign, judge_each
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.sse import Block
from pytest_llmcompat.verdict import expect, fail, inconclusive

_SPEC_SSE: Final = "WHATWG HTML section 9.2.6 «Interpreting an event stream»"
_LONGEST_GRACE: Final = 2.0


def _data_lines(block: Block) -> list[str]:
    return [value for name, value in block.fields if name == "data"]


def _is_stream(exchange: Exchange) -> bool:
    return not exchange.is_json and any(_data_lines(block) for block in exchange.blocks)


def _is_sentinel(data: str) -> bool:
    """True for `[DONE]` and for what servers send that mean it: another case, quotes, text around it."""
    return "[done]" in data.lower() and len(data) < 20


def _glued(block: Block) -> bool:
    """True for several events without the blank line between them: each line is whole by itself."""
    lines = _data_lines(block)
    return len(lines) > 1 and all(isinstance(read_json(line), dict) or _is_sentinel(line) for line in lines)


def _events(exchange: Exchange) -> list[tuple[int, Block]]:
    """The numbered blocks with data, an unterminated last one included; inconclusive when it is no stream."""
    answered(exchange)
    if not _is_stream(exchange):
        inconclusive(f"{exchange.probe} is no event stream (chat.stream.is-sse judges that)")
    if any(_glued(block) for block in exchange.blocks):
        inconclusive(f"{exchange.probe}: no blank line between events (chat.stream.framing judges that)")
    return list(enumerate(block for block in exchange.blocks if _data_lines(block)))


@contract(
    "chat.stream.content-type",
    MUST,
    passive="chat-stream",
    source="OpenAI's specification: the streamed 200 of /chat/completions is text/event-stream",
    breaks="Go, Rust, Java and browser clients refuse to read the stream; the official SDKs survive.",
    fix="Send `Content-Type: text/event-stream` with streams.",
    catches="stream-as-json-type",
    cases=("sigoden/aichat#651", "microsoft/foundry-dev-tools#195"),
)
def test_stream_is_declared_as_one(stream_basic: Exchange) -> None:
    """A streamed answer has the media type text/event-stream."""
    answered(stream_basic)
    if not _is_stream(stream_basic):
        inconclusive("the answer is no stream (chat.stream.is-sse judges that)")
    if is_foreign(stream_basic) and not stream_basic.media_type:
        inconclusive(f"no content type was recorded with {stream_basic.probe}")
    expect(
        stream_basic.media_type == "text/event-stream",
        stream_basic,
        "header content-type",
        "text/event-stream",
    )


@contract(
    "chat.stream.is-sse",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_SSE}; measured with openai-python 3.57: any other body gives no chunk and no exception",
    breaks="The official SDKs yield no chunk and raise nothing: the user sees an empty answer.",
    fix="When `stream` is true, answer with server-sent events, `data: {…}` and a blank line for each chunk.",
    catches=("stream-ignored", "stream-ndjson"),
    cases="pssah4/vault-operator#73",
)
def test_stream_is_made_of_events(stream_basic: Exchange) -> None:
    """With `stream: true` the body is a stream of events, not one JSON object and not lines of JSON."""
    answered(stream_basic)
    expect(
        _is_stream(stream_basic),
        stream_basic,
        "body",
        "lines that begin with `data:`",
        stream_basic.body[:120],
    )


@contract(
    "chat.stream.served",
    MUST,
    source="own rule: seen of Portkey's gateway under a newer @hono/node-server, which answered 500 to every stream",
    breaks="Every chat window and every agent that streams gets an error, while plain requests work.",
    fix="Look for what differs between the two ways of sending: the body's writer, compression, a proxy.",
    catches="streams-500",
)
def test_streams_are_served(chat_basic: Exchange, stream_basic: Exchange, stream_plain: Exchange) -> None:
    """An endpoint that answers a plain request answers it as a stream, too."""
    answered(chat_basic)
    if any(exchange.ok for exchange in (stream_basic, stream_plain)):
        return
    crashed = stream_basic.status >= 500 and stream_plain.status >= 500
    expect(not crashed, stream_basic, "status", "200, as for the same request without `stream`")
    answered(stream_basic)


@contract(
    "chat.stream.framing",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_SSE}: a blank line ends an event",
    breaks="Clients join all lines into one event: the SDKs yield nothing or raise a JSON error.",
    fix="Write a blank line (`\\n\\n`) behind each event.",
    catches="stream-single-newline",
    cases="open-webui/pipelines#297",
)
def test_blank_line_stands_between_events(stream_basic: Exchange) -> None:
    """A blank line stands between events."""
    answered(stream_basic)
    if not _is_stream(stream_basic):
        inconclusive("the answer is no event stream (chat.stream.is-sse judges that)")
    for block in stream_basic.blocks:
        if _glued(block):
            found = stream_basic.body[block.start : block.start + 160]
            fail(stream_basic, f"byte {block.start}", "a blank line between two events", found)


@contract(
    "chat.stream.final-blank-line",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_SSE}: an event that no blank line ends is dropped",
    breaks="The last event is lost without an error: the usage, the end of the answer, or `[DONE]`.",
    fix="Write the blank line behind the last event, too.",
    catches="stream-last-unterminated",
    cases="open-webui/pipelines#297",
)
def test_last_event_ends_with_blank_line(stream_basic: Exchange) -> None:
    """The last event, too, ends with a blank line."""
    _, last = _events(stream_basic)[-1]
    expect(last.terminated, stream_basic, "end of the body", "a blank line", stream_basic.body[-60:])


@contract(
    "chat.stream.data-json",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 _streaming.py: every data but `[DONE]` goes through json.loads",
    breaks="The SDKs end in a JSON error in the middle of the answer.",
    fix="Send only JSON objects and `[DONE]` as data; keep a connection alive with comments (`: ping`).",
    catches=("stream-keepalive-as-data", "stream-error-text", "stream-with-nan"),
    cases=("mnfst/llm-gateway#2053", "anomalyco/opencode#50871"),
)
def test_data_is_json(stream_basic: Exchange, stream_plain: Exchange, tool_stream: Exchange) -> None:
    """The data of each event is one JSON object or `[DONE]`."""
    judge_each(_expect_json_data, stream_basic, stream_plain, tool_stream)


def _expect_json_data(exchange: Exchange) -> None:
    for number, event in _events(exchange):
        data = event.data
        if data and not _is_sentinel(data):
            holds = isinstance(read_json(data), dict)
            expect(holds, exchange, f"event {number}", "data that is one JSON object", data)


@contract(
    "chat.stream.no-empty-event",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 _streaming.py:394-405: an event without data, or any blank line once an `id:` was sent",
    breaks="openai-python and openai-go end in a JSON error in the middle of the answer.",
    fix="Leave `data:` out where there is nothing to say, and send no `id:` beside comments that keep alive.",
    catches=("stream-empty-event", "stream-empty-data"),
    cases=("theopenco/llmgateway#2334", "mckinsey/agents-at-scale-ark#2519"),
)
def test_no_event_is_empty(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """No event comes without data."""
    judge_each(_expect_no_empty_event, stream_basic, stream_plain)


def _expect_no_empty_event(exchange: Exchange) -> None:
    _events(exchange)
    for block in exchange.blocks:
        if block.data == DONE:
            # Clients have left: what comes now reaches nobody.
            return
        fields = {name for name, _ in block.fields}
        dispatched = bool(fields & {"data", "event", "id", "retry"}) or block.last_event_id != ""
        if block.terminated and dispatched and not block.data:
            found = exchange.body[block.start : block.end]
            fail(exchange, f"byte {block.start}", "data in each event that clients dispatch", found)


@contract(
    "chat.stream.done-sentinel",
    MUST,
    passive="chat-stream",
    source="openai-node src/streaming.ts:106 compares with ===, openai-python _streaming.py:72 with startswith",
    breaks="Strict clients wait for `[DONE]` until their time-out; another spelling is a JSON error in every SDK.",
    fix="Send `data: [DONE]` and a blank line once, as the last event of each stream.",
    catches=(
        "stream-without-done",
        "stream-done-lower-case",
        "stream-done-twice",
        "stream-ends-silently",
        "stream-error-flat",
        "stream-error-text",
    ),
    cases=(
        "ikawrakow/ik_llama.cpp#467",
        "huggingface/text-generation-inference#2221",
        "mistralai/mistral-vibe#793",
    ),
)
def test_done_comes_once(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """Each stream holds `data: [DONE]` once, in exactly this spelling."""
    judge_each(_expect_one_done, stream_basic, stream_plain)


def _expect_one_done(exchange: Exchange) -> None:
    sentinels = [(number, event.data) for number, event in _events(exchange) if _is_sentinel(event.data)]
    if not sentinels and broke_off(exchange):
        inconclusive(f"{exchange.probe} ended with an error")
    expect(bool(sentinels), exchange, "end of the body", f"data: {DONE}", exchange.body[-60:])
    for number, data in sentinels:
        expect(data == DONE, exchange, f"event {number}", DONE, data)
    expect(len(sentinels) == 1, exchange, "body", f"{DONE} once", f"{len(sentinels)} times")


@contract(
    "chat.stream.nothing-after-done",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 stops reading at `[DONE]`; measured: a usage chunk behind it is lost",
    breaks="Clients have left: usage that comes later is never seen, so nothing is billed or budgeted.",
    fix="Send the usage chunk before `[DONE]`, and nothing behind it.",
    catches=("stream-done-before-usage", "stream-keepalive-as-data"),
)
def test_nothing_follows_done(stream_basic: Exchange) -> None:
    """No event follows `[DONE]`."""
    behind = _behind_done(_events(stream_basic))
    for number, event in behind:
        if not _is_sentinel(event.data):
            fail(stream_basic, f"event {number}", f"nothing behind {DONE}", event.data)


def _behind_done(events: Iterable[tuple[int, Block]]) -> list[tuple[int, Block]]:
    numbered = list(events)
    position = next((at for at, (_, event) in enumerate(numbered) if event.data == DONE), None)
    if position is None:
        inconclusive(f"there is no {DONE} (chat.stream.done-sentinel judges that)")
    return numbered[position + 1 :]


@contract(
    "chat.stream.closes-after-done",
    SHOULD,
    source="openai-python 3.57 _streaming_cleanup.py:11-20 drains the body behind `[DONE]` before it returns",
    breaks="Clients that read to the end hang, and no connection goes back to their pool.",
    fix="End the body (and with it the response) right after `[DONE]`.",
    catches="stream-held-open",
    cases="agentscope-ai/agentscope-java#2073",
)
def test_body_ends_after_done(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """The body ends within two seconds of `[DONE]`."""
    judge_each(_expect_end, stream_basic, stream_plain)


def _expect_end(exchange: Exchange) -> None:
    if not exchange.live:
        inconclusive("times are judged on live exchanges only")
    if exchange.status != 200:
        answered(exchange)
    done = next((block for block in exchange.blocks if block.data == DONE), None)
    if done is None:
        inconclusive(f"{exchange.probe}: there is no {DONE} (chat.stream.done-sentinel judges that)")
    waited = exchange.total - exchange.arrival(done.end)
    expect(waited <= _LONGEST_GRACE, exchange, f"time behind {DONE}", "at most 2 s", f"{waited:.1f} s")
