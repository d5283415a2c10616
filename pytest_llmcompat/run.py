"""A run: the settings, the targets on trial with a lab each, and the results that come in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_llmcompat.budget import Ledger
from pytest_llmcompat.configuration import Configuration
from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.spool import Spool
from pytest_llmcompat.measures import Measures
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.recordings import Shelf
from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.settings import Settings
from pytest_llmcompat.target import Target

__all__ = ["Run", "Watcher"]

Watcher = Callable[[Exchange], None]
"""Told each exchange of this process when it is there, from the thread that obtained it."""


@dataclass
class Run:
    """What one call of pytest with `--llm-endpoint` works with.

    settings: the options. configuration: what the file says. targets: what is on trial.
    terms: target id → the settings that go for it. labs: target id → lab, or the recordings of `--llm-lint`.
    measures: what the run is held against and limited by, beside its contracts. ledger: what is spent of the
    budget, None without one.
    sharded: target id → the probes that this shard sends; empty when the run is whole.
    spool: private folder in which worker processes share exchanges; None in a single process.
    written: the reports that were. unwritten: a line for each recording and report that could not be.
    accepted: the baseline was written anew. allowance: the time and memory that its exchanges may use up.
    begins_at: where this process begins in the list of probes, from 0 to 1: workers that begin at the same one
    would all wait for whoever sends it.
    passed_over: files below the folders of `--llm-lint` that are no recordings.
    watchers: told each exchange. judged: node id → one JSON value for its verdict (see `reporting`).
    """

    settings: Settings
    targets: tuple[Target, ...]
    terms: Mapping[str, Settings]
    labs: Mapping[str, Lab | Shelf]
    configuration: Configuration = field(default_factory=Configuration)
    measures: Measures = field(default_factory=Measures)
    ledger: Ledger | None = None
    sharded: dict[str, frozenset[str]] = field(default_factory=dict)
    spool: Path | None = None
    allowance: Allowance = field(default_factory=Allowance)
    begins_at: float = 0.0
    passed_over: tuple[Path, ...] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    watchers: list[Watcher] = field(default_factory=list)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    accepted: bool = False
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The verdicts as they came; of a test that was run again, the last."""
        return list(self.judged.values())

    def lab(self, target: Target) -> Lab | Shelf:
        """The lab of a target, or its recordings."""
        return self.labs[target.id]

    def settings_for(self, target: Target | None) -> Settings:
        """The settings that go for a target; those of the run for what reads none."""
        return self.settings if target is None else self.terms.get(target.id, self.settings)

    def fails_at(self, contract: Contract, target: Target | None) -> Level | None:
        """The level at which a contract fails when a target breaks it; None when it only warns."""
        return self.measures.rules.fails_at(contract, self.settings_for(target).level)

    def send(self, probes: Mapping[str, Sequence[str]]) -> None:
        """Obtain the exchanges of many probes, several at a time. probes: target id → ids of probes."""
        for target in self.targets:
            wanted = probes.get(target.id, ())
            first = int(len(wanted) * self.begins_at)
            self.lab(target).prefetch(
                [*wanted[first:], *wanted[:first]], self.settings_for(target).concurrency
            )

    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges of the run, of every process, target by target, in the order of the probes."""
        if self.spool is None:
            return tuple(exchange for lab in self.labs.values() for exchange in lab.obtained())
        order = {probe_id: position for position, probe_id in enumerate(PROBES)}
        return tuple(
            exchange
            for target in self.targets
            for exchange in sorted(
                Spool(self.spool, target.id).exchanges(), key=lambda exchange: order[exchange.probe]
            )
        )

    def given_up(self) -> tuple[Exchange, ...]:
        """The exchanges that the run had no time for."""
        return tuple(exchange for exchange in self.exchanges() if exchange.given_up)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys of the run; those of a replay are made up and hide nothing."""
        every = () if self.settings.replay else self.targets
        return tuple(dict.fromkeys(secret for target in every for secret in secrets_of(target)))

    def handover(self) -> dict[str, Any]:
        """What a worker process needs; keys go by the environment, never by this value."""
        if self.spool is None:
            return {}
        targets = [
            {
                "id": t.id,
                "endpoint": t.endpoint,
                "model": t.model,
                "no_auth": t.no_auth,
                "place": t.place,
                "embedding_model": t.embedding_model,
                "name": t.name,
                "require_models": t.require_models,
            }
            for t in self.targets
        ]
        return {"spool": str(self.spool), "targets": json.dumps(targets), "ends": self.allowance.ends}

    def close(self) -> None:
        """Close connections, stop the reference, remove private files."""
        self.resources.close()
