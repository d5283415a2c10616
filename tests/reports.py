"""JSON reports for tests: real ones of runs on the reference, and made ones that fit the schema."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_llmcompat.contract import registered
from pytest_llmcompat.reference import serve
from pytest_llmcompat.report import Report, report_of
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.summary import summary_of

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-canary-7c2d"
# Broken: a MUST in auth, a SHOULD there (a warning), and a MUST in streams on which others depend.
DEFECTS = ("auth-none-accepted", "auth-basic-accepted", "stream-without-done")
BROKEN = ("auth.missing-401", "chat.stream.done-sentinel")
WARNED = "auth.scheme"

Result = dict[str, Any]
Document = dict[str, Any]


@cache
def _judged(defects: tuple[str, ...], arguments: tuple[str, ...]) -> str:
    with serve(list(defects), key=KEY, pause=0.0005) as reference, TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
        command += [f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}"]
        environment = {
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "PYTHONPATH": str(ROOT),
            "PYTEST_ADDOPTS": "",
            "GITHUB_ACTIONS": "",
            "GITHUB_STEP_SUMMARY": "",
        }
        run = subprocess.run(
            [*command, "--llm-report=report.json", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == (1 if defects else 0), run.stdout + run.stderr
        return (Path(folder) / "report.json").read_text("utf-8")


def real(defects: Iterable[str] = (), *arguments: str) -> Document:
    """The report of a run on the reference with some defects; the same run is made once for all tests."""
    selection = arguments or ("-k", "auth or done or models.list")
    value: Document = json.loads(_judged(tuple(defects), selection))
    return value


def result(contract: str, verdict: str, **further: Any) -> Result:
    """A result that fits the schema, of a MUST of the target `m@a`."""
    made: Result = {
        "target": "m@a",
        "contract": contract,
        "area": contract.rpartition(".")[0],
        "level": "must",
        "passive": [],
        "verdict": verdict,
        "broken": verdict in ("fail", "warn", "waived"),
        "claim": "It works.",
        "reason": "" if verdict == "pass" else f"why {contract} is {verdict}",
        "explanation": "",
        "evidence": [],
        "probes": ["chat-basic"],
        "source": "us",
        "breaks": "",
        "fix": "",
        "cases": [],
    }
    return made | further


def exchange(target: str = "m@a", probe: str = "chat-basic", **further: Any) -> dict[str, Any]:
    """An exchange that fits the schema: one request of 5 and 2 tokens."""
    made: dict[str, Any] = {
        "target": target,
        "probe": probe,
        "status": 200,
        "requests": 1,
        "ttft_s": 0.1,
        "total_s": 0.2,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "failure": None,
        "unsent": None,
        "live": True,
    }
    return made | further


def document(
    *results: Result, targets: Iterable[str] = ("m@a",), level: str = "must", **further: Any
) -> Document:
    """A report of some results; each of their probes has one exchange."""
    ids = list(targets)
    exchanges = further.pop("exchanges", None)
    if exchanges is None:
        pairs = dict.fromkeys((r["target"], probe) for r in results for probe in r["probes"])
        exchanges = [exchange(target, probe) for target, probe in pairs]
    return {
        "schema": "llmcompat.report/1",
        "generated": "2026-01-02T03:04:05Z",
        "tool": {"name": "pytest-llmcompat", "version": "1.0"},
        "targets": [{"id": id, "endpoint": "http://a/v1", "model": "m", "no_auth": False} for id in ids],
        "results": list(results),
        "exchanges": exchanges,
        "summary": summary_of(level, ids, results, exchanges),
        **further,
    }


def report(made: Document, path: str = "report.json") -> Report:
    """A document as the report that would be read; it fits the schema."""
    return report_of(copy.deepcopy(made), path, "test")


def verdicts(made: Document) -> dict[tuple[str, str], str]:
    """(target, contract) → verdict."""
    return {(r["target"], r["contract"]): r["verdict"] for r in made["results"]}


def contracts() -> set[str]:
    """The ids of all contracts of the suite."""
    bundled_contracts()
    return {contract.id for contract in registered()}


def write(folder: Path, name: str, made: Document) -> Path:
    """Write a document as a file."""
    path = folder / name
    path.write_text(json.dumps(made), encoding="utf-8")
    return path
