"""Sending over real sockets: every part of the body is kept with its time of arrival."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from typing import Final

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.decoding import CODINGS, Undecodable
from pytest_llmcompat.lab.reading import Excess, Reading
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.proxies import direct
from pytest_llmcompat.redaction import redact_answer, secrets_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import NO_MORE, Answer

__all__ = ["KEY_PLACEHOLDER", "LiveClient", "LiveLine"]

# Stands in requests as they are kept; the real key replaces it only while the bytes go out.
KEY_PLACEHOLDER: Final = "$OPENAI_API_KEY"
# What h11 says of a head that does not fit into the 100 KiB that httpcore gives it.
_HEAD_TOO_LONG: Final = "Receive buffer too long"


class LiveClient:
    """One HTTP client for one target; safe to use from several threads.

    Requests run in an event loop of its own, since only there one deadline holds for everything: looking up the
    host, connecting, waiting for the head and reading a body that trickles.

    limits: those of each exchange. allowance: the time and memory of the run; unbounded time when left out.
    """

    def __init__(
        self, target: Target, limits: Limits | None = None, allowance: Allowance | None = None
    ) -> None:
        import httpx

        self._target = target
        self._limits, self._allowance = limits or Limits(), allowance or Allowance()
        self._secrets = secrets_of(target)
        self._client = httpx.AsyncClient(
            headers={"accept-encoding": CODINGS},
            # The other limits are kept here, where one clock holds for all of them.
            timeout=httpx.Timeout(None, connect=self._limits.connect),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
            follow_redirects=False,
            mounts=direct(target),
        )
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llmcompat-live", daemon=True)
        self._thread.start()

    def send(self, request: Request, probe: Probe) -> Answer:
        """Send a request and read its answer; failures of the transport are part of the answer.

        Raises TimeUp when the run's time is up before or meanwhile, concurrent.futures.CancelledError when the
        client is closed.
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

        self._allowance.check()
        reading, failure = Reading(probe, self._limits, self._allowance), None
        alarm = _Alarm(self._limits, self._allowance)
        started, clock = time.time(), time.monotonic()
        try:
            async with (
                alarm.sounding(),
                self._client.stream(
                    request.method, request.url, headers=self._headers(request), content=request.body or None
                ) as response,
            ):
                reading.head(response.status_code, response.headers.multi_items())
                alarm.something_came()
                async for part in response.aiter_raw():
                    if reading.take(part, time.monotonic() - clock):
                        break
                    alarm.something_came()
        except TimeoutError:
            failure = alarm.failure(reading)
        # A host that cannot be coded is a UnicodeError, raised by the look-up of names.
        except (httpx.HTTPError, httpx.InvalidURL, Excess, Undecodable, OSError, UnicodeError) as error:
            failure = _diagnosis(error, self._limits)
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


class _Alarm:
    """The limits of time of one exchange: at each moment the earliest of those in force ends it."""

    def __init__(self, limits: Limits, allowance: Allowance) -> None:
        self._limits, self._allowance = limits, allowance
        self._seconds, self._option = limits.total, "--llm-timeout"

    @asynccontextmanager
    async def sounding(self) -> AsyncIterator[None]:
        """Raise TimeoutError in the block when a limit is reached."""
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        async with asyncio.timeout(None) as self._timeout:
            self._wait(self._limits.first_byte, "--llm-first-byte-timeout")
            yield

    def something_came(self) -> None:
        """The head or a part of the body has come, the next has its own time."""
        self._wait(self._limits.idle, "--llm-idle-timeout")

    def failure(self, reading: Reading) -> str:
        """Which limit was reached, and how far the answer had come. Raises TimeUp when it was that of the run."""
        if self._option == "--llm-run-timeout":
            raise self._allowance.time_up()
        if self._option == "--llm-idle-timeout":
            return f"{reading.progress} when nothing more came for {self._seconds:g} s ({self._option})"
        return f"{reading.progress} after {self._seconds:g} s ({self._option})"

    def _wait(self, seconds: float, option: str) -> None:
        now = self._clock()
        # Of two that come at the same time the first is named.
        end, self._seconds, self._option = min(
            (self._begun + self._limits.total, self._limits.total, "--llm-timeout"),
            (now + seconds, seconds, option),
            (now + self._allowance.left, self._allowance.seconds, "--llm-run-timeout"),
            key=lambda limit: limit[0],
        )
        if self._timeout.when() != end:
            self._timeout.reschedule(end)


def _diagnosis(error: Exception, limits: Limits) -> str:
    """A failure in the user's words; never the request, which bears the key."""
    import httpx

    if isinstance(error, Excess):
        return str(error)
    if isinstance(error, httpx.ConnectTimeout):
        return f"the connection was not open after {limits.connect:g} s (--llm-connect-timeout)"
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(c, ssl.SSLError) for c in causes) or "CERTIFICATE" in str(error).upper():
        return f"TLS failed: {error}"
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {error}"
    if isinstance(error, Undecodable):
        return f"the body cannot be decoded: {error}"
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError)):
        return f"the URL cannot be used: {error}"
    if _HEAD_TOO_LONG in str(error):
        return f"the head of the answer is longer than 100 KiB{NO_MORE}"
    return f"the connection broke: {error or type(error).__name__}"
