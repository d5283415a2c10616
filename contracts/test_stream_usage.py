"""Contracts on usage in a stream."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import Stream, broke_off, require_feature, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.turn import sent
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn

_SPEC_OPTIONS: Final = (
    "OpenAI's specification (openapi.yaml f85dbe2, line 31765): ChatCompletionStreamOptions"
)


def _asked(exchange: Exchange) -> Stream:
    """A stream whose request asked for usage; unsupported when that was refused."""
    answer = stream(exchange, "stream_options", "include_usage")
    require_feature(exchange, "stream_options")
    if sent(exchange, "stream_options/include_usage") is not True:
        inconclusive(f"{exchange.probe}: the request did not ask for usage")
    return answer


def _usage_chunk(exchange: Exchange) -> tuple[Stream, Document]:
    """The last chunk with usage."""
    answer = _asked(exchange)
    if answer.usage is None:
        inconclusive("no chunk has usage (chat.stream.usage-chunk judges that)")
    return answer, answer.usage


@contract(
    "chat.stream.usage-chunk",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_OPTIONS}; AI SDK openai-compatible-chat-language-model.ts:603",
    breaks="Nobody learns what a streamed answer cost; budgets and bills are guesses.",
    fix="Send one chunk with `usage` before `[DONE]` when `stream_options.include_usage` is true, or refuse it.",
    catches="include-usage-ignored",
    cases=("openai/openai-agents-python#442", "vercel/ai#1578"),
)
def test_usage_comes_when_asked(stream_basic: Exchange) -> None:
    """With `include_usage` a chunk bears the usage, with three counts."""
    answer = _asked(stream_basic)
    if answer.usage is None and broke_off(stream_basic):
        inconclusive("the stream ended with an error")
    if answer.usage is None:
        fail(answer.chunks[-1], "/usage", "usage: `stream_options.include_usage` was sent")
    expect_conforms(answer.usage, "usage", at="/usage")


@contract(
    "chat.stream.usage-chunk-empty-choices",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_OPTIONS}: «the choices field will always be an empty array»; measured: null is a TypeError",
    breaks="openai-python's `.stream()` ends in an error at null, and joins a second role from a made-up choice.",
    fix="Send the usage in a chunk of its own with `choices: []`.",
    catches=("usage-chunk-with-choice", "usage-on-finish-chunk"),
    cases="open-webui/open-webui#29064",
)
def test_usage_chunk_has_no_choice(stream_basic: Exchange) -> None:
    """The chunk with the usage has an empty `choices`."""
    _, chunk = _usage_chunk(stream_basic)
    choices = chunk.at("/choices")
    if choices is MISSING:
        inconclusive("the chunk has no choices (chat.stream.chunk-required judges that)")
    if any(choice.at("/finish_reason") for choice in chunk.items("/choices")):
        warn(chunk, "/choices", "[], and the usage in a chunk of its own behind the finish reason")
    expect(choices == [], chunk, "/choices", "[] in the chunk with the usage")


@contract(
    "chat.stream.usage-last",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 lib/streaming/chat/_completions.py:486 takes the usage of the last chunk, even null",
    breaks="openai-python's `.stream()` overwrites the usage with null.",
    fix="Send the usage in the last chunk before `[DONE]`.",
    catches="usage-not-last",
)
def test_usage_is_last(stream_basic: Exchange) -> None:
    """No chunk follows the one with the usage."""
    answer, chunk = _usage_chunk(stream_basic)
    # OpenAI itself sends the results of moderation, when they are asked for, in a chunk behind the usage.
    behind = [c for c in answer.chunks[answer.chunks.index(chunk) + 1 :] if not c.at("/moderation")]
    expect(not behind, behind[0] if behind else chunk, "", f"no chunk behind the usage of {chunk.where}")


@contract(
    "chat.stream.usage-null-elsewhere",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_OPTIONS}: «All other chunks will also include a usage field, but with a null value»",
    breaks="Clients that add up usage over chunks count the answer many times.",
    fix="Send usage once, at the end; null or nothing before.",
    catches="usage-on-every-chunk",
    cases="ogx-ai/ogx#5122",
)
def test_usage_comes_once(stream_basic: Exchange) -> None:
    """Chunks before the last one bear no usage."""
    answer, last = _usage_chunk(stream_basic)
    for chunk in answer.usage_chunks:
        expect(chunk is last, chunk, "/usage", f"null: the usage comes in {last.where}")


@contract(
    "chat.stream.no-usage-unasked",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_OPTIONS}; line 33779: usage only comes with include_usage",
    breaks="Clients that read `choices[0]` of every chunk end in an IndexError at the end of each answer.",
    fix="Send usage and its chunk without choices only when `stream_options.include_usage` is true.",
    catches="usage-unasked",
)
def test_no_usage_comes_unasked(stream_plain: Exchange) -> None:
    """Without `include_usage` no chunk without choices comes for usage."""
    if not isinstance(stream_plain.sent, dict) or sent(stream_plain, "stream_options/include_usage") is True:
        inconclusive("the request asked for usage, or was not kept")
    for chunk in stream(stream_plain).usage_chunks:
        if chunk.at("/choices") == []:
            fail(chunk, "/choices", "no chunk without choices: include_usage was not sent")
        warn(chunk, "/usage", "null or absent: include_usage was not sent")
