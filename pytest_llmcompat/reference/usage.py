"""Token counts: of the prompt, and the `usage` object of an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defects, Faults, defect, spoil
from pytest_llmcompat.reference.errors import crash, invalid
from pytest_llmcompat.reference.finish import Ending
from pytest_llmcompat.reference.generation import Generation
from pytest_llmcompat.reference.images import NOT_COUNTED, TOKENS
from pytest_llmcompat.reference.models import CONTEXT
from pytest_llmcompat.reference.reasoning import TOKENS_MISSING
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.tokens import count

__all__ = ["CONTEXT", "check_length", "count_prompt", "usage"]

TOTAL_WRONG = defect("usage-total-wrong", "total_tokens is not the sum.", row="D-U01")
ZERO = defect("usage-zero", "All counts are 0.", row="D-U02")
PROMPT_CONSTANT = defect("prompt-tokens-constant", "prompt_tokens is always 25.", row="D-U02")
ABOVE_CAP = defect(
    "completion-tokens-above-cap", "Capped answers count 40 tokens more than the cap.", row="D-U03"
)
STREAM_INFLATED = defect(
    "stream-prompt-tokens-inflated", "Streamed prompt_tokens are 200 too many.", row="D-U04"
)
VARY = defect("prompt-tokens-vary", "prompt_tokens differ each time the conversation comes.", row="D-U04")
REASONING_ABOVE = defect(
    "reasoning-tokens-above-completion", "reasoning_tokens exceed completion_tokens.", row="D-U05"
)
CACHED_ABOVE = defect("cached-tokens-above-prompt", "cached_tokens exceed prompt_tokens.", row="D-U05")
PROMPT_TRIPLED = defect("prompt-tokens-doubled", "prompt_tokens are three times too many.", row="D-U06")
COMPLETION_INFLATED = defect(
    "completion-tokens-inflated", "completion_tokens are far more than the text holds.", row="D-U06"
)
TOOLS_NOT_COUNTED = defect("tools-not-counted", "Tool schemas are not in prompt_tokens.", row="D-U06")
N_ONCE = defect("n-usage-once", "completion_tokens count one choice of several.", row="D-U03")
LENGTH_500 = defect("context-length-500", "A prompt that is too long is answered 500.", row="D-E11")
LENGTH_CODE = defect(
    "context-length-code-other", "A prompt that is too long gets the code «invalid_length».", row="D-E11"
)
LEGAL_DETAILS = defect(
    "legal-usage-details", "usage has counters of the vendor's own.", row="G-08", legal=True
)

# What the chat template adds: around each message, and to open the answer.
_AROUND_MESSAGE: Final = 3
_OPENING: Final = 3


def count_prompt(request: ChatRequest) -> int:
    """The tokens that the model reads: messages, tools and schema."""
    spent = _OPENING
    for message in request.messages:
        spent += _AROUND_MESSAGE + count(message.role) + count(message.text)
        spent += 0 if NOT_COUNTED in request.defects else len(message.images) * TOKENS
        spent += sum(count(json.dumps(call["function"], ensure_ascii=False)) for call in message.calls)
    tools = None if TOOLS_NOT_COUNTED in request.defects else request.tools_sent
    for part in (tools, request.format.schema):
        spent += count(json.dumps(part, ensure_ascii=False)) if part else 0
    return spent


def check_length(spent: int, defects: Defects = frozenset()) -> None:
    """Raises ApiError 400 when a prompt of that many tokens leaves no room for an answer."""
    if spent >= CONTEXT:
        if LENGTH_500 in defects:
            raise crash()
        raise invalid(
            f"This model's maximum context length is {CONTEXT} tokens. However, your messages resulted in "
            f"{spent} tokens. Please reduce the length of the messages.",
            "messages",
            "invalid_length" if LENGTH_CODE in defects else "context_length_exceeded",
        )


_FAULTS: Final[Faults] = {
    TOTAL_WRONG: lambda usage: usage.update(total_tokens=usage["total_tokens"] + 7),
    ZERO: lambda usage: usage.update(prompt_tokens=0, completion_tokens=0, total_tokens=0),
    REASONING_ABOVE: lambda usage: usage["completion_tokens_details"].update(
        reasoning_tokens=usage["completion_tokens"] + 5
    ),
    CACHED_ABOVE: lambda usage: usage["prompt_tokens_details"].update(
        cached_tokens=usage["prompt_tokens"] + 5
    ),
    TOKENS_MISSING: lambda usage: usage["completion_tokens_details"].pop("reasoning_tokens"),
    LEGAL_DETAILS: lambda usage: usage.update(
        prompt_cache_hit_tokens=0, input_tokens=0, claude_cache_creation_5_m_tokens=0
    ),
}


def usage(
    request: ChatRequest, prompt: int, generations: Sequence[Generation], state: State
) -> dict[str, Any]:
    """The `usage` object (CompletionUsage in OpenAI's specification)."""
    prompt, completion = _shown_prompt(request, prompt, state), _completion(request, generations)
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(len(generation.reasoning) for generation in generations),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return spoil(counts, _FAULTS, request.defects)


def _shown_prompt(request: ChatRequest, prompt: int, state: State) -> int:
    defects = request.defects
    if PROMPT_CONSTANT in defects:
        return 25
    if PROMPT_TRIPLED in defects:
        return 3 * prompt
    if VARY in defects:
        conversation = repr(request.messages)
        state.seen[conversation] += 1
        return prompt + state.seen[conversation] % 6
    return prompt + 200 if request.stream and STREAM_INFLATED in defects else prompt


def _completion(request: ChatRequest, generations: Sequence[Generation]) -> int:
    counted = generations[:1] if N_ONCE in request.defects else generations
    spent = sum(generation.spent for generation in counted)
    if ABOVE_CAP in request.defects and any(g.ending == Ending.CAPPED for g in generations):
        return spent + 40
    return 5 * spent + 60 if COMPLETION_INFLATED in request.defects else spent
