"""The limits of time: each ends an exchange by itself, says how far it had come, and names its option."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.live import LiveClient
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.settings import Settings, merge
from pytest_llmcompat.wire import Answer, TimeUp
from tests.servers import (
    PATIENCE,
    Connection,
    Received,
    Script,
    Server,
    Time,
    completion,
    limited,
    serving,
    target_of,
)

PROBE = Probe("p", "core")
SHORT = 0.2


def answer_of(server: Server, allowance: Allowance | None = None, **limits: Any) -> Answer:
    """The answer to a plain request within limits; those that are not given are long."""
    client = LiveClient(target_of(server), limited(PATIENCE, **limits), allowance)
    try:
        return client.send(Request("GET", f"{server.base_url}/x", (), b""), PROBE)
    finally:
        client.close()


def silence(_: Received, connection: Connection) -> None:
    """Say nothing until the client has gone."""
    assert connection.gone()
    connection.close()


def silence_after(data: bytes) -> Script:
    """Send some bytes and then nothing until the client has gone."""

    def script(request: Received, connection: Connection) -> None:
        connection.raw(data)
        silence(request, connection)

    return script


def trickle(_: Received, connection: Connection) -> None:
    """A head at once, and then a byte whenever the client may have grown tired."""
    connection.begin()
    while not connection.gone(SHORT / 10):
        connection.chunk(b"x")
    connection.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "limit", "status", "failure"),
    [
        (silence, "first_byte", 0, "no answer had come after 0.2 s (--llm-first-byte-timeout)"),
        (
            silence_after(b"HTTP/1.1 200"),
            "first_byte",
            0,
            "no answer had come after 0.2 s (--llm-first-byte-timeout)",
        ),
        (
            silence_after(HEAD),
            "idle",
            200,
            "no body had come when nothing more came for 0.2 s (--llm-idle-timeout)",
        ),
        (
            silence_after(HEAD + b"ab"),
            "idle",
            200,
            "the body had not ended when nothing more came for 0.2 s (--llm-idle-timeout)",
        ),
        (trickle, "total", 200, "the body had not ended after 0.2 s (--llm-timeout)"),
    ],
)
def test_limit_that_is_reached_is_named(script: Script, limit: str, status: int, failure: str) -> None:
    """One limit is short and all others are long: the exchange ends by the short one, and says so."""
    with serving(script) as server:
        answer = answer_of(server, None, **{limit: SHORT})
    assert (answer.status, answer.failure) == (status, failure)
    assert SHORT <= answer.total < PATIENCE / 2


def test_bytes_that_keep_coming_do_not_meet_the_limit_of_silence() -> None:
    """A slow stream is alive: each part has the whole time of its own."""
    with serving(trickle) as server:
        answer = answer_of(server, idle=SHORT, total=5 * SHORT)
    assert answer.failure == "the body had not ended after 1 s (--llm-timeout)"
    assert len(answer.body) > 5


def test_limit_on_the_first_byte_does_not_hurry_the_body() -> None:
    """Once the head is there, the body may take as long as the whole exchange may."""

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        assert not connection.gone(2 * SHORT)
        connection.chunk(b"x")
        connection.chunk(b"")

    with serving(script) as server:
        answer = answer_of(server, first_byte=SHORT)
    assert (answer.failure, answer.body) == (None, b"x")


@contextmanager
def deaf() -> Iterator[str]:
    """A port that takes connections, and nobody shakes hands there: what waits in the queue is never accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"


def test_connection_that_does_not_open_is_named() -> None:
    """Opening includes the handshake of TLS, which a silent server never answers."""
    with deaf() as base_url, serving(silence) as server:
        client = LiveClient(target_of(server, endpoint=base_url), limited(connect=SHORT))
        try:
            answer = client.send(Request("GET", f"{base_url}/models", (), b""), PROBE)
        finally:
            client.close()
    assert (answer.status, answer.failure) == (
        0,
        "the connection was not open after 0.2 s (--llm-connect-timeout)",
    )


# --- the time of the run ---


def test_exchange_under_way_when_the_time_is_up_is_given_up() -> None:
    """Half an exchange is no answer, so that nobody takes the run's impatience for a fault of the server."""
    with serving(silence) as server, pytest.raises(TimeUp, match=r"0\.2 s was up \(--llm-run-timeout\)"):
        answer_of(server, Allowance(SHORT))


def test_nothing_is_sent_when_the_time_is_up() -> None:
    """Each probe says so; what it would have been asked for does not matter."""
    with serving(silence) as server:
        target, allowance = target_of(server), Allowance(7.0, ends=time.time() - 1)
        lab = Lab(target, LiveSource(target, None, allowance), pace=Pace(allowance=allowance))
        lab.prefetch(["models-list", "chat-basic", "tool-result", "reasoning"], 2)
        exchanges = lab.obtained()
        lab.close()
    assert server.received == []
    assert [exchange.probe for exchange in exchanges if not exchange.given_up] == []
    assert exchanges[0].unsent == f"{exchanges[0].probe} was given up: {Allowance(7.0).time_up()}"


def test_waiting_for_a_throttling_server_ends_with_the_time() -> None:
    """A server that asks for half a minute does not get it when the run has less."""

    def throttled(_: Received, connection: Connection) -> None:
        connection.answer({}, 429, {"retry-after": "30"})

    with serving(throttled) as server:
        target, allowance = target_of(server), Allowance(SHORT)
        lab = Lab(target, LiveSource(target, None, allowance), pace=Pace(allowance=allowance))
        began = time.monotonic()
        exchange = lab.exchange("models-list")
        lab.close()
    assert exchange.given_up
    assert time.monotonic() - began < PATIENCE
    assert len(server.received) == 1


def test_probe_that_was_given_up_is_not_recorded(tmp_path: Path) -> None:
    """The next recording run sends it; a half of it in a cassette would be replayed for ever."""

    def script(request: Received, connection: Connection) -> None:
        if request.method == "GET":
            connection.answer({"object": "list", "data": []})
        else:
            silence(request, connection)

    with serving(script) as server:
        target, allowance = target_of(server), Allowance(2 * SHORT)
        source = RecordingSource(target, tmp_path, limited(), allowance)
        lab = Lab(target, source, pace=Time().pace())
        lab.prefetch(["models-list", "chat-basic"], 2)
        lab.close()
    assert [path.stem for path in tmp_path.rglob("*.yaml")] == ["models-list"]


def test_every_process_ends_at_the_same_time() -> None:
    """Workers are handed the moment of the end, not the seconds."""
    first = Allowance(100.0)
    assert Allowance(100.0, ends=first.ends).left == pytest.approx(first.left, abs=1.0)


# --- what the user asks for ---


def test_limits_follow_the_timeout_unless_they_are_given() -> None:
    """Who raises --llm-timeout for a slow server need not know the finer ones."""
    limits = merge({"timeout": "120"}, {}, table_name="t").limits
    assert (limits.connect, limits.first_byte, limits.idle, limits.total) == (10.0, 120.0, 120.0, 120.0)
    typed = {"connect_timeout": "1", "first_byte_timeout": "2", "idle_timeout": "3", "timeout": "4"}
    limits = merge(typed, {}, table_name="t").limits
    assert (limits.connect, limits.first_byte, limits.idle, limits.total) == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (Settings(), 1800.0),
        (Settings(endpoint=("a",)), 1800.0),
        (Settings(endpoint=("a", "b"), model=("x", "y")), 7200.0),
        (Settings(endpoint=("a",), timeout=120.0), 3600.0),
        (Settings(endpoint=("a", "b"), timeout=120.0, run_timeout=60.0), 60.0),
    ],
)
def test_run_has_time_for_each_target(settings: Settings, seconds: float) -> None:
    """A matrix is not cut short by its size, and a time that is given is that of the whole run."""
    assert settings.run_seconds == seconds


def test_completion_in_time_is_no_failure() -> None:
    """None of the limits is in the way of an answer that comes."""
    with serving(lambda _, connection: connection.answer(completion())) as server:
        answer = answer_of(server, Allowance(PATIENCE), connect=PATIENCE)
    assert (answer.status, answer.failure) == (200, None)
