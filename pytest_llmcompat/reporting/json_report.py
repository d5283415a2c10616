"""The JSON report, version 1: `llmcompat.report/1`; its JSON Schema lies beside this module."""

from __future__ import annotations

import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.report import FORMAT, SCHEMA_FILE
from pytest_llmcompat.reporting.conclusion_json import client_values, conclusion_values
from pytest_llmcompat.run import Run
from pytest_llmcompat.summary import summary_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.usage import tokens_of

__all__ = ["SCHEMA_FILE", "json_report", "json_text", "write_text"]


def json_report(run: Run, conclusion: Conclusion) -> dict[str, Any]:
    """The report of a run as a JSON value; results and exchanges in a stable order."""
    exchanges = [_exchange(exchange) for exchange in run.exchanges()]
    results = sorted(run.results, key=lambda result: (result["target"], result["contract"]))
    summary = summary_of(run.settings.level.value, [t.id for t in run.targets], results, exchanges)
    for target in run.targets:
        summary["targets"][target.id] |= {
            "level": run.settings_for(target).level.value,
            "clients": client_values(conclusion.clients.get(target.id, ())),
        }
    return {
        "schema": FORMAT,
        "generated": run.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "tool": {"name": "pytest-llmcompat", "version": version("pytest-llmcompat")},
        **({"shard": run.settings.shard} if run.settings.shard is not None else {}),
        "targets": [_target(target) for target in run.targets],
        "results": results,
        "exchanges": exchanges,
        "summary": summary,
        **conclusion_values(conclusion, run),
    }


def json_text(document: dict[str, Any]) -> str:
    """A report as it is written."""
    return f"{json.dumps(document, indent=2)}\n"


def write_text(path: Path, text: str) -> None:
    """Write a report; a reader sees the old file or the whole new one, never a part. Raises OSError."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
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
        "ttft_s": _seconds(exchange.arrivals[0][0]) if exchange.arrivals else None,
        "total_s": _seconds(exchange.total),
        "prompt_tokens": tokens[0] if tokens else None,
        "completion_tokens": tokens[1] if tokens else None,
        "failure": exchange.failure,
        "unsent": exchange.unsent,
        "live": exchange.live,
    }


def _seconds(seconds: float) -> float:
    """Tenths of milliseconds of the microseconds that cassettes keep, so that a replay shows the same number."""
    return round(round(seconds, 6), 4)
