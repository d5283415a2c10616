"""Contracts on models that think before they answer: where the thoughts go, and how they are counted."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, came, judge_each, require_feature, settled
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.tokens import COMPLETION, counter, reasoned, reported
from pytest_llmcompat.turn import Turn, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_EFFORT: Final = "reasoning_effort"
_TOKENS: Final = "/usage/completion_tokens_details/reasoning_tokens"
_THOUGHTS: Final = ("reasoning_content", "reasoning")
_MARKUP: Final = re.compile(r"</?think(?:ing)?>|</?thought>|\[/?THINK\]", re.IGNORECASE)
_AISDK: Final = (
    "@ai-sdk/openai-compatible at ed857f5, lines 622, 640 and 820: `reasoning_content` or `reasoning`"
)
# Characters at the beginning of the thoughts that no answer repeats by chance.
_ENOUGH: Final = 40


def _answered(exchange: Exchange) -> Turn:
    require_feature(exchange, _EFFORT)
    return turn(exchange, _EFFORT)


def _thought(part: Document) -> str:
    """What a choice, or a chunk's choice, tells of the reasoning."""
    found = (part.at(f"/{of}/{key}") for of in ("message", "delta") for key in _THOUGHTS)
    return next((text for text in found if isinstance(text, str) and text), "")


def _thoughts(answer: Turn) -> str:
    return "".join(map(_thought, answer.parts))


@contract(
    "reasoning.effort-accepted",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 57173): `reasoning_effort` from none to max",
    breaks="Agents that set the effort get a server failure, which they send again and again.",
    fix="Accept `reasoning_effort`, or refuse it with a 400 that names it.",
    catches=("reasoning-effort-500",),
)
def test_effort_is_accepted_or_refused(reasoning: Exchange, chat_basic: Exchange) -> None:
    """`reasoning_effort` is accepted, or refused by name; it is no failure of the server."""
    answered(chat_basic)
    if came(reasoning).status in (500, 501):
        fail(reasoning, "status", f"200, or 400 that names {_EFFORT}")
    settled(reasoning)
    require_feature(reasoning, _EFFORT)
    answered(reasoning, _EFFORT)


@contract(
    "reasoning.tokens-reported",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 32211): `reasoning_tokens` among the details",
    breaks="Users cannot tell what they pay for: most tokens of the answer are not in its text.",
    fix="Count the tokens of the reasoning in `usage.completion_tokens_details.reasoning_tokens`.",
    catches=("reasoning-tokens-missing",),
)
def test_reasoning_is_counted(reasoning: Exchange, chat_mct: Exchange) -> None:
    """Where reasoning is told, `reasoning_tokens` counts it; without that, it is a warning."""
    judge_each(_expect_counted, reasoning, chat_mct)


def _expect_counted(exchange: Exchange) -> None:
    if not _thoughts(_answered(exchange)):
        unsupported(f"{exchange.probe}: the answer tells no reasoning")
    usage = reported(exchange)
    warn_unless((counter(usage, _TOKENS) or 0) > 0, usage, _TOKENS, "more than 0, since reasoning is told")


@contract(
    "reasoning.tokens-within",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 32211): the details break `completion_tokens` down",
    breaks="What is left for the answer comes out negative in cost reports.",
    fix="Count the reasoning in `completion_tokens`, too.",
    catches=("reasoning-tokens-above-completion",),
    cases="router-for-me/CLIProxyAPI#5733",
)
def test_reasoning_is_part_of_the_completion(reasoning: Exchange, chat_basic: Exchange) -> None:
    """No more reasoning tokens are counted than completion tokens."""
    judge_each(_expect_within, reasoning, chat_basic)


def _expect_within(exchange: Exchange) -> None:
    usage = reported(exchange)
    part, whole = counter(usage, _TOKENS), counter(usage, COMPLETION)
    # Counts of 0 are for usage.nonzero to judge.
    if part is None or not whole:
        inconclusive(f"{exchange.probe}: reasoning tokens are not counted")
    expect(part <= whole, usage, _TOKENS, f"at most the {whole} completion tokens")


@contract(
    "reasoning.separate",
    SHOULD,
    source=_AISDK,
    breaks="Users read the model's thoughts as its answer; JSON in the answer cannot be parsed.",
    fix="Send the thoughts as `reasoning_content`, and nothing of them in `content`.",
    catches=("reasoning-in-content", "think-in-content", "stream-think-in-content"),
    cases=("vllm-project/vllm#13375", "QwenLM/Qwen3.8#26"),
)
def test_thoughts_are_not_in_the_answer(reasoning: Exchange, reasoning_stream: Exchange) -> None:
    """What the model thinks stands beside the content, not in it."""
    judge_each(_expect_separate, reasoning, reasoning_stream)


def _expect_separate(exchange: Exchange) -> None:
    answer = _answered(exchange)
    text, thoughts = answer.text.strip(), _thoughts(answer).strip()
    expect(_MARKUP.search(text) is None, *answer.text_at, "the answer without the thoughts", text)
    if len(thoughts) < _ENOUGH:
        inconclusive(f"{exchange.probe}: the answer tells no reasoning")
    repeated = text.startswith(thoughts[:_ENOUGH])
    expect(not repeated, *answer.text_at, "the answer without the thoughts", text)


@contract(
    "reasoning.stream-order",
    MAY,
    source=_AISDK,
    breaks="Chat windows show the thoughts below the answer, or drop them.",
    fix="Send the deltas of the reasoning before those of the content.",
    catches=("reasoning-deltas-late",),
    cases="open-webui/open-webui#24697",
)
def test_thoughts_come_first(reasoning_stream: Exchange) -> None:
    """In a stream the reasoning begins before the content; the other way round it is a warning."""
    parts = _answered(reasoning_stream).parts
    thoughts = [number for number, part in enumerate(parts) if _thought(part)]
    texts = [number for number, part in enumerate(parts) if part.at("/delta/content")]
    if not thoughts or not texts:
        inconclusive("the stream does not hold both reasoning and text")
    first = parts[texts[0]]
    warn_unless(thoughts[0] <= texts[0], first, "/delta/content", "the reasoning before the text")


@contract(
    "reasoning.content-not-empty",
    SHOULD,
    source="own rule: a model that stopped has answered",
    breaks="Users see nothing and pay for it; agents take the empty text for the end of the task.",
    fix="Send what follows the thoughts as `content`; end with `length` when there was no room for it.",
    catches=("reasoning-answer-empty",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#1602", "lmstudio-ai/lmstudio-bug-tracker#378"),
)
def test_an_answer_follows_the_thoughts(reasoning: Exchange) -> None:
    """An answer with reasoning that ends with `stop` has a text."""
    answer = _answered(reasoning)
    if not reasoned(reasoning):
        unsupported("the answer tells no reasoning")
    if answer.finish != "stop" or answer.calls or answer.refusal:
        inconclusive("the answer did not end with `stop`")
    if isinstance(answer.parts[0].at("/message/content"), list):
        inconclusive("the content is a list (chat.content-string judges that)")
    expect(answer.text.strip() != "", *answer.text_at, "the answer to the question")
