"""Streams that break off in the middle: how a server says so, and how it should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_llmcompat.reference.defect import Defect, Defects, defect
from pytest_llmcompat.reference.errors import crash, envelope
from pytest_llmcompat.reference.framing import event

__all__ = ["breaks"]

LEGAL = defect(
    "legal-stream-breaks-off",
    "The second of streams that begin alike breaks off with an error.",
    row="G-22",
    legal=True,
)
FLAT = defect("stream-error-flat", "A stream that breaks off ends with a flat error object.", row="D-S22")
TEXT = defect("stream-error-text", "A stream that breaks off ends with an error as text.", row="D-S22")
SILENT = defect("stream-ends-silently", "A stream that breaks off just ends.", row="D-S22")
FINISHED = defect(
    "stream-error-after-finish",
    "A stream that breaks off has finish_reason stop before the error.",
    row="D-S22",
)

_MESSAGE: Final = "The server had an error while processing your request."
_FLAT: Final = {"object": "error", "message": _MESSAGE, "type": "InternalServerError", "code": 500}


def breaks(alike: int, defects: Defects) -> Callable[[list[bytes]], list[bytes]] | None:
    """How the frames of a stream change, the `alike`th whose prompt begins so; None when they do not."""
    if alike < 2:
        return None
    rule = next((rule for chosen, rule in _RULES.items() if chosen in defects), None)
    return None if rule is None else lambda frames: [*frames[: max(3, len(frames) // 2)], *rule(frames)]


def _error() -> bytes:
    return event(envelope(crash(), frozenset()))


# What follows the part that was sent, given all frames: the finishing chunk is the last but one.
_RULES: Final[dict[Defect, Callable[[list[bytes]], list[bytes]]]] = {
    LEGAL: lambda _: [_error()],
    FLAT: lambda _: [event(_FLAT)],
    TEXT: lambda _: [f"data: {_MESSAGE}\n\n".encode()],
    SILENT: lambda _: [],
    FINISHED: lambda frames: [frames[-2], _error()],
}
