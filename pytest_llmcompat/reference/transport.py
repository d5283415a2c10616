"""What every answer has in common: its headers, its coding, and the errors as JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import ApiError, checked, envelope, invalid, status
from pytest_llmcompat.reference.state import State

__all__ = [
    "LEGAL_BARE",
    "HeaderMiddleware",
    "answer_completion",
    "answer_error",
    "answer_json",
    "encode",
    "read_body",
    "state_of",
]

TEXT_PLAIN = defect("completion-as-text-plain", "Plain completions are sent as text/plain.", row="D-T05")
EVENT_STREAM = defect(
    "completion-as-event-stream", "Plain completions are sent as an event stream.", row="D-T06"
)
DONE_GLUED = defect(
    "completion-with-done-glued", "Plain completions are followed by data: [DONE].", row="D-T06"
)
BYTE_ORDER_MARK = defect(
    "completion-with-bom", "Plain completions begin with a byte order mark.", row="D-S14"
)
INVALID_UTF8 = defect(
    "completion-invalid-utf8", "Plain completions hold emoji cut to invalid UTF-8.", row="D-S14"
)
NOT_A_NUMBER = defect("completion-with-nan", "Plain completions hold a NaN.", row="supplement")
NAME_TWICE = defect("completion-name-twice", "Plain completions have `object` twice.", row="supplement")
SDK_HEADERS_REFUSED = defect(
    "sdk-headers-refused", "Requests with x-stainless-* or idempotency-key headers are refused.", row="D-T07"
)
ID_MISSING = defect("request-id-missing", "Responses have no x-request-id.", row="D-T08")
ID_CONSTANT = defect("request-id-constant", "All responses have the same x-request-id.", row="D-T08")
LEGAL_PROXY_ID = defect(
    "legal-proxy-request-id", "A proxy puts an x-request-id of its own format.", row="G-17", legal=True
)
LEGAL_BARE = defect(
    "legal-bare",
    "No fingerprint, refusal, service tier, rate-limit header or request id.",
    row="G-05",
    legal=True,
)
ERROR_HTML = defect("error-html", "Errors, but for unknown routes, are HTML pages.", row="D-E02")
ERROR_TEXT_PLAIN = defect("error-as-text-plain", "Errors are sent as text/plain.", row="D-E02")
ERROR_EMPTY = defect("error-empty", "Errors have empty bodies.", row="D-E02")
SHOULD_RETRY = defect("permanent-should-retry", "Refusals say x-should-retry: true.", row="supplement")
CLOSED = defect("connection-closed", "The connection is closed after each answer.", row="supplement")
MALFORMED_500 = defect("malformed-json-500", "A malformed body is answered 500.", row="D-E06")

_JSON: Final = "application/json"
_ASTRAL: Final = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


def state_of(request: Request) -> State:
    """The state of the reference that serves this request."""
    state: State = request.app.state.reference
    return state


def encode(document: Any) -> bytes:
    """A document as UTF-8 JSON, characters written out and not escaped."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def answer_json(document: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """An answer of one JSON document."""
    return Response(encode(document), status, dict(headers or {}), media_type=_JSON)


def answer_completion(document: Any, headers: Mapping[str, str], defects: Defects) -> Response:
    """A plain completion."""
    body, media_type = encode(document), _JSON
    if INVALID_UTF8 in defects:
        body = _ASTRAL.sub(lambda found: found[0][:2], body)
    if NOT_A_NUMBER in defects:
        body = b'{"score":NaN,' + body[1:]
    if NAME_TWICE in defects:
        body = b'{"object":"chat.completion",' + body[1:]
    if BYTE_ORDER_MARK in defects:
        body = b"\xef\xbb\xbf" + body
    if DONE_GLUED in defects:
        body += b"\n\ndata: [DONE]\n\n"
    if EVENT_STREAM in defects:
        body, media_type = b"data: " + body + b"\n\ndata: [DONE]\n\n", "text/event-stream"
    if TEXT_PLAIN in defects:
        media_type = "text/plain"
    return Response(body, 200, dict(headers), media_type=media_type)


def answer_error(error: ApiError, defects: Defects, *, routed: bool = True) -> Response:
    """The answer to a request that is not served. routed: False when no route took it."""
    body, media_type = encode(envelope(error, defects)), _JSON
    if ERROR_HTML in defects and routed:
        body, media_type = b"<html><body><h1>Error</h1></body></html>", "text/html"
    if ERROR_TEXT_PLAIN in defects:
        media_type = "text/plain"
    if ERROR_EMPTY in defects:
        body = b""
    headers = {**error.headers}
    if SHOULD_RETRY in defects and error.status < 500 and error.status != 429:
        headers["x-should-retry"] = "true"
    return Response(body, status(error, defects), headers, media_type=media_type)


async def read_body(request: Request) -> Any:
    """The JSON document of a request. Raises ApiError 400 when it is no JSON, or holds half characters."""
    sent = await request.body()
    with checked(state_of(request).defects, crashing=MALFORMED_500):
        try:
            document = json.loads(sent, parse_constant=_refuse_constant)
            encode(document)
        except (ValueError, RecursionError):
            raise invalid("We could not parse the JSON body of your request.", None) from None
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class HeaderMiddleware:
    """Gives each response the headers that OpenAI sends with all of them."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._add_request_id(headers)
                headers["openai-processing-ms"] = str(round((time.perf_counter() - started) * 1000))
                headers["openai-version"] = "2020-10-01"
                headers["openai-organization"] = "reference"
                if CLOSED in self._state.defects:
                    headers["connection"] = "close"
            await send(message)

        app = self._app
        if SDK_HEADERS_REFUSED in self._state.defects and _from_sdk(Headers(scope=scope)):
            app = answer_error(invalid("Unknown request header.", None), self._state.defects)
        await app(scope, receive, send_with_headers)

    def _add_request_id(self, headers: MutableHeaders) -> None:
        defects = self._state.defects
        id = self._state.identifiers.next("req_", 32, "0123456789abcdef")
        if ID_CONSTANT in defects:
            id = "req_00000000000000000000000000000000"
        if LEGAL_PROXY_ID in defects:
            id = f"proxy:{id[-8:]}/1"
        if not {ID_MISSING, LEGAL_BARE} & defects:
            headers["x-request-id"] = id


def _from_sdk(headers: Headers) -> bool:
    return any(name.startswith("x-stainless-") or name == "idempotency-key" for name in headers)
