"""Ctrl-C: the run ends at once, in good order, with a whole report of what was judged until then."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.crash.processes import (
    PATIENCE,
    Done,
    Held,
    cassettes,
    command,
    held,
    interrupt,
    report_in,
    start,
    status_of,
)
from tests.servers import Connection, Received

REPORT: Final = "--llm-report=report.json"
CHOSEN: Final = ("-k", "auth or json. or error.malformed")

# Judged after the first contract, this one waits for an answer of the server; the third is never judged.
CONTRACTS: Final = '''
import urllib.request
from pytest_llmcompat import MUST, contract

@contract("own.first", MUST, source="ours")
def test_first(chat_basic):
    """An answer came."""
    assert chat_basic.ok

@contract("own.waits", MUST, source="ours")
def test_waits(chat_basic):
    """This takes for ever."""
    urllib.request.urlopen(chat_basic.request.url.partition("/v1")[0] + "/held")

@contract("own.last", MUST, source="ours")
def test_last(chat_basic):
    """Nobody gets here."""
'''


class Closing(Held):
    """Holds one request and says when its client has closed the connection."""

    process: subprocess.Popen[str]
    closed = False

    def script(self, request: Received, connection: Connection) -> None:
        """Interrupt the run at the request that is held; interrupt it again when it gives that request up."""
        if len(self.received) + 1 == self.number:
            self.received.append(request)
            interrupt(self.process)
            self.closed = connection.gone()
            interrupt(self.process)
            connection.close()
        else:
            super().script(request, connection)


def ended_well(done: Done) -> None:
    """The run has ended as pytest ends an interrupted one, in pytest's own words."""
    assert done.status == pytest.ExitCode.INTERRUPTED
    assert done.lines("KeyboardInterrupt")
    assert done.lines("Traceback") == []


def test_interrupt_while_requests_are_under_way(tmp_path: Path) -> None:
    """They are given up, not waited for; what was finished is on disk, and the report is whole."""
    with held(6) as server:
        process = start(
            tmp_path, command(server.base_url, "--llm-record", REPORT, *CHOSEN, "--llm-concurrency=1")
        )
        assert server.reached.wait(PATIENCE)
        interrupt(process)
        ended_well(status_of(process))
        assert sum(cassettes(tmp_path).values()) == 5
    report = report_in(tmp_path)
    assert len(report["exchanges"]) == 5
    assert report["results"] == []


def test_interrupt_while_contracts_are_judged(tmp_path: Path) -> None:
    """The report has the verdicts that were given."""
    (tmp_path / "test_own.py").write_text(CONTRACTS, "utf-8")

    class AtHeld(Held):
        def script(self, request: Received, connection: Connection) -> None:
            if request.path == "/held":
                self.reached.set()
                connection.gone()
                connection.close()
            else:
                super().script(request, connection)

    with held(10_000, AtHeld) as server:
        process = start(tmp_path, command(server.base_url, REPORT, "test_own.py"))
        assert server.reached.wait(PATIENCE)
        interrupt(process)
        done = status_of(process)
    ended_well(done)
    assert done.lines("1 passed")
    assert [(r["contract"], r["verdict"]) for r in report_in(tmp_path)["results"]] == [("own.first", "pass")]


def test_interrupt_twice(tmp_path: Path) -> None:
    """Whoever is impatient gets the end at once, too, and no half report."""
    with held(6, Closing) as server:
        assert isinstance(server, Closing)
        server.process = start(tmp_path, command(server.base_url, REPORT, *CHOSEN, "--llm-concurrency=1"))
        done = status_of(server.process)
    assert server.closed
    assert done.status != 0
    assert list(tmp_path.glob(".report*")) == []
    if (tmp_path / "report.json").exists():
        assert report_in(tmp_path)["results"] == []


def test_interrupt_of_workers(tmp_path: Path) -> None:
    """pytest-xdist's workers end with the run, and nothing of the run stays in the folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with held(6) as server:
        arguments = command(server.base_url, REPORT, *CHOSEN, "-n", "2")
        process = start(tmp_path, arguments, TMPDIR=str(temporary))
        assert server.reached.wait(PATIENCE)
        interrupt(process)
        done = status_of(process)
    ended_well(done)
    assert report_in(tmp_path)["summary"]["contracts"] == 0
    assert list(temporary.glob("llmcompat-*")) == []
