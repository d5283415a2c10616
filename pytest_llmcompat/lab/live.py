"""Sending over real sockets: every part of the body is kept with its time of arrival."""

from __future__ import annotations

import json
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.redaction import redact_bytes, redact_headers
from pytest_llmcompat.sse import Block, Parser
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer

if TYPE_CHECKING:
    import httpx

__all__ = ["KEY_PLACEHOLDER", "LiveClient", "LiveLine"]

# Stands in requests as they are kept; the real key replaces it only while the bytes go out.
KEY_PLACEHOLDER: Final = "$OPENAI_API_KEY"
_LONGEST_BODY: Final = 64 * 1024 * 1024
_CONNECT_SECONDS: Final = 10.0


class TooLong(Exception):
    """The body went past the limit of time or bytes."""


class LiveClient:
    """One HTTP client for one target; safe to use from several threads.

    timeout: seconds that one exchange may take from sending to the end of its body.
    """

    def __init__(self, target: Target, timeout: float) -> None:
        import httpx

        self._target = target
        self._timeout = timeout
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def send(self, request: Request, probe: Probe) -> Answer:
        """Send a request and read its answer; failures of the transport are part of the answer."""
        import httpx

        key = self._target.key or ""
        headers = [(name, value.replace(KEY_PLACEHOLDER, key)) for name, value in request.headers]
        started, clock = time.time(), time.monotonic()
        answer = Answer(started=started)
        parts: list[bytes] = []
        arrivals: list[tuple[float, int]] = []
        try:
            with self._client.stream(
                request.method, request.url, headers=headers, content=request.body or None
            ) as response:
                answer = self._head(response, started)
                self._read(response, probe, parts, arrivals, clock)
                failure = None
        except (httpx.HTTPError, httpx.InvalidURL, TooLong, OSError) as error:
            failure = _diagnosis(error, self._timeout)
        secrets = (key,) if key else ()
        return Answer(
            status=answer.status,
            headers=redact_headers(answer.headers, secrets),
            body=redact_bytes(b"".join(parts), secrets),
            arrivals=tuple(arrivals),
            started=started,
            total=time.monotonic() - clock,
            failure=failure,
        )

    @staticmethod
    def _head(response: httpx.Response, started: float) -> Answer:
        headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
        return Answer(status=response.status_code, headers=headers, started=started)

    def _read(
        self,
        response: httpx.Response,
        probe: Probe,
        parts: list[bytes],
        arrivals: list[tuple[float, int]],
        clock: float,
    ) -> None:
        parser, content_chunks, length = Parser(), 0, 0
        for part in response.iter_bytes():
            now = time.monotonic() - clock
            parts.append(part)
            arrivals.append((now, len(part)))
            length += len(part)
            if length > _LONGEST_BODY:
                raise TooLong(f"the body is longer than {_LONGEST_BODY} bytes")
            if now > self._timeout:
                raise TooLong(f"the body had not ended after {self._timeout:g} s")
            if probe.abort_after is not None:
                content_chunks += sum(_has_content(block) for block in parser.feed(part))
                if content_chunks >= probe.abort_after:
                    return


class LiveLine:
    """A probe's connection to a live target."""

    live = True

    def __init__(self, client: LiveClient) -> None:
        self._client = client

    def send(self, request: Request, probe: Probe) -> Answer:
        """See `LiveClient.send`."""
        return self._client.send(request, probe)

    def close(self) -> None:
        """Nothing to keep."""


def _has_content(block: Block) -> bool:
    try:
        chunk: Any = json.loads(block.data)
        return bool(chunk["choices"][0]["delta"]["content"])
    except (ValueError, RecursionError, TypeError, LookupError):
        return False


def _diagnosis(error: Exception, timeout: float) -> str:
    """A failure in the user's words; never the request, which bears the key."""
    import httpx

    if isinstance(error, TooLong):
        return str(error)
    if isinstance(error, httpx.ConnectTimeout):
        return "the connection could not be opened in time"
    if isinstance(error, httpx.TimeoutException):
        return f"nothing came for {timeout:g} s"
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(c, ssl.SSLError) for c in causes) or "CERTIFICATE" in str(error).upper():
        return f"TLS failed: {error}"
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {error}"
    if isinstance(error, httpx.DecodingError):
        return f"the body cannot be decoded: {error}"
    return f"the connection broke: {error or type(error).__name__}"
