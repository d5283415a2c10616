"""The beginning of a run: everything the user said is checked, then the targets, and nothing else is sent before."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_llmcompat.budget import Budget, BudgetedSource, Ledger
from pytest_llmcompat.cassette import CassetteError, claimed, path_of
from pytest_llmcompat.configuration import Configuration, read_configuration, settings_of
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab, Source
from pytest_llmcompat.lab.allowance import MEMORY, Allowance
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource, ReplayingSource
from pytest_llmcompat.lab.spool import Spool, Unshared
from pytest_llmcompat.logs import clean_logs
from pytest_llmcompat.matrix import fetch_models, targets_of
from pytest_llmcompat.measures import Measures, measures_of, rules_of
from pytest_llmcompat.memory import return_freed_blocks
from pytest_llmcompat.options import given, hide_key, sends
from pytest_llmcompat.plain import line
from pytest_llmcompat.preflight import PreflightFailed, check
from pytest_llmcompat.recordings import RecordingError, shelves_of
from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.run import Run, Watcher
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange

__all__ = ["begin"]

_WORKER_KEY: Final = "LLMCOMPAT_WORKER_KEY_"
_WORKER_HEADERS: Final = "LLMCOMPAT_WORKER_HEADERS_"

_Pairs = Sequence[tuple[Target, Settings]]


def begin(config: pytest.Config) -> Run:
    """Check the options, find out the targets and check each before anything else is sent.

    Raises pytest.UsageError with one line that says what to do.
    """
    try:
        configuration = read_configuration(*_folders(config))
        settings, orders = settings_of(given(config), configuration)
        hide_key(config)
        rules = rules_of(settings, configuration, _contract_ids(config, configuration))
        with ExitStack() as resources:
            if settings.lint:
                run = _begin_lint(settings)
                run.measures = measures_of(rules, settings, configuration, run.targets)
            else:
                worker = getattr(config, "workerinput", None)
                allowance = _allowance(settings, orders, worker)
                pairs, spool = (
                    _handed_over(worker, orders, resources)
                    if worker
                    else _found(config, orders, allowance, resources)
                )
                targets = [target for target, _ in pairs]
                measures = measures_of(rules, settings, configuration, targets, concludes=not worker)
                return_freed_blocks()
                run = _begin(settings, pairs, spool, measures, allowance, resources)
                if worker:
                    run.begins_at = _share_of(worker)
                if sends(config) and not settings.replay and not worker:
                    _check_targets(run)
            run.configuration = configuration
            run.resources.push(resources.pop_all())
            return run
    except (WrongUsage, CassetteError, MissingExchange, RecordingError, Unshared) as wrong:
        raise pytest.UsageError(line(str(wrong))) from None


def _folders(config: pytest.Config) -> list[Path]:
    """Where the configuration may lie: with `-c FILE` a user has said where all of it is."""
    alone = getattr(config.option, "inifilename", None) is not None
    return [config.rootpath] if alone else [config.invocation_params.dir, config.rootpath]


def _contract_ids(config: pytest.Config, configuration: Configuration) -> Collection[str] | None:
    """All contracts that there can be; None when they need not be known, or paths may bring the user's own."""
    if not configuration.waivers or config.args_source is pytest.Config.ArgsSource.ARGS:
        return None
    return [contract.id for contract in bundled_contracts()]


def _begin_lint(settings: Settings) -> Run:
    """Recordings are read by each process for itself: that is quick, and nothing has to be handed over."""
    shelves, passed_over = shelves_of(settings.lint)
    labs = {shelf.target.id: shelf for shelf in shelves}
    return Run(settings, tuple(shelf.target for shelf in shelves), {}, labs, passed_over=passed_over)


def _allowance(settings: Settings, orders: Sequence[Settings], worker: Mapping[str, Any] | None) -> Allowance:
    """What the run may use up; workers share its memory and the time of its end."""
    seconds = settings.run_timeout or sum(order.run_seconds for order in orders)
    if worker is None:
        return Allowance(seconds)
    ends = worker["llmcompat"]["ends"]
    return Allowance(seconds, ends=ends, memory=MEMORY // worker["workercount"])


def _found(
    config: pytest.Config, orders: Sequence[Settings], allowance: Allowance, resources: ExitStack
) -> tuple[_Pairs, Path | None]:
    """The targets with their settings, and the folder that processes share, if there will be some."""
    pairs = targets_of(orders, resources, allowance, sends=sends(config))
    if sends(config):
        _claim(pairs, resources)
    spool = _spool(resources, [target for target, _ in pairs]) if _distributes(config) else None
    return pairs, spool


def _claim(pairs: _Pairs, resources: ExitStack) -> None:
    """One run at a time records a target: what a second one needs is there when the first has ended."""
    folders = [
        path_of(settings.cassette_folder, target, "any").parent
        for target, settings in pairs
        if settings.record
    ]

    def waits(folder: Path) -> None:
        sys.stderr.write(f"llmcompat: another run is recording into {folder}; waiting for its end\n")
        sys.stderr.flush()

    try:
        resources.enter_context(claimed(folders, waits))
    except OSError as error:
        raise WrongUsage(f"--llm-cassettes: {error.filename} cannot be used: {error.strerror}") from None


def _handed_over(
    worker: Mapping[str, Any], orders: Sequence[Settings], resources: ExitStack
) -> tuple[_Pairs, Path]:
    """The targets of the main process, with the settings that this worker reads for itself."""
    handed, workers = worker["llmcompat"], worker["workercount"]
    by_name = {settings.name: settings for settings in orders}
    pairs = []
    for number, described in enumerate(json.loads(handed["targets"])):
        settings = by_name[described["name"]]
        target = Target(
            **{**described, "require_models": tuple(described["require_models"])},
            key=os.environ.get(f"{_WORKER_KEY}{number}"),
            headers=json.loads(os.environ.get(f"{_WORKER_HEADERS}{number}", "{}")),
            latency=settings.latency,
        )
        pairs.append((target, replace(settings, concurrency=max(1, settings.concurrency // workers))))
    resources.enter_context(clean_logs(secret for target, _ in pairs for secret in secrets_of(target)))
    return pairs, Path(handed["spool"])


def _share_of(worker: Mapping[str, Any]) -> float:
    """The place of a worker among all, from 0 to 1."""
    workers: int = worker["workercount"]
    return int(worker["workerid"].removeprefix("gw")) % workers / workers


def _begin(
    settings: Settings,
    pairs: _Pairs,
    spool: Path | None,
    measures: Measures,
    allowance: Allowance,
    resources: ExitStack,
) -> Run:
    watchers: list[Watcher] = []
    unwritten: list[str] = []

    def watch(exchange: Exchange) -> None:
        for watcher in watchers:
            watcher(exchange)

    ledger = _ledger(measures.rules.budget, spool)
    labs = {}
    for target, its in pairs:
        source = _source(its, target, allowance, unwritten)
        if ledger is not None:
            source = BudgetedSource(source, ledger, measures.prices.get(target.id))
        store = None if spool is None else Spool(spool, target.id)
        labs[target.id] = Lab(
            target,
            source,
            named=its.suite,
            store=store,
            pace=Pace(allowance=allowance, hold=None if store is None else store.hold()),
            on_exchange=watch,
        )
        resources.callback(labs[target.id].close)
    return Run(
        settings,
        tuple(target for target, _ in pairs),
        {target.id: its for target, its in pairs},
        labs,
        measures=measures,
        ledger=ledger,
        spool=spool,
        allowance=allowance,
        watchers=watchers,
        unwritten=unwritten,
    )


def _ledger(budget: Budget, spool: Path | None) -> Ledger | None:
    if budget == Budget():
        return None
    return Ledger(budget, None if spool is None else spool / "ledger.json")


def _distributes(config: pytest.Config) -> bool:
    """True when pytest-xdist will start worker processes."""
    return getattr(config.option, "dist", "no") != "no" and bool(getattr(config.option, "tx", None))


def _spool(resources: ExitStack, targets: Sequence[Target]) -> Path:
    """A private folder for exchanges that worker processes share; keys and headers go into the environment."""
    folder = Path(tempfile.mkdtemp(prefix="llmcompat-"))
    resources.callback(shutil.rmtree, folder, ignore_errors=True)
    bearing: dict[str, str] = {}
    for number, target in enumerate(targets):
        bearing[f"{_WORKER_HEADERS}{number}"] = json.dumps(dict(target.headers))
        if target.key is not None:
            bearing[f"{_WORKER_KEY}{number}"] = target.key
    for name, value in bearing.items():
        os.environ[name] = value
        resources.callback(os.environ.pop, name, None)
    return folder


def _source(settings: Settings, target: Target, allowance: Allowance, unwritten: list[str]) -> Source:
    if settings.replay:
        return ReplayingSource(target, settings.cassette_folder)
    if settings.record:
        return RecordingSource(target, settings.cassette_folder, settings.limits, allowance, unwritten)
    return LiveSource(target, settings.limits, allowance)


def _check_targets(run: Run) -> None:
    for target in run.targets:
        lab = run.lab(target)
        assert isinstance(lab, Lab)
        _check_target(lab, run.settings_for(target), run.allowance)


def _check_target(lab: Lab, settings: Settings, allowance: Allowance) -> None:
    """Pre-flight; what a refused run has recorded is removed, or the next try would replay the refusal."""
    try:
        check(lab, lambda base_url: fetch_models(lab.target, base_url, settings.limits, allowance))
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
