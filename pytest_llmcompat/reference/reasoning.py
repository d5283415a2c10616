"""Reasoning: what the model thinks before it answers, when it is asked to, and where that is put."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import crash
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.tokens import tokenize

if TYPE_CHECKING:
    from pytest_llmcompat.reference.generation import Generation

__all__ = ["EFFORTS", "LATE", "TOKENS_MISSING", "check_effort", "late", "placed", "thought"]

EFFORT_500 = defect("reasoning-effort-500", "reasoning_effort is answered 500.", row="D-C22")
TOKENS_MISSING = defect("reasoning-tokens-missing", "Reasoning tokens are not reported.", row="D-U05")
IN_CONTENT = defect("reasoning-in-content", "The content begins with the reasoning.", row="D-C24")
ANSWER_EMPTY = defect(
    "reasoning-answer-empty", "After reasoning the content is empty, and the end is stop.", row="D-S13"
)
LATE = defect("reasoning-deltas-late", "Streamed reasoning comes behind the text.", row="supplement")
LEGAL_SPENDS_CAP = defect(
    "legal-reasoning-spends-cap",
    "A reasoning model: below a cap of about 400 tokens it gets to no answer.",
    row="G-15",
    legal=True,
)

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_LONG: Final = tokenize("I look at the question from one more side, and weigh what I know of it. " * 20)
_SHORT: Final = tokenize("What is asked for here is short, so I need not think about it for long.")


def check_effort(body: dict[str, Any], defects: Defects) -> None:
    """Raises ApiError 500 where a defect takes offence at the effort."""
    if body.get("reasoning_effort") is not None and EFFORT_500 in defects:
        raise crash()


def thought(request: ChatRequest, cap: int) -> tuple[str, ...]:
    """The tokens of what the model thinks first; none when nobody asked it to."""
    if LEGAL_SPENDS_CAP in request.defects:
        return _LONG[:cap]
    return _SHORT[:cap] if request.effort not in (None, "none") else ()


def placed(answer: Generation, thoughts: tuple[str, ...], defects: Defects) -> Generation:
    """An answer with its reasoning beside it, or wherever a defect puts it."""
    answer = replace(answer, spent=answer.spent + len(thoughts), reasoning=thoughts)
    if ANSWER_EMPTY in defects:
        return replace(answer, tokens=())
    return replace(answer, tokens=thoughts + answer.tokens) if IN_CONTENT in defects else answer


def late(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of a streamed choice with the reasoning moved behind the text."""
    told = [part for part in parts if "reasoning_content" in part["delta"]]
    others = [part for part in parts if part not in told]
    return [*others[:-1], *told, others[-1]]
