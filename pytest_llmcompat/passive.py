"""Passive judgement: a contract that holds for any exchange of a kind judges each one, wherever it comes from.

The exchange stands in the place of each parameter of the contract, by itself. So a contract is passive when its
judgement is fair to an exchange of the kind that it knows nothing else of: what was sent, to which model, by whom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.probe import fixture_name
from pytest_llmcompat.probes import FAMILIES, PROBES
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, Verdict, judge

__all__ = ["judge_alone", "judge_recorded", "judge_throughout", "of_kind", "ordinary"]

# The verdict on many exchanges is the first of these that one of them gets.
_PRECEDENCE: Final = (Outcome.FAIL, Outcome.WARN, Outcome.PASS, Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE)


def of_kind(contract: Contract, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """The exchanges that a passive contract is about; none for one that is not passive."""
    kinds = frozenset(contract.passive)
    return [exchange for exchange in exchanges if kinds and kinds & kinds_of(exchange)]


def judge_alone(
    contract: Contract, exchange: Exchange, target: Target, fails_at: Level | None = Level.MUST
) -> Verdict:
    """The verdict of a passive contract on one exchange."""

    def read(name: str) -> Any:
        if name == "llm_target":
            return target
        return (exchange,) if name in FAMILIES else exchange

    return judge(contract, target.id, read, fails_at)


def judge_throughout(
    contract: Contract,
    target: Target,
    read: Callable[[str], Any],
    exchanges: Iterable[Exchange],
    fails_at: Level | None = Level.MUST,
) -> Verdict:
    """The verdict of a contract in a run: on what it reads and, when it is passive, on every other exchange.

    exchanges: all of the run. Requests about routes, broken-off streams and invalid requests that were served
    are left to the contracts on them.
    """
    verdict = judge(contract, target.id, read, fails_at)
    others = [e for e in ordinary(contract, exchanges) if not _reads(contract, e)]
    return _joined([verdict, *(judge_alone(contract, e, target, fails_at) for e in others)])


def judge_recorded(
    contract: Contract, target: Target, exchanges: Iterable[Exchange], fails_at: Level | None = Level.MUST
) -> Verdict:
    """The verdict of a passive contract on recordings from anywhere."""
    judged = [judge_alone(contract, e, target, fails_at) for e in of_kind(contract, exchanges)]
    if not judged:
        kinds = " or ".join(contract.passive)
        return Verdict(contract, target.id, Outcome.INCONCLUSIVE, f"nothing of the kind {kinds} is recorded")
    return _joined(judged)


def ordinary(contract: Contract, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Those of the exchanges of a run that a passive contract is about, whatever else it reads."""
    return [exchange for exchange in of_kind(contract, exchanges) if _is_ordinary(exchange)]


def _is_ordinary(exchange: Exchange) -> bool:
    probe = PROBES.get(exchange.probe)
    if probe is None:
        return True
    served = probe.negative and exchange.ok
    return probe.abort_after is None and not served and not probe.id.startswith("route-")


def _reads(contract: Contract, exchange: Exchange) -> bool:
    probe = PROBES.get(exchange.probe)
    in_family = probe is not None and any(FAMILIES[r](probe) for r in contract.reads if r in FAMILIES)
    return in_family or fixture_name(exchange.probe) in contract.reads


def _joined(verdicts: list[Verdict]) -> Verdict:
    """One verdict of several by the same contract, with the evidence of all that are like it."""
    first = min(verdicts, key=lambda verdict: _PRECEDENCE.index(verdict.outcome))
    if first.outcome not in (Outcome.FAIL, Outcome.WARN):
        return first
    alike = [verdict for verdict in verdicts if verdict.outcome is first.outcome]
    others = len(alike) - 1
    more = f" (and {others} more {'exchange' if others == 1 else 'exchanges'})" if others else ""
    evidence = tuple(evidence for verdict in alike for evidence in verdict.evidence)
    broken = any(verdict.broken for verdict in alike)
    return Verdict(first.contract, first.target, first.outcome, f"{first.reason}{more}", evidence, broken)
