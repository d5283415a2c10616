"""The rules by which openai-node's stream helper ends a streamed completion, over recorded chunks.

openai-node, `src/lib/ChatCompletionStream.ts`: `#accumulateChatCompletion` joins the chunks by the truth of
each value, and `finalizeChatCompletion` throws `missing …` when something that a completion needs never came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_llmcompat.evidence import Document

__all__ = ["missing_at_the_end"]


@dataclass
class _Call:
    id: bool = False
    type: bool = False
    function: bool = False


@dataclass
class _Choice:
    role: bool = False
    finish_reason: bool = False
    calls: dict[int, _Call] = field(default_factory=dict)


def missing_at_the_end(chunks: tuple[Document, ...]) -> str | None:
    """What openai-node would throw at the end of the stream, such as `role for choice 0`; None for nothing.

    Choices and tool calls without a number as index are lost in openai-node without an error, and so here.
    """
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        for part in chunk.items("/choices"):
            index = _index(part)
            if index is not None:
                _take(choices.setdefault(index, _Choice()), part)
    return next((fault for i in sorted(choices) if (fault := _fault(i, choices[i]))), None)


def _take(choice: _Choice, part: Document) -> None:
    choice.finish_reason |= bool(part.at("/finish_reason"))
    choice.role |= bool(part.at("/delta/role"))
    for fragment in part.items("/delta/tool_calls"):
        index = _index(fragment)
        if index is None:
            continue
        call = choice.calls.setdefault(index, _Call())
        call.id |= bool(fragment.at("/id"))
        call.type |= bool(fragment.at("/type"))
        call.function |= bool(fragment.at("/function"))


def _fault(index: int, choice: _Choice) -> str | None:
    if not choice.finish_reason:
        return f"finish_reason for choice {index}"
    if not choice.role:
        return f"role for choice {index}"
    for number, call in sorted(choice.calls.items()):
        for name in ("id", "type", "function"):
            if not getattr(call, name):
                return f"choices[{index}].tool_calls[{number}].{name}"
    return None


def _index(document: Document) -> int | None:
    """JavaScript takes "0" for 0 where it looks up an entry of an array."""
    value: Any = document.at("/index")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) else None
