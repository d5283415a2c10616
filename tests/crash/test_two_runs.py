"""Two runs that record into one folder at once: one waits for the other, and what there is then is of one run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from tests.crash.processes import PATIENCE, Held, cassettes, command, held, report_in, run, start, status_of
from tests.servers import Connection, Received, completion

RECORD: Final = ("--llm-record", "-q", "-rN", "--tb=no", "-k", "auth or json. or responses.retrieve")
WAITS: Final = "llmcompat: another run is recording into "


class Numbering(Held):
    """A server that gives each answer another id, so that what two runs were told cannot be mixed unnoticed."""

    def script(self, request: Received, connection: Connection) -> None:
        """Hold the first request; answer each with its number."""
        with self._lock:
            self.received.append(request)
            number = len(self.received)
        if not self.released.is_set():
            self.reached.set()
            self.released.wait(PATIENCE)
        if request.method == "GET" and request.path.endswith("/models"):
            connection.answer({"object": "list", "data": []})
        else:
            connection.answer(completion(str(number), id=f"answer-{number}", output=[], status="completed"))


def test_second_run_waits_and_sends_nothing_twice(tmp_path: Path) -> None:
    """Both end well; the second judges what the first has recorded, and the folder replays."""
    with held(1, Numbering) as server:
        first = start(tmp_path, command(server.base_url, *RECORD, "--llm-report=first.json"))
        assert server.reached.wait(PATIENCE)
        second = start(tmp_path, command(server.base_url, *RECORD, "--llm-report=report.json"))
        assert second.stdout is not None
        said = second.stdout.readline()
        assert said.startswith(WAITS)
        server.released.set()
        ended = [status_of(process) for process in (first, second)]
        assert [done.status for done in ended] == [1, 1]
        assert [len(done.lines(WAITS)) for done in ended] == [0, 0]
        there = cassettes(tmp_path)
        assert len(server.received) == sum(there.values())
        assert len(ended[1].lines(f"{sum(there.values())} requests replayed")) == 1
        replayed = run(
            tmp_path, command(server.base_url, "--llm-replay", *RECORD[1:], "--llm-report=report.json")
        )
        assert len(server.received) == sum(there.values())
    assert replayed.status == 1
    assert [r["reason"] for r in report_in(tmp_path)["results"] if r["reason"].startswith("not judged")] == []


def test_run_goes_on_when_the_one_it_waits_for_is_killed(tmp_path: Path) -> None:
    """The lock goes with its process, whatever became of it."""
    with held(1, Numbering) as server:
        first = start(tmp_path, command(server.base_url, *RECORD))
        assert server.reached.wait(PATIENCE)
        second = start(tmp_path, command(server.base_url, *RECORD, "--llm-report=report.json"))
        assert second.stdout is not None
        assert second.stdout.readline().startswith(WAITS)
        first.kill()
        status_of(first)
        server.released.set()
        assert status_of(second).status == 1
        assert len(server.received) == sum(cassettes(tmp_path).values()) + 1
    assert report_in(tmp_path)["summary"]["contracts"] > 5


def test_runs_on_two_models_do_not_wait(tmp_path: Path) -> None:
    """Their cassettes lie in two folders; both are under way at once."""
    both = threading.Barrier(2, timeout=PATIENCE)

    class Meeting(Numbering):
        def script(self, request: Received, connection: Connection) -> None:
            if request.method == "GET" and request.path.endswith("/models"):
                both.wait()
            super().script(request, connection)

    with held(1, Meeting) as server:
        server.released.set()
        arguments = [
            command(server.base_url, *RECORD),
            command(server.base_url, *RECORD, "--llm-model=other"),
        ]
        arguments[1].remove("--llm-model=m")
        ended = [status_of(process) for process in [start(tmp_path, each) for each in arguments]]
        assert [done.status for done in ended] == [1, 1]
        assert [done.lines(WAITS) for done in ended] == [[], []]
        folders = {path.parent.name for path in tmp_path.rglob("*.yaml")}
    assert folders == {"m", "other"}
