"""Command lines as processes of their own, and a server that knows when to let one wait."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest_llmcompat
from pytest_llmcompat.cassette import read
from tests.servers import Connection, Received, completion, serving

__all__ = [
    "KEY",
    "PATIENCE",
    "Done",
    "Held",
    "cassettes",
    "command",
    "environment",
    "held",
    "interrupt",
    "report_in",
    "run",
    "start",
    "status_of",
]

KEY: Final = "sk-canary-5f1e8c07d2b94a63"
PATIENCE: Final = 20.0
"""Seconds after which a process that should have ended has failed the test."""

_PACKAGES: Final = Path(pytest_llmcompat.__file__).resolve().parent.parent


@dataclass(frozen=True)
class Done:
    """A process that has ended: its exit status and all that it has printed."""

    status: int
    output: str

    def lines(self, word: str) -> list[str]:
        """The lines that hold a word."""
        return [line for line in self.output.splitlines() if word in line]


@dataclass
class Held:
    """A server that answers everything, but holds what comes from the request `number` on until it is released.

    reached: set when the first is held. released: to be set, and they are answered.
    """

    number: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    base_url: str = ""
    received: list[Received] = field(default_factory=list)
    answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, request: Received, connection: Connection) -> None:
        """Answer a request, now or when it is released."""
        with self._lock:
            self.received.append(request)
            waits = len(self.received) >= self.number and not self.released.is_set()
        if waits:
            self.reached.set()
            self.released.wait(PATIENCE)
        answering(request, connection)
        with self._lock:
            self.answered += 1


def answering(request: Received, connection: Connection) -> None:
    """A server that answers everything."""
    connection.answer({"object": "list", "data": []} if request.method == "GET" else completion())


@contextmanager
def held(number: int, kind: type[Held] = Held) -> Iterator[Held]:
    """A server that holds its answers from the request `number` on."""
    server = kind(number)
    with serving(server.script) as running:
        server.base_url = running.base_url
        try:
            yield server
        finally:
            server.released.set()


def command(base_url: str, *arguments: str) -> list[str]:
    """A command line that judges an endpoint."""
    quiet = ("-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
    return [sys.executable, "-m", "pytest", f"--llm-endpoint={base_url}", "--llm-model=m", *quiet, *arguments]


def start(folder: Path, arguments: list[str], **variables: str) -> subprocess.Popen[str]:
    """Start a process in a folder; what it prints goes into one pipe."""
    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        # A shell that runs the tests in its background has interrupts ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(process: subprocess.Popen[str]) -> None:
    """What Ctrl-C in a terminal does: the signal goes to the process and all that it has started."""
    os.killpg(process.pid, signal.SIGINT)


def status_of(process: subprocess.Popen[str]) -> Done:
    """Wait for a process to end."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"the process had not ended after {PATIENCE:g} s: {output}") from None
    return Done(process.returncode, output)


def run(folder: Path, arguments: list[str], **variables: str) -> Done:
    """Run a process to its end."""
    return status_of(start(folder, arguments, **variables))


def cassettes(folder: Path) -> dict[str, int]:
    """The cassettes below a folder, each read whole: probe → how many requests it holds."""
    return {path.stem: len(read(path).interactions) for path in sorted(folder.rglob("*.yaml"))}


def report_in(folder: Path) -> Any:
    """The JSON report `report.json` of a folder."""
    return json.loads((folder / "report.json").read_text("utf-8"))


def environment(further: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that runs this package and no other copy of it."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LLMCOMPAT_"))
    }
    path = os.pathsep.join([str(_PACKAGES), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "OPENAI_API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1", **further}
