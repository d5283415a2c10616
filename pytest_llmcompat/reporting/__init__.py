"""Reports: each a function of the results of a run and its exchanges. A report never re-judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_llmcompat.baseline import updated
from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.reporting.json_report import json_report, json_text, write_text
from pytest_llmcompat.reporting.markdown import markdown_report
from pytest_llmcompat.run import Run

__all__ = ["update_baseline", "write_reports"]


def write_reports(run: Run, conclusion: Conclusion) -> dict[str, Any]:
    """Write what `--llm-report` asks for; gives the JSON report, whether it is written or not."""
    document = json_report(run, conclusion)
    for text in run.settings.report:
        is_markdown = Path(text).suffix.lower() == ".md"
        whole = markdown_report(document) if is_markdown else json_text(document)
        if _write(run, text, whole, "the report"):
            run.written.append(text)
    return document


def update_baseline(run: Run, conclusion: Conclusion, document: dict[str, Any]) -> None:
    """Accept a run: write the baseline anew, with what did not run as it was."""
    assert run.settings.baseline is not None
    earlier = run.measures.rules.baseline
    strict = run.settings.baseline_strict
    accepted = updated(earlier, document, loaded=conclusion.existing, strict=strict)
    run.accepted = _write(run, run.settings.baseline, json_text(accepted), "the baseline")


def _write(run: Run, path: str, text: str, what: str) -> bool:
    """Write a file, or note that it could not be."""
    try:
        write_text(Path(path), text)
    except OSError as error:
        run.unwritten.append(f"{what} {path}: {error.strerror}")
        return False
    return True
