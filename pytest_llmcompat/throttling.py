"""Answers that put a client off: which ones came in a run, and how long they ask it to wait."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Final

from pytest_llmcompat.answer import body, error_in_200, error_message
from pytest_llmcompat.exchange import Exchange

__all__ = ["LONGEST_WAIT", "met", "out_of_quota", "speaks_of_limits", "throttled", "wait_asked"]

# openai-python 3.57 _constants.py, MAX_RETRY_AFTER_DELAY: above it the client gives up at once.
LONGEST_WAIT: Final = 120.0
_LIMITS: Final = re.compile(r"\brate[ _-]?limit|\btoo many requests\b", re.IGNORECASE)
_QUOTA: Final = re.compile(r"insufficient_quota|billing|credit", re.IGNORECASE)


def met(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """All answers of the exchanges, those included after which a request was sent once more."""
    return [answer for exchange in exchanges for answer in (*exchange.retried, exchange) if answer.status]


def throttled(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """The answers with status 429."""
    return [answer for answer in met(exchanges) if answer.status == 429]


def speaks_of_limits(answer: Exchange) -> bool:
    """True for a failure whose text is about too many requests."""
    failed = answer.status >= 400 or error_in_200(answer)
    return failed and _LIMITS.search(error_message(answer)) is not None


def out_of_quota(answer: Exchange) -> bool:
    """True for a 429 that no waiting helps against: there is no money left."""
    error = body(answer)
    return any(
        isinstance(value := error.at(f"/error/{key}"), str) and _QUOTA.search(value) is not None
        for key in ("code", "type", "message")
    )


def wait_asked(answer: Exchange) -> float | None:
    """Seconds that an answer asks to wait, by `retry-after-ms` or `Retry-After`; None when it cannot be read."""
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(answer.header(header) or "") / divisor
        except ValueError:
            continue
        return seconds if math.isfinite(seconds) else None
    try:
        return parsedate_to_datetime(answer.header("retry-after") or "").timestamp() - answer.started
    except (ValueError, TypeError, OverflowError):
        return None
