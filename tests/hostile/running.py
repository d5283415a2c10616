"""The real command line on a hostile server: how it ended, how long it took, how much memory it had."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest_llmcompat
from pytest_llmcompat.reference import Reference
from tests.hostile.behaviour import Behaviour, Place
from tests.hostile.scanning import CANARY

__all__ = ["LIMITS", "ROOT", "Run", "run"]

LIMITS: Final = (
    "--llm-connect-timeout=1",
    "--llm-first-byte-timeout=1",
    "--llm-idle-timeout=1",
    "--llm-timeout=2",
    "--llm-run-timeout=20",
)
"""Limits of a run, unless its row has others."""

ROOT: Final = Path(pytest_llmcompat.__file__).resolve().parent.parent
_PATIENCE: Final = 60.0
_LOOK_EVERY: Final = 0.02
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left behind.

    seconds: from start to end. busy: seconds of processor time. megabytes: most memory that it had at once.
    commands: command lines seen, of its children too. folder: where it ran, with all files below.
    """

    status: int
    seconds: float
    busy: float
    megabytes: float
    out: bytes
    err: bytes
    commands: frozenset[bytes]
    folder: Path
    killed: bool = False


def run(row: Behaviour, place: Place, reference: Reference, folder: Path, *, whole: bool = False) -> Run:
    """Judge a hostile server from an empty folder. whole: the whole suite, whatever the row selects."""
    model = [f"--llm-model={reference.model}"] if place.ask else []
    select = ["-k", row.select] if row.select and not whole else []
    command = [
        *(sys.executable, "-m", "pytest", f"--llm-endpoint={place.base_url}", *model, *select),
        *("--llm-level=may", "--llm-record", "--llm-report=report.json", "--junitxml=junit.xml"),
        *("-vv", "--showlocals", "-ra", "-p", "no:cacheprovider", "-p", "no:randomly"),
        *("-p", "no:hypothesispytest", *LIMITS, *row.arguments),
    ]
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**_environment(temporary), **place.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        watched = _Watched(process)
        killed = False
        try:
            out, err = process.communicate(timeout=row.seconds + _PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            killed = True
        seconds = time.monotonic() - started
        watched.stop()
    return Run(
        process.returncode,
        seconds,
        watched.busy,
        watched.megabytes,
        out,
        err,
        frozenset(watched.commands),
        folder,
        killed,
    )


def _environment(temporary: Path) -> dict[str, str]:
    """Nothing of the caller's but the path, so that every machine runs the same."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "COLUMNS": "200",
        "LC_ALL": "C.UTF-8",
        "OPENAI_API_KEY": CANARY,
    }


class _Watched:
    """A process, looked at until it ends: peak memory, processor time and command lines (its children's too).

    From /proc, for `ru_maxrss` of a child begins with the memory of its parent.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._over = process, threading.Event()
        self.megabytes = self.busy = 0.0
        self.commands: set[bytes] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            for process in (self._process.pid, *self._children()):
                # It may end at any moment.
                with suppress(FileNotFoundError, ProcessLookupError):
                    self.commands.add(Path(f"/proc/{process}/cmdline").read_bytes())
            with suppress(FileNotFoundError, ProcessLookupError):
                self._measure(Path(f"/proc/{self._process.pid}"))

    def _measure(self, process: Path) -> None:
        """See proc(5): `VmHWM` in `status`, and utime and stime behind the name in `stat`."""
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.megabytes = max(self.megabytes, int(line.split()[1]) / 1024)
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        self.busy = (int(fields[11]) + int(fields[12])) / _TICKS

    def _children(self) -> list[int]:
        with suppress(FileNotFoundError, ProcessLookupError):
            listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            return [int(number) for number in listed.split()]
        return []
