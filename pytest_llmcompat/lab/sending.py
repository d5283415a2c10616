"""From a probe to its exchange: build the request, speak the dialect, retry once, negotiate."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pytest_llmcompat.exchange import Exchange, Headers, Request
from pytest_llmcompat.lab.live import KEY_PLACEHOLDER
from pytest_llmcompat.lab.negotiation import (
    HEADROOM,
    Attempt,
    dialect_of,
    headroom_of,
    negotiate,
    speak,
)
from pytest_llmcompat.probe import Authorization, Context, Probe, Unsendable
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer, Line

__all__ = ["Pause", "obtain"]

Pause = Callable[[float], None]

_LONGEST_WAIT: Final = 30.0
_BASIC: Final = base64.b64encode(b"llmcompat:wrong").decode()


def obtain(probe: Probe, context: Context, line: Line, pause: Pause) -> Exchange:
    """Send a probe, as often as retry and negotiation need, and give its exchange.

    pause: called with the seconds to wait before a retry. Raises MissingExchange under replay.
    """
    try:
        _check_requirement(probe, context)
        path = probe.path(context) if callable(probe.path) else probe.path
        body = probe.body(context)
    except Unsendable as reason:
        request = Request(probe.method, context.target.endpoint, (), b"")
        return Exchange(
            probe.id,
            context.target.id,
            request,
            unsent=str(reason),
            unsupported=reason.unsupported,
            requests=0,
            live=line.live,
        )
    url = path if path.startswith(("http://", "https://")) else context.target.endpoint + path
    return _Sending(probe, context.target, url, line, pause).run(body, context)


def _check_requirement(probe: Probe, context: Context) -> None:
    if probe.requires is None:
        return
    required = context.exchanges[probe.requires]
    if required.unsent is not None:
        raise Unsendable(required.unsent, unsupported=required.unsupported)
    if required.status in (400, 404, 405, 422, 501):
        raise Unsendable(
            f"{probe.requires} was refused with {required.status}, so this was not sent", unsupported=True
        )


class _Sending:
    """One probe under way: counts its requests and knows how each of them is put together."""

    def __init__(self, probe: Probe, target: Target, url: str, line: Line, pause: Pause) -> None:
        self._probe, self._target, self._url = probe, target, url
        self._line, self._pause = line, pause
        self._requests = 0

    def run(self, body: Any, context: Context) -> Exchange:
        probe = self._probe
        if probe.negative or not isinstance(body, Mapping):
            exchange = self._send(body)
            return replace(exchange, requests=self._requests)
        basic = context.exchanges.get("chat-basic")
        dialect = dialect_of(basic)
        factor = headroom_of(basic) if probe.headroom else 1
        exchange, refused = self._negotiate(speak(body, dialect, factor), dialect)
        if probe.id == "chat-basic" and headroom_of(exchange) == HEADROOM:
            exchange, refused = self._negotiate(speak(body, refused, HEADROOM), refused)
        return replace(exchange, refused=refused, requests=self._requests)

    def _negotiate(self, body: Mapping[str, Any], refused: Mapping[str, Any]) -> tuple[Exchange, dict[str, Any]]:
        extra_headers = bool(self._probe.headers) and "sdk-headers" not in refused

        def send(attempt: Attempt) -> Exchange:
            return self._send(attempt.body, extra_headers=attempt.extra_headers and extra_headers)

        return negotiate(body, self._probe.features, refused, send, extra_headers=extra_headers)

    def _send(self, body: Any, *, extra_headers: bool = True) -> Exchange:
        """One request, and one more when the first met a passing fault."""
        request = self._request(body, extra_headers=extra_headers)
        exchange = self._exchange(request)
        wait = _wait_before_retry(exchange, self._probe)
        if wait is None:
            return exchange
        if self._line.live:
            self._pause(wait)
        return self._exchange(request)

    def _exchange(self, request: Request) -> Exchange:
        answer = self._line.send(request, self._probe)
        self._requests += 1
        return _exchange(self._probe, self._target, request, answer, live=self._line.live)

    def _request(self, body: Any, *, extra_headers: bool) -> Request:
        headers = [("accept", "application/json"), *self._credentials()]
        content = b""
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
            headers.append(("content-type", "application/json"))
        headers += [(name.lower(), value) for name, value in self._target.headers.items()]
        if extra_headers:
            headers += self._probe.headers.items()
        return Request(self._probe.method, self._url, tuple(headers), content)

    def _credentials(self) -> Headers:
        match self._probe.authorization:
            case Authorization.KEY if self._target.key:
                return (("authorization", f"Bearer {KEY_PLACEHOLDER}"),)
            case Authorization.WRONG:
                return (("authorization", f"Bearer {WRONG_KEY}"),)
            case Authorization.BASIC:
                return (("authorization", f"Basic {_BASIC}"),)
        return ()


def _exchange(probe: Probe, target: Target, request: Request, answer: Answer, *, live: bool) -> Exchange:
    return Exchange(
        probe=probe.id,
        target=target.id,
        request=request,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        arrivals=answer.arrivals,
        started=answer.started,
        total=answer.total,
        failure=answer.failure,
        live=live,
    )


def _wait_before_retry(exchange: Exchange, probe: Probe) -> float | None:
    """Seconds to wait before the one retry; None when the answer stands as it is."""
    passing = exchange.failure is not None or exchange.status == 429
    if not probe.negative:
        passing = passing or (exchange.status >= 500 and exchange.status != 501)
    if not passing:
        return None
    return min(_retry_after(exchange), _LONGEST_WAIT)


def _retry_after(exchange: Exchange) -> float:
    """Retry-After in seconds (RFC 9110 section 10.2.3: seconds or an HTTP date); 1 when absent or unreadable."""
    value = exchange.header("retry-after") or ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - exchange.started)
    except (ValueError, TypeError):
        return 1.0
