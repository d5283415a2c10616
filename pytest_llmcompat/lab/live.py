"""Sending over real sockets: every part of the body is kept with its time of arrival."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from concurrent.futures import CancelledError
from typing import Final

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.reading import Reading, TooLong
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.redaction import redact_answer, secrets_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer

__all__ = ["KEY_PLACEHOLDER", "LiveClient", "LiveLine"]

# Stands in requests as they are kept; the real key replaces it only while the bytes go out.
KEY_PLACEHOLDER: Final = "$OPENAI_API_KEY"
_CONNECT_SECONDS: Final = 10.0
# Codings whose decoded length is bounded by a factor of about a thousand, whatever else is installed.
_CODINGS: Final = "gzip, deflate"
_LOOPBACK: Final = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class LiveClient:
    """One HTTP client for one target; safe to use from several threads.

    Requests run in an event loop of its own, since only there one deadline holds for everything: looking up the
    host, connecting, waiting for the head and reading a body that trickles.

    timeout: seconds that one exchange may take from sending to the end of its body.
    """

    def __init__(self, target: Target, timeout: float) -> None:
        import httpx

        self._target = target
        self._timeout = timeout
        self._secrets = secrets_of(target)
        self._client = httpx.AsyncClient(
            headers={"accept-encoding": _CODINGS},
            timeout=httpx.Timeout(None, connect=min(timeout, _CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
            follow_redirects=False,
            # No proxy of the environment leads to a server on this machine.
            mounts=dict.fromkeys(_LOOPBACK),
        )
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llmcompat-live", daemon=True)
        self._thread.start()

    def send(self, request: Request, probe: Probe) -> Answer:
        """Send a request and read its answer; failures of the transport are part of the answer.

        Raises concurrent.futures.CancelledError when the client is closed before or meanwhile.
        """
        with self._closing:
            if self._closed:
                raise CancelledError(f"{probe.id} was given up")
            answer = asyncio.run_coroutine_threadsafe(self._send(request, probe), self._loop)
        return answer.result()

    def close(self) -> None:
        """Give up what is under way and close all connections; closing again does nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _finish(self) -> None:
        # A task may begin others while it is given up.
        while under_way := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        await self._client.aclose()

    async def _send(self, request: Request, probe: Probe) -> Answer:
        import httpx

        reading, failure = Reading(probe), None
        started, clock = time.time(), time.monotonic()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    request.method, request.url, headers=self._headers(request), content=request.body or None
                ) as response,
            ):
                reading.head(response.status_code, response.headers.multi_items())
                async for part in response.aiter_bytes():
                    if reading.take(part, time.monotonic() - clock):
                        break
        except (httpx.HTTPError, httpx.InvalidURL, TooLong, OSError) as error:
            failure = _diagnosis(error, self._timeout, reading)
        answer = reading.answer(started=started, total=time.monotonic() - clock, failure=failure)
        return redact_answer(answer, self._secrets)

    def _headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """The headers as they go out: with the key, and with the further headers as the user gave them."""
        further = {name.lower(): value for name, value in self._target.headers.items()}
        return [
            (
                name.encode(),
                further.get(name, value.replace(KEY_PLACEHOLDER, self._target.key or "")).encode(),
            )
            for name, value in request.headers
        ]


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


def _diagnosis(error: Exception, timeout: float, reading: Reading) -> str:
    """A failure in the user's words; never the request, which bears the key."""
    import httpx

    if isinstance(error, TooLong):
        return str(error)
    if isinstance(error, httpx.ConnectTimeout):
        return "the connection could not be opened in time"
    if isinstance(error, TimeoutError):
        return f"{reading.progress} after {timeout:g} s"
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
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return f"the URL cannot be used: {error}"
    return f"the connection broke: {error or type(error).__name__}"
