"""From pytest's collection to contracts: which modules, for which targets, reading which probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from pytest_llmcompat import suite
from pytest_llmcompat.cassette import CassetteError
from pytest_llmcompat.contract import contract_of
from pytest_llmcompat.lab.spool import Unshared
from pytest_llmcompat.passive import of_kind
from pytest_llmcompat.probes import BY_FIXTURE, FAMILIES, PROBES, family
from pytest_llmcompat.reading import is_chosen, read
from pytest_llmcompat.run import Run
from pytest_llmcompat.shard import Shard, part_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange

__all__ = [
    "ask_for_suite",
    "collected",
    "deselect",
    "is_guest",
    "name_by_contract",
    "parametrize",
    "probe_fixtures",
    "probes_to_send",
    "target_of",
]

_TARGET: Final = "llm_target"
_GUEST: Final[pytest.StashKey[bool]] = pytest.StashKey()


def ask_for_suite(config: pytest.Config) -> None:
    """Collect the bundled suite when the user named no path, whatever `testpaths` says."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(suite.CONTRACTS)]


class ContractModule(pytest.Module):
    """A module of the bundled suite; its tests are its contracts, named by their ids."""

    def _getobj(self) -> ModuleType:
        """The contracts of the module by their ids, which pytest then makes names and node ids of."""
        named = ModuleType(self.path.stem)
        for value in vars(suite.load(self.path)).values():
            if (contract := contract_of(value)) is not None:
                setattr(named, contract.id, value)
        return named

    def istestfunction(self, obj: object, name: str) -> bool:
        """Contracts are marked as such, so the user's `python_functions` does not matter."""
        del name
        return contract_of(obj) is not None

    def istestclass(self, obj: object, name: str) -> bool:
        """There are no classes in the suite."""
        del obj, name
        return False


@cache
def _bundled() -> frozenset[Path]:
    return frozenset(suite.contract_files())


def collected(
    path: Path, parent: pytest.Collector, found: Sequence[pytest.Collector]
) -> Sequence[pytest.Collector]:
    """What to collect from a file: of the bundled suite its contracts alone, else what pytest has found.

    The user's patterns for names, doctests and plugins that check source files leave the suite alone.
    """
    if path.resolve() not in _bundled():
        return found
    return [ContractModule.from_parent(parent, path=path, nodeid=f"contracts/{path.name}")]


def name_by_contract(items: Iterable[pytest.Item]) -> None:
    """Let pytest call the items of the bundled suite by level and contract wherever it would name a function.

    Without this, pytest takes the dots of an id for those of a Python class.
    """
    for item in items:
        contract = contract_of(_function(item))
        if contract is not None and isinstance(item.parent, ContractModule):
            if "stream" in contract.id:
                item.extra_keyword_matches.add("streaming")
            item.location = (item.parent.nodeid, item.location[1], f"{contract.level.name} {item.name}")


def parametrize(metafunc: pytest.Metafunc, run: Run) -> None:
    """Run a test that reads a target, by a probe fixture or otherwise, once for each target."""
    if _TARGET in metafunc.fixturenames:
        ids = [target.id for target in run.targets]
        metafunc.parametrize(_TARGET, run.targets, indirect=True, ids=ids, scope="session")


def probe_fixtures(run: Run) -> ModuleType:
    """A plugin with the fixtures that contracts read exchanges by: `chat_basic`, `error_exchanges` and so on."""
    fixtures = ModuleType("llmcompat_probes")
    for name in (*BY_FIXTURE, *FAMILIES):
        setattr(fixtures, name, _fixture(name, run))
    return fixtures


def _fixture(name: str, run: Run) -> object:
    @pytest.fixture(scope="session", name=name)
    def exchange(llm_target: Target) -> object:
        """What came of a probe, or of each probe of a family, on the target."""
        try:
            suites, sent = run.settings_for(llm_target).suite, run.sharded.get(llm_target.id)
            return read(run.lab(llm_target), name, suites, sent)
        except (MissingExchange, CassetteError, Unshared) as missing:
            pytest.fail(str(missing), pytrace=False)

    return exchange


def _probes_of(item: pytest.Item, run: Run) -> Iterator[str]:
    """The ids of the probes that an item reads and the suites chosen for its target send."""
    target = target_of(item)
    suites = run.settings_for(target).suite
    sent = None if target is None else run.sharded.get(target.id)
    for name in getattr(item, "fixturenames", ()):
        if name in BY_FIXTURE and is_chosen(BY_FIXTURE[name], suites):
            yield BY_FIXTURE[name]
        elif name in FAMILIES:
            yield from (probe.id for probe in family(name, suites) if sent is None or probe.id in sent)


def deselect(config: pytest.Config, run: Run, items: list[pytest.Item]) -> None:
    """Leave out the contracts that have nothing to judge: of the suites, of the recordings, of the shard."""
    if run.settings.lint:
        other = [item for item in items if not _has_recordings(item, run)]
    else:
        other = [item for item in items if _is_left_out(item, run)]
    if run.measures.rules.shard is not None:
        other += _of_other_shards(
            [item for item in items if item not in other], run, run.measures.rules.shard
        )
    if other:
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


def _of_other_shards(items: list[pytest.Item], run: Run, shard: Shard) -> list[pytest.Item]:
    """The items that other shards judge; passive contracts of theirs stay, and read nothing of their own."""
    contracts = {item: contract for item in items if (contract := contract_of(_function(item))) is not None}
    part = part_of(contracts.values(), FAMILIES, shard)
    sent: dict[str, set[str]] = {target.id: set() for target in run.targets}
    for item, contract in contracts.items():
        target = target_of(item)
        if contract.id in part.guests:
            item.stash[_GUEST] = True
            item.__dict__["fixturenames"] = [_TARGET]
        elif contract.id in part.own and target is not None:
            sent[target.id].update(BY_FIXTURE[name] for name in contract.reads if name in BY_FIXTURE)
    run.sharded.update((id, frozenset(probes)) for id, probes in sent.items())
    return [item for item, contract in contracts.items() if contract.id not in part.all]


def is_guest(item: pytest.Item) -> bool:
    """True for a passive contract that another shard sends probes for; here it judges what comes anyway."""
    return item.stash.get(_GUEST, False)


def _is_left_out(item: pytest.Item, run: Run) -> bool:
    """True for a contract that reads nothing of the suites that were named for its target."""
    if not run.settings_for(target_of(item)).suite or contract_of(_function(item)) is None:
        return False
    return not any(_probes_of(item, run))


def _has_recordings(item: pytest.Item, run: Run) -> bool:
    """True for what is no contract, and for a passive one of whose kinds its target has an exchange."""
    contract, target = contract_of(_function(item)), target_of(item)
    if contract is None:
        return True
    return target is not None and bool(of_kind(contract, run.lab(target).obtained()))


def target_of(item: pytest.Item) -> Target | None:
    """The target that an item reads; None when it reads none."""
    callspec = getattr(item, "callspec", None)
    target: Target | None = callspec.params.get(_TARGET) if callspec is not None else None
    return target


def probes_to_send(items: Iterable[pytest.Item], run: Run) -> dict[str, list[str]]:
    """Target id → the ids of the probes that a selection of items reads, in the order in which probes are sent."""
    if run.settings.lint:
        return {}
    read: dict[str, set[str]] = {target.id: set() for target in run.targets}
    for item in items:
        if (target := target_of(item)) is not None:
            read[target.id].update(_probes_of(item, run))
    return {id: [probe_id for probe_id in PROBES if probe_id in probes] for id, probes in read.items()}


def _function(item: pytest.Item) -> object:
    return getattr(item, "function", None)
