"""Faults that a client gets over: the run goes on as if nothing had been."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pytest_llmcompat.reference import Reference
from tests.hostile.behaviour import PASS, Behaviour, Place, Serve
from tests.hostile.wrapping import Answering, fetched, forward, on
from tests.servers import Connection, Received, serving

__all__ = ["ROWS"]

_SELECT: Final = "finish-length or multi-turn or stream.done-sentinel"
_FINE: Final = {"chat.finish-length": PASS, "chat.stream.done-sentinel": PASS}
# A retry waits for a second.
_PATIENT: Final = ("--llm-run-timeout=30",)


def resetting(request: Received, connection: Connection) -> None:
    """End the connection by a reset."""
    del request
    connection.reset()


def as_http_1_0(reference: Reference) -> Iterator[Place]:
    """Healthy answers in HTTP/1.0, whose bodies end with the connection."""

    def script(request: Received, connection: Connection) -> None:
        status, headers, parts = fetched(reference, request)
        lines = [f"HTTP/1.0 {status} OK", *(f"{name}: {value}" for name, value in headers.items())]
        connection.raw("\r\n".join([*lines, "", ""]).encode())
        for part in parts:
            connection.raw(part)
        connection.close()

    with serving(script) as server:
        yield Place(server.base_url)


def hanging_up(reference: Reference) -> Iterator[Place]:
    """Healthy answers, each followed by the end of the connection that was to be kept."""

    def script(request: Received, connection: Connection) -> None:
        forward(reference, request, connection)
        connection.close()

    with serving(script) as server:
        yield Place(server.base_url)


def every_other(fault: Answering) -> Serve:
    """Each request meets a fault the first time, and is served the second time."""

    def serve(reference: Reference) -> Iterator[Place]:
        met: Counter[tuple[str, bytes]] = Counter()

        def script(request: Received, connection: Connection) -> None:
            met[request.path, request.body] += 1
            if met[request.path, request.body] % 2:
                fault(request, connection)
            else:
                forward(reference, request, connection)

        with serving(script) as server:
            yield Place(server.base_url)

    return on(serve)


ROWS = (
    Behaviour("http-1.0", "Speaks HTTP/1.0.", on(as_http_1_0), 0, (), _FINE, _SELECT),
    Behaviour(
        "hanging-up",
        "Ends connections that were to be kept, without saying so.",
        on(hanging_up),
        0,
        (),
        _FINE,
        _SELECT,
    ),
    Behaviour(
        "every-other-reset",
        "Resets each request the first time.",
        every_other(resetting),
        0,
        (),
        _FINE,
        _SELECT,
        _PATIENT,
        30.0,
    ),
    Behaviour(
        "503-then-fine",
        "Answers 503 to each request the first time.",
        every_other(lambda _, connection: connection.answer({}, 503, {"retry-after": "0"})),
        0,
        (),
        _FINE,
        _SELECT,
    ),
)
