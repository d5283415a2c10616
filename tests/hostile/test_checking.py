"""The checks of hostile runs complain of what they are said to forbid."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.behaviour import Behaviour, Place
from tests.hostile.checking import complaints
from tests.hostile.running import Run
from tests.hostile.scanning import CANARY

REFUSED = Behaviour("row", "A row.", lambda _: nullcontext(Place("http://x.test/v1")), 4, ("no answer",))
ENDED = Run(4, 1.0, 1.0, 50.0, b"", b"ERROR: no answer had come\n", frozenset({b"pytest"}), Path())


def complaint(folder: Path, **changes: Any) -> str:
    """What is wrong with a run that pre-flight has ended, but for some changes."""
    return "\n".join(complaints(REFUSED, replace(ENDED, folder=folder, **changes)))


def test_sound_run_is_not_complained_of(tmp_path: Path) -> None:
    """One line of diagnosis, exit status 4, nothing left."""
    assert complaint(tmp_path) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": 3}, "exit status 3"),
        ({"seconds": 100.0}, "took 100.0 s"),
        ({"busy": 100.0}, "of processor time"),
        ({"megabytes": 301.0}, "took 301 MB"),
        ({"killed": True}, "had not ended"),
        ({"err": b"ERROR: something else\n"}, "not said: no answer"),
        ({"err": b"ERROR: no answer\nERROR: no answer\n"}, "not one line"),
        ({"err": b"ERROR: no answer" + b"!" * 2000}, "2016 characters"),
        ({"err": b"ERROR: no answer \x1b[2J\n"}, "raw control characters"),
        ({"err": "ERROR: no answer \u202e\n".encode()}, "raw control characters"),
        ({"err": b"ERROR: no answer \xff\n"}, "not UTF-8"),
        ({"err": b"ERROR: no answer ##[error]x\n"}, "a workflow command"),
        ({"out": b"  ::error::x\n"}, "a workflow command"),
        ({"out": b"Traceback (most recent call last)\n"}, "a traceback"),
        ({"out": CANARY.encode()}, "canary in stdout: plain"),
        ({"commands": frozenset({CANARY.encode()})}, "canary in command lines: plain"),
        ({"status": 1}, "a report is missing"),
    ],
)
def test_faulty_run_is_complained_of(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Each fault by itself, with what it is."""
    assert said in complaint(tmp_path, **changes)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cassettes/e/m/.p.x.tmp", "", "half written"),
        ("pwned", "", "left over"),
        ("tmp/llmcompat-1/spool.json", "", "left over"),
        ("report.json", CANARY, "canary in report.json: plain"),
        (f"cassettes/e/{CANARY.replace('/', '')}/p.yaml", CANARY, "canary in cassettes"),
    ],
)
def test_faulty_file_is_complained_of(tmp_path: Path, name: str, content: str, said: str) -> None:
    """Wherever it lies below the folder of the run."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    assert said in complaint(tmp_path)
