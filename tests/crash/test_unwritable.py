"""Disk full, folders read-only or gone: a clear line, the verdicts all the same, and no status of success."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
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
    report_in,
    run,
    start,
    status_of,
)
from tests.servers import Connection, Received, completion

RECORD: Final = ("--llm-record", "--llm-report=report.json", "-q", "-rN", "--tb=no", "-k", "json. or models.")

# No file that the process writes may be longer; the kernel then answers as it does when a disk is full.
LIMITED: Final = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""
LONG: Final = "long " * 2000


class Lengthy(Held):
    """A server whose completions are long: their cassettes fill a small disk, those of refusals and lists do not."""

    def script(self, request: Received, connection: Connection) -> None:
        """Answer."""
        with self._lock:
            self.received.append(request)
        if request.method == "GET":
            connection.answer({"object": "list", "data": []})
        else:
            connection.answer(completion(LONG))


def limited(size: int, arguments: list[str]) -> list[str]:
    """A command line whose process can write no file longer than a number of bytes."""
    return [sys.executable, "-c", LIMITED, str(size), *arguments]


def ended_well(done: Done, lines: int) -> None:
    """Verdicts, a line for each kind of thing that is missing and one that says what to do; no traceback."""
    assert done.status == pytest.ExitCode.INTERNAL_ERROR
    assert len(done.lines("not written: ")) == lines
    assert len(done.lines("the verdicts stand; ")) == 1
    assert done.lines("passed")
    assert done.lines("requests sent")
    assert done.lines("Traceback") == []


def test_full_disk_costs_no_verdict(tmp_path: Path) -> None:
    """What fits is written whole, what does not is judged and named; with room again, only that is sent."""
    with held(10_000, Lengthy) as server:
        whole = tmp_path / "whole"
        whole.mkdir()
        run(whole, command(server.base_url, *RECORD))
        done = run(tmp_path, limited(9000, command(server.base_url, *RECORD)))
        ended_well(done, 2)
        assert done.lines("not written: a recording in ")[0].endswith(
            f"File too large ({_missing(tmp_path, whole)} times)"
        )
        assert done.lines("not written: the report report.json: File too large")
        assert not (tmp_path / "report.json").exists()
        assert list(tmp_path.rglob("*.tmp")) == []
        there, sent = cassettes(tmp_path / "cassettes"), len(server.received)
        assert there
        again = run(tmp_path, command(server.base_url, *RECORD))
        assert again.status == 1
        assert len(server.received) - sent == sum(cassettes(whole).values()) - sum(there.values())
    same = [[(r["contract"], r["verdict"]) for r in report_in(f)["results"]] for f in (tmp_path, whole)]
    assert same[0] == same[1]


def _missing(folder: Path, whole: Path) -> int:
    return len(cassettes(whole)) - len(cassettes(folder / "cassettes"))


def test_workers_that_cannot_share_exchanges_say_so(tmp_path: Path) -> None:
    """Without room for what pytest-xdist's workers share there is no run: one line that says what to do."""
    with held(10_000, Lengthy) as server:
        done = run(tmp_path, limited(9000, command(server.base_url, *RECORD, "-n", "2")))
    assert done.status == pytest.ExitCode.USAGE_ERROR
    (said, rest) = done.output.splitlines()
    assert said.startswith("ERROR: what workers share cannot be written below ")
    assert said.endswith(": File too large; make room there, set TMPDIR, or run without -n")
    assert rest == ""


def test_old_report_is_whole_when_the_new_one_does_not_fit(tmp_path: Path) -> None:
    """A reader sees the old report or the new one."""
    (tmp_path / "report.json").write_text('{"old": true}', "utf-8")
    with held(10_000) as server:
        arguments = command(server.base_url, "--llm-report=report.json", *RECORD[2:])
        ended_well(run(tmp_path, limited(9000, arguments)), 1)
    assert report_in(tmp_path) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_folder_becomes_a_file_during_the_run(tmp_path: Path) -> None:
    """Nothing more can be recorded; the verdicts come, and the report is whole."""
    with held(4) as server:
        process = start(tmp_path, command(server.base_url, *RECORD, "--llm-concurrency=1"))
        assert server.reached.wait(PATIENCE)
        (folder,) = {path.parent for path in tmp_path.rglob("*.yaml")}
        shutil.rmtree(folder)
        folder.write_text("in the way", "utf-8")
        server.released.set()
        done = status_of(process)
    ended_well(done, 1)
    assert done.lines(f"not written: a recording in {folder.relative_to(tmp_path)}: File exists (")
    assert report_in(tmp_path)["summary"]["contracts"] > 5
    assert folder.read_text("utf-8") == "in the way"


def test_folder_of_the_report_is_gone_at_the_end(tmp_path: Path) -> None:
    """The verdicts are on the terminal."""
    (tmp_path / "reports").mkdir()
    with held(4) as server:
        arguments = command(server.base_url, "--llm-report=reports/report.json", *RECORD[2:])
        process = start(tmp_path, arguments)
        assert server.reached.wait(PATIENCE)
        (tmp_path / "reports").rmdir()
        server.released.set()
        done = status_of(process)
    ended_well(done, 1)
    assert done.lines("not written: the report reports/report.json: No such file or directory")


def test_folder_below_a_file_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Wrong use: one line, exit status 4."""
    (tmp_path / "file").write_text("", "utf-8")
    with held(10_000) as server:
        done = run(tmp_path, command(server.base_url, *RECORD, "--llm-cassettes=file/below"))
        assert server.received == []
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert done.output.splitlines() == [f"ERROR: --llm-cassettes: {tmp_path / 'file'} is no folder", ""]


# A name space of its own, in which a process may mount without being allowed to do so outside.
ALONE: Final = ("unshare", "--user", "--map-root-user", "--mount")


@cache
def can_mount() -> bool:
    """True where the system lets us have a name space for mounts."""
    return (
        bool(shutil.which("unshare"))
        and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    )


needs_mounts = pytest.mark.skipif(not can_mount(), reason="this system gives nobody a name space for mounts")


@needs_mounts
@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_disk_that_is_really_full(tmp_path: Path, workers: list[str]) -> None:
    """No space left on device: as above, on a disk of 48 kB; what workers could not record is not forgotten."""
    (tmp_path / "cassettes").mkdir()
    mounted = 'mount -t tmpfs -o size=48k none cassettes; "$@"; status=$?; cp -r cassettes kept; exit $status'
    with held(10_000, Lengthy) as server:
        done = run(
            tmp_path, [*ALONE, "sh", "-c", mounted, "sh", *command(server.base_url, *RECORD, *workers)]
        )
    ended_well(done, 1)
    assert "No space left on device" in done.lines("not written: a recording in ")[0]
    assert report_in(tmp_path)["summary"]["contracts"] > 5
    assert cassettes(tmp_path / "kept")
    assert list((tmp_path / "kept").rglob("*.tmp")) == []


@needs_mounts
def test_read_only_folder_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Also for root, whom permissions do not bind."""
    (tmp_path / "cassettes").mkdir()
    mounted = 'mount --bind cassettes cassettes; mount -o remount,ro,bind cassettes; exec "$@"'
    with held(10_000) as server:
        done = run(tmp_path, [*ALONE, "sh", "-c", mounted, "sh", *command(server.base_url, *RECORD)])
        assert server.received == []
    assert done.status == pytest.ExitCode.USAGE_ERROR
    said = f"ERROR: --llm-cassettes: nothing can be written into {tmp_path / 'cassettes'}"
    assert done.output.splitlines() == [said, ""]
