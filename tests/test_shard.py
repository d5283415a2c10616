"""Shards: which contracts a job judges."""

from __future__ import annotations

import random

import pytest

from pytest_llmcompat.contract import Contract
from pytest_llmcompat.probes import BY_FIXTURE, FAMILIES
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.shard import Part, Shard, part_of, shard_of
from pytest_llmcompat.suite import bundled_contracts

COUNTS = [1, 2, 3, 5, 8, 40]


def parts(count: int) -> list[Part]:
    """The bundled suite in some shards."""
    return [part_of(bundled_contracts(), FAMILIES, Shard(number, count)) for number in range(1, count + 1)]


def reads_family(contract: Contract) -> bool:
    """True for one that reads several probes by one name."""
    return any(name in FAMILIES for name in contract.reads)


@pytest.mark.parametrize("count", COUNTS)
def test_every_contract_is_some_shards_own(count: int) -> None:
    """Of one shard exactly, unless it reads families of probes; passive ones are in all shards."""
    split = parts(count)
    for contract in bundled_contracts():
        owners = sum(contract.id in part.own for part in split)
        assert owners == (count if reads_family(contract) else 1), contract.id
        if contract.passive:
            assert all(contract.id in part.all for part in split)
        else:
            assert not any(contract.id in part.guests for part in split)
    assert all(part.own.isdisjoint(part.guests) for part in split)


@pytest.mark.parametrize("count", COUNTS)
def test_contracts_on_one_probe_stay_together(count: int) -> None:
    """So the probe is sent once."""
    split = parts(count)
    homes: dict[str, set[int]] = {}
    for contract in bundled_contracts():
        if not reads_family(contract):
            homes.setdefault(contract.reads[0], set()).update(
                number for number, part in enumerate(split) if contract.id in part.own
            )
    assert all(len(numbers) == 1 for numbers in homes.values())


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_are_balanced_and_share_the_requests(count: int) -> None:
    """By contracts within a few, and no shard sends much more than its part of the requests."""
    split = parts(count)
    shared = sum(reads_family(contract) for contract in bundled_contracts())
    sizes = [len(part.own) - shared for part in split]
    assert max(sizes) - min(sizes) <= 3
    reads = {contract.id: contract.reads for contract in bundled_contracts()}
    sent = [{name for id in part.own for name in reads[id] if name in BY_FIXTURE} for part in split]
    assert max(map(len, sent)) <= 2 * len(set().union(*sent)) / count


def test_order_in_which_contracts_come_does_not_matter() -> None:
    """Each job collects for itself; with random order, too, and a contract for each target."""
    every = [*bundled_contracts(), *bundled_contracts()]
    random.Random(7).shuffle(every)
    shard = Shard(2, 3)
    assert part_of(every, FAMILIES, shard) == part_of(bundled_contracts(), FAMILIES, shard)


def test_there_may_be_more_shards_than_contracts() -> None:
    """Some are empty then, but for what every shard judges."""
    few = bundled_contracts()[:2]
    owned = [part_of(few, FAMILIES, Shard(number, 9)).own for number in range(1, 10)]
    assert sorted(id for own in owned for id in own) == [contract.id for contract in few]


@pytest.mark.parametrize(
    ("text", "shard"), [("2/5", Shard(2, 5)), (" 1/1 ", Shard(1, 1)), ("10/12", Shard(10, 12))]
)
def test_shard_is_read(text: str, shard: Shard) -> None:
    """As it is written, without white space around it."""
    assert shard_of(text) == shard
    assert str(shard) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "2", "0/5", "6/5", "2/0", "a/b", "-1/5", "1/5/2", "02/5", "1/99999", "²/5", "1 /5"]
)
def test_what_is_no_shard(text: str) -> None:
    """One line that shows how to write one."""
    with pytest.raises(WrongUsage) as wrong:
        shard_of(text)
    assert str(wrong.value) == f"--llm-shard: {text!r} is no shard; write 2/5 for the second of five jobs"
