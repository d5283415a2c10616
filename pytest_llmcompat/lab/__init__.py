"""The lab: runs each needed probe once per target, whoever asks first, and gives its exchange."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sending import given_up, obtain
from pytest_llmcompat.probe import Context, Probe
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Line, TimeUp

__all__ = ["Lab", "Source", "Store"]


class Source(Protocol):
    """Where the answers of a target come from: live, recording or replaying (see `lab.sources`)."""

    def open(self, probe: Probe) -> Line:
        """The connection that one probe is sent over."""

    def close(self) -> None:
        """Release connections."""


class Store(Protocol):
    """Exchanges shared with other processes of the run (see `lab.spool`)."""

    def once(self, probe_id: str, run: Callable[[], Exchange]) -> Exchange:
        """The exchange of a probe: the one that some process has already, else that of `run`."""


class Lab:
    """Exchanges of one target, each probe sent once (single flight across threads, and processes by a store).

    named: the suites that the user asked for by name. store: shares exchanges with other processes.
    pace: when a live request may go out.
    on_exchange: called with each new exchange of this process, from the thread that obtained it.

    No two threads can wait for each other: whoever asks first for a probe runs it and its parents itself, so
    everybody waits for work that is under way, and parents never wait for their children.
    """

    def __init__(
        self,
        target: Target,
        source: Source,
        *,
        named: tuple[str, ...] = (),
        store: Store | None = None,
        pace: Pace | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.target = target
        self._source, self._named, self._store = source, named, store
        self._pace = pace or Pace()
        self._on_exchange = on_exchange
        self._lock = threading.Lock()
        self._flights: dict[str, Future[Exchange]] = {}

    def exchange(self, probe_id: str) -> Exchange:
        """The exchange of a probe, after those of its parents; sent now unless someone asked before.

        Raises MissingExchange when it is replayed and no cassette holds it.
        """
        with self._lock:
            flight = self._flights.get(probe_id)
            mine = flight is None
            if flight is None:
                flight = self._flights[probe_id] = Future()
        if mine:
            try:
                flight.set_result(self._obtain(PROBES[probe_id]))
            except BaseException as error:
                flight.set_exception(error)
        return flight.result()

    def prefetch(self, probe_ids: Iterable[str], concurrency: int) -> None:
        """Obtain many probes, independent ones at the same time: free ones first, disturbing ones last.

        Those that belong together are sent at once at the end, whatever `concurrency` says.

        Errors stay with their probe and come out when it is asked for. An interrupt gives up what is under way.
        """
        chosen = sorted((PROBES[id] for id in dict.fromkeys(probe_ids)), key=_turn)
        together = [probe for probe in chosen if probe.together]
        alone = [probe for probe in chosen if not probe.together]
        for stage, workers in (
            ([probe for probe in alone if not probe.last], concurrency),
            ([probe for probe in alone if probe.last], concurrency),
            (together, len(together)),
        ):
            pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="llmcompat")
            try:
                wait([pool.submit(self.exchange, probe.id) for probe in stage])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise
            pool.shutdown()

    def obtained(self) -> tuple[Exchange, ...]:
        """The exchanges that this lab has by now, in the order of the probes."""
        with self._lock:
            flights = dict(self._flights)
        return tuple(
            flights[id].result()
            for id in PROBES
            if id in flights and flights[id].done() and flights[id].exception() is None
        )

    def close(self) -> None:
        """Give up what is under way and release connections."""
        self._pace.give_up()
        self._source.close()

    def _obtain(self, probe: Probe) -> Exchange:
        if self._store is None:
            return self._send(probe)
        return self._store.once(probe.id, lambda: self._send(probe))

    def _send(self, probe: Probe) -> Exchange:
        context = Context(self.target, self._parents(probe), self._named)
        line = self._source.open(probe)
        try:
            exchange = obtain(probe, context, line, self._pace)
        except TimeUp as reason:
            exchange = given_up(probe, self.target, reason)
        # What was withheld or given up half-way is sent anew by the next run, so nothing of it is kept.
        if exchange.unsent is None:
            line.close()
        if self._on_exchange is not None:
            self._on_exchange(exchange)
        return exchange

    def _parents(self, probe: Probe) -> Mapping[str, Exchange]:
        """The exchanges that a probe builds on; every valid chat request speaks the dialect of `chat-basic`."""
        needed = [*probe.parents, *([probe.requires] if probe.requires else [])]
        if probe.method == "POST" and not probe.negative and probe.id != "chat-basic":
            needed.append("chat-basic")
        return {parent: self.exchange(parent) for parent in needed}


def _turn(probe: Probe) -> int:
    """Free probes come first, for a dead endpoint then costs nothing; `chat-basic` opens the others."""
    builds_on_answers = any(PROBES[parent].method == "POST" for parent in probe.parents)
    if (probe.negative or probe.method == "GET") and not builds_on_answers:
        return 0
    return 1 if probe.id == "chat-basic" else 2
