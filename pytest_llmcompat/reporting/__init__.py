"""Reports: each a function of the results of a run and its exchanges. A report never re-judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmcompat.run import Run

__all__ = ["write_reports"]


def write_reports(config: pytest.Config, run: Run) -> None:
    """Write what `--llm-report` asks for; workers of pytest-xdist leave that to the main process."""
    if hasattr(config, "workerinput") or config.option.collectonly or not run.settings.report:
        return
    from pytest_llmcompat.reporting.json_report import json_report, write_json

    document = json_report(run)
    for path in run.settings.report:
        write_json(Path(path), document)
