"""The end of a run: it is concluded, its reports are written, and its exit status is that of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_llmcompat.conclusion import Conclusion, conclude
from pytest_llmcompat.reporting import update_baseline, write_reports
from pytest_llmcompat.run import Run

__all__ = ["Ended", "end"]

_RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run at its end: what it comes to, and its JSON report."""

    conclusion: Conclusion
    document: dict[str, Any]


def end(session: pytest.Session, run: Run) -> Ended | None:
    """Conclude a run and write what it was asked to write; None in a worker, and when nothing was to be judged.

    What fails the run as a whole raises the exit status of a run without failing tests to 1. What could not be
    written must not go unnoticed, though the verdicts stand: it raises it to 3.
    """
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["llmcompat"] = run.unwritten
        return None
    if config.option.collectonly:
        return None
    conclusion = conclude(run)
    document = write_reports(run, conclusion)
    if run.settings.update_baseline and session.exitstatus in _RAN and run.results:
        update_baseline(run, conclusion, document)
    if run.unwritten and session.exitstatus in _RAN:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    elif conclusion.faults and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return Ended(conclusion, document)
