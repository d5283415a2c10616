"""kill -9 of a worker of pytest-xdist: the others go on, and the reports are whole."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from tests.crash.processes import PATIENCE, cassettes, command, held, report_in, start, status_of

RECORD: Final = (
    "--llm-record",
    "--llm-report=report.json",
    "-rN",
    "--tb=no",
    "-n",
    "2",
    "-k",
    "auth or json.",
)

# Each worker says where it is.
NOTED: Final = """
import os
from pathlib import Path

def pytest_sessionstart(session):
    if "PYTEST_XDIST_WORKER" in os.environ:
        Path(os.environ["NOTES"], os.environ["PYTEST_XDIST_WORKER"]).write_text(str(os.getpid()))
"""
DYING: Final = '''
import os, signal
from pytest_llmcompat import MUST, contract

@contract("own.dies", MUST, source="ours")
def test_dies(chat_basic):
    """This ends the process that judges it."""
    os.kill(os.getpid(), signal.SIGKILL)

@contract("own.lives", MUST, source="ours")
def test_lives(chat_basic):
    """An answer came."""
    assert chat_basic.ok
'''


def test_worker_dies_while_it_sends(tmp_path: Path) -> None:
    """What it had under way is sent by another; no exchange is lost, none is sent a third time."""
    (tmp_path / "noted.py").write_text(NOTED, "utf-8")
    with held(6) as server:
        arguments = command(server.base_url, *RECORD, "-p", "noted")
        process = start(tmp_path, arguments, NOTES=str(tmp_path), PYTHONPATH=str(tmp_path))
        assert server.reached.wait(PATIENCE)
        os.kill(int((tmp_path / "gw0").read_text("utf-8")), signal.SIGKILL)
        server.released.set()
        done = status_of(process)
        there = cassettes(tmp_path)
        under_way = len(server.received) - sum(there.values())
    report = report_in(tmp_path)
    assert done.status == 1
    assert done.lines("replacing crashed worker gw0") or done.lines("node down")
    assert 0 <= under_way <= 8
    assert [r["contract"] for r in report["results"] if r["reason"].startswith("not judged")] == []
    assert report["summary"]["contracts"] == len(report["results"]) > 10


def test_worker_dies_while_it_judges(tmp_path: Path) -> None:
    """The contract that it died of is red and named; all the others are judged."""
    (tmp_path / "test_own.py").write_text(DYING, "utf-8")
    with held(10_000) as server:
        arguments = command(server.base_url, "--llm-report=report.json", "-n", "2", "test_own.py")
        done = status_of(start(tmp_path, arguments))
    assert done.status == 1
    assert done.lines("crashed while running 'test_own.py::test_dies[m@127.0.0.1:")
    assert [(r["contract"], r["verdict"]) for r in report_in(tmp_path)["results"]] == [("own.lives", "pass")]
