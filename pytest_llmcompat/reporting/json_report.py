"""The JSON report, version 1: `llmcompat.report/1`; its JSON Schema lies beside this module."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.reporting.cost import cost_of, tokens_of
from pytest_llmcompat.run import Run
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome

__all__ = ["SCHEMA_FILE", "json_report", "write_json"]

SCHEMA_FILE: Final = Path(__file__).with_name("report.schema.json")


def json_report(run: Run) -> dict[str, Any]:
    """The report of a run as a JSON value; results and exchanges in a stable order."""
    exchanges = run.exchanges()
    results = sorted(run.results, key=lambda result: (result["target"], result["contract"]))
    return {
        "schema": "llmcompat.report/1",
        "generated": run.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "tool": {"name": "pytest-llmcompat", "version": version("pytest-llmcompat")},
        "targets": [_target(target) for target in run.targets],
        "results": results,
        "exchanges": [_exchange(exchange) for exchange in exchanges],
        "summary": {
            **_counts(results),
            "level": run.settings.level.value,
            "targets": {t.id: _summary(t, results, exchanges) for t in run.targets},
        },
    }


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a report; a reader sees the old file or the whole new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.stem[:40]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _target(target: Target) -> dict[str, Any]:
    return {
        "id": target.id,
        "endpoint": target.place or target.endpoint,
        "model": target.model,
        "no_auth": target.no_auth,
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    tokens = tokens_of(exchange)
    return {
        "target": exchange.target,
        "probe": exchange.probe,
        "status": exchange.status,
        "requests": exchange.requests,
        "ttft_s": round(exchange.arrivals[0][0], 4) if exchange.arrivals else None,
        "total_s": round(exchange.total, 4),
        "prompt_tokens": tokens[0] if tokens else None,
        "completion_tokens": tokens[1] if tokens else None,
        "failure": exchange.failure,
        "unsent": exchange.unsent,
        "live": exchange.live,
    }


def _summary(
    target: Target, results: Iterable[dict[str, Any]], exchanges: Iterable[Exchange]
) -> dict[str, Any]:
    cost = cost_of(e for e in exchanges if e.target == target.id)
    return {
        **_counts(result for result in results if result["target"] == target.id),
        "requests": cost.requests,
        "prompt_tokens": cost.prompt_tokens,
        "completion_tokens": cost.completion_tokens,
    }


def _counts(results: Iterable[dict[str, Any]]) -> dict[str, int]:
    counted = Counter(result["verdict"] for result in results)
    return {"contracts": counted.total(), **{outcome.value: counted[outcome.value] for outcome in Outcome}}
