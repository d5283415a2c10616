"""The conclusion of a run as JSON values: further keys of the report, each there only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.change import Change, Comparison, Difference
from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.plain import line
from pytest_llmcompat.readiness import Finding
from pytest_llmcompat.replaceable import Loss, Replacement
from pytest_llmcompat.reporting.drift import drift_json
from pytest_llmcompat.reporting.replacement import verdict_on
from pytest_llmcompat.run import Run
from pytest_llmcompat.waiver import Review, Waiver

__all__ = ["client_values", "conclusion_values"]

_CHANGES: Final = {
    "regressions": Change.REGRESSION,
    "weaker": Change.WEAKER,
    "known": Change.STILL_BROKEN,
    "unsettled": Change.UNSETTLED,
    "settled": Change.SETTLED,
    "improvements": Change.IMPROVEMENT,
    "new": Change.NEW,
}


def conclusion_values(conclusion: Conclusion, run: Run) -> dict[str, Any]:
    """The keys `gate`, `waivers`, `drift`, `replaceable`, `spent` and `faults` of the report."""
    values: dict[str, Any] = {}
    if run.measures.baseline is not None:
        values["gate"] = {
            "baseline": Path(run.measures.baseline.report.path).name,
            "strict": run.measures.baseline.strict,
            "targets": {
                id: _changes(comparison, run.measures.baseline.matches[id])
                for id, comparison in conclusion.changes.items()
            },
        }
    if run.configuration.waivers:
        values["waivers"] = _waivers(conclusion.waivers)
    if conclusion.drifts:
        values["drift"] = drift_json(conclusion.drifts)
    if conclusion.replacements:
        values["replaceable"] = [
            _replacement(a, b, replacement) for (a, b), replacement in conclusion.replacements.items()
        ]
    if conclusion.spent is not None:
        budget, spent = run.measures.rules.budget, conclusion.spent
        values["spent"] = {
            "requests": spent.requests,
            "tokens": spent.tokens,
            "cost_usd": round(spent.cost, 6),
            "budget": {"requests": budget.requests, "tokens": budget.tokens, "cost_usd": budget.cost},
        }
    if conclusion.faults:
        values["faults"] = [line(fault) for fault in conclusion.faults]
    return values


def client_values(findings: Iterable[Finding]) -> dict[str, Any]:
    """What the verdicts on a target mean for each client: `clients` in its summary."""
    return {
        finding.client: {
            "readiness": finding.readiness.value,
            "reasons": [line(reason) for reason in finding.reasons],
        }
        for finding in findings
    }


def _changes(comparison: Comparison | None, compared_with: str | None) -> dict[str, Any]:
    if comparison is None:
        return {"compared_with": compared_with}
    return {
        "compared_with": compared_with,
        **{name: [_change(d) for d in comparison.of(change)] for name, change in _CHANGES.items()},
        "removed": [difference.contract for difference in comparison.of(Change.REMOVED)],
    }


def _change(difference: Difference) -> dict[str, Any]:
    return {
        "contract": difference.contract,
        "level": difference.level.value,
        "was": difference.old and difference.old["verdict"],
        "now": difference.new and difference.new["verdict"],
        "reason": difference.new["reason"] if difference.new else "",
    }


def _waivers(review: Review) -> dict[str, Any]:
    return {
        "used": [{**_waiver(waiver), "failures": failures} for waiver, failures in review.used],
        "expired": [_waiver(waiver) for waiver in review.expired],
        "unused": [_waiver(waiver) for waiver in review.unused],
        "unknown": [_waiver(waiver) for waiver in review.unknown],
    }


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "contract": waiver.contract,
        "target": waiver.target,
        "reason": line(waiver.reason),
        "expires": waiver.expires.isoformat(),
        "link": line(waiver.link),
    }


def _replacement(first: str, second: str, replacement: Replacement) -> dict[str, Any]:
    return {
        "a": first,
        "b": second,
        "holds": replacement.holds,
        "conclusion": verdict_on(replacement, first, second),
        "lost": _losses(replacement.lost),
        "lost_below": _losses(replacement.weaker),
        "unsettled": _losses(replacement.unknown),
    }


def _losses(losses: Iterable[Loss]) -> list[dict[str, Any]]:
    return [
        {
            "contract": loss.contract,
            "level": loss.level.value,
            "now": loss.result and loss.result["verdict"],
            "reason": loss.result["reason"] if loss.result else "",
        }
        for loss in losses
    ]
