"""Contracts on the chunks of a stream: what each holds, and what stays the same in all."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import judge_each, require_feature, stream
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_SPEC_CHUNK: Final = (
    "OpenAI's specification (openapi.yaml f85dbe2, line 33665): CreateChatCompletionStreamResponse"
)
_OBJECT: Final = "chat.completion.chunk"


@contract(
    "chat.stream.chunk-object",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 lib/streaming/chat/_completions.py:763-769 skips chunks of any other object",
    breaks="openai-python's `.stream()` drops every chunk and fails at the end; typed clients refuse them.",
    fix='Put `"object": "chat.completion.chunk"` into every chunk.',
    catches=("chunk-object-completion", "chunk-object-missing", "stream-error-flat"),
    cases=("jingyaogong/minimind#738", "AbanteAI/archive-old-cli-mentat#429"),
)
def test_chunks_are_named_as_such(stream_basic: Exchange, tool_stream: Exchange) -> None:
    """Every chunk has the object `chat.completion.chunk`."""
    judge_each(_expect_object, stream_basic, tool_stream)


def _expect_object(exchange: Exchange) -> None:
    for chunk in stream(exchange).chunks:
        expect(chunk.at("/object") == _OBJECT, chunk, "/object", _OBJECT)


@contract(
    "chat.stream.chunk-required",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK} requires them; measured: without choices openai-python's `.stream()` is a TypeError",
    breaks="openai-python's `.stream()`, the AI SDK and typed clients end in an error.",
    fix="Put `id`, `created`, `model` and an array `choices` into every chunk, the usage chunk included.",
    catches=("chunk-id-missing", "chunk-created-missing", "chunk-choices-missing", "stream-error-flat"),
    cases="jingyaogong/minimind#738",
)
def test_chunks_hold_what_is_required(stream_basic: Exchange) -> None:
    """Every chunk has a text `id`, a whole number `created`, a text `model` and an array `choices`."""
    for chunk in stream(stream_basic).chunks:
        expect_conforms(chunk, "chunk")


@contract(
    "chat.stream.id-constant",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}: «Each chunk has the same ID»",
    breaks="Clients that group by id (goose, tracing tools) show one answer as many messages.",
    fix="Choose the id once for each stream.",
    catches=("chunk-id-changes", "concurrent-chunks-mixed"),
    cases=("BerriAI/litellm#38098", "BerriAI/litellm#16584", "BerriAI/litellm#32607"),
)
def test_chunks_share_one_id(stream_basic: Exchange, tool_stream: Exchange) -> None:
    """All chunks of a stream share one id."""
    judge_each(lambda exchange: _expect_constant(exchange, "/id", str), stream_basic, tool_stream)


@contract(
    "chat.stream.created-constant",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}: «Each chunk has the same timestamp»",
    breaks="Clients that key on id and time show one answer as many.",
    fix="Take the time once for each stream.",
    catches="chunk-created-changes",
)
def test_chunks_share_one_time(stream_basic: Exchange) -> None:
    """All chunks of a stream share one `created`."""
    _expect_constant(stream_basic, "/created", int)


@contract(
    "chat.stream.model-constant",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}: `model` is the model that generated the completion",
    breaks="Cost accounting books one answer on several models.",
    fix="Name the same model in every chunk.",
    catches="chunk-model-changes",
)
def test_chunks_share_one_model(stream_basic: Exchange) -> None:
    """All chunks of a stream name one model."""
    _expect_constant(stream_basic, "/model", str)


def _expect_constant(exchange: Exchange, pointer: str, kind: type) -> None:
    """One value in all chunks that have one; Azure's first chunk leaves id and model empty and created 0."""
    given = [
        chunk
        for chunk in stream(exchange).chunks
        if chunk.at(pointer) and isinstance(chunk.at(pointer), kind)
    ]
    if not given:
        inconclusive(f"{exchange.probe}: no chunk has {pointer} (chat.stream.chunk-required judges that)")
    first = given[0].at(pointer)
    for chunk in given:
        expect(chunk.at(pointer) == first, chunk, pointer, f"{first!r}, as in {given[0].where}")


@contract(
    "chat.stream.choice-shape",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}; measured: openai-python's `.stream()` raises on a null delta or an index that is no number",
    breaks="openai-python's `.stream()` and clients that read `choices[0].delta.content` end in an error.",
    fix="Give each choice of a chunk a whole number `index`, an object `delta` (`{}` for none) and `finish_reason`.",
    catches=("delta-null-at-end", "chunk-index-missing", "chunk-index-string"),
    cases=("uezo/aiavatarkit#124", "vllm-project/vllm#19662", "BerriAI/liteLLM-proxy#19"),
)
def test_choices_of_chunks_have_their_shape(stream_basic: Exchange) -> None:
    """Each choice of a chunk has a whole number `index`, an object `delta` and the key `finish_reason`."""
    choices = stream(stream_basic).choices(None)
    if not choices:
        inconclusive("no chunk has a choice (chat.stream.choices-nonempty judges that)")
    for choice in choices:
        index = choice.at("/index")
        expect(isinstance(index, int) and not isinstance(index, bool), choice, "/index", "a whole number")
        expect(isinstance(choice.at("/delta"), dict), choice, "/delta", "an object")
    for choice in choices:
        warn_unless(choice.has("/finish_reason"), choice, "/finish_reason", "the key, null until the end")


@contract(
    "chat.stream.index-from-zero",
    MUST,
    passive="chat-stream",
    source="measured with openai-python 3.57: `.stream()` ends in an IndexError when the first index is not 0",
    breaks="openai-python's `.stream()` ends in an error; others read `choices[0]` and miss the answer.",
    fix="Count choices from 0.",
    catches="chunk-index-from-one",
)
def test_choices_count_from_zero(stream_basic: Exchange, stream_n2: Exchange) -> None:
    """The indexes of choices start at 0."""
    judge_each(_expect_zero, stream_basic, stream_n2)


def _expect_zero(exchange: Exchange) -> None:
    answer = stream(exchange)
    if not answer.indexes:
        inconclusive(f"{exchange.probe}: no choice has an index (chat.stream.choice-shape judges that)")
    expect(min(answer.indexes) == 0, answer.choices(None)[0], "/index", "0 as the lowest index")


@contract(
    "chat.stream.choices-nonempty",
    SHOULD,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}: `choices` is empty in the last chunk with include_usage only",
    breaks="Clients that read `choices[0]` of every chunk end in an IndexError at the first one.",
    fix="Leave `choices` empty in the usage chunk only.",
    catches="first-chunk-without-choices",
    cases=("pydantic/logfire#64", "simonw/llm#294"),
)
def test_chunks_have_choices(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """Every chunk but the one with the usage has a choice."""
    judge_each(_expect_choices, stream_basic, stream_plain)


def _expect_choices(exchange: Exchange) -> None:
    for chunk in stream(exchange).chunks:
        if isinstance(chunk.at("/usage"), dict):
            # What follows the usage is for chat.stream.usage-last to judge.
            return
        empty = chunk.at("/choices") == [] and not chunk.at("/moderation")
        expect(not empty, chunk, "/choices", "at least one choice")


@contract(
    "chat.stream.n-interleave",
    SHOULD,
    source=f"{_SPEC_CHUNK}: «Can contain more than one elements if n is greater than 1», told apart by index",
    breaks="The SDKs join the texts of both choices into one, or wait for the end of the second.",
    fix="Give each of the n choices its index in every chunk, and its own finish reason.",
    catches=("stream-n-all-zero", "stream-n-one-finish"),
    cases=("sgl-project/sglang#8417", "ai-dynamo/dynamo#8745"),
)
def test_two_choices_are_told_apart(stream_n2: Exchange) -> None:
    """With n = 2 both indexes come, each with a finish reason of its own."""
    answer = stream(stream_n2, "n")
    require_feature(stream_n2, "n")
    if not answer.indexes:
        inconclusive("no choice has an index (chat.stream.choice-shape judges that)")
    expect(len(answer.indexes) == 2, stream_n2, "indexes", "two", answer.indexes)
    ended = [index for index in answer.indexes if answer.finish_reasons(index)]
    if not ended:
        inconclusive("no choice has a finish reason (chat.stream.finish-once judges that)")
    expect(len(ended) == 2, stream_n2, "choices with a finish reason", "both", ended)


@contract(
    "chat.stream.n-index-order",
    MAY,
    source="measured with openai-python 3.57: `.stream()` ends in an IndexError when index 1 comes before index 0",
    breaks="openai-python's `.stream()` ends in an error.",
    fix="Send the first chunk of choice 0 before that of choice 1.",
    catches="stream-n-second-first",
)
def test_first_choice_begins_first(stream_n2: Exchange) -> None:
    """The first chunk of choice 0 comes before that of choice 1."""
    answer = stream(stream_n2, "n")
    require_feature(stream_n2, "n")
    if len(answer.indexes) < 2 or 0 not in answer.indexes:
        inconclusive("there are no two choices (chat.stream.n-interleave judges that)")
    warn_unless(answer.indexes[0] == 0, stream_n2, "order of indexes", "0 first", answer.indexes)


@contract(
    "chat.stream.logprobs",
    SHOULD,
    source=f"{_SPEC_CHUNK}; openai-python 3.57 lib/streaming/chat/_completions.py:466-484 collects logprobs.content",
    breaks="Confidence scores and classifiers built on streams get nothing, without an error.",
    fix="Put `logprobs.content` into the chunks whose text it is about, or refuse `logprobs`.",
    catches=("stream-logprobs-never",),
)
def test_streamed_choices_bear_logprobs(stream_n2: Exchange) -> None:
    """With `logprobs: true` chunks with text bear `logprobs.content`."""
    answer = stream(stream_n2, "logprobs")
    require_feature(stream_n2, "logprobs")
    given = [choice for choice in answer.choices(None) if isinstance(choice.at("/logprobs"), dict)]
    if any(choice.items("/logprobs/content") for choice in given):
        return
    if not answer.text(answer.indexes[0] if answer.indexes else 0):
        inconclusive("the streamed answer has no text")
    if not given:
        unsupported("no chunk bears logprobs")
    fail(given[0], "/logprobs", "entries in `content` in chunks with text")
