"""Contracts on how a chat completion ends: by itself or at the cap, and that the cap holds."""

from __future__ import annotations

import unicodedata
from typing import Final

from pytest_llmcompat.answer import judge_each, require_feature
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import ECHO_TEXT
from pytest_llmcompat.tokens import (
    COMPLETION,
    SLACK,
    cap_of,
    completion_tokens,
    outgrew,
    reasoned,
    reasoning_tokens,
    reported,
)
from pytest_llmcompat.turn import FINISH_REASONS, Turn, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 33507)"


@contract(
    "chat.finish-reason-enum",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}; openai-python 3.57 types/chat/chat_completion.py:40",
    breaks="Agents loop or stop at once on a reason they don't know; typed clients fail to decode it.",
    fix="Map the engine's reason to one of the five; an end-of-text token is `stop`.",
    catches=("finish-null", "finish-eos", "tool-named-finish-null"),
    cases=("huggingface/text-generation-inference#1724", "BerriAI/litellm#12481"),
)
def test_finish_reason_is_documented(
    chat_basic: Exchange, chat_length: Exchange, tool_required: Exchange
) -> None:
    """`finish_reason` is one of the five documented reasons."""
    judge_each(_expect_documented, chat_basic, chat_length, tool_required)


def _expect_documented(exchange: Exchange) -> None:
    answer = turn(exchange, "tools", "tool_choice")
    # OpenAI's first vision model (gpt-4-1106-vision-preview) had this in its place.
    if isinstance(answer.parts[0].at("/finish_details"), dict):
        unsupported("`finish_details` stands in the place of the reason, as with OpenAI's first vision model")
    known = isinstance(answer.finish, str) and answer.finish in FINISH_REASONS
    expect(known, *answer.finish_at, f"one of {', '.join(sorted(FINISH_REASONS))}")


@contract(
    "chat.finish-stop",
    MUST,
    source=f"{_SPECIFICATION}: `stop` at a natural stop point",
    breaks="Clients report a cut answer, ask for the rest of it, or retry with a larger cap.",
    fix="Answer `stop` when the model ends by itself.",
    catches=("finish-eos", "finish-stop-as-length"),
    cases=("InternLM/lmdeploy#1589",),
)
def test_natural_end_is_stop(chat_basic: Exchange) -> None:
    """An answer that the model ends by itself has the finish reason `stop`."""
    answer = turn(chat_basic)
    if answer.finish == "stop":
        return
    if not isinstance(answer.finish, str) or answer.finish in ("", "content_filter"):
        inconclusive("the answer does not say that it ended by itself (chat.finish-reason-enum judges that)")
    if not answer.text:
        inconclusive("the model wrote no text")
    if answer.finish == "length" and not _ended_by_itself(answer):
        inconclusive("the model rambled until the cap")
    fail(*answer.finish_at, '"stop", since the model ended by itself')


def _ended_by_itself(answer: Turn) -> bool:
    """True for exactly the text that was asked for, in fewer tokens than the cap allows."""
    given, asked = (unicodedata.normalize("NFC", text) for text in (answer.text.strip(), ECHO_TEXT))
    cap = cap_of(answer.exchange)
    return given == asked and cap is not None and completion_tokens(answer.exchange) < cap - SLACK


@contract(
    "chat.finish-length",
    MUST,
    source=f"{_SPECIFICATION}: `length` when the cap was reached",
    breaks="Clients take half an answer, or half a JSON document, for the whole.",
    fix="Answer `length` when the cap on tokens ended the answer.",
    catches=("cap-finish-stop",),
    cases=("mudler/LocalAI#3533", "ikawrakow/ik_llama.cpp#2321"),
)
def test_reached_cap_is_length(chat_length: Exchange) -> None:
    """An answer that the cap cuts has the finish reason `length`."""
    answer, cap = turn(chat_length), cap_of(chat_length)
    if cap is None:
        unsupported("no cap on tokens is accepted under either name")
    if answer.finish == "length":
        return
    if answer.finish != "stop":
        inconclusive("the finish reason is another one (chat.finish-reason-enum judges that)")
    spent = completion_tokens(chat_length)
    if spent < cap:
        inconclusive("the model ended by itself below the cap")
    if spent != cap or outgrew(answer.text, cap):
        inconclusive(
            "the cap was not applied (chat.max-tokens-honoured and usage.completion-within-cap judge that)"
        )
    fail(*answer.finish_at, f'"length", since the cap of {cap} tokens was reached')


@contract(
    "chat.max-tokens-honoured",
    MUST,
    source="OpenAI's specification: `max_tokens`, deprecated and still what most clients send "
    "(@ai-sdk/openai-compatible at ed857f5, line 275)",
    breaks="Bills and waiting times have no bound; short labels come back as essays.",
    fix="Stop generating after `max_tokens` tokens.",
    catches=("max-tokens-ignored",),
)
def test_max_tokens_bounds_the_answer(chat_length: Exchange) -> None:
    """`max_tokens` bounds the answer."""
    _expect_bounded(chat_length, "max_tokens")


@contract(
    "chat.max-completion-tokens",
    MUST,
    source="OpenAI's specification: `max_completion_tokens` bounds visible and reasoning tokens together",
    breaks="LangChain and agent frameworks send only this name: their bounds do nothing.",
    fix="Read `max_completion_tokens` as well as `max_tokens`.",
    catches=("max-completion-tokens-ignored",),
    cases=("abetlen/llama-cpp-python#1907", "ikawrakow/ik_llama.cpp#2321"),
)
def test_max_completion_tokens_bounds_the_answer(chat_mct: Exchange) -> None:
    """`max_completion_tokens` bounds the answer."""
    _expect_bounded(chat_mct, "max_completion_tokens")


def _expect_bounded(exchange: Exchange, parameter: str) -> None:
    require_feature(exchange, parameter)
    answer, cap = turn(exchange, parameter), cap_of(exchange)
    if cap is None:
        unsupported(f"{parameter} was not sent")
    expect(not outgrew(answer.text, cap), *answer.text_at, f"a text of at most {cap} tokens")
    if answer.finish == "length":
        return
    spent = completion_tokens(exchange)
    expect(spent <= cap + SLACK, reported(exchange), COMPLETION, f"at most {cap}")
    if spent < cap - SLACK:
        inconclusive("the model ended by itself below the cap")


@contract(
    "chat.length-count",
    SHOULD,
    source="own rule: `length` says that the cap was reached",
    breaks="Clients double their cap again and again for an answer that another limit cuts.",
    fix="Answer `length` only when the cap was reached, and count every token towards it.",
    catches=("length-below-cap",),
    cases=("ddalcu/mlx-serve#127",),
)
def test_length_means_the_cap(chat_length: Exchange, chat_mct: Exchange) -> None:
    """With the finish reason `length` the completion tokens are as many as the cap."""
    judge_each(_expect_as_many_as_the_cap, chat_length, chat_mct)


def _expect_as_many_as_the_cap(exchange: Exchange) -> None:
    answer, cap = turn(exchange), cap_of(exchange)
    if cap is None or answer.finish != "length":
        inconclusive(f"{exchange.probe}: the answer was not cut by a cap")
    uncounted = reasoned(exchange) or not answer.text
    if uncounted and reasoning_tokens(exchange) is None:
        inconclusive(f"{exchange.probe}: reasoning may have spent tokens that are not counted here")
    spent = completion_tokens(exchange)
    if spent > cap + SLACK:
        inconclusive(
            f"{exchange.probe}: more than the cap is counted (usage.completion-within-cap judges that)"
        )
    expect(spent >= cap - SLACK, reported(exchange), COMPLETION, f"about {cap}, since the cap cut the answer")
