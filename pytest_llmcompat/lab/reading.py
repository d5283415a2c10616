"""One answer while it comes in: head, parts and their times, and when there is enough of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.sse import Block, Parser
from pytest_llmcompat.wire import Answer

__all__ = ["Reading", "TooLong"]

_LONGEST_BODY: Final = 64 * 1024 * 1024


class TooLong(Exception):
    """The body went past the limit of bytes."""


class Reading:
    """An answer that grows until it is whole, or until its probe has seen enough."""

    def __init__(self, probe: Probe) -> None:
        self._abort_after = probe.abort_after
        self._status = 0
        self._headers: Headers = ()
        self._parts: list[bytes] = []
        self._arrivals: list[tuple[float, int]] = []
        self._length = 0
        self._parser, self._content_chunks = Parser(), 0

    def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Status and headers have come."""
        self._status = status
        self._headers = tuple((name.lower(), value) for name, value in headers)

    def take(self, part: bytes, seconds: float) -> bool:
        """The next part has come, `seconds` after sending; True when the probe wants no more.

        Raises TooLong for a body past the limit of bytes.
        """
        self._parts.append(part)
        self._arrivals.append((seconds, len(part)))
        self._length += len(part)
        if self._length > _LONGEST_BODY:
            raise TooLong(f"the body is longer than {_LONGEST_BODY} bytes")
        if self._abort_after is None:
            return False
        self._content_chunks += sum(_has_content(block) for block in self._parser.feed(part))
        return self._content_chunks >= self._abort_after

    @property
    def progress(self) -> str:
        """How far the answer had come."""
        if self._status == 0:
            return "no answer had come"
        return "the body had not ended" if self._parts else "no body had come"

    def answer(self, *, started: float, total: float, failure: str | None) -> Answer:
        """The answer as it is now. started: unix time of sending. total: seconds that it took."""
        return Answer(
            status=self._status,
            headers=self._headers,
            body=b"".join(self._parts),
            arrivals=tuple(self._arrivals),
            started=started,
            total=total,
            failure=failure,
        )


def _has_content(block: Block) -> bool:
    try:
        chunk: Any = json.loads(block.data)
        return bool(chunk["choices"][0]["delta"]["content"])
    except (ValueError, RecursionError, TypeError, LookupError):
        return False
