"""Contracts on legacy text completions."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import (
    DONE,
    Stream,
    answered,
    body,
    broke_off,
    chunks,
    judge_each,
    require_feature,
    settled,
    stream,
)
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.legacy import STOP
from pytest_llmcompat.refusal import error_message
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.tokens import COMPLETION, PROMPT, counter
from pytest_llmcompat.turn import sent
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 34059): CreateCompletionResponse"
_TOTAL: Final = "/usage/total_tokens"
# OpenAI answers for a chat model «This is a chat model and not supported in the v1/completions endpoint».
_NO_COMPLETIONS: Final = re.compile(r"chat model|completions|not support", re.IGNORECASE)


def _supported(exchange: Exchange, *features: str) -> Exchange:
    """The exchange, when it was answered 2xx; unsupported when the model or the server is for chat only."""
    settled(exchange)
    message = error_message(exchange)
    if exchange.status in (400, 403, 422) and _NO_COMPLETIONS.search(message):
        unsupported(f"{exchange.probe} was refused with {exchange.status}: {shown(message)}")
    return answered(exchange, *features)


def _choices(exchange: Exchange, *features: str) -> list[Document]:
    choices = body(_supported(exchange, *features)).items("/choices")
    if not choices:
        inconclusive(f"{exchange.probe}: the answer holds no choice (completions.shape judges that)")
    return choices


@contract(
    "completions.shape",
    SHOULD,
    source=_SPECIFICATION,
    breaks="`completion.choices[0].text` raises AttributeError, or is None.",
    fix='Answer with object "text_completion" and choices of `text`, `index` and `finish_reason`.',
    catches=("completions-object-chat", "completions-message", "completions-finish-null"),
    passive="completions",
)
def test_text_completion_has_its_own_shape(completions_basic: Exchange, completions_single: Exchange) -> None:
    """POST /completions gives a `text_completion` whose choices have text, index and finish reason."""
    judge_each(_expect_shape, completions_basic, completions_single)


def _expect_shape(exchange: Exchange) -> None:
    document = body(_supported(exchange))
    expect(exchange.is_json, exchange, "body", "a JSON object")
    expect_conforms(document, "text-completion")


@contract(
    "completions.stream",
    SHOULD,
    source=f"{_SPECIFICATION}: streamed and plain objects share the same shape",
    breaks="Code editors that complete as one types show nothing: they read `choices[0].text` of each chunk.",
    fix='Stream objects "text_completion" of one id with `choices[].text`, and end with [DONE].',
    catches=(
        "completions-chunk-object-chat",
        "completions-chunk-delta",
        "completions-chunk-id-changes",
        "completions-without-done",
        "completions-stream-ignored",
    ),
    cases=("BerriAI/litellm#14429", "EricLBuehler/mistral.rs#1226"),
    passive="completions-stream",
)
def test_text_is_streamed(completions_stream: Exchange) -> None:
    """A streamed text completion comes in `text_completion` chunks of one id, and ends with [DONE]."""
    _supported(completions_stream)
    found = list(chunks(completions_stream))
    expect(found != [], completions_stream, "body", "an event stream of `text_completion` chunks")
    if broke_off(completions_stream):
        inconclusive(f"{completions_stream.probe}: the stream broke off with an error")
    for chunk in found:
        expect_conforms(chunk, "text-completion-chunk")
        expect(
            chunk.at("/id") == found[0].at("/id"), chunk, "/id", f"the id of the first, {found[0].at('/id')}"
        )
    last = completions_stream.events[-1].data
    expect(last == DONE, completions_stream, "last event", DONE, last)


@contract(
    "completions.array-prompt",
    SHOULD,
    source="OpenAI's specification: CreateCompletionRequest, prompt is a string or an array of strings",
    breaks="Batch jobs, and evaluation harnesses above all, get one answer for many prompts.",
    fix="Give one choice for each prompt, or refuse an array with 400.",
    catches=("array-prompt-first-only", "array-prompt-index-constant", "array-prompt-500"),
    cases="ollama/ollama#5259",
)
def test_each_prompt_gets_a_choice(completions_basic: Exchange, completions_single: Exchange) -> None:
    """A list of prompts gives one choice for each, with its index."""
    if completions_basic.status == 500 and completions_single.ok:
        fail(completions_basic, "status", "200, or 400 where one prompt is the most: one alone is accepted")
    if completions_basic.status in (400, 422) and completions_single.ok:
        unsupported(f"several prompts were refused: {shown(error_message(completions_basic))}")
    choices = _choices(completions_basic)
    document, prompts = body(completions_basic), sent(completions_basic, "prompt")
    count = len(prompts) if isinstance(prompts, list) else 1
    expect(len(choices) == count, document, "/choices", f"{count} choices", f"{len(choices)} choices")
    indexes = [choice.at("/index") for choice in choices]
    if MISSING in indexes:
        inconclusive("a choice has no index (completions.shape judges that)")
    expected = f"indexes that are the numbers from 0 to {count - 1}"
    expect(all(place in indexes for place in range(count)), document, "/choices", expected, indexes)


@contract(
    "completions.logprobs",
    MAY,
    source=f"{_SPECIFICATION}: logprobs of tokens, token_logprobs, top_logprobs and text_offset",
    breaks="Evaluation harnesses that rank answers by likelihood find no `token_logprobs`.",
    fix="Send the four arrays of the legacy shape, not those of chat completions.",
    catches="completions-logprobs-chat",
    cases="vllm-project/vllm#3707",
)
def test_logprobs_have_the_legacy_shape(completions_basic: Exchange, completions_single: Exchange) -> None:
    """`logprobs: 1` gives tokens, their log probabilities, candidates and offsets as four arrays."""
    judge_each(_expect_logprobs, completions_basic, completions_single)


def _expect_logprobs(exchange: Exchange) -> None:
    require_feature(exchange, "logprobs")
    choices = _choices(exchange, "logprobs")
    given = [choice for choice in choices if choice.at("/logprobs") not in (None, MISSING)]
    if not given:
        unsupported("logprobs were asked for and none came")
    for choice in given:
        expect_conforms(choice, "legacy-logprobs", at="/logprobs")


@contract(
    "completions.usage",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 32211): CompletionUsage",
    breaks="Cost reports and budgets count nothing, or two sums that differ.",
    fix="Count prompt and completion, plain and streamed, and send the sum as `total_tokens`.",
    catches=(
        "completions-usage-missing",
        "completions-total-wrong",
        "completions-stream-usage-zero",
        "completions-include-usage-ignored",
    ),
    passive="completions",
)
def test_tokens_are_counted(
    completions_basic: Exchange, completions_single: Exchange, completions_stream: Exchange
) -> None:
    """`usage` counts prompt and completion, and the total is their sum, plain and streamed."""
    judge_each(_expect_usage, completions_basic, completions_single, completions_stream)


def _expect_usage(exchange: Exchange) -> None:
    document, text = _streamed(exchange) if sent(exchange, "stream") is True else _plain(exchange)
    expect_conforms(document, "usage", at="/usage")
    prompt, completion = counter(document, PROMPT) or 0, counter(document, COMPLETION) or 0
    expect(prompt > 0, document, PROMPT, "more than 0")
    expect(completion > 0 or not text, document, COMPLETION, "more than 0, since there is a text")
    expect(counter(document, _TOTAL) == prompt + completion, document, _TOTAL, f"{prompt} + {completion}")


def _plain(exchange: Exchange) -> tuple[Document, str]:
    texts = (choice.at("/text") for choice in _choices(exchange))
    return body(exchange), "".join(text for text in texts if isinstance(text, str))


def _streamed(exchange: Exchange) -> tuple[Document, str]:
    """The chunk with the usage, and the text of the stream."""
    _supported(exchange)
    require_feature(exchange, "stream_options")
    if exchange.is_json:
        inconclusive(f"{exchange.probe} is no event stream (completions.stream judges that)")
    answer: Stream = stream(exchange)
    if answer.usage is None:
        fail(exchange, "body", "a chunk with `usage`, since stream_options asks for it", "none")
    texts = (choice.at("/text") for choice in answer.choices(None))
    return answer.usage, "".join(text for text in texts if isinstance(text, str))


@contract(
    "completions.stop-string",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 63253): the text will not contain the stop sequence",
    breaks="Completion in editors runs on into the next function; parsers find the separator in the last field.",
    fix="End at the stop string, and leave it out of the text.",
    catches=("completions-stop-ignored", "completions-stop-included"),
    cases="jundot/omlx#2386",
)
def test_stop_string_ends_the_text(completions_basic: Exchange, completions_single: Exchange) -> None:
    """A string as `stop` ends the text, and is not in it."""
    judge_each(_expect_stopped, completions_basic, completions_single)


def _expect_stopped(exchange: Exchange) -> None:
    require_feature(exchange, "stop")
    texts = [(choice, choice.at("/text")) for choice in _choices(exchange, "stop")]
    for choice, text in texts:
        if isinstance(text, str):
            expect(STOP not in text, choice, "/text", f"a text without the stop string «{STOP}»")
    # It was come to, and not only never written, where the number before it was the last.
    before = str(int(STOP) - 1)
    if not any(
        isinstance(text, str)
        and text.rstrip(" ,.\n").endswith(before)
        and choice.at("/finish_reason") == "stop"
        for choice, text in texts
    ):
        inconclusive(f"{exchange.probe}: the model did not count up to the stop string")
