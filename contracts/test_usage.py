"""Contracts on usage: what is counted is what was sent and what was written."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import judge_each, served
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import NEEDLE
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.tokens import (
    COMPLETION,
    PROMPT,
    SLACK,
    cap_of,
    completion_tokens,
    counter,
    messages_sent,
    outgrew,
    prompt_tokens,
    reasoned,
    reported,
)
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, inconclusive, warn_unless

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 32211)"
_TOTAL: Final = "/usage/total_tokens"
# Tokens for each character of English with many digits: no tokenizer makes fewer; one that reads
# characters makes one of each, all others at most the middle figure.
_FEWEST: Final = 0.15
_USUAL: Final = 0.6
_MOST: Final = 1.5
_CONTENTS: Final = ("/message/content", "/delta/content")
# What a chat template may add: a system message of its own, tool instructions, the date.
_TEMPLATE: Final = 400


@contract(
    "usage.present",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}; @ai-sdk/openai-compatible at ed857f5, line 747, survives without",
    breaks="Cost reports, budgets and context managers count nothing, or raise on null.",
    fix="Send `usage` with the three counts in each answer that is not streamed.",
    catches=("usage-missing",),
)
def test_usage_comes_with_an_answer(chat_basic: Exchange) -> None:
    """An answer that is not streamed counts prompt, completion and total tokens."""
    expect_conforms(served(chat_basic), "usage", at="/usage")


@contract(
    "usage.sum",
    MUST,
    passive=("chat", "chat-stream"),
    source=f"{_SPECIFICATION}: `total_tokens` is prompt + completion",
    breaks="Bills by the total and bills by the parts differ.",
    fix="Count reasoning in `completion_tokens`, and send the sum as `total_tokens`.",
    catches=("usage-total-wrong",),
    cases=("mozilla-ai/any-llm#1290", "envoyproxy/ai-gateway#1438", "Portkey-AI/gateway#1458"),
)
def test_total_is_the_sum(
    chat_exchanges: tuple[Exchange, ...], stream_exchanges: tuple[Exchange, ...]
) -> None:
    """`total_tokens` is the sum of prompt and completion tokens."""
    judge_each(_expect_sum, *chat_exchanges, *stream_exchanges)


def _expect_sum(exchange: Exchange) -> None:
    answer = reported(exchange)
    prompt, completion, total = (counter(answer, pointer) for pointer in (PROMPT, COMPLETION, _TOTAL))
    if prompt is None or completion is None or total is None:
        inconclusive(f"{exchange.probe}: a count is missing (usage.present judges that)")
    expect(total == prompt + completion, answer, _TOTAL, f"{prompt} + {completion}")


@contract(
    "usage.nonzero",
    MUST,
    passive=("chat", "chat-stream"),
    source="own rule: a prompt has tokens, and a text has tokens",
    breaks="Budgets never run out and quotas never fill; context managers let prompts grow without end.",
    fix="Count with the tokenizer of the model, also for streams.",
    catches=("usage-zero",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#1602", "decolua/9router#3081"),
)
def test_counts_are_not_zero(chat_basic: Exchange, stream_basic: Exchange) -> None:
    """Prompt tokens are counted, and completion tokens when there is a text."""
    judge_each(_expect_counts, chat_basic, stream_basic)


def _expect_counts(exchange: Exchange) -> None:
    answer = reported(exchange)
    prompt, completion = counter(answer, PROMPT), counter(answer, COMPLETION)
    if prompt is None or completion is None:
        inconclusive(f"{exchange.probe}: a count is missing (usage.present judges that)")
    expect(prompt > 0, answer, PROMPT, "more than 0")
    expect(
        completion > 0 or not turn(exchange).text, answer, COMPLETION, "more than 0, since there is a text"
    )


@contract(
    "usage.prompt-monotonic",
    SHOULD,
    source="own rule: more text is more tokens",
    breaks="Context managers believe that a long conversation still fits.",
    fix="Count the tokens of each request; do not report a constant, or what a cache left to do.",
    catches=("prompt-tokens-constant",),
    cases=("ollama/ollama#4967",),
)
def test_longer_prompts_count_more(chat_basic: Exchange, chat_turns: Exchange, chat_long: Exchange) -> None:
    """A prompt that is many times longer counts more prompt tokens."""
    long, length = prompt_tokens(chat_long), _length(chat_long)

    def grows(shorter: Exchange) -> None:
        few = prompt_tokens(shorter)
        if length <= 10 * _length(shorter):
            inconclusive(f"the prompt of {shorter.probe} is not much shorter")
        expect(long > few, reported(chat_long), PROMPT, f"more than the {few} of {shorter.probe}")

    judge_each(grows, chat_basic, chat_turns)


@contract(
    "usage.prompt-plausible",
    SHOULD,
    source="own rule, from the lengths that common tokenizers give to English: 0.2 to 0.4 tokens a character",
    breaks="Users pay for tokens that they never sent.",
    fix="Report the prompt tokens of the model that answers, without multipliers and hidden prompts.",
    catches=("prompt-tokens-doubled", "prompt-tokens-constant"),
    cases=("BerriAI/litellm#6488", "QuantumNous/new-api#6212"),
)
def test_prompt_tokens_fit_the_prompt(chat_long: Exchange) -> None:
    """The prompt tokens fit the length of the prompt."""
    answer, count, length = reported(chat_long), prompt_tokens(chat_long), _length(chat_long)
    if length < 10 * _TEMPLATE:
        inconclusive("the prompt is too short to tell it from what a template adds")
    fewest, usual = _FEWEST * length, _USUAL * length + _TEMPLATE
    if count < fewest and NEEDLE.casefold() not in turn(chat_long).text.casefold():
        inconclusive("the prompt may have been cut (chat.long-input judges that)")
    expected = f"{fewest:.0f} to {usual:.0f} for {length} characters"
    expect(fewest <= count <= _MOST * length + _TEMPLATE, answer, PROMPT, expected)
    warn_unless(count <= usual, answer, PROMPT, expected)


@contract(
    "usage.completion-plausible",
    SHOULD,
    source="own rule: a token is at least a byte of the text",
    breaks="Users pay for tokens that were never written.",
    fix="Count the tokens that were generated for this answer, and report hidden ones as reasoning tokens.",
    catches=("completion-tokens-inflated",),
    cases=("router-for-me/CLIProxyAPI#5733",),
)
def test_completion_tokens_fit_the_text(chat_basic: Exchange, stream_plain: Exchange) -> None:
    """The completion tokens fit the length of the text, unless reasoning is reported."""
    judge_each(_expect_fitting, chat_basic, stream_plain)


def _expect_fitting(exchange: Exchange) -> None:
    count, answer = completion_tokens(exchange), turn(exchange)
    in_parts = any(isinstance(part.at(at), list) for part in answer.parts for at in _CONTENTS)
    if reasoned(exchange) or in_parts or answer.calls:
        inconclusive(f"{exchange.probe}: more than the text is counted")
    # Special tokens that a rambling model writes are counted and not shown.
    if answer.finish != "stop" or "\ufffd" in answer.text or not answer.text:
        inconclusive(f"{exchange.probe}: the model did not come to an end by itself")
    fewest = _FEWEST * len(answer.text) - 8
    most = max(1.2 * len(answer.text), len(answer.text.encode("utf-8", errors="replace"))) + 8
    expected = f"{max(1, fewest):.0f} to {most:.0f} for {len(answer.text)} characters"
    expect(fewest <= count <= most, reported(exchange), COMPLETION, expected)


@contract(
    "usage.completion-within-cap",
    MUST,
    passive=("chat", "chat-stream"),
    source="own rule: nobody is billed for more than was allowed",
    breaks="Bills have no bound.",
    fix="Count what was generated for this request, and stop at the cap.",
    catches=("completion-tokens-above-cap", "completion-tokens-inflated", "max-tokens-ignored"),
    cases=("ikawrakow/ik_llama.cpp#2321",),
)
def test_completion_tokens_stay_within_the_cap(chat_length: Exchange, chat_mct: Exchange) -> None:
    """No more completion tokens are counted than the cap allows."""
    judge_each(_expect_within_cap, chat_length, chat_mct)


def _expect_within_cap(exchange: Exchange) -> None:
    answer, cap = reported(exchange), cap_of(exchange)
    if cap is None:
        inconclusive(f"{exchange.probe}: no cap on tokens was accepted")
    # Each choice has the cap to itself.
    cap *= counter(Document(exchange.probe, "request", exchange.sent), "/n") or 1
    if outgrew(turn(exchange).text, cap):
        inconclusive(f"{exchange.probe}: the cap was not applied (chat.max-tokens-honoured judges that)")
    count = completion_tokens(exchange)
    expect(count <= cap + SLACK, answer, COMPLETION, f"at most {cap}")
    warn_unless(count <= cap, answer, COMPLETION, f"at most {cap}")


@contract(
    "usage.stream-equals",
    SHOULD,
    source="own rule: the same prompt has the same tokens",
    breaks="Streaming costs more, or less, than not streaming.",
    fix="Count streamed prompts with the same tokenizer and template, not by an estimate.",
    catches=("stream-prompt-tokens-inflated",),
    cases=("QuantumNous/new-api#6212", "BerriAI/litellm#6488"),
)
def test_streams_count_the_same_prompt(
    chat_basic: Exchange, stream_basic: Exchange, chat_length: Exchange, chat_mct: Exchange
) -> None:
    """A streamed request counts as many prompt tokens as the same request without streaming."""
    plain, streamed = prompt_tokens(chat_basic), prompt_tokens(stream_basic)
    if messages_sent(chat_basic) != messages_sent(stream_basic):
        inconclusive("the two requests differ")
    if plain != streamed and _count_of(chat_length) != _count_of(chat_mct):
        inconclusive("plain requests differ among themselves (usage.repeat-equal judges that)")
    expect(streamed == plain, reported(stream_basic), PROMPT, f"{plain}, as without streaming")


def _count_of(exchange: Exchange) -> int | None:
    """The prompt tokens of a request that may have failed."""
    return counter(reported(exchange), PROMPT) if exchange.ok else None


@contract(
    "usage.repeat-equal",
    SHOULD,
    source="own rule: the same prompt has the same tokens",
    breaks="Users cannot check their bills: the same request has another price each time.",
    fix="Count the whole prompt whatever a cache holds of it; report cached tokens in the details.",
    catches=("prompt-tokens-vary",),
    cases=("router-for-me/CLIProxyAPI#1643",),
)
def test_the_same_prompt_counts_the_same(chat_length: Exchange, chat_mct: Exchange) -> None:
    """Two requests with the same messages count the same prompt tokens."""
    first, second = prompt_tokens(chat_length), prompt_tokens(chat_mct)
    if messages_sent(chat_length) != messages_sent(chat_mct):
        inconclusive("the two requests differ")
    expect(second == first, reported(chat_mct), PROMPT, f"{first}, as in {chat_length.probe}")


@contract(
    "usage.details-within",
    SHOULD,
    passive=("chat", "chat-stream"),
    source=f"{_SPECIFICATION}: the details are parts of the counts",
    breaks="Prices come out negative where cached tokens are subtracted from the prompt.",
    fix="Count cached tokens within `prompt_tokens` and reasoning tokens within `completion_tokens`.",
    catches=("reasoning-tokens-above-completion", "cached-tokens-above-prompt"),
    cases=("router-for-me/CLIProxyAPI#1643",),
)
def test_details_are_parts(
    chat_exchanges: tuple[Exchange, ...], stream_exchanges: tuple[Exchange, ...]
) -> None:
    """Cached tokens are part of the prompt tokens, reasoning tokens of the completion tokens."""
    judge_each(_expect_parts, *chat_exchanges, *stream_exchanges)


def _expect_parts(exchange: Exchange) -> None:
    answer = reported(exchange)
    parts = (
        ("/usage/prompt_tokens_details/cached_tokens", PROMPT),
        ("/usage/completion_tokens_details/reasoning_tokens", COMPLETION),
    )
    judged = 0
    for pointer, whole in parts:
        part, count = counter(answer, pointer), counter(answer, whole)
        # Counts of 0 are for usage.nonzero to judge.
        if part is not None and count:
            expect(part <= count, answer, pointer, f"at most the {count} of {whole.rpartition('/')[2]}")
            judged += 1
    if not judged:
        inconclusive(f"{exchange.probe}: no details are reported")


@contract(
    "usage.tools-counted",
    SHOULD,
    source="own rule: the model reads the tool schemas as part of its prompt",
    breaks="Context managers believe that a request with many tools fits, and it is refused or cut.",
    fix="Count the prompt as the model reads it, with the tool schemas.",
    catches=("tools-not-counted",),
)
def test_tools_are_counted(tool_required: Exchange, chat_basic: Exchange, chat_length: Exchange) -> None:
    """Tool schemas raise the prompt tokens."""
    if not turn(tool_required, "tools", "tool_choice").calls:
        inconclusive("no tool call came (tools.required-calls judges that)")
    with_tools, without = prompt_tokens(tool_required), prompt_tokens(chat_length)
    if with_tools == without == prompt_tokens(chat_basic):
        inconclusive("prompt tokens are the same for every prompt (usage.prompt-monotonic judges that)")
    longer = _length(tool_required) - _length(chat_length)
    text_alone = without + _USUAL * longer
    warn_unless(with_tools > text_alone, reported(tool_required), PROMPT, f"more than {text_alone:.0f}")


def _length(exchange: Exchange) -> int:
    """Characters of all messages of a request."""
    return sum(map(len, messages_sent(exchange)))
