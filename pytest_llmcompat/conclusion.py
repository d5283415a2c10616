"""The conclusion: what the verdicts of a whole run come to, beside each single one.

A contract that fails is a failing test, and pytest counts it. What only shows when all of them are there is
found here: what has changed since the baseline, which waivers are of no use, whether answers have another shape
than recorded, whether a target can stand in for another, and which clients can be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_llmcompat.budget import Spending
from pytest_llmcompat.change import Comparison
from pytest_llmcompat.client_profile import profiles
from pytest_llmcompat.contract import registered
from pytest_llmcompat.drift import Comparison as DriftComparison
from pytest_llmcompat.drift import compare
from pytest_llmcompat.readiness import Finding, readiness
from pytest_llmcompat.replaceable import Replacement, replaceable
from pytest_llmcompat.run import Run
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.waiver import Review, review

__all__ = ["Conclusion", "conclude"]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a run comes to.

    changes: target id → its results beside the baseline's, None for a target that the baseline does not know;
    empty without a baseline. waivers: what has come of them. drifts: one entry for each target that was compared
    with a recording. replacements: (A, B) → whether B can stand in for A. clients: target id → what it means for
    each client. spent: what the run took of its budget, None without one.
    existing: ids of all contracts that there were to choose from; empty without a baseline and waivers.
    faults: why the run fails although no contract may have failed, one line each.
    """

    changes: Mapping[str, Comparison | None] = field(default_factory=dict)
    waivers: Review = field(default_factory=Review)
    drifts: tuple[DriftComparison, ...] = ()
    replacements: Mapping[tuple[str, str], Replacement] = field(default_factory=dict)
    clients: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    spent: Spending | None = None
    existing: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()


def conclude(run: Run) -> Conclusion:
    """The conclusion of a run whose results are all there."""
    results = run.results
    existing = _existing(run)
    by_target = {
        target.id: [result for result in results if result["target"] == target.id] for target in run.targets
    }
    changes = {}
    if run.measures.baseline is not None:
        changes = {id: run.measures.baseline.comparison(id, results, existing) for id in by_target}
    waivers = review(run.configuration.waivers, results, existing, by_target, run.started.date())
    drifts = compare(run.measures.recorded, run.exchanges()) if run.measures.recorded else ()
    replacements = {
        (a, b): replaceable(by_target[a], by_target[b], run.settings.level) for a, b in run.measures.pairs
    }
    conclusion = Conclusion(
        changes=changes,
        waivers=waivers,
        drifts=drifts,
        replacements=replacements,
        clients={
            id: tuple(readiness(profile, its) for profile in profiles().values())
            for id, its in by_target.items()
            if its
        },
        existing=existing,
        spent=run.ledger.spent if run.ledger is not None else None,
    )
    return replace(conclusion, faults=tuple(_faults(conclusion, run)))


def _existing(run: Run) -> frozenset[str]:
    """Ids of all contracts; none when nothing asks for them, for a run on other tests need not import the suite."""
    if run.settings.baseline is None and not run.configuration.waivers:
        return frozenset()
    known = {contract.id for contract in (*bundled_contracts(), *registered())}
    return frozenset(known | {result["contract"] for result in run.results})


def _faults(conclusion: Conclusion, run: Run) -> Iterator[str]:
    if given_up := run.given_up():
        # Nothing has failed there, for nothing was asked.
        yield f"{len(given_up)} probes were given up: the time was up (--llm-run-timeout)"
    if run.settings.strict_waivers:
        for waiver in conclusion.waivers.expired:
            yield f"the waiver {waiver} has expired (--llm-strict-waivers)"
        for waiver in conclusion.waivers.unused:
            yield f"nothing needs the waiver {waiver} any more (--llm-strict-waivers)"
    count = sum(len(comparison.drifts) for comparison in conclusion.drifts)
    if run.settings.drift == "fail" and count:
        yield f"answers have another shape than recorded in {count} places (--llm-drift=fail)"
    for (a, b), replacement in conclusion.replacements.items():
        if not replacement.holds:
            yield f"{b} cannot stand in for {a} (--llm-replaceable)"
