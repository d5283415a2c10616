"""Shards: a run split over several jobs, each of which judges a part of the contracts for a part of the requests."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from pytest_llmcompat.contract import Contract
from pytest_llmcompat.settings import WrongUsage

__all__ = ["Part", "Shard", "part_of", "shard_of"]

_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` jobs, the `number`th, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True, slots=True)
class Part:
    """The contract ids of a shard.

    own: judged on what they read, which this shard sends. guests: passive contracts that are another shard's own;
    they judge the exchanges that this shard has for its own contracts, and nothing is sent for them.
    A contract that reads a family of probes is every shard's own, and the family is what the shard has of it:
    else one job would send all that there is to send.
    """

    own: frozenset[str]
    guests: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """The contracts that the shard judges."""
        return self.own | self.guests


def shard_of(text: str, option: str = "--llm-shard") -> Shard:
    """The shard that is written as `2/5`. Raises WrongUsage."""
    written = _WRITTEN.fullmatch(text.strip())
    shard = Shard(int(written[1]), int(written[2])) if written else None
    if shard is None or shard.number > shard.count:
        raise WrongUsage(f"{option}: {text!r} is no shard; write 2/5 for the second of five jobs")
    return shard


def part_of(contracts: Iterable[Contract], families: Collection[str], shard: Shard) -> Part:
    """What a shard judges: the same for the same contracts, in whatever order they come.

    families: names that stand for several probes where a contract reads them.
    Contracts that read the same probe first stay together, so that few requests are sent twice, and each such
    group goes to the shard that has the fewest contracts yet, large groups first.
    """
    every = sorted(
        {contract.id: contract for contract in contracts}.values(), key=lambda contract: contract.id
    )
    shared = [contract for contract in every if any(name in families for name in contract.reads)]
    groups: dict[str, list[Contract]] = {}
    for contract in every:
        if contract not in shared:
            # What reads nothing goes anywhere.
            groups.setdefault(contract.reads[0] if contract.reads else contract.id, []).append(contract)
    shards: list[list[Contract]] = [[] for _ in range(shard.count)]
    for _, group in sorted(groups.items(), key=lambda named: (-len(named[1]), named[0])):
        min(shards, key=len).extend(group)
    own = {contract.id for contract in [*shared, *shards[shard.number - 1]]}
    guests = {contract.id for contract in every if contract.passive} - own
    return Part(frozenset(own), frozenset(guests))
