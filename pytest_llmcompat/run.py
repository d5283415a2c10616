"""A run: the settings, the targets on trial with a lab each, and the results that come in."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_llmcompat.cassette import CassetteError, path_of
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab, Source
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource, ReplayingSource
from pytest_llmcompat.lab.spool import Spool
from pytest_llmcompat.matrix import fetch_models, targets_of
from pytest_llmcompat.options import given, hide_key, sends
from pytest_llmcompat.plain import line
from pytest_llmcompat.preflight import PreflightFailed, check
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.recordings import RecordingError, Shelf, shelves_of
from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.settings import Settings, WrongUsage, merge, read_table
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange

__all__ = ["Run", "Watcher", "begin"]

Watcher = Callable[[Exchange], None]
"""Told each exchange of this process when it is there, from the thread that obtained it."""

_WORKER_KEY: Final = "LLMCOMPAT_WORKER_KEY_"


@dataclass
class Run:
    """What one call of pytest with `--llm-endpoint` works with.

    settings: the options. targets: what is on trial. labs: target id → lab, or the recordings of `--llm-lint`.
    spool: private folder in which worker processes share exchanges; None in a single process.
    passed_over: files below the folders of `--llm-lint` that are no recordings.
    watchers: told each exchange. judged: node id → one JSON value for its verdict (see `reporting`).
    """

    settings: Settings
    targets: tuple[Target, ...]
    labs: Mapping[str, Lab | Shelf]
    spool: Path | None = None
    passed_over: tuple[Path, ...] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    watchers: list[Watcher] = field(default_factory=list)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: ExitStack = field(default_factory=ExitStack)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The verdicts as they came; of a test that was run again, the last."""
        return list(self.judged.values())

    def lab(self, target: Target) -> Lab | Shelf:
        """The lab of a target, or its recordings."""
        return self.labs[target.id]

    def send(self, probe_ids: Iterable[str]) -> None:
        """Obtain the exchanges of many probes on every target, several at a time."""
        wanted = list(probe_ids)
        for lab in self.labs.values():
            lab.prefetch(wanted, self.settings.concurrency)

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
            }
            for t in self.targets
        ]
        return {"spool": str(self.spool), "targets": targets}

    def close(self) -> None:
        """Close connections, stop the reference, remove private files."""
        self.resources.close()


def begin(config: pytest.Config) -> Run:
    """Check the options, find out the targets and check each before anything else is sent.

    Raises pytest.UsageError with one line that says what to do.
    """
    try:
        settings = merge(
            given(config), read_table(config.rootpath / "pyproject.toml"), table_name="pyproject.toml"
        )
        hide_key(config)
        with ExitStack() as resources:
            worker = getattr(config, "workerinput", None)
            if settings.lint:
                run = _begin_lint(settings)
            elif worker:
                run = _begin_worker(settings, worker["llmcompat"], resources)
            else:
                run = _begin(config, settings, resources)
            run.resources.push(resources.pop_all())
            return run
    except (WrongUsage, CassetteError, MissingExchange, RecordingError) as wrong:
        raise pytest.UsageError(line(str(wrong))) from None


def _begin(config: pytest.Config, settings: Settings, resources: ExitStack) -> Run:
    targets = targets_of(settings, resources, sends=sends(config))
    spool = _spool(resources, targets) if _distributes(config) else None
    run = _run(settings, targets, spool, resources)
    if sends(config) and not settings.replay:
        for lab in run.labs.values():
            if isinstance(lab, Lab):
                _check(lab, settings)
    return run


def _begin_lint(settings: Settings) -> Run:
    """Recordings are read by each process for itself: that is quick, and nothing has to be handed over."""
    shelves, passed_over = shelves_of(settings.lint)
    labs = {shelf.target.id: shelf for shelf in shelves}
    return Run(settings, tuple(shelf.target for shelf in shelves), labs, passed_over=passed_over)


def _begin_worker(settings: Settings, handed: dict[str, Any], resources: ExitStack) -> Run:
    targets = tuple(
        Target(**target, key=os.environ.get(f"{_WORKER_KEY}{number}"), headers=settings.headers)
        for number, target in enumerate(handed["targets"])
    )
    return _run(settings, targets, Path(handed["spool"]), resources)


def _run(settings: Settings, targets: tuple[Target, ...], spool: Path | None, resources: ExitStack) -> Run:
    watchers: list[Watcher] = []

    def watch(exchange: Exchange) -> None:
        for watcher in watchers:
            watcher(exchange)

    labs = {}
    for target in targets:
        store = None if spool is None else Spool(spool, target.id)
        labs[target.id] = Lab(
            target, _source(settings, target), named=settings.suite, store=store, on_exchange=watch
        )
        resources.callback(labs[target.id].close)
    return Run(settings, targets, labs, spool, watchers=watchers)


def _distributes(config: pytest.Config) -> bool:
    """True when pytest-xdist will start worker processes."""
    return getattr(config.option, "dist", "no") != "no" and bool(getattr(config.option, "tx", None))


def _spool(resources: ExitStack, targets: tuple[Target, ...]) -> Path:
    """A private folder for exchanges that worker processes share; their keys go into the environment."""
    folder = Path(tempfile.mkdtemp(prefix="llmcompat-"))
    resources.callback(shutil.rmtree, folder, ignore_errors=True)
    for number, target in enumerate(targets):
        if target.key is not None:
            os.environ[f"{_WORKER_KEY}{number}"] = target.key
            resources.callback(os.environ.pop, f"{_WORKER_KEY}{number}", None)
    return folder


def _source(settings: Settings, target: Target) -> Source:
    if settings.replay:
        return ReplayingSource(target, settings.cassette_folder)
    if settings.record:
        return RecordingSource(target, settings.timeout, settings.cassette_folder)
    return LiveSource(target, settings.timeout)


def _check(lab: Lab, settings: Settings) -> None:
    """Pre-flight; what a refused run has recorded is removed, or the next try would replay the refusal."""
    try:
        check(lab, lambda base_url: fetch_models(lab.target, base_url, settings.timeout))
    except PreflightFailed:
        if settings.record:
            for exchange in (e for e in lab.obtained() if e.live or not e.ok):
                _forget(path_of(settings.cassette_folder, lab.target, exchange.probe))
        raise


def _forget(path: Path) -> None:
    """Remove a cassette, and the folders of its model and endpoint when nothing else lies there."""
    path.unlink(missing_ok=True)
    for folder in path.parents[:2]:
        if not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
