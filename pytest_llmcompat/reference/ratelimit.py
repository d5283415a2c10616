"""Rate limits that count honestly: a window of a minute each for requests and tokens, shown in headers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import ApiError

__all__ = ["RateLimit", "duration"]

NEGATIVE = defect("ratelimit-negative", "The remaining limits are -1.", row="D-R02")
FLOAT = defect("ratelimit-float", "The remaining limits are decimals.", row="D-R02")
RESET_EPOCH = defect("ratelimit-reset-epoch", "The resets are Unix times.", row="D-R02")
REMAINING_MISSING = defect(
    "ratelimit-remaining-missing", "Limits and resets are sent, but not what remains.", row="D-R02"
)
ABOVE_LIMIT = defect("ratelimit-above-limit", "More remains than the limit.", row="D-R02")

# OpenAI's limits for the largest customers (tier 5): no test run reaches them by accident.
REQUESTS_PER_MINUTE: Final = 30_000
TOKENS_PER_MINUTE: Final = 150_000_000
_WINDOW: Final = 60.0


@dataclass(slots=True)
class _Window:
    limit: int
    used: int = 0
    ends: float = 0.0

    def take(self, amount: int, now: float) -> bool:
        """Count an amount; False, and nothing counted, when it doesn't fit any more."""
        if now >= self.ends:
            self.used, self.ends = 0, now + _WINDOW
        if self.used + amount > self.limit:
            return False
        self.used += amount
        return True


@dataclass(slots=True)
class RateLimit:
    """What one key may still send. A window begins with the first request after the last one ended.

    clock: seconds that only grow.
    """

    clock: Callable[[], float] = time.monotonic
    requests: _Window = field(default_factory=lambda: _Window(REQUESTS_PER_MINUTE))
    tokens: _Window = field(default_factory=lambda: _Window(TOKENS_PER_MINUTE))

    def take(self, tokens: int, defects: Defects) -> dict[str, str]:
        """Count a request and its tokens; gives the headers to send. Raises ApiError 429 when exhausted."""
        now = self.clock()
        for kind, window, amount in (("requests", self.requests, 1), ("tokens", self.tokens, tokens)):
            if not window.take(amount, now):
                raise _exhausted(kind, window, now, self._headers(now, defects))
        return self._headers(now, defects)

    def _headers(self, now: float, defects: Defects) -> dict[str, str]:
        """The `x-ratelimit-*` headers; `reset` says when the whole limit is there again."""
        headers = {}
        for kind, window in (("requests", self.requests), ("tokens", self.tokens)):
            headers[f"x-ratelimit-limit-{kind}"] = str(window.limit)
            if REMAINING_MISSING not in defects:
                headers[f"x-ratelimit-remaining-{kind}"] = _remaining(window, defects)
            headers[f"x-ratelimit-reset-{kind}"] = (
                str(int(time.time() + window.ends - now))
                if RESET_EPOCH in defects
                else duration(window.ends - now)
            )
        return headers


def _remaining(window: _Window, defects: Defects) -> str:
    if NEGATIVE in defects:
        return "-1"
    if FLOAT in defects:
        return "59.5"
    return str(window.limit + 1 if ABOVE_LIMIT in defects else window.limit - window.used)


def _exhausted(kind: str, window: _Window, now: float, headers: dict[str, str]) -> ApiError:
    wait = window.ends - now
    return ApiError(
        429,
        f"Rate limit reached for {kind}: {window.limit} a minute. Please try again in {duration(wait)}.",
        type=kind,
        code="rate_limit_exceeded",
        headers={**headers, "retry-after": str(max(1, math.ceil(wait)))},
    )


def duration(seconds: float) -> str:
    """A duration as Go prints it and OpenAI sends it: `12ms`, `59.871s`, `1m30s`."""
    milliseconds = max(0, round(seconds * 1000))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"
