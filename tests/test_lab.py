"""The lab: each probe once, in a good order, never in a deadlock, and never against a server that says 429."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import ReplayingSource
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.probes import PROBES, SUITES
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer, MissingExchange
from tests.servers import PATIENCE, Connection, Received, Server, Time, completion, lab_on, serving


def healthy(_: Received, connection: Connection) -> None:
    """Answer everything with a completion."""
    connection.answer(completion())


class Stage:
    """A source without sockets that notes the order in which probes are sent."""

    live = True

    def __init__(self) -> None:
        self.sent: list[str] = []

    def open(self, probe: Probe) -> Stage:
        del probe
        return self

    def send(self, request: Request, probe: Probe) -> Answer:
        del request
        self.sent.append(probe.id)
        return Answer(200, (), b"{}")

    def close(self) -> None: ...


TARGET = Target("t", "http://h/v1", "m")
# The model on the stage makes no two calls, so the compound of both forms of content has nothing to send.
SENT = [id for id in PROBES if id != "tool-result-contents"]


# --- single flight ---


def test_probe_is_sent_once_however_often_it_is_asked_for() -> None:
    """Contracts share exchanges: the second asker gets the same object."""
    with serving(healthy) as server, lab_on(server) as lab:
        assert lab.exchange("models-list") is lab.exchange("models-list")
    assert len(server.received) == 1


def test_threads_that_ask_at_once_share_one_request() -> None:
    """Eight threads ask for one probe; the server sees one request and all get its exchange."""
    all_asked = threading.Event()
    together = threading.Barrier(8, all_asked.set)

    def script(_: Received, connection: Connection) -> None:
        assert all_asked.wait(PATIENCE)
        connection.answer(completion())

    with serving(script) as server, lab_on(server) as lab, ThreadPoolExecutor(8) as pool:

        def ask() -> Exchange:
            together.wait(PATIENCE)
            return lab.exchange("chat-basic")

        first, *others = [asked.result(PATIENCE) for asked in [pool.submit(ask) for _ in range(8)]]
    assert all(other is first for other in others)
    assert len(server.received) == 1


def test_failure_is_shared_like_an_exchange() -> None:
    """Each asker of a probe that cannot be had gets the same error, and it is tried once."""

    class Failing(Stage):
        def send(self, request: Request, probe: Probe) -> Answer:
            super().send(request, probe)
            raise MissingExchange(probe.id)

    source = Failing()
    lab = Lab(TARGET, source)
    lab.prefetch(["models-list"], 2)
    for _ in range(2):
        with pytest.raises(MissingExchange, match="models-list"):
            lab.exchange("models-list")
    assert source.sent == ["models-list"]


def test_unknown_probe_is_an_error_of_the_asker() -> None:
    """A typo in a probe's id does not wait for ever."""
    with pytest.raises(KeyError, match="chat-basics"):
        Lab(TARGET, Stage()).exchange("chat-basics")


def test_exchange_is_announced_once() -> None:
    """Progress counts exchanges, not askers."""
    told: list[str] = []
    lab = Lab(TARGET, Stage(), on_exchange=lambda exchange: told.append(exchange.probe))
    lab.prefetch(["models-list", "chat-basic"], 4)
    lab.exchange("models-list")
    assert sorted(told) == ["chat-basic", "models-list"]


# --- order ---


def test_parent_is_sent_before_its_children() -> None:
    """A dependent probe asked for alone brings its parents with it."""
    source = Stage()
    Lab(TARGET, source).exchange("tool-result")
    assert source.sent == ["chat-basic", "tool-required", "tool-result"]


def test_child_is_built_from_its_parents_answer() -> None:
    """`tool-result` sends back the calls that `tool-required` got."""
    call = {"id": "call_xyz", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    with (
        serving(lambda _, connection: connection.answer(completion(choices=[choice]))) as server,
        lab_on(server) as lab,
    ):
        lab.exchange("tool-result")
    history = server.bodies[-1]["messages"]
    assert [m.get("tool_call_id") for m in history if m["role"] == "tool"] == ["call_xyz"]


def test_free_probes_come_first_and_disturbing_ones_last() -> None:
    """One at a time the order is: what costs nothing, `chat-basic`, the others, the stream that is broken off."""
    source = Stage()
    lab = Lab(TARGET, source, named=SUITES)
    lab.prefetch(reversed(PROBES), 1)
    kinds = []
    for id in source.sent:
        probe = PROBES[id]
        free = probe.negative or probe.method == "GET"
        free = free and not any(PROBES[parent].method == "POST" for parent in probe.parents)
        late = 3 * probe.last + 4 * probe.together
        kinds.append(0 if free else late or (1 if id == "chat-basic" else 2))
    assert kinds == sorted(kinds)
    assert source.sent[-6:-4] == ["stream-abort", "chat-turns"]
    assert sorted(source.sent) == sorted(e.probe for e in lab.obtained() if e.unsent is None)
    assert len(lab.obtained()) == len(PROBES)


def test_nothing_else_is_under_way_when_disturbing_probes_begin() -> None:
    """The broken-off stream would spoil the times of its neighbours."""
    source = Stage()
    Lab(TARGET, source).prefetch(PROBES, 8)
    assert set(source.sent[-6:-4]) == {"stream-abort", "chat-turns"}


def test_probes_that_belong_together_are_under_way_together() -> None:
    """Four requests are sent at the same moment, also where one at a time was asked for, and none again."""
    ids = [id for id, probe in PROBES.items() if probe.together]
    all_there = threading.Barrier(len(ids))

    def script(received: Received, connection: Connection) -> None:
        if "Reply only" not in str(received.body):
            connection.answer(completion())
            return
        all_there.wait(PATIENCE)
        connection.answer({"error": {"message": "busy"}}, 503)

    with serving(script) as server, lab_on(server) as lab:
        lab.prefetch(["chat-basic", *ids], 1)
        answers = [lab.exchange(id) for id in ids]
    assert [answer.status for answer in answers] == [503] * 4
    assert {answer.requests for answer in answers} == {1}


@pytest.mark.parametrize(("named", "asked"), [((), False), (("reasoning",), True)])
def test_gated_probe_is_sent_when_its_suite_is_named(named: tuple[str, ...], asked: bool) -> None:
    """A probe of a feature that the endpoint does not show is unsupported, unless somebody asked for it."""
    exchange = Lab(TARGET, Stage(), named=named).exchange("reasoning")
    assert (exchange.unsent is None) is asked
    assert exchange.unsupported is not asked


def test_gated_probe_is_sent_when_the_endpoint_shows_the_feature() -> None:
    """Reasoning tokens in an ordinary answer are reason enough to ask about reasoning."""
    usage = {"completion_tokens_details": {"reasoning_tokens": 3}}
    with (
        serving(lambda _, connection: connection.answer(completion(usage=usage))) as server,
        lab_on(server) as lab,
    ):
        assert lab.exchange("reasoning").unsent is None


def test_answer_before_a_retry_is_kept() -> None:
    """What contracts on throttling judge is the 429, not the answer that the second try got."""
    answers = iter([(429, {"error": {"message": "slow down"}}), (200, {"object": "list", "data": []})])

    def script(_: Received, connection: Connection) -> None:
        status, answer = next(answers)
        connection.answer(answer, status)

    with serving(script) as server, lab_on(server) as lab:
        exchange = lab.exchange("models-list")
    assert exchange.status == 200
    assert [earlier.status for earlier in exchange.retried] == [429]


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_prefetch_ends_whatever_the_order_of_children_and_parents(concurrency: int) -> None:
    """Children queued before their parents, in fewer threads than there are of them: no deadlock."""
    source = Stage()
    lab = Lab(TARGET, source, named=SUITES)
    children = [id for id, probe in PROBES.items() if probe.parents]
    done = threading.Event()

    def run() -> None:
        lab.prefetch([*children, *PROBES], concurrency)
        done.set()

    threading.Thread(target=run, daemon=True).start()
    assert done.wait(PATIENCE)
    assert sorted(source.sent) == sorted(e.probe for e in lab.obtained() if e.unsent is None)
    assert [exchange.probe for exchange in lab.obtained()] == list(PROBES)


@pytest.mark.parametrize("first", [id for id, probe in PROBES.items() if probe.parents])
def test_child_and_parents_asked_for_by_several_threads_end(first: str) -> None:
    """Whoever comes first runs the parents; the others wait for work that is under way."""
    lab = Lab(TARGET, Stage())
    with ThreadPoolExecutor(4) as pool:
        asked = [first, *PROBES[first].parents, "chat-basic", first]
        got = [pool.submit(lab.exchange, id) for id in asked]
        assert [exchange.result(PATIENCE).probe for exchange in got] == asked


# --- concurrency ---


def test_independent_probes_are_under_way_together() -> None:
    """Four at once when four are allowed, and never five."""
    together = threading.Barrier(4)
    ids = [probe.id for probe in PROBES.values() if probe.negative][:8]

    def script(_: Received, connection: Connection) -> None:
        together.wait(PATIENCE)
        connection.answer({}, 400)

    with serving(script) as server, lab_on(server) as lab:
        lab.prefetch(ids, 4)
    assert (server.most, len(server.received)) == (4, 8)


@contextmanager
def throttling(time: Time, *, after: int, seconds: str) -> Iterator[tuple[Server, list[float]]]:
    """A server that answers the requests after the first `after` 429, as many as are under way then.

    Gives the times at which each request came.
    """
    came: list[float] = []
    lock = threading.Lock()
    together = threading.Barrier(8)

    def script(_: Received, connection: Connection) -> None:
        with lock:
            came.append(time.now)
            number = len(came)
        if number <= 8:
            together.wait(PATIENCE)
        if after < number <= 8:
            connection.answer({}, 429, {"retry-after": seconds})
        else:
            connection.answer({}, 400)

    with serving(script) as server:
        yield server, came


FREE = [probe.id for probe in PROBES.values() if probe.negative and not probe.parents]


@pytest.mark.parametrize("after", [0, 7])
def test_nobody_sends_while_the_endpoint_asks_to_wait(after: int) -> None:
    """One 429 of eight, or eight of them: until Retry-After has passed, not one request more comes."""
    time = Time()
    with (
        throttling(time, after=after, seconds="20") as (server, came),
        lab_on(server, pace=time.pace()) as lab,
    ):
        lab.prefetch(FREE, 8)
        statuses = [lab.exchange(id).status for id in FREE]
    assert set(statuses) == {400}
    assert [moment for moment in came if 0 < moment < 20] == []
    assert len(came) == len(FREE) + 8 - after


def test_half_as_many_are_under_way_after_a_429() -> None:
    """Eight at once met a limit, so four at once go on, however many of the eight were told."""
    time = Time()
    with throttling(time, after=3, seconds="1") as (server, _), lab_on(server, pace=time.pace()) as lab:
        lab.prefetch(FREE[:8], 8)
        assert server.most == 8
        server.most = 0
        four, five = threading.Barrier(4), threading.Barrier(5)

        def script(_: Received, connection: Connection) -> None:
            four.wait(PATIENCE)
            with suppress(threading.BrokenBarrierError):  # Nobody comes as fifth.
                five.wait(0.3)
            connection.answer({}, 400)

        server.script = script
        lab.prefetch(FREE[8:16], 8)
    assert server.most == 4


# --- the pace by itself ---


def test_pace_lets_any_number_go_until_it_is_throttled() -> None:
    """Concurrency is the caller's matter as long as the endpoint bears it."""
    pace = Time().pace()
    with pace.turn(), pace.turn(), pace.turn():
        pass


def test_throttled_pace_makes_the_next_turn_wait() -> None:
    """The turn after a 429 begins when the wait is over."""
    time = Time()
    pace = time.pace()
    with pace.turn() as turn:
        turn.throttle(12.0)
    with pace.turn():
        assert time.now == 12.0


def test_longer_wait_counts_when_two_are_asked_for() -> None:
    """A shorter Retry-After does not shorten a longer one."""
    time = Time()
    pace = time.pace()
    with pace.turn() as first, pace.turn() as second:
        second.throttle(30.0)
        first.throttle(3.0)
    with pace.turn():
        assert time.now == 30.0


def test_one_request_at_a_time_is_the_least() -> None:
    """However often the endpoint throttles, one request may be under way."""
    time = Time()
    pace = time.pace()
    for _ in range(5):
        with pace.turn() as turn:
            turn.throttle(1.0)
    with pace.turn():
        assert time.now == 5.0


def test_turn_ends_when_its_request_fails() -> None:
    """An error must not use up the right to send for ever."""
    time = Time()
    pace = time.pace()
    with pace.turn() as turn:
        turn.throttle(0.0)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), pace.turn():
            raise ValueError("broken")


def test_giving_up_ends_every_wait() -> None:
    """Ctrl-C must not wait out a Retry-After."""
    pace = Pace()
    with pace.turn() as turn:
        turn.throttle(100.0)
    waiting = threading.Event()

    def take_turn() -> None:
        waiting.set()
        with pace.turn():
            pass
        pace.wait(100.0)

    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(take_turn)
        assert waiting.wait(PATIENCE)
        pace.give_up()
        taken.result(PATIENCE)


# --- the end ---


def test_interrupt_gives_up_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while probes are sent: the queue is dropped, and what hangs does not hold the run."""
    asked, dropped = threading.Event(), threading.Event()

    def script(_: Received, connection: Connection) -> None:
        asked.set()
        assert connection.gone()
        dropped.set()
        connection.close()

    def interrupted(_: object) -> None:
        assert asked.wait(PATIENCE)
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_llmcompat.lab.wait", interrupted)
    with serving(script) as server, lab_on(server, timeout=600.0) as lab:
        with pytest.raises(KeyboardInterrupt):
            lab.prefetch(FREE, 2)
        assert dropped.wait(PATIENCE / 2)
        assert lab.obtained() == ()
    assert len(server.received) <= 2


def test_replaying_lab_says_which_exchange_is_missing() -> None:
    """The first thing that is needed is named, with what to do; no socket is touched."""
    lab = Lab(TARGET, ReplayingSource(TARGET, Path("/nonexistent")))
    with pytest.raises(
        MissingExchange, match=r"no cassette for the probe chat-basic at .*; record it with --llm-record"
    ):
        lab.exchange("chat-length")
    lab.close()
