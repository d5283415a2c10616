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
    coded = dict(answer.headers)
    extra: dict[str, Any] = {} if answer.failure is None else {"failure": answer.failure}
    extra |= {"started": round(answer.started, 6), "total": round(answer.total, 6)}
    if _CODING in coded:
        extra["coded"] = {name: coded[name] for name in (_CODING, "content-length") if name in coded}
    return {**extra, "arrivals": [[round(seconds, 6), length] for seconds, length in answer.arrivals]}


def request_of(request: VcrRequest) -> Request:
    """The request that `vcr_request` was given. Raises TypeError for a body of another kind."""
    body = request.body or b""
    if not isinstance(body, bytes):
        raise TypeError("a request body is neither text nor bytes")
    headers = sorted((str(name).lower(), str(value)) for name, value in request.headers.items())
    return Request(str(request.method), str(request.uri), tuple(headers), body)


def answer_of(response: Mapping[str, Any], extra: Mapping[str, Any]) -> Answer:
    """The answer that `vcr_response` and `extra_of` were given."""
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
    return _timed(int(response["status"]["code"]), (*headers, *coded.items()), body, extra)


def _timed(status: int, headers: Headers, body: bytes, extra: Mapping[str, Any]) -> Answer:
    return Answer(
        status=status,
        headers=tuple(sorted(headers, key=lambda header: header[0])),
        body=body,
        arrivals=tuple((float(seconds), int(length)) for seconds, length in extra["arrivals"]),
        started=float(extra.get("started", 0.0)),
        total=float(extra.get("total", 0.0)),
        failure=extra.get("failure"),
    )


def failed_of(failed: Mapping[str, Any]) -> tuple[Request, Answer]:
    """A request without an answer, and why none came."""
    import vcr.request

    return request_of(vcr.request.Request._from_dict(failed["request"])), _timed(0, (), b"", failed)
