"""Requests and answers in vcrpy's terms and back; what vcrpy has no terms for goes into extra keys."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pytest_llmcompat.exchange import Headers, Request
from pytest_llmcompat.wire import Answer

__all__ = ["VcrRequest", "answer_of", "extra_of", "failed_of", "request_of", "vcr_request", "vcr_response"]

VcrRequest = Any  # vcrpy has no types
_CODING: Final = "content-encoding"
# Three digits (RFC 9110 section 15).
_LARGEST_STATUS: Final = 999
# Seconds; far above every Unix time.
_NEVER: Final = 1e12


def vcr_request(request: Request) -> VcrRequest:
    """A request as vcrpy has it."""
    import vcr.request  # type: ignore[import-untyped]

    headers: dict[str, str] = {}
    for name, value in sorted(request.headers, key=lambda header: header[0]):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return vcr.request.Request(request.method, request.url, request.body, headers)


def vcr_response(answer: Answer) -> dict[str, Any]:
    """An answer as vcrpy has it: the decoded body, without the headers that described the coded one."""
    try:
        message = HTTPStatus(answer.status).phrase
    except ValueError:
        message = ""
    headers: dict[str, list[str | bytes]] = {}
    for name, value in sorted(answer.headers, key=lambda header: header[0]):
        if name != _CODING:
            # Clients that vcrpy serves refuse a text that is not ASCII, and take bytes.
            headers.setdefault(name, []).append(value if value.isascii() else value.encode())
    if _CODING in dict(answer.headers) and "content-length" in headers:
        headers["content-length"] = [str(len(answer.body))]
    return {
        "status": {"code": answer.status, "message": message},
        "headers": headers,
        "body": {"string": answer.body},
    }


def extra_of(answer: Answer) -> dict[str, Any]:
    """What vcrpy has no place for; times to the microsecond."""
    coded: dict[str, list[str]] = {}
    for name, value in answer.headers:
        if name in (_CODING, "content-length"):
            coded.setdefault(name, []).append(value)
    extra: dict[str, Any] = {} if answer.failure is None else {"failure": answer.failure}
    extra |= {"started": round(answer.started, 6), "total": round(answer.total, 6)}
    if _CODING in coded:
        # Hardly ever does one of them come twice.
        extra["coded"] = {
            name: coded[name] if len(coded[name]) > 1 else coded[name][0]
            for name in (_CODING, "content-length")
            if name in coded
        }
    return {**extra, "arrivals": [[round(seconds, 6), length] for seconds, length in answer.arrivals]}


def request_of(request: VcrRequest) -> Request:
    """The request that `vcr_request` was given. Raises TypeError for a body of another kind."""
    body = request.body or b""
    if not isinstance(body, bytes):
        raise TypeError("a request body is neither text nor bytes")
    headers = sorted((str(name).lower(), str(value)) for name, value in request.headers.items())
    return Request(str(request.method), str(request.uri), tuple(headers), body)


def answer_of(response: Mapping[str, Any], extra: Mapping[str, Any]) -> Answer:
    """The answer that `vcr_response` and `extra_of` were given. Raises what reading a damaged one comes to."""
    coded = extra.get("coded") or {}
    headers = [
        (str(name).lower(), value.decode() if isinstance(value, bytes) else str(value))
        for name, values in response["headers"].items()
        if name not in coded
        for value in ([values] if isinstance(values, str) else values)
    ]
    body = response["body"]["string"] or b""
    if not isinstance(body, bytes):
        raise TypeError("an answer body is neither text nor bytes")
    headers += [
        (str(name), str(value))
        for name, values in coded.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return _timed(int(response["status"]["code"]), tuple(headers), body, extra)


def _timed(status: int, headers: Headers, body: bytes, extra: Mapping[str, Any]) -> Answer:
    """An answer with its times. Raises TypeError and ValueError for what no answer ever had."""
    failure = extra.get("failure")
    if failure is not None and not isinstance(failure, str):
        raise TypeError("a failure is no text")
    if not 0 <= status <= _LARGEST_STATUS:
        raise ValueError(f"{status} is no status")
    return Answer(
        status=status,
        headers=tuple(sorted(headers, key=lambda header: header[0])),
        body=body,
        arrivals=tuple((_seconds(seconds), _length(length)) for seconds, length in extra["arrivals"]),
        started=_seconds(extra.get("started", 0.0)),
        total=_seconds(extra.get("total", 0.0)),
        failure=failure,
    )


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < _NEVER:
        raise ValueError(f"{seconds} is no time")
    return seconds


def _length(value: Any) -> int:
    length = int(value)
    if length < 0:
        raise ValueError("a part of a body has no length")
    return length


def failed_of(failed: Mapping[str, Any]) -> tuple[Request, Answer]:
    """A request without an answer, and why none came."""
    import vcr.request

    return request_of(vcr.request.Request._from_dict(failed["request"])), _timed(0, (), b"", failed)
