"""Contracts on how a streamed choice ends."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import broke_off, judge_each, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.tokens import cap_of
from pytest_llmcompat.turn import FINISH_REASONS, TOOL_WORDS, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_NO_REASONS: Final = ("", "null", "None")


def _reasons(choices: list[Document]) -> list[Document]:
    """The choices with a finish reason; what stands for none is judged by finish-null-before."""
    return [c for c in choices if c.at("/finish_reason") not in (None, MISSING, *_NO_REASONS)]


@contract(
    "chat.stream.finish-once",
    MUST,
    passive="chat-stream",
    source="openai-node ChatCompletionStream.ts:2169-2171 throws «missing finish_reason»; so does the AI SDK, 701-710",
    breaks="openai-node throws and the AI SDK reports an error, though the text has come; agents do not go on.",
    fix="Send one finish reason for each choice, in its last chunk.",
    catches=(
        "stream-finish-never",
        "stream-finish-twice",
        "stream-n-one-finish",
        "stream-n-all-zero",
        "stream-ends-silently",
        "stream-error-flat",
        "stream-error-text",
    ),
    cases=("sgl-project/sglang#8417", "earendil-works/pi#4558"),
)
def test_each_choice_ends_once(stream_basic: Exchange, stream_n2: Exchange, tool_stream: Exchange) -> None:
    """Each choice gets exactly one finish reason."""
    judge_each(_expect_one_end, stream_basic, stream_n2, tool_stream)


def _expect_one_end(exchange: Exchange) -> None:
    answer = stream(exchange)
    if not answer.indexes:
        inconclusive(f"{exchange.probe}: no choice has an index (chat.stream.choice-shape judges that)")
    for index in answer.indexes:
        choices = answer.choices(index)
        ends = _reasons(choices)
        if not ends and broke_off(exchange):
            inconclusive(f"{exchange.probe} ended with an error")
        expect(
            bool(ends), choices[-1], "/finish_reason", f"a finish reason for choice {index} in its last chunk"
        )
        if len(ends) > 1:
            fail(ends[1], "/finish_reason", f"null: choice {index} has ended in {ends[0].where}")


@contract(
    "chat.stream.finish-null-before",
    MUST,
    passive="chat-stream",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33665): the reason or null",
    breaks="Clients take the first chunk for the last; typed ones (openai-dotnet) end in an error.",
    fix="Send `null` as finish reason until the end.",
    catches="stream-finish-empty-before",
    cases=("sgl-project/sglang#3912", "ollama/ollama#4357", "PowerShell/AIShell#350"),
)
def test_reason_is_null_until_the_end(stream_basic: Exchange) -> None:
    """Until the end the finish reason is null, not an empty text."""
    for choice in stream(stream_basic).choices(None):
        expect(choice.at("/finish_reason") not in _NO_REASONS, choice, "/finish_reason", "null")


@contract(
    "chat.stream.finish-enum",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 types/chat/chat_completion_chunk.py names the five reasons",
    breaks="Typed clients end in an error; others never learn that the answer was cut or wants a tool.",
    fix="Translate the engine's own reasons (`eos_token`, `end_turn`) into those of the API.",
    catches="stream-finish-eos",
    cases="BerriAI/litellm#12481",
)
def test_streamed_reason_is_a_known_one(
    stream_basic: Exchange, stream_n2: Exchange, tool_stream: Exchange
) -> None:
    """The finish reason of a stream is one of those that the API knows."""
    judge_each(_expect_known_reason, stream_basic, stream_n2, tool_stream)


def _expect_known_reason(exchange: Exchange) -> None:
    ends = _reasons(stream(exchange).choices(None))
    if not ends:
        inconclusive(f"{exchange.probe}: there is no finish reason (chat.stream.finish-once judges that)")
    for end in ends:
        reason = end.at("/finish_reason")
        known = isinstance(reason, str) and reason in FINISH_REASONS
        expect(known, end, "/finish_reason", f"one of {', '.join(sorted(FINISH_REASONS))}")


@contract(
    "chat.stream.nothing-after-finish",
    SHOULD,
    passive="chat-stream",
    source="measured with openai-python 3.57: the events of the end fire at the finish reason, later text is missed",
    breaks="Clients that act on the finish reason lose what comes behind it.",
    fix="Send the finish reason with or behind the last text or tool call of a choice.",
    catches="stream-content-after-finish",
    cases="vllm-project/vllm#36944",
)
def test_nothing_follows_the_reason(stream_basic: Exchange, tool_stream: Exchange) -> None:
    """No text and no tool call of a choice follows its finish reason."""
    judge_each(_expect_nothing_behind, stream_basic, tool_stream)


def _expect_nothing_behind(exchange: Exchange) -> None:
    answer = stream(exchange)
    ended = False
    for choice in answer.choices(0):
        for pointer in ("/delta/content", "/delta/tool_calls"):
            expect(not (ended and choice.at(pointer)), choice, pointer, "nothing behind the finish reason")
        ended = ended or bool(_reasons([choice]))
    if not ended:
        inconclusive(f"{exchange.probe}: there is no finish reason (chat.stream.finish-once judges that)")


@contract(
    "chat.stream.finish-delta-empty",
    SHOULD,
    passive="chat-stream",
    source="OpenAI's own streams end with the delta {}; measured: the SDKs survive text in it",
    breaks="Clients that stop reading at the finish reason lose the last word.",
    fix="Send the finish reason in a chunk of its own, with the delta {}.",
    catches="stream-finish-with-content",
    cases="vllm-project/vllm#36944",
)
def test_last_delta_is_empty(stream_basic: Exchange, stream_n2: Exchange) -> None:
    """The chunk with the finish reason bears no text."""
    judge_each(_expect_empty_delta, stream_basic, stream_n2)


def _expect_empty_delta(exchange: Exchange) -> None:
    ends = _reasons(stream(exchange).choices(None))
    if not ends:
        inconclusive(f"{exchange.probe}: there is no finish reason (chat.stream.finish-once judges that)")
    for end in ends:
        warn_unless(not end.at("/delta/content"), end, "/delta/content", "no text beside the finish reason")


@contract(
    "chat.stream.finish-length",
    MUST,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33665): `length` when the cap was reached",
    breaks="Programs take a cut answer for a whole one, and JSON or code for complete.",
    fix="End a capped stream with `length`.",
    catches="stream-cap-finish-stop",
    cases="huggingface/transformers#42157",
)
def test_capped_stream_ends_with_length(stream_n2: Exchange) -> None:
    """A stream that reached its cap ends with `length`."""
    answer, cap = stream(stream_n2), cap_of(stream_n2)
    ends = _reasons(answer.choices(None))
    if not ends or cap is None:
        inconclusive("no finish reason came (chat.stream.finish-once judges that), or no cap was sent")
    if any(end.at("/finish_reason") == "length" for end in ends):
        return
    for end in ends:
        index = end.at("/index")
        if end.at("/finish_reason") == "stop" and _tokens(answer.choices(index)) == cap:
            fail(
                end,
                "/finish_reason",
                f"length: the text of choice {index} has {cap} tokens, which is the cap",
            )
    inconclusive("the model stopped by itself below the cap, or its tokens cannot be counted")


def _tokens(choices: list[Document]) -> int | None:
    """The tokens of a streamed text, None when they cannot be counted.

    The entries of logprobs are sure, unless the token that ends an answer is among them. Chunks stand for tokens
    as long as they are no pieces of one length, into which servers cut a text that they have whole.
    """
    entries = [entry for choice in choices for entry in choice.items("/logprobs/content")]
    texts = [text for c in choices if isinstance(text := c.at("/delta/content"), str) and text]
    if entries:
        return len(entries) if "".join(str(e.at("/token")) for e in entries) == "".join(texts) else None
    return len(texts) if len({len(text) for text in texts[:-1]}) > 1 else None


@contract(
    "chat.stream.finish-equals-nonstream",
    SHOULD,
    source="OpenAI's specification: `stream` changes how an answer is sent, not how it ends",
    breaks="Agents that wait for `tool_calls` work with one way of sending and not with the other.",
    fix="Derive the finish reason in one place for both.",
    catches=("tool-finish-stop", "stream-tool-finish-stop"),
    cases="googleapis/python-genai#2868",
)
def test_streamed_reason_is_the_plain_one(tool_required: Exchange, tool_stream: Exchange) -> None:
    """The same tool calls end with the same finish reason, streamed or not."""
    plain, streamed = turn(tool_required, *TOOL_WORDS), turn(tool_stream, *TOOL_WORDS)
    if not plain.calls or not streamed.calls:
        inconclusive("no tool was called in one of the two")
    known = all(isinstance(t.finish, str) and t.finish in FINISH_REASONS for t in (plain, streamed))
    if plain.cut or streamed.cut or not known:
        inconclusive("one of the two was cut, or has no known finish reason")
    place, pointer = streamed.finish_at
    expect(streamed.finish == plain.finish, place, pointer, f"{plain.finish}, as in the plain answer")
