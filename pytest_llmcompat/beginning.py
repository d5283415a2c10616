"""The beginning of a run: everything the user said is checked, then the targets, and nothing else is sent before."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_llmcompat.budget import Budget, BudgetedSource, Ledger
from pytest_llmcompat.cassette import CassetteError, path_of
from pytest_llmcompat.configuration import Configuration, read_configuration, settings_of
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab, Source
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource, ReplayingSource
from pytest_llmcompat.lab.spool import Spool
from pytest_llmcompat.matrix import fetch_models, targets_of
from pytest_llmcompat.measures import Measures, measures_of, rules_of
from pytest_llmcompat.options import given, hide_key, sends
from pytest_llmcompat.plain import line
from pytest_llmcompat.preflight import PreflightFailed, check
from pytest_llmcompat.recordings import RecordingError, shelves_of
from pytest_llmcompat.run import Run, Watcher
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange

__all__ = ["begin"]

_WORKER_KEY: Final = "LLMCOMPAT_WORKER_KEY_"

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
                pairs, spool = _targets(config, orders, resources)
                targets, worker = [target for target, _ in pairs], hasattr(config, "workerinput")
                measures = measures_of(rules, settings, configuration, targets, concludes=not worker)
                run = _begin(settings, pairs, spool, measures, resources)
                if sends(config) and not settings.replay and not worker:
                    _check_targets(run)
            run.configuration = configuration
            run.resources.push(resources.pop_all())
            return run
    except (WrongUsage, CassetteError, MissingExchange, RecordingError) as wrong:
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


def _targets(
    config: pytest.Config, orders: Sequence[Settings], resources: ExitStack
) -> tuple[_Pairs, Path | None]:
    """The targets with their settings, and the folder that processes share: a worker gets both handed over."""
    if worker := getattr(config, "workerinput", None):
        handed = worker["llmcompat"]
        return _handed_over(handed, orders), Path(handed["spool"])
    pairs = targets_of(orders, resources, sends=sends(config))
    return pairs, _spool(resources, [target for target, _ in pairs]) if _distributes(config) else None


def _handed_over(handed: Mapping[str, Any], orders: Sequence[Settings]) -> _Pairs:
    """The targets of the main process, with the settings that this worker reads for itself."""
    by_name = {settings.name: settings for settings in orders}
    pairs = []
    for number, described in enumerate(handed["targets"]):
        settings = by_name[described["name"]]
        target = Target(
            **{**described, "require_models": tuple(described["require_models"])},
            key=os.environ.get(f"{_WORKER_KEY}{number}"),
            headers=settings.headers,
            latency=settings.latency,
        )
        pairs.append((target, settings))
    return pairs


def _begin(
    settings: Settings, pairs: _Pairs, spool: Path | None, measures: Measures, resources: ExitStack
) -> Run:
    watchers: list[Watcher] = []

    def watch(exchange: Exchange) -> None:
        for watcher in watchers:
            watcher(exchange)

    ledger = _ledger(measures.rules.budget, spool)
    labs = {}
    for target, its in pairs:
        source = _source(its, target)
        if ledger is not None:
            source = BudgetedSource(source, ledger, measures.prices.get(target.id))
        store = None if spool is None else Spool(spool, target.id)
        labs[target.id] = Lab(target, source, named=its.suite, store=store, on_exchange=watch)
        resources.callback(labs[target.id].close)
    targets = tuple(target for target, _ in pairs)
    terms = {target.id: its for target, its in pairs}
    return Run(
        settings, targets, terms, labs, measures=measures, ledger=ledger, spool=spool, watchers=watchers
    )


def _ledger(budget: Budget, spool: Path | None) -> Ledger | None:
    if budget == Budget():
        return None
    return Ledger(budget, None if spool is None else spool / "ledger.json")


def _distributes(config: pytest.Config) -> bool:
    """True when pytest-xdist will start worker processes."""
    return getattr(config.option, "dist", "no") != "no" and bool(getattr(config.option, "tx", None))


def _spool(resources: ExitStack, targets: Sequence[Target]) -> Path:
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


def _check_targets(run: Run) -> None:
    for target in run.targets:
        lab = run.lab(target)
        assert isinstance(lab, Lab)
        _check_target(lab, run.settings_for(target))


def _check_target(lab: Lab, settings: Settings) -> None:
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
