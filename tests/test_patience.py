"""How long a run waits for an endpoint that puts it off: as asked, but not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.spool import Spool
from pytest_llmcompat.probes import PROBES
from tests.servers import Connection, Received, Time, completion, lab_on, serving

FREE = [probe.id for probe in PROBES.values() if probe.negative and not probe.parents]


def test_run_that_is_always_throttled_stops_waiting() -> None:
    """Half a minute for each of many probes would be an hour for nothing."""

    def throttled(_: Received, connection: Connection) -> None:
        connection.answer({"error": {"message": "slow down"}}, 429, {"retry-after": "30"})

    time = Time()
    with serving(throttled) as server, lab_on(server, pace=time.pace()) as lab:
        statuses = [lab.exchange(probe_id).status for probe_id in FREE]
    assert set(statuses) == {429}
    assert sum(time.slept) == pytest.approx(120.0)
    assert len(FREE) <= len(server.received) <= len(FREE) + 5


def test_run_that_is_let_through_now_and_then_goes_on_waiting() -> None:
    """Three requests a minute are a slow endpoint, not a closed one: every wait brings one request through."""
    answered = [0]

    def slow(_: Received, connection: Connection) -> None:
        answered[0] += 1
        if answered[0] % 2:
            connection.answer({"error": {"message": "slow down"}}, 429, {"retry-after": "20"})
        else:
            connection.answer({}, 400)

    time = Time()
    with serving(slow) as server, lab_on(server, pace=time.pace()) as lab:
        statuses = [lab.exchange(probe_id).status for probe_id in FREE]
    assert set(statuses) == {400}
    assert len(time.slept) == len(FREE)


def test_waits_before_retries_are_bounded_together() -> None:
    """A server that is down asks for half a minute each time; the fifth probe has no time for that."""

    def down(_: Received, connection: Connection) -> None:
        connection.answer({"error": {"message": "down"}}, 503, {"retry-after": "30"})

    time = Time()
    with serving(down) as server, lab_on(server, pace=time.pace()) as lab:
        exchanges = [lab.exchange(probe_id) for probe_id in ("models-list", "chat-length", "chat-stop")]
    assert {exchange.status for exchange in exchanges} == {503}
    # Each of them, and `chat-basic` before the others.
    assert time.slept == [30.0] * 4
    assert len(server.received) == 8


def test_server_that_comes_back_is_judged() -> None:
    """503 and then fine: nothing is lost but a second."""
    down = [True]

    def script(_: Received, connection: Connection) -> None:
        if down:
            down.clear()
            connection.answer({}, 503)
        else:
            connection.answer(completion())

    time = Time()
    with serving(script) as server, lab_on(server, pace=time.pace()) as lab:
        exchange = lab.exchange("chat-basic")
    assert (exchange.status, [earlier.status for earlier in exchange.retried]) == (200, [503])
    assert time.slept == [1.0]


def test_pace_without_patience_waits_for_nobody() -> None:
    """A guess is worth one request."""
    time = Time()
    pace = Pace(time.clock, time.sleep, patience=0.0)
    assert not pace.wait(0.5)
    with pace.turn() as turn:
        turn.throttle(0.5)
    assert not pace.is_patient
    with pace.turn():
        assert time.slept == []


def test_processes_of_a_run_wait_together(tmp_path: Path) -> None:
    """What one worker is told holds for the others: eight workers would be told eight times."""
    time = Time()
    one, other = (Pace(time.clock, time.sleep, hold=Spool(tmp_path, "t").hold(time.clock)) for _ in range(2))
    with one.turn() as turn:
        turn.throttle(12.0)
    with other.turn() as turn:
        assert time.slept == [12.0]
        turn.throttle(3.0)
    with one.turn():
        assert time.slept == [12.0, 3.0]


def test_targets_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A limit is that of one endpoint and key."""
    time = Time()
    one, other = (
        Pace(time.clock, time.sleep, hold=Spool(tmp_path, target).hold(time.clock)) for target in "ab"
    )
    with one.turn() as turn:
        turn.throttle(12.0)
    with other.turn():
        assert time.slept == []
