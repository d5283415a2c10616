"""The conclusion of a run in lines for a terminal: what a reader needs to let an upgrade through, or to stop it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.plain import line
from pytest_llmcompat.readiness import Finding, Readiness
from pytest_llmcompat.reporting.changes import changes_in, conclusion, match_lines
from pytest_llmcompat.reporting.drift import drift_lines
from pytest_llmcompat.reporting.replacement import losses_in, verdict_on
from pytest_llmcompat.run import Run
from pytest_llmcompat.waiver import Review

__all__ = ["client_lines", "gate_lines"]

_MOST_REASONS = 3


def gate_lines(found: Conclusion, run: Run, *, whole: bool = False) -> Iterator[str]:
    """Baseline, waivers, drift, interchangeability and budget; nothing about what was not asked for.

    whole: list everything, however much it is.
    """
    baseline = run.measures.baseline
    if baseline is not None:
        name = str(baseline.report.path)
        yield from match_lines(baseline.matches, name)
        compared = [(id, comparison) for id, comparison in found.changes.items() if comparison is not None]
        if compared:
            yield conclusion([comparison for _, comparison in compared], name)
        for id, comparison in compared:
            lines = list(changes_in(comparison, whole=whole))
            if lines and len(compared) > 1:
                yield line(f"{id}:")
            yield from lines
    yield from _waiver_lines(found.waivers)
    for comparison_of_shapes in found.drifts:
        yield from drift_lines(comparison_of_shapes)
    for (first, second), replacement in found.replacements.items():
        yield verdict_on(replacement, first, second)
        yield from (f"  {text}" for text in losses_in(replacement, second, whole=whole))
    if found.spent is not None:
        yield _spent(found, run)


def client_lines(findings: Iterable[Finding], *, explained: bool = False) -> Iterator[str]:
    """The clients by how ready the target is for them, the others than ready ones with their first reason.

    explained: with more reasons. Nothing when a selection of contracts says nothing of any client.
    """
    by_state: dict[Readiness, list[Finding]] = {}
    for finding in findings:
        by_state.setdefault(finding.readiness, []).append(finding)
    if set(by_state) <= {Readiness.UNKNOWN}:
        return
    for state in (Readiness.READY, Readiness.UNKNOWN):
        if names := [finding.client for finding in by_state.get(state, [])]:
            yield f"clients {state}: {', '.join(names)}"
    for state in (Readiness.LIMITS, Readiness.NOT_READY):
        for finding in by_state.get(state, []):
            for reason in finding.reasons[: _MOST_REASONS if explained else 1]:
                yield line(f"client {finding.client} {state}: {reason}")


def _waiver_lines(review: Review) -> Iterator[str]:
    for waiver, failures in review.used:
        yield line(f"waived: {failures} {'failure' if failures == 1 else 'failures'} by {waiver}")
    for waiver in review.expired:
        yield line(f"waiver expired: {waiver}; renew it or take it off")
    for waiver in review.unused:
        yield line(f"waiver unused: {waiver}; nothing that it is about fails any more, take it off")
    for waiver in review.unknown:
        yield line(f"waiver about no known contract: {waiver}; correct its id or take it off")


def _spent(found: Conclusion, run: Run) -> str:
    budget, spent = run.measures.rules.budget, found.spent
    assert spent is not None
    parts = [
        f"{spent.requests}{_of(budget.requests)} requests",
        f"{spent.tokens}{_of(budget.tokens)} tokens",
    ]
    if budget.cost is not None:
        parts.append(f"{spent.cost:.4f} of {budget.cost:g} USD")
    return f"spent: {', '.join(parts)}"


def _of(limit: int | None) -> str:
    return "" if limit is None else f" of {limit}"
