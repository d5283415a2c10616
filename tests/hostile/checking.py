"""What holds of every hostile run: whole reports, whole cassettes, no canary, nothing for a terminal to obey."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from pytest_llmcompat.cassette import CassetteError, read
from pytest_llmcompat.reporting.json_report import SCHEMA_FILE
from pytest_llmcompat.reporting.result import NOT_JUDGED
from tests.hostile.behaviour import Behaviour
from tests.hostile.running import Run
from tests.hostile.scanning import canaries_in, canaries_in_file

__all__ = ["BUSY", "MEGABYTES", "Scan", "complaints", "scan"]

MEGABYTES: Final = 300.0
"""Most memory that a run may have at once."""

BUSY: Final = 30.0
"""Most seconds of processor time that a run may take beside what it waits: receiving, judging, writing."""

# What a machine of many users may take beside the limits of a row; what never ends takes longer.
_SLACK: Final = 25.0
_REFUSED: Final = 4
# pytest-xdist lends each worker a folder of its own there.
_LENT: Final = "tmp/pytest-of-"
# How a GitHub runner finds a command in a line of output (actions/runner, ActionCommand.cs): `::name::` behind
# white space at its start, `##[name]` anywhere.
_WORKFLOW: Final = re.compile(r"^\s*::[^\n]*?::|##\[[^\]\n]*\]", re.MULTILINE)
_BIDI: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@dataclass(frozen=True, slots=True)
class Scan:
    """How many bytes a run produced, and where the canary was found in them."""

    size: int
    found: tuple[str, ...]


def scan(run: Run) -> Scan:
    """Look for the canary in the output of a run, in the command lines, and in names and bytes of all files."""
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    names = "\n".join(str(path.relative_to(run.folder)) for path in files).encode()
    streams = {
        "stdout": run.out,
        "stderr": run.err,
        "command lines": b"\n".join(run.commands),
        "file names": names,
    }
    found = [f"{where}: {form}" for where, data in streams.items() for form in canaries_in(data)]
    for path in files:
        found += [f"{path.relative_to(run.folder)}: {form}" for form in canaries_in_file(path)]
    size = sum(map(len, streams.values())) + sum(path.stat().st_size for path in files)
    return Scan(size, tuple(found))


def complaints(row: Behaviour, run: Run, *, whole: bool = False) -> list[str]:
    """What is wrong with how a run ended, each in one line; [] when the run survived.

    whole: the whole suite ran, so status and verdicts of the row's own selection are not looked for.
    """
    if run.killed:
        return [f"it had not ended after {run.seconds:.0f} s"]
    found = [f"canary in {where}" for where in scan(run).found]
    if run.seconds > row.seconds + _SLACK:
        found.append(f"took {run.seconds:.1f} s, not {row.seconds:g}")
    if run.busy > BUSY:
        found.append(f"took {run.busy:.1f} s of processor time")
    if run.megabytes > MEGABYTES:
        found.append(f"took {run.megabytes:.0f} MB")
    allowed = {0, 1} if whole and row.status != _REFUSED else {row.status}
    if run.status not in allowed:
        found.append(f"exit status {run.status}, not {row.status}")
    output = (run.out + run.err).decode("utf-8", errors="surrogateescape")
    found += [f"not said: {phrase}" for phrase in row.says if not whole and phrase not in output]
    found += _terminal(output)
    found += _left_over(run.folder)
    found += _refusal(output) if run.status == _REFUSED else _whole(row, run, whole=whole)
    return found


def _terminal(output: str) -> Iterator[str]:
    obeyed = {c for c in output if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in _BIDI}
    if obeyed:
        yield f"raw control characters in the output: {sorted(obeyed)!r}"
    if any("\udc80" <= c <= "\udcff" for c in output):
        yield "the output is not UTF-8"
    if command := _WORKFLOW.search(output):
        yield f"a workflow command in the output: {command[0]!r}"
    if "Traceback (most recent call last)" in output or "INTERNALERROR" in output:
        yield "a traceback in the output"


def _left_over(folder: Path) -> Iterator[str]:
    kept = ("report.json", "junit.xml", "debug.log")
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if str(name).startswith(_LENT):
            continue
        if path.is_symlink() or (path.is_file() and not (name.parts[0] == "cassettes" or str(name) in kept)):
            yield f"left over: {name}"
        elif name.parts[0] == "cassettes" and path.is_file() and path.suffix != ".yaml":
            yield f"half written: {name}"


def _refusal(output: str) -> Iterator[str]:
    """Pre-flight ends a run by one line that one can read."""
    lines = [line for line in output.splitlines() if line.strip()]
    if len(lines) != 1 or not lines[0].startswith("ERROR: "):
        yield f"not one line of diagnosis: {lines[:3]}"
    elif len(lines[0]) > 1500:
        yield f"a diagnosis of {len(lines[0])} characters"


def _whole(row: Behaviour, run: Run, *, whole: bool) -> Iterator[str]:
    """The report keeps its schema and agrees with itself and with JUnit's file; all cassettes can be read."""
    try:
        report = json.loads((run.folder / "report.json").read_text("utf-8"))
        cases = ElementTree.parse(run.folder / "junit.xml").getroot().findall(".//testcase")
    except (OSError, ValueError, ElementTree.ParseError) as error:
        yield f"a report is missing or cut short: {error}"
        return
    yield from (f"report: {e.json_path}: {e.message[:200]}" for e in _schema().iter_errors(report))
    results = report["results"]
    if not results or len(results) != report["summary"]["contracts"] or len(results) != len(cases):
        yield f"{len(results)} results, {len(cases)} test cases, summary {report['summary']['contracts']}"
    if not whole:
        yield from _verdicts(row, results)
    for result in results:
        if result["reason"].startswith(NOT_JUDGED):
            yield f"{result['contract']} raised: {result['reason'][:300]}"
    for path in (run.folder / "cassettes").rglob("*.yaml"):
        try:
            read(path)
        except CassetteError as error:
            yield str(error)[:300]
    folders = [path for path in (run.folder / "cassettes").glob("*/*") if path.is_dir()]
    if len(folders) != row.models:
        yield f"cassettes of {len(folders)} models: {[path.name for path in folders]}"


def _verdicts(row: Behaviour, results: list[dict[str, Any]]) -> Iterator[str]:
    verdicts = {result["contract"]: result for result in results}
    for contract, expected in row.verdicts.items():
        result = verdicts.get(contract, {"verdict": "not judged", "reason": ""})
        if result["verdict"] != expected:
            yield f"{contract}: {result['verdict']}, not {expected}: {result['reason'][:300]}"


@cache
def _schema() -> Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))
