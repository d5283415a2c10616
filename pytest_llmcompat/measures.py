"""What a run is held against and limited by, beside its contracts: read and checked before anything is sent."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmcompat.baseline import Baseline
from pytest_llmcompat.budget import Budget
from pytest_llmcompat.client_profile import ClientProfile, is_needed, profile_of
from pytest_llmcompat.configuration import Configuration
from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.drift import Recorded, recorded_for
from pytest_llmcompat.price import Price, price_of
from pytest_llmcompat.replaceable import pair_of
from pytest_llmcompat.report import Report, read_report
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.shard import Shard, shard_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.waiver import unknown

__all__ = ["Measures", "Rules", "measures_of", "rules_of"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the whole run, before its targets are known.

    baseline: the accepted earlier report. clients: whose contracts alone fail the run; () for the levels.
    shard: the part of the contracts to judge. budget: what may be spent.
    """

    baseline: Report | None = None
    clients: tuple[ClientProfile, ...] = ()
    shard: Shard | None = None
    budget: Budget = field(default_factory=Budget)

    def fails_at(self, contract: Contract, level: Level) -> Level | None:
        """The level at which a broken contract fails: that of its target, or by what the clients need."""
        if not self.clients:
            return level
        return Level.MAY if any(is_needed(client, contract.id) for client in self.clients) else None


@dataclass(frozen=True, slots=True)
class Measures:
    """What a run on known targets is held against.

    baseline: the earlier report, with its targets. recorded: what answers are compared with in shape.
    pairs: (A, B), B has to keep what A keeps. prices: target id → what its model costs, where that is known.
    """

    rules: Rules = field(default_factory=Rules)
    baseline: Baseline | None = None
    recorded: tuple[Recorded, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)


def rules_of(settings: Settings, configuration: Configuration, contracts: Collection[str] | None) -> Rules:
    """Check what can be checked without the targets. Raises WrongUsage.

    contracts: ids of all contracts that there can be; None when the user's own may come to them.
    """
    if contracts is not None and (strange := unknown(configuration.waivers, contracts)):
        close = difflib.get_close_matches(strange[0].contract, contracts, n=1)
        hint = f"did you mean {close[0]}?" if close else "`pytest --llm-list` prints all of them"
        raise WrongUsage(
            f"{configuration.name}: no contract is like {strange[0].contract!r} in waivers; {hint}"
        )
    return Rules(
        baseline=_earlier(settings),
        clients=tuple(profile_of(name) for name in settings.client),
        shard=shard_of(settings.shard) if settings.shard else None,
        budget=Budget(settings.max_requests, settings.max_tokens, settings.max_cost),
    )


def measures_of(
    rules: Rules,
    settings: Settings,
    configuration: Configuration,
    targets: Sequence[Target],
    *,
    concludes: bool = True,
) -> Measures:
    """Check the rest. Raises WrongUsage, and CassetteError for a recording that cannot be used.

    concludes: False in a worker process, which compares no shapes.
    """
    ids = [target.id for target in targets]
    priced = {target.id: price_of(target.model, configuration.prices) for target in targets}
    if settings.max_cost is not None:
        for target in targets:
            if priced[target.id] is None:
                raise WrongUsage(
                    f"--llm-max-cost: no price is known for {target.model}; give one in llmcompat.toml: "
                    f'[prices."{target.model}"] with input and output in USD per million tokens'
                )
    return Measures(
        rules=rules,
        baseline=Baseline.of(rules.baseline, ids, strict=settings.baseline_strict)
        if rules.baseline
        else None,
        recorded=_recorded(settings, targets) if concludes else (),
        pairs=tuple(pair_of(text, ids) for text in settings.replaceable),
        prices={id: price for id, price in priced.items() if price is not None},
    )


def _earlier(settings: Settings) -> Report | None:
    if settings.baseline is None:
        return None
    path = Path(settings.baseline)
    if settings.update_baseline:
        folder = path.resolve().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise WrongUsage(
                f"--llm-baseline: {path}: nothing can be written into its folder; create it first"
            )
        if not path.exists():
            return None
    return read_report(path, "--llm-baseline")


def _recorded(settings: Settings, targets: Sequence[Target]) -> tuple[Recorded, ...]:
    """Only live answers can have drifted, and a recording run has nothing to compare them with."""
    if settings.drift == "off" or settings.record or settings.replay or settings.lint:
        return ()
    recorded = recorded_for(settings.cassette_folder, targets)
    if settings.drift == "fail":
        if not recorded:
            folder = settings.cassette_folder
            raise WrongUsage(f"--llm-drift=fail: no cassettes below {folder}; record some with --llm-record")
        for one in recorded:
            if one.recording is None:
                raise WrongUsage(f"--llm-drift=fail: {one.reason}; record it with --llm-record")
    return recorded
