"""What is fuzzed: whole runs on the reference and on recorded servers, and real traffic where there is some."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pytest_llmcompat.cassette import recorded_targets
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource, ReplayingSource
from pytest_llmcompat.probes import PROBES, SUITES
from pytest_llmcompat.recordings import read_recordings
from pytest_llmcompat.reference import serve
from pytest_llmcompat.suite import CASSETTES
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer, MissingExchange
from tests.test_corpus import CORPUS

__all__ = ["Sample", "answer_of", "real_traffic", "samples"]

# Legal ways that fill fields which a plain answer lacks.
_TALKATIVE = (
    "legal-usage-details",
    "legal-vendor-keys",
    "legal-comments",
    "legal-null-deltas",
    "legal-throttles",
)


@dataclass
class Sample:
    """One run: a target and its exchanges by probe. A probe that was not recorded is not there."""

    target: Target
    exchanges: Mapping[str, Exchange]

    def exchange(self, probe_id: str) -> Exchange:
        """The exchange of a probe; one that was not sent where there is none."""
        request = Request("", self.target.endpoint, (), b"")
        unsent = Exchange(probe_id, self.target.id, request, unsent="it was not recorded", requests=0)
        return self.exchanges.get(probe_id, unsent)

    def obtained(self) -> tuple[Exchange, ...]:
        """All exchanges."""
        return tuple(self.exchanges.values())


@cache
def samples() -> tuple[Sample, ...]:
    """The reference, plain and with much to say, and every recorded server."""
    return (_of_reference(()), _of_reference(_TALKATIVE), *map(_of_cassettes, recorded_targets(CASSETTES)))


def answer_of(exchange: Exchange) -> Answer:
    """The answer of an exchange, as it came from the wire."""
    e = exchange
    return Answer(e.status, e.headers, e.body, e.arrivals, e.started, e.total, e.failure)


@cache
def real_traffic() -> tuple[Exchange, ...]:
    """Recorded traffic of real providers, which lies beside the repository."""
    return tuple(exchange for exchange in read_recordings([CORPUS]).exchanges if kinds_of(exchange))


def _of_reference(defects: tuple[str, ...]) -> Sample:
    with serve(defects, pause=0.0005) as reference:
        target = Target("reference", reference.base_url, reference.model, reference.key)
        lab = Lab(target, LiveSource(target), named=SUITES)
        try:
            lab.prefetch(PROBES, concurrency=8)
            return Sample(target, {exchange.probe: exchange for exchange in lab.obtained()})
        finally:
            lab.close()


def _of_cassettes(recorded: tuple[str, str, Path]) -> Sample:
    endpoint, model, _ = recorded
    target = Target(f"{model}@{endpoint}", endpoint, model, "sk-fuzz-0123456789abcdef")
    lab = Lab(target, ReplayingSource(target, CASSETTES), named=SUITES)
    exchanges = {}
    for probe_id in PROBES:
        with suppress(MissingExchange):
            exchanges[probe_id] = lab.exchange(probe_id)
    return Sample(target, exchanges)
