"""What openai-node's stream helper asks of a whole stream before it gives the user the answer.

A port of the rules that throw at the end of a stream: `finalizeChatCompletion` in src/lib/ChatCompletionStream.ts
of openai/openai-node (7b7d6ca, lines 2169-2291), and of how the chunks before are put together. Functions in the
place of tools (`function_call`, deprecated) are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pytest_llmcompat.answer import Stream
from pytest_llmcompat.evidence import Document

__all__ = ["Objection", "objection"]

_REQUIRED_OF_CALLS: Final = ("id", "type", "function")


@dataclass(frozen=True, slots=True)
class Objection:
    """What the helper throws.

    missing: the name of what never came. place, pointer: where it was looked for last.
    """

    missing: str
    place: Document
    pointer: str


def objection(answer: Stream) -> Objection | None:
    """The first thing that openai-node's helper throws on at the end of a stream; None when it is content."""
    for index in sorted(answer.indexes):
        choices = answer.choices(index)
        for key, pointer in (("finish_reason", "/finish_reason"), ("role", "/delta/role")):
            if not _given(choices, pointer):
                return Objection(f"{key} for choice {index}", choices[-1], pointer)
        if (found := _objection_to_calls(answer, index)) is not None:
            return found
    return None


def _objection_to_calls(answer: Stream, index: int) -> Objection | None:
    for number, fragments in sorted(_by_index(answer.tool_deltas(index)).items()):
        for key in _REQUIRED_OF_CALLS:
            # A function needs no more than to be there: its name and arguments begin as empty texts.
            present = any(isinstance(f.at("/function"), dict) for f in fragments)
            if not (present if key == "function" else _given(fragments, f"/{key}")):
                return Objection(f"choices[{index}].tool_calls[{number}].{key}", fragments[0], f"/{key}")
    return None


def _by_index(fragments: Iterable[Document]) -> dict[int, list[Document]]:
    """The fragments of each call; JavaScript's arrays silently lose what has no whole number for an index."""
    calls: dict[int, list[Document]] = {}
    for fragment in fragments:
        index = fragment.at("/index")
        if isinstance(index, int) and not isinstance(index, bool):
            calls.setdefault(index, []).append(fragment)
    return calls


def _given(documents: Iterable[Document], pointer: str) -> bool:
    """True when some value at the pointer is truthy; JavaScript takes "" and 0 for absent, too."""
    return any(document.at(pointer) for document in documents)
