"""Contracts on what official clients make of recorded streams."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from pytest_llmcompat.answer import Stream, answered, broke_off, judge_each, served, stream, tool_calls
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.node import objection
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.sdk import arguments, raised, strict_tools, take
from pytest_llmcompat.turn import TOOL_WORDS, Turn, sent, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive

_CHUNK: Final = "chat.completion.chunk"
# Twice what the longest answer of a probe can have; a stream without an end would be replayed for minutes.
_MOST_CHUNKS: Final = 6400


@contract(
    "sdk.stream-iterate",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 _streaming.py runs on the recorded bytes",
    breaks="`for chunk in client.chat.completions.create(stream=True)` yields nothing, or raises on the way.",
    fix="Send server-sent events whose data is JSON, then `[DONE]`; see the chat.stream contracts that fail.",
    catches=(
        "stream-ignored",
        "stream-ndjson",
        "stream-single-newline",
        "stream-keepalive-as-data",
        "stream-empty-event",
        "stream-empty-data",
        "stream-done-lower-case",
        "stream-invalid-utf8",
        "stream-error-text",
    ),
    cases="pssah4/vault-operator#73",
)
def test_stream_yields_chunks(stream_basic: Exchange) -> None:
    """`create(stream=True)` yields chunks and raises nothing."""
    answered(stream_basic, "stream")
    if any(_is_error(event.data) for event in stream_basic.events):
        inconclusive("the stream holds an error, which the client raises rightly")
    expected = "a stream that create(stream=True) reads to its end"
    chunks = take(stream_basic, lambda openai: _chunks(openai, arguments(stream_basic)), expected)
    expect(bool(chunks), stream_basic, "body", f"{expected}: at least one chunk")


def _is_error(data: str) -> bool:
    value = read_json(data)
    return isinstance(value, dict) and bool(value.get("error"))


def _chunks(openai: Any, asked: dict[str, Any]) -> list[object]:
    return list(islice(openai.chat.completions.create(**asked, stream=True), _MOST_CHUNKS))


def _readable(exchange: Exchange) -> Stream:
    """A stream that plain iteration reads and whose chunks have the shape that `.stream()` relies on."""
    answer = stream(exchange, *TOOL_WORDS)
    if len(answer.chunks) > _MOST_CHUNKS:
        inconclusive(f"{exchange.probe}: {len(answer.chunks)} chunks are too many to replay")
    asked = arguments(exchange)
    if (error := raised(exchange, lambda openai: _chunks(openai, asked))) is not None:
        inconclusive(f"plain iteration raises {type(error).__name__} (sdk.stream-iterate judges that)")
    for chunk in answer.chunks:
        if not isinstance(chunk.at("/choices"), list):
            inconclusive("a chunk has no array of choices (chat.stream.chunk-required judges that)")
        for choice in chunk.items("/choices"):
            index, content = choice.at("/index"), choice.at("/delta/content")
            sound = isinstance(index, int) and not isinstance(index, bool)
            if not sound or not isinstance(choice.at("/delta"), dict):
                inconclusive("a choice has no index or delta (chat.stream.choice-shape judges that)")
            if not (content is MISSING or content is None or isinstance(content, str)):
                inconclusive("a content is no text (chat.stream.delta-content-string judges that)")
    if answer.indexes != [0]:
        inconclusive("there is not one choice 0 (chat.stream.index-from-zero judges that)")
    return answer


def _assembled(exchange: Exchange, ends: object, tools: list[dict[str, Any]]) -> tuple[Any, Any]:
    """What `.stream()` makes of a stream, and its first choice; a cut answer is not parsed: that would raise."""
    asked = {**arguments(exchange), "tools": tools} if tools else arguments(exchange)

    def call(openai: Any) -> tuple[Any, Any]:
        with openai.chat.completions.stream(**asked) as events:
            events.until_done()
            cut = ends in ("length", "content_filter")
            made = events.current_completion_snapshot if cut else events.get_final_completion()
            return made, made.choices[0]

    return take(exchange, call, "a stream that .stream() puts together")


@contract(
    "sdk.stream-helper-text",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 lib/streaming/chat/_completions.py and _deltas.py run on the recorded bytes",
    breaks="`client.chat.completions.stream()` raises, or gives another role, text, end or usage than was sent.",
    fix="Send one role, `object: chat.completion.chunk` in every chunk, and the usage last; see chat.stream.*.",
    catches=(
        "chunk-object-completion",
        "chunk-object-missing",
        "delta-role-repeated",
        "usage-chunk-with-choice",
        "usage-not-last",
        "stream-done-before-usage",
        "stream-n-all-zero",
    ),
    cases="ollama/ollama#7881",
)
def test_stream_helper_gives_the_answer(stream_basic: Exchange) -> None:
    """`.stream()` ends with the role, the text, the finish reason and the usage that were sent."""
    answer = _readable(stream_basic)
    if answer.tool_deltas():
        inconclusive(f"{stream_basic.probe}: a tool was called (sdk.stream-helper-tools judges that)")
    ends = [reason for reason in answer.finish_reasons() if reason]
    completion, choice = _assembled(stream_basic, ends[-1] if ends else None, [])
    roles, text = [c.at("/delta/role") for c in answer.choices()], answer.text()
    if "assistant" in roles:
        expect(choice.message.role == "assistant", answer, "role", "assistant", choice.message.role)
    expect((choice.message.content or "") == text, answer, "content", text, choice.message.content)
    if ends:
        expect(choice.finish_reason == ends[-1], answer, "finish_reason", str(ends[-1]), choice.finish_reason)
    # OpenAI's own chunk with moderation results comes behind the usage and makes the client lose it.
    moderated = any(chunk.at("/moderation") for chunk in answer.chunks)
    if answer.usage is not None and not moderated:
        kept = completion.usage is not None
        expect(kept, answer, "usage", f"that of {answer.usage.where}", completion.usage)


@contract(
    "sdk.stream-helper-tools",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 lib/streaming/_deltas.py: texts are joined, `index` and `type` replaced",
    breaks="`.stream(tools=…)` gives calls with garbled ids or names; the tool is not found, its result refused.",
    fix="Send id and name once, in the first delta of a call, and pieces of the arguments in the others.",
    catches=("tool-name-repeated", "tool-delta-id-repeated", "tool-delta-id-changes"),
    cases="pydantic/pydantic-ai#2284",
)
def test_stream_helper_gives_the_calls(tool_stream: Exchange) -> None:
    """`.stream(tools=…)` ends with the tool calls that were sent: ids, names and arguments."""
    answer, wire = _readable(tool_stream), turn(tool_stream, *TOOL_WORDS)
    if any(chunk.at("/object") != _CHUNK for chunk in answer.chunks):
        inconclusive(f"a chunk is no {_CHUNK} (chat.stream.chunk-object judges that)")
    _require_sound_calls(wire)
    _, choice = _assembled(tool_stream, wire.finish, strict_tools(tool_stream))
    made = choice.message.tool_calls or []
    found = [(call.id, call.function.name, call.function.arguments) for call in made]
    expected = [(call.id, call.name, call.arguments) for call in wire.calls]
    expect(found == expected, answer, "tool calls", f"{expected}, as sent", found)


def _require_sound_calls(wire: Turn) -> None:
    if wire.cut or not wire.calls:
        inconclusive("no tool call came to its end")
    if [call.place.at("/index") for call in wire.calls] != list(range(len(wire.calls))):
        inconclusive("calls are not numbered from 0 (tools.stream.index-from-zero judges that)")
    for call in wire.calls:
        if any(not isinstance(part.at("/function"), dict) for part in call.fragments):
            inconclusive("a fragment has no function (tools.stream.shape judges that)")
        if not all(isinstance(part.at("/index"), int) for part in call.fragments):
            inconclusive("a fragment has no index (tools.stream.shape judges that)")
        if not isinstance(call.id, str) or not isinstance(call.name, str):
            inconclusive("a call has no id or name (tools.stream.* contracts judge that)")
        if not isinstance(call.arguments, str) or read_json(call.arguments) is MISSING:
            inconclusive("arguments are no JSON (tools.* contracts judge that)")


@contract(
    "sdk.aisdk-schema",
    MUST,
    passive=("chat", "chat-stream"),
    source="vercel/ai at ed857f5, openai-compatible-chat-language-model.ts:769-850, as JSON Schema",
    breaks="Programs on Vercel's AI SDK: the call throws, or the stream ends with an error part.",
    fix="Send the types that OpenAI documents; see the violation.",
    catches=(
        "choices-null",
        "content-parts",
        "role-model",
        "created-iso",
        "chunk-choices-missing",
        "delta-content-parts",
        "delta-role-model",
        "tool-delta-function-null",
        "no-args-null",
        "tool-arguments-object",
        "tool-content-parts",
        "tool-function-missing",
        "stream-error-flat",
    ),
    cases="vercel/ai#17779",
)
def test_answers_fit_the_ai_sdk(stream_basic: Exchange, tool_stream: Exchange, chat_basic: Exchange) -> None:
    """Answers and chunks fit the schema by which Vercel's AI SDK reads them."""
    judge_each(_expect_ai_sdk_fits, stream_basic, tool_stream, chat_basic)


def _expect_ai_sdk_fits(exchange: Exchange) -> None:
    if sent(exchange, "stream") is True:
        for chunk in stream(exchange, *TOOL_WORDS).chunks[:_MOST_CHUNKS]:
            expect_conforms(chunk, "ai-sdk-chunk")
    else:
        document = served(exchange)
        if any(call.at("/type") == "custom" for call in tool_calls(document)):
            inconclusive("a custom tool was called, which the AI SDK knows nothing of")
        expect_conforms(document, "ai-sdk-completion")


@contract(
    "sdk.node-final",
    SHOULD,
    passive="chat-stream",
    source="openai-node 7b7d6ca src/lib/ChatCompletionStream.ts:2169-2291, ported",
    breaks="openai-node's `.stream()` throws at the end, though the whole answer has come.",
    fix="Send the role, one finish reason, and the id, type and function of each tool call.",
    catches=(
        "delta-role-missing",
        "stream-finish-never",
        "tool-delta-type-missing",
        "tool-delta-id-missing",
        "stream-n-one-finish",
        "stream-ends-silently",
        "stream-error-flat",
        "stream-error-text",
    ),
    cases="VicBilibily/GCMP#39",
)
def test_streams_satisfy_openai_node(stream_basic: Exchange, tool_stream: Exchange) -> None:
    """Streams hold all that openai-node asks for when it puts an answer together."""
    judge_each(_expect_node_content, stream_basic, tool_stream)


def _expect_node_content(exchange: Exchange) -> None:
    answer = stream(exchange, *TOOL_WORDS)
    if broke_off(exchange):
        inconclusive(f"{exchange.probe} ended with an error")
    if not answer.indexes:
        inconclusive(f"{exchange.probe}: no choice has an index (chat.stream.choice-shape judges that)")
    if (found := objection(answer)) is not None:
        fail(found.place, found.pointer, f"{found.missing}, which openai-node asks for at the end")
