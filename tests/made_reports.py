"""Made JSON reports: failures with all that explains them, gates, and a report with every key there is."""

from __future__ import annotations

from typing import Any

from pytest_llmcompat.contract import Level
from pytest_llmcompat.reporting.result import NOT_JUDGED
from tests import reports


def broken(contract: str, **further: Any) -> reports.Result:
    """A failure with all that explains it."""
    evidence = {"probe": "chat-basic", "where": "body /id", "found": "null", "expected": "a text"}
    told = {
        "evidence": [evidence],
        "breaks": "Everybody.",
        "fix": "Mend it.",
        "cases": ["o/r#1"],
        "explanation": "Claim: x\nReproduce: curl -sS http://a/v1",
    }
    return reports.result(contract, "fail") | told | further


def gated(*results: reports.Result, **changes: Any) -> reports.Document:
    """A report with a baseline, of one target that the baseline knows."""
    targets = {"m@a": {"compared_with": "m@a", **changes}}
    return reports.document(*results, gate={"baseline": "baseline.json", "targets": targets})


def change(contract: str, was: str, now: str) -> dict[str, str]:
    """An entry of the lists of `gate`."""
    return {"contract": contract, "level": "must", "was": was, "now": now, "reason": f"because of {now}"}


def waiver(contract: str, **further: Any) -> dict[str, Any]:
    """An entry of the lists of `waivers`."""
    return {
        "contract": contract,
        "target": "*",
        "reason": "agreed",
        "expires": "2026-01-31",
        "link": "",
        **further,
    }


def everything(text: str = "words") -> reports.Document:
    """A report with every key there is, and a text in each place that holds one."""
    result = {
        "target": text,
        "contract": text,
        "claim": text,
        "reason": text,
        "explanation": f"Reproduce: {text}",
        "evidence": [{"probe": text, "where": text, "found": text, "expected": text}] * 4,
        "source": text,
        "breaks": text,
        "fix": text,
        "cases": [text],
    }
    results = [
        reports.result("a.b", "fail") | result,
        reports.result("a.c", "warn") | result,
        reports.result("a.d", "unsupported") | result | {"contract": f"{text}2", "gate": "regression"},
        reports.result("a.e", "inconclusive") | result | {"reason": f"{NOT_JUDGED}{text}"},
    ]
    entry = {"contract": text, "level": "must", "was": text, "now": text, "reason": text}
    worse = entry | {"contract": f"{text}2"}
    lists = ("weaker", "known", "unsettled", "settled", "improvements", "new")
    drifted = {"probe": text, "place": text, "change": text, "was": text, "now": None}
    told = waiver(text, target=text, reason=text, expires=text, link=text, failures=2)
    document = reports.document(*results, targets=[text])
    document["summary"]["targets"][text] |= {
        "level": text,
        "clients": {
            text: {"readiness": "NOT READY", "reasons": [text, text]},
            "ready": {"readiness": "READY"},
        },
    }
    return document | {
        "shard": text,
        "generated": text,
        "tool": {"name": text, "version": text},
        "gate": {
            "baseline": text,
            "targets": {
                text: {
                    "compared_with": f"{text}!",
                    "removed": [text],
                    "regressions": [worse],
                    **{n: [entry] for n in lists},
                }
            },
        },
        "waivers": {"used": [told], "expired": [told], "unused": [told], "unknown": [told]},
        "drift": [
            {"target": text, "recording": text, "reason": text, "compared": [text], "changes": [drifted] * 6}
        ],
        "replaceable": [
            {
                "a": text,
                "b": text,
                "conclusion": text,
                "lost": [entry],
                "lost_below": [entry],
                "unsettled": [entry],
            }
        ],
        "spent": {"requests": 80, "tokens": 9, "cost_usd": 0.5, "budget": {"requests": 100, "tokens": None}},
        "faults": [text],
    }


def many(count: int) -> reports.Document:
    """A report with as many failures, of all levels."""
    levels = [level.value for level in Level]
    return reports.document(
        *(
            broken(f"a.b{number}", level=levels[number % 3], breaks="é" * 500, reason="é" * 100)
            for number in range(count)
        )
    )
