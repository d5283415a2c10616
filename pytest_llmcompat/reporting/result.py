"""A verdict as a JSON value: what reports are made of, and what travels between processes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from pytest_llmcompat.plain import line
from pytest_llmcompat.verdict import Verdict

__all__ = ["NOT_JUDGED", "result_of"]

NOT_JUDGED: Final = "not judged: "
"""How the reason of a contract begins that never got to its judgement, or broke in it."""


def result_of(verdict: Verdict, explanation: str, probes: list[str]) -> dict[str, Any]:
    """One entry of `results` in the JSON report; see docs/report.md for its keys."""
    contract = verdict.contract
    return {
        "target": verdict.target,
        "contract": contract.id,
        "area": contract.area,
        "level": contract.level.value,
        "passive": list(contract.passive),
        "verdict": verdict.outcome.value,
        "claim": contract.claim,
        "broken": verdict.broken,
        "reason": line(verdict.reason),
        "explanation": explanation,
        "evidence": [asdict(evidence) for evidence in verdict.evidence],
        "probes": list(dict.fromkeys(probes)),
        "source": contract.source,
        "breaks": contract.breaks,
        "fix": contract.fix,
        "cases": list(contract.cases),
    }
