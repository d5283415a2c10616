"""The official Python client over recorded answers: what a user's code would get from them.

A transport of its own gives the client the recorded status, headers and bytes: no socket, no request, about a
millisecond a call. It never retries. It runs on `httpx`, which openai 3 accepts beside its own httpx2.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx

from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.limits import MIB
from pytest_llmcompat.verdict import fail, inconclusive
from pytest_llmcompat.views import drop_large, footprint, text_size

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = [
    "arguments",
    "async_client",
    "client",
    "raised",
    "retries",
    "strict_tools",
    "take",
    "take_async",
]

T = TypeVar("T")

# The recorded body has its content coding and its transfer framing removed already.
_FRAMING: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_NOWHERE: Final = "http://replay.invalid/v1"
_NO_KEY: Final = "replayed"
# Its objects take about three times the memory of the values that they are made of.
_MOST_PARSED: Final = 48 * MIB


class _Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A recorded body, in the parts in which it arrived."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return _parts(self._exchange)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in _parts(self._exchange):
            yield part


def _parts(exchange: Exchange) -> Iterator[bytes]:
    position = 0
    for _, length in exchange.arrivals:
        yield exchange.body[position : position + length]
        position += length
    if position < len(exchange.body):
        yield exchange.body[position:]


class _Recorded(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers every request with one recorded answer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._response(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._response(request)

    def _response(self, request: httpx.Request) -> httpx.Response:
        headers = [
            (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in self._exchange.headers
            if name.lower() not in _FRAMING
        ]
        return httpx.Response(
            self._exchange.status, headers=headers, stream=_Parts(self._exchange), request=request
        )


class _InTurn(httpx.BaseTransport):
    """Answers each request with the next of some recorded answers."""

    def __init__(self, *exchanges: Exchange) -> None:
        self._transports = iter([_Recorded(exchange) for exchange in exchanges])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return next(self._transports).handle_request(request)


def client(exchange: Exchange) -> OpenAI:
    """The official client, to which every request is answered with the recorded answer of an exchange.

    The exchange needs an answer (`answer.came`): there is nothing to replay of status 0.
    """
    from openai import OpenAI

    return OpenAI(
        api_key=_NO_KEY,
        base_url=_NOWHERE,
        max_retries=0,
        http_client=httpx.Client(transport=_Recorded(exchange), trust_env=False),  # type: ignore[arg-type]
    )


def async_client(exchange: Exchange) -> AsyncOpenAI:
    """The official asynchronous client over the recorded answer of an exchange."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        api_key=_NO_KEY,
        base_url=_NOWHERE,
        max_retries=0,
        http_client=httpx.AsyncClient(transport=_Recorded(exchange), trust_env=False),  # type: ignore[arg-type]
    )


def take(exchange: Exchange, call: Callable[[OpenAI], T], what: str) -> T:
    """What a call of the official client gives on a recorded answer.

    The contract is broken when the client raises; `what` is the answer that it can take.
    """
    _make_room(exchange)
    try:
        return _called(exchange, call)
    except Exception as error:
        fail(exchange, "body", f"{what}; openai-python raised {_named(error)}")


def raised(exchange: Exchange, call: Callable[[OpenAI], object]) -> Exception | None:
    """What the official client raises at a recorded answer; None when it takes it."""
    _make_room(exchange)
    try:
        _called(exchange, call)
    except Exception as error:
        return error
    return None


def _make_room(exchange: Exchange) -> None:
    """Inconclusive for a body of which the client, which parses it for itself, would make too much."""
    drop_large()
    if footprint(exchange.body) + text_size(exchange.body) > _MOST_PARSED:
        inconclusive(f"{exchange.probe}: the answer is too large to be given to the client as well")


def _called(exchange: Exchange, call: Callable[[OpenAI], T]) -> T:
    with warnings.catch_warnings(), client(exchange) as openai:
        # pydantic warns of values that do not fit a type; a run under `-W error` would call that a crash.
        warnings.simplefilter("ignore")
        return call(openai)


def take_async(exchange: Exchange, call: Callable[[AsyncOpenAI], Coroutine[Any, Any, T]], what: str) -> T:
    """As `take`, with the asynchronous client in an event loop of its own."""

    async def run() -> T:
        async with async_client(exchange) as openai:
            return await call(openai)

    _make_room(exchange)
    try:
        with warnings.catch_warnings(), asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            warnings.simplefilter("ignore")
            return runner.run(run())
    except Exception as error:
        fail(exchange, "body", f"{what}; openai-python raised {_named(error)}")


def retries(refusal: Exchange, answer: Exchange) -> float | None:
    """Seconds after which the official client tries again when a refusal comes, and then the answer.

    None when it gives up. Nobody waits: the client is asked for the time in the place where it would sleep.
    """
    from openai import APIError, OpenAI

    waits: list[float] = []

    class Client(OpenAI):
        def _sleep_for_retry(
            self, *, retries_taken: int, max_retries: int, options: Any, response: Any
        ) -> None:
            headers = response.headers if response is not None else None
            waits.append(self._calculate_retry_timeout(max_retries - retries_taken, options, headers))

    transport = httpx.Client(transport=_InTurn(refusal, answer), trust_env=False)
    with Client(api_key=_NO_KEY, base_url=_NOWHERE, max_retries=1, http_client=transport) as openai:  # type: ignore[arg-type]
        try:
            openai.chat.completions.create(**arguments(answer))
        except APIError:
            return None
    return waits[0] if waits else None


def arguments(exchange: Exchange) -> dict[str, Any]:
    """The keyword arguments that the client asks for; the others do not change what it makes of an answer."""
    sent = exchange.sent if isinstance(exchange.sent, dict) else {}
    return {"model": sent.get("model", ""), "messages": sent.get("messages", [])}


def strict_tools(exchange: Exchange) -> list[dict[str, Any]]:
    """The tools of the request that the client parses the arguments of; `.parse()` refuses others at once."""
    sent = Document(exchange.probe, "request", exchange.sent)
    return [tool.value for tool in sent.items("/tools") if tool.at("/function/strict") is True]


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:160]}".rstrip(": ")
