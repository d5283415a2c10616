"""Refusals of a busy server: 429 and 503, on demand, the right way and in all the wrong ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from starlette.responses import HTMLResponse

from pytest_llmcompat.reference.auth import Answered
from pytest_llmcompat.reference.defect import Defect, Defects, defect
from pytest_llmcompat.reference.errors import ApiError
from pytest_llmcompat.reference.transport import answer_json

__all__ = ["refuse_at_once", "refuse_crowd"]

LEGAL_THROTTLES = defect(
    "legal-throttles", "Plain prompts that begin like another one are answered 429.", row="G-20", legal=True
)
LEGAL_DATE = defect(
    "legal-retry-after-date",
    "Plain prompts that begin like another one are answered 429, with a date to come back at.",
    row="G-20",
    legal=True,
)
LEGAL_OVERLOADED = defect(
    "legal-overloaded", "Plain prompts that begin like another one are answered 503.", row="G-21", legal=True
)
AT_ONCE = defect("throttles-at-once", "The second chat request of all is answered 429.", row="D-R01")
AS_503 = defect("throttled-503", "Throttling is answered 503.", row="D-R01")
AS_200 = defect("throttled-200", "Throttling is answered 200 with an error.", row="D-R01")
FLAT = defect("throttled-flat", "The 429 has no envelope.", row="D-R01")
WITHOUT_CODE = defect("throttled-without-code", "The 429 has neither code nor type.", row="D-R01")
WAIT_MISSING = defect("retry-after-missing", "The 429 has no Retry-After.", row="D-R03")
WAIT_TEXT = defect("retry-after-text", "The Retry-After of the 429 is «20s».", row="D-R03")
WAIT_ZERO = defect("retry-after-zero", "The Retry-After of the 429 is 0.", row="D-R03")
WAIT_HOUR = defect("retry-after-hour", "The Retry-After of the 429 is 3600.", row="D-R03")
NO_RETRY = defect("throttled-do-not-retry", "The 429 says x-should-retry: false.", row="D-R03")
OVERLOADED_HTML = defect(
    "overloaded-html", "An overloaded server answers 503 with an HTML page.", row="D-E02"
)

_WAITS: Final[Mapping[Defect, str | None]] = {
    LEGAL_THROTTLES: "1",
    AS_503: "1",
    AS_200: "1",
    FLAT: "1",
    WITHOUT_CODE: "1",
    NO_RETRY: "1",
    WAIT_MISSING: None,
    WAIT_TEXT: "20s",
    WAIT_ZERO: "0",
    WAIT_HOUR: "3600",
}
_MESSAGE: Final = "Rate limit reached for requests: 3 a minute. Please try again in 1s."


def refuse_at_once(answers: int, defects: Defects) -> None:
    """Raises ApiError 429 for the second chat request, by a defect."""
    if answers == 1 and AT_ONCE in defects:
        raise _throttled("1", defects)


def refuse_crowd(alike: int, defects: Defects) -> None:
    """Refuse a request when another prompt that begins alike has come, where asked to.

    alike: how many there are, this one included. Raises ApiError and Answered.
    """
    if alike < 2:
        return
    if OVERLOADED_HTML in defects:
        raise Answered(HTMLResponse("<html><body><h1>503 Service Unavailable</h1></body></html>", 503))
    if LEGAL_OVERLOADED in defects:
        raise ApiError(503, "The server is overloaded at the moment.", type="server_error")
    if LEGAL_DATE in defects:
        raise _throttled(formatdate(time.time() + 3, usegmt=True), defects)
    for chosen, wait in _WAITS.items():
        if chosen in defects:
            raise _throttled(wait, defects)


def _throttled(wait: str | None, defects: Defects) -> Exception:
    headers = {"retry-after": wait} if wait is not None else {}
    if AS_200 in defects:
        error = {"message": _MESSAGE, "type": "requests", "param": None, "code": 429}
        return Answered(answer_json({"choices": None, "error": error}))
    if FLAT in defects:
        return Answered(answer_json({"message": _MESSAGE}, headers, 429))
    if NO_RETRY in defects:
        headers["x-should-retry"] = "false"
    kind, code = ("error", None) if WITHOUT_CODE in defects else ("requests", "rate_limit_exceeded")
    return ApiError(503 if AS_503 in defects else 429, _MESSAGE, type=kind, code=code, headers=headers)
