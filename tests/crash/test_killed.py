"""kill -9 in the middle of a recording: every file is whole, nothing finished is lost, and the next run goes on."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.crash.processes import PATIENCE, Held, cassettes, command, held, report_in, run, start, status_of
from tests.servers import Connection, Received

RECORD = ("--llm-record", "--llm-report=report.json", "-q", "-rN", "--tb=no")
CHOSEN = ("-k", "auth or json. or error.malformed")

# A process that kills itself when its third cassette is written but does not have its name yet.
DIES_BEFORE_THE_NAME = """
import os, signal, sys
import pytest
count = 0
def fsync(handle, real=os.fsync):
    global count
    count += 1
    real(handle)
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
pytest.main(sys.argv[1:])
"""


def finish(folder: Path, server: Held, before: dict[str, int]) -> None:
    """Let the next run go on from what a dead one has left, and see that it sends what is missing and no more."""
    server.released.set()
    # Requests of the dead run may still be on their way to the server's threads.
    done = run(folder, command(server.base_url, *RECORD, *CHOSEN, "--llm-header=X-Run: next"))
    sent = [request for request in server.received if request.headers.get("x-run") == "next"]
    after = cassettes(folder)
    assert done.status == 1
    assert before.items() <= after.items()
    assert len(sent) == sum(after.values()) - sum(before.values())
    assert {r["reason"] for r in report_in(folder)["results"] if "not judged" in r["reason"]} == set()
    assert list(folder.rglob("*.tmp")) == []


def test_kill_while_an_answer_is_awaited(tmp_path: Path) -> None:
    """What was answered before is on disk, whole; the request under way is lost and sent again."""
    with held(6) as server:
        process = start(tmp_path, command(server.base_url, *RECORD, *CHOSEN, "--llm-concurrency=1"))
        assert server.reached.wait(PATIENCE)
        process.kill()
        assert status_of(process).status == -signal.SIGKILL
        there = cassettes(tmp_path)
        assert sum(there.values()) == 5
        finish(tmp_path, server, there)


@pytest.mark.parametrize("number", [3, 5, 7])
def test_kill_at_the_moment_of_an_answer(tmp_path: Path, number: int) -> None:
    """Several exchanges are being finished and written when the kill comes; no file is half written."""

    class Killer(Held):
        def script(self, request: Received, connection: Connection) -> None:
            super().script(request, connection)
            if self.answered == number:
                process.kill()

    with held(10_000, Killer) as server:
        process = start(tmp_path, command(server.base_url, *RECORD, *CHOSEN))
        assert status_of(process).status == -signal.SIGKILL
        finish(tmp_path, server, cassettes(tmp_path))


def test_kill_between_writing_and_naming(tmp_path: Path) -> None:
    """What lies there without its name is no cassette to anyone, and the next run removes it."""
    with held(10_000) as server:
        arguments = command(server.base_url, *RECORD, *CHOSEN, "--llm-concurrency=1")[3:]
        done = run(tmp_path, [sys.executable, "-c", DIES_BEFORE_THE_NAME, *arguments])
        assert done.status == -signal.SIGKILL
        there = cassettes(tmp_path)
        assert sum(there.values()) == 2
        assert len(list(tmp_path.rglob("*.tmp"))) == 1
        replayed = run(
            tmp_path, command(server.base_url, "--llm-replay", "-q", "-rN", "--tb=no", "-k", "models")
        )
        assert replayed.lines("requests replayed")
        finish(tmp_path, server, there)
