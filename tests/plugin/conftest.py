"""Runs of pytest inside of a test, most of them on one healthy reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpcore
import httpcore2
import openai
import pytest
import vcr.serialize  # type: ignore[import-untyped]
import yaml

from pytest_llmcompat import run
from pytest_llmcompat.reference import Reference, serve
from pytest_llmcompat.suite import bundled_contracts

KEY = "sk-canary-5f1e8c07d2b94a63"
QUICK = 0.0005

# What an inner run imports is forgotten at its end, which takes time and gives classes doubles; what is there
# before stays.
bundled_contracts()
STAYS = (httpcore, httpcore2, openai, run, vcr.serialize, yaml)

Judge = Callable[..., pytest.RunResult]


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Inner runs depend on no one's environment, and leave out two plugins that take time or shuffle."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:randomly")
    for name in ("OPENAI_API_KEY", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return pytester


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    """A healthy reference that accepts the canary key."""
    with serve(key=KEY, pause=QUICK) as running:
        yield running


@pytest.fixture
def key(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    """The canary key, in the environment of inner runs."""
    del pytester
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


@pytest.fixture
def judge(pytester: pytest.Pytester, reference: Reference, key: str) -> Judge:
    """Runs pytest in this process on the reference, or on `endpoint`, with further arguments."""
    del key

    def inner(
        *arguments: str, endpoint: str = reference.base_url, model: str = reference.model
    ) -> pytest.RunResult:
        return pytester.runpytest_inprocess(f"--llm-endpoint={endpoint}", f"--llm-model={model}", *arguments)

    return inner


def report_of(pytester: pytest.Pytester, name: str = "report.json") -> dict[str, Any]:
    """A JSON report that an inner run has written."""
    value: dict[str, Any] = json.loads((pytester.path / name).read_text("utf-8"))
    return value


def verdicts_of(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(target, contract) → verdict."""
    return {(r["target"], r["contract"]): r["verdict"] for r in report["results"]}


def files_below(folder: Path) -> list[Path]:
    """All files, hidden ones included."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
