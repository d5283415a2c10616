"""Requests that come together, each with a prompt that begins like the others, and what defects do to them.

The beginning stands for what a careless cache tells requests apart by; other requests are left in peace.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import crash
from pytest_llmcompat.reference.request import ChatRequest

if TYPE_CHECKING:
    from pytest_llmcompat.reference.completion import Answer

__all__ = ["Crowd", "mixed"]

SWAPPED = defect(
    "concurrent-answers-swapped", "Of prompts that begin alike, one gets the other's answer.", row="D-K01"
)
MIXED = defect(
    "concurrent-chunks-mixed", "Of two streams at once, one gets a chunk of the other.", row="D-K01"
)
CRASHES = defect(
    "concurrent-500", "Of prompts that begin alike, those at once are answered 500.", row="D-K01"
)

_BEGINNING: Final = 24
# Seconds within which requests are at once.
_AT_ONCE: Final = 0.1


@dataclass(slots=True)
class Crowd:
    """The prompts that have come, and the answers under way, by the beginning of the prompt."""

    prompts: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    under_way: defaultdict[str, list[tuple[float, Answer]]] = field(default_factory=lambda: defaultdict(list))

    def count(self, request: ChatRequest) -> int:
        """How many different prompts with this beginning have come by now, this one included."""
        alike = self.prompts[request.prompt[:_BEGINNING]]
        alike.add(request.prompt)
        return len(alike)

    async def share(self, answer: Answer, defects: Defects) -> tuple[Answer, Answer | None]:
        """The answer to send, and one to another request at the same time; both as they are without a defect.

        Raises ApiError 500.
        """
        if not {SWAPPED, MIXED, CRASHES} & defects:
            return answer, None
        alike = self.under_way[answer.request.prompt[:_BEGINNING]]
        came = time.monotonic()
        alike.append((came, answer))
        await asyncio.sleep(_AT_ONCE)
        others = [
            other
            for at, other in alike
            if other.request.prompt != answer.request.prompt and abs(at - came) < _AT_ONCE
        ]
        if others and CRASHES in defects:
            raise crash()
        if others and SWAPPED in defects:
            return replace(answer, generations=others[0].generations), None
        streams = [other for other in others if other.request.stream]
        return answer, streams[0] if streams and MIXED in defects else None


def mixed(own: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chunks of a stream with one of another among them."""
    return [*own[:2], other[2], *own[2:]]
