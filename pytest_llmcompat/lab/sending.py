"""From a probe to its exchange: build the request, speak the dialect, retry once, negotiate."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pytest_llmcompat.exchange import SDK_HEADERS, Exchange, Refusal, Request
from pytest_llmcompat.lab.live import KEY_PLACEHOLDER
from pytest_llmcompat.lab.negotiation import (
    CARRIERS,
    HEADROOM,
    Attempt,
    dialect_of,
    headroom_of,
    negotiate,
    speak,
    wants_headroom,
)
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.limits import MIB
from pytest_llmcompat.probe import Authorization, Context, Probe, Unsendable
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.redaction import is_credential, redact_headers, secrets_of
from pytest_llmcompat.refusal import names
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import NO_MORE, Answer, Line, TimeUp, Withheld

__all__ = ["given_up", "obtain"]

_LONGEST_WAIT: Final = 30.0
_USUAL_WAIT: Final = 1.0
_BASIC: Final = base64.b64encode(b"llmcompat:wrong").decode()
_ABSENT: Final = frozenset({404, 405, 501})
# Whoever builds on an answer of many megabytes does not send them back.
_LONGEST_REQUEST: Final = MIB


def obtain(probe: Probe, context: Context, line: Line, pace: Pace) -> Exchange:
    """Send a probe, as often as retry and negotiation need, and give its exchange.

    pace: when a live request may go out. What a limit of the run withholds gives an exchange that was not sent.
    Raises MissingExchange under replay, TimeUp when the run's time is up.
    """
    if line.live:
        pace.check()
    try:
        _check_wanted(probe, context)
        _check_requirement(probe, context)
        path = probe.path(context) if callable(probe.path) else probe.path
        body = probe.body(context)
        content = _content(body)
        if len(content) + len(path) > _LONGEST_REQUEST:
            raise Unsendable(f"{probe.id} was not sent: what it takes from an earlier answer is too long")
    except Unsendable as reason:
        return _unsent(probe, context.target, str(reason), unsupported=reason.unsupported, live=line.live)
    url = path if path.startswith(("http://", "https://")) else context.target.endpoint + path
    sending = _Sending(probe, context, url, line, pace)
    try:
        return sending.run(body)
    except Withheld as reason:
        why = f"{probe.id} was not sent: {reason}"
        return _unsent(probe, context.target, why, requests=sending.requests, live=line.live)


def given_up(probe: Probe, target: Target, reason: TimeUp) -> Exchange:
    """The exchange of a probe that the run has no time for."""
    return replace(_unsent(probe, target, f"{probe.id} was given up: {reason}"), given_up=True)


def _unsent(
    probe: Probe,
    target: Target,
    reason: str,
    *,
    unsupported: bool = False,
    requests: int = 0,
    live: bool = True,
) -> Exchange:
    request = Request(probe.method, target.endpoint, (), b"")
    return Exchange(
        probe.id,
        target.id,
        request,
        unsent=reason,
        unsupported=unsupported,
        requests=requests,
        live=live,
    )


def _content(body: Any) -> bytes:
    """The bytes of a request: none for None, bytes as they are, JSON of anything else."""
    if body is None or isinstance(body, bytes):
        return body or b""
    text = json.dumps(body, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, taken from an earlier answer, has no other form.
        return json.dumps(body).encode()


def _check_wanted(probe: Probe, context: Context) -> None:
    """Raise Unsendable when the endpoint shows nothing of a feature that nobody asked about by name."""
    if probe.wanted is None or probe.suite in context.named or probe.wanted(context):
        return
    raise Unsendable(
        f"{probe.id} was not sent: the endpoint shows nothing of {probe.suite}; --llm-suite={probe.suite} asks "
        "all the same",
        unsupported=True,
    )


def _check_requirement(probe: Probe, context: Context) -> None:
    """Raise Unsendable when the endpoint has refused the feature that a probe is about."""
    if probe.requires is None:
        return
    required = context.exchanges[probe.requires]
    if required.unsent is not None:
        raise Unsendable(required.unsent, unsupported=required.unsupported)
    if required.status in _ABSENT or required.status in (400, 422):
        raise Unsendable(
            f"{probe.requires} was refused with {required.status}, so {probe.id} was not sent",
            unsupported=required.status in _ABSENT or _names_feature(required),
        )


def _names_feature(required: Exchange) -> bool:
    """True when a refusal is about something that the probe sent besides a plain request."""
    usual = {"model", "messages", *CARRIERS}
    sent = required.sent if isinstance(required.sent, dict) else {}
    return any(names(required, parameter) for parameter in sent if parameter not in usual)


class _Sending:
    """One probe under way: counts its requests and knows how each of them is put together."""

    def __init__(self, probe: Probe, context: Context, url: str, line: Line, pace: Pace) -> None:
        self._probe, self._context, self._url = probe, context, url
        self._line, self._pace = line, pace
        self.requests, self._retried = 0, list[Exchange]()

    def run(self, body: Any) -> Exchange:
        """The exchange that counts, with the number of requests that it took."""
        if self._probe.negative or not isinstance(body, Mapping):
            exchange, refused = self._send(body), dict[str, Refusal]()
        elif self._probe.id == "chat-basic":
            exchange, refused = self._with_headroom(body)
        else:
            basic = self._context.exchanges.get("chat-basic")
            ordinary = PROBES["chat-basic"].body(self._context)
            assert isinstance(ordinary, Mapping)
            factor = headroom_of(basic, ordinary) if self._probe.headroom else 1
            dialect = dialect_of(basic)
            exchange, refused = self._negotiate(speak(body, dialect, factor), dialect)
        return replace(exchange, refused=refused, requests=self.requests, retried=tuple(self._retried))

    def _with_headroom(self, body: Mapping[str, Any]) -> tuple[Exchange, dict[str, Refusal]]:
        """`chat-basic`, once more with more room when reasoning took it; as it was when that is refused."""
        exchange, refused = self._negotiate(body, {})
        if wants_headroom(exchange):
            roomy = self._send(speak(body, refused, HEADROOM), extra_headers=SDK_HEADERS not in refused)
            if roomy.ok:
                return roomy, refused
        return exchange, refused

    def _negotiate(
        self, body: Mapping[str, Any], refused: Mapping[str, Refusal]
    ) -> tuple[Exchange, dict[str, Refusal]]:
        extra_headers = bool(self._probe.headers) and SDK_HEADERS not in refused

        def send(attempt: Attempt) -> Exchange:
            return self._send(attempt.body, extra_headers=attempt.extra_headers)

        return negotiate(body, self._probe.features, refused, send, extra_headers=extra_headers)

    def _send(self, body: Any, *, extra_headers: bool = True) -> Exchange:
        """One request, and one more when the first met a passing fault."""
        request = self._request(body, extra_headers=extra_headers)
        exchange = self._exchange(request)
        wait = _wait_before_retry(exchange, self._probe)
        if wait is None:
            return exchange
        if self._line.live:
            throttled = exchange.status == 429
            if not (self._pace.is_patient if throttled else self._pace.wait(wait)):
                return exchange
        self._retried.append(exchange)
        return self._exchange(request)

    def _answered(self, request: Request) -> Exchange:
        answer = self._line.send(request, self._probe)
        self.requests += 1
        return self._received(request, answer)

    def _exchange(self, request: Request) -> Exchange:
        if not self._line.live:
            return self._answered(request)
        with self._pace.turn() as turn:
            exchange = self._answered(request)
            if exchange.status == 429:
                wait = _retry_after(exchange)
                # Who asks for hours would have them for each probe: such an answer stands, and nobody waits.
                turn.throttle(wait if wait <= _LONGEST_WAIT else 0.0)
        return exchange

    def _request(self, body: Any, *, extra_headers: bool) -> Request:
        headers = {"accept": "application/json", **self._credentials()}
        if body is not None:
            headers["content-type"] = "application/json"
        if extra_headers:
            headers.update(self._probe.headers)
        headers.update(self._further_headers())
        return Request(self._probe.method, self._url, tuple(headers.items()), _content(body))

    def _credentials(self) -> dict[str, str]:
        match self._probe.authorization:
            case Authorization.KEY if self._context.target.key:
                return {"authorization": f"Bearer {KEY_PLACEHOLDER}"}
            case Authorization.WRONG:
                return {"authorization": f"Bearer {WRONG_KEY}"}
            case Authorization.BASIC:
                return {"authorization": f"Basic {_BASIC}"}
        return {}

    def _further_headers(self) -> dict[str, str]:
        """The user's headers as they are kept; a probe without the key must not be let in by one of them."""
        target = self._context.target
        given = tuple((name.lower(), value) for name, value in target.headers.items())
        if self._probe.authorization is not Authorization.KEY:
            given = tuple((name, value) for name, value in given if not is_credential(name))
        return dict(redact_headers(given, secrets_of(target)))

    def _received(self, request: Request, answer: Answer) -> Exchange:
        return _exchange(self._probe, self._context.target, request, answer, live=self._line.live)


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
    """Seconds to wait before the one retry; None when the answer stands, or asks for a longer wait than we bear."""
    if probe.together:
        return None
    passing = exchange.failure is not None or exchange.status == 429
    if exchange.failure is not None and exchange.failure.endswith(NO_MORE):
        return None
    if not probe.negative:
        passing = passing or (exchange.status >= 500 and exchange.status != 501)
    wait = _retry_after(exchange)
    return wait if passing and wait <= _LONGEST_WAIT else None


def _retry_after(exchange: Exchange) -> float:
    """Retry-After in seconds (RFC 9110 section 10.2.3: seconds or an HTTP date); 1 when absent or unreadable."""
    value = exchange.header("retry-after") or ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - exchange.started)
    except (ValueError, TypeError, OverflowError):
        return _USUAL_WAIT
