"""Reading a JSON report: what is none gets one line that says why."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.report import read_report
from pytest_llmcompat.settings import WrongUsage
from tests.reports import BROKEN, DEFECTS, WARNED, document, real, result, write

WHOLE = document(result("chat.id", "pass"), result("chat.object", "fail"))


def problem(path: Path) -> str:
    """The line that a file gets in the place of a report."""
    with pytest.raises(WrongUsage) as wrong:
        read_report(path, "--llm-baseline")
    text = str(wrong.value)
    assert "\n" not in text
    assert len(text) < 500
    assert wrong.value.__cause__ is None
    prefix = f"--llm-baseline: {path} "
    assert text.startswith(prefix)
    return text.removeprefix(prefix)


def test_real_report_is_read(tmp_path: Path) -> None:
    """Its targets, and each result by target and contract."""
    made = real(DEFECTS)
    read = read_report(write(tmp_path, "report.json", made), "--llm-baseline")
    (target,) = read.targets
    assert read.level is Level.MUST
    assert read.document == made
    assert len(read.of(target)) == len(read.results) == len(made["results"])
    assert {id for (_, id), r in read.results.items() if r["verdict"] == "fail"} == set(BROKEN)
    assert read.results[target, WARNED]["verdict"] == "warn"
    assert read.of("nobody") == []


def test_real_results_say_whether_they_are_passive_and_broken() -> None:
    """Two keys that joining and comparing reports rest on."""
    results = {r["contract"]: r for r in real(DEFECTS)["results"]}
    assert results["chat.stream.done-sentinel"]["passive"] == ["chat-stream"]
    assert results["auth.missing-401"]["passive"] == []
    assert {id for id, r in results.items() if r["broken"]} == {*BROKEN, WARNED}


def test_report_with_a_mark_at_its_beginning_is_read(tmp_path: Path) -> None:
    """Shells of Windows write one."""
    path = tmp_path / "report.json"
    path.write_text("\ufeff" + json.dumps(WHOLE), encoding="utf-8")
    assert len(read_report(path, "diff").results) == 2


def test_report_is_read_from_a_pipe(tmp_path: Path) -> None:
    """`llmcompat diff <(git show main:baseline.json) report.json` names one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(json.dumps(WHOLE),))
    writer.start()
    assert len(read_report(path, "diff").results) == 2
    writer.join()


def test_missing_file(tmp_path: Path) -> None:
    """The line says how to make one."""
    assert problem(tmp_path / "none.json") == (
        "does not exist; `pytest --llm-endpoint=… --llm-report=PATH.json` writes a report"
    )


def test_folder(tmp_path: Path) -> None:
    """No report lies there by itself."""
    assert problem(tmp_path) == "is a folder; give the path of a JSON report"


def test_path_through_a_file_and_path_that_no_system_has(tmp_path: Path) -> None:
    """What the system says is passed on."""
    (tmp_path / "file").write_text("")
    assert problem(tmp_path / "file" / "report.json") == "cannot be read: Not a directory"
    with pytest.raises(WrongUsage, match="cannot be read: embedded null byte"):
        read_report("a\0b", "--llm-baseline")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no whole JSON text: Expecting value (line 1, column 1); write it anew with --llm-report"),
        (
            json.dumps(WHOLE).encode()[:400],
            "is no whole JSON text: Expecting value (line 1, column 401); write it anew with --llm-report",
        ),
        (b'{\n "a": 1,\n', None),
        (b"\xff\xfe{\x00", "is not UTF-8 (byte 0); give a JSON report"),
        (b"[]", 'is no report of pytest-llmcompat: it lacks "schema": "llmcompat.report/1"'),
        (b'{"schema": 1}', 'is no report of pytest-llmcompat: it lacks "schema": "llmcompat.report/1"'),
        (b'{"a": NaN}', "is no JSON report: NaN is no JSON value"),
        (b"[" * 200_000, "nests more than 50 deep, which no report does; write it anew"),
    ],
)
def test_what_is_no_json_report(content: bytes, expected: str | None, tmp_path: Path) -> None:
    """Where the text stops making sense, and what to do."""
    path = tmp_path / "report.json"
    path.write_bytes(content)
    said = problem(path)
    if expected is not None:
        assert said == expected
    else:
        assert "(line 3, column 1)" in said


def test_number_too_long_for_python(tmp_path: Path) -> None:
    """Python refuses integers of more than 4300 digits with an error of another kind."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps(WHOLE).replace('"requests": 1', f'"requests": {"1" * 5000}'))
    assert problem(path).startswith("is no JSON report: Exceeds the limit")


def test_other_version_of_the_format(tmp_path: Path) -> None:
    """What is written by a later release is not misread."""
    path = write(tmp_path, "report.json", WHOLE | {"schema": "llmcompat.report/2"})
    assert problem(path) == (
        "holds llmcompat.report/2, and this version reads llmcompat.report/1; write it anew with --llm-report, "
        "or take the version of pytest-llmcompat that wrote it"
    )


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Memory is not filled; the file has no blocks on disk."""
    path = tmp_path / "report.json"
    path.touch()
    os.truncate(path, 2**29 + 1)
    assert problem(path) == "is larger than 512 MB, which no report is"


def deep(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [60, 400, 900])
def test_report_that_nests_deeply_where_the_schema_allows_it(depth: int, tmp_path: Path) -> None:
    """Further keys are free, but such a report could not be written again."""
    path = tmp_path / "report.json"
    text = json.dumps(WHOLE)[:-1] + ', "further": ' + "[" * depth + "]" * depth + "}"
    path.write_text(text)
    assert problem(path) == "nests more than 50 deep, which no report does; write it anew"


def test_further_keys_are_kept(tmp_path: Path) -> None:
    """Later releases of the same version of the format may add some."""
    path = write(tmp_path, "report.json", WHOLE | {"further": deep(20)})
    assert read_report(path, "diff").document["further"] == deep(20)


def change_first(made: dict[str, Any], **changed: Any) -> None:
    """Change the first result."""
    made["results"][0] |= changed


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda d: d.pop("summary"), "'summary' is a required property"),
        (
            lambda d: change_first(d, verdict="good"),
            "/results/0/verdict: 'good' is not one of ['pass', 'fail'",
        ),
        (lambda d: change_first(d, contract=""), "/results/0/contract: "),
        (lambda d: change_first(d, evidence=[{}]), "/results/0/evidence"),
        (
            lambda d: change_first(d, claim=["x" * 10_000]),
            '/results/0/claim: type "string" is what it has to keep',
        ),
        (lambda d: d.update(results={}), "/results: {} is not of type 'array'"),
        (lambda d: d.update(shard="0/2"), "/shard: '0/2' does not match"),
        (lambda d: d["summary"].update(level="most"), "/summary/level: 'most' is not one of"),
    ],
)
def test_report_that_does_not_fit_the_schema(
    spoil: Callable[[dict[str, Any]], object], expected: str, tmp_path: Path
) -> None:
    """The place and what is wrong there, in brief."""
    made = json.loads(json.dumps(WHOLE))
    spoil(made)
    said = problem(write(tmp_path, "report.json", made))
    assert said.startswith(f"does not fit the format llmcompat.report/1: {expected}")
    assert said.endswith("; write it anew with --llm-report")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            document(result("a.b", "pass"), result("a.b", "fail")),
            "has a.b on m@a twice, pass and fail; write it anew",
        ),
        (document(targets=("m@a", "m@a")), "has the target m@a twice; write it anew with --llm-report"),
        (
            document(result("a.b", "pass"), result("a.b", "pass", target="m@\x1b[2J")),
            "has a result of m@\\x1b[2J (/results/1), which is none of its targets",
        ),
    ],
)
def test_report_that_contradicts_itself(made: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """A reader could not know which is meant; control characters are not passed on."""
    assert problem(write(tmp_path, "report.json", made)) == expected


def test_contract_that_reads_no_target_and_one_that_stands_twice_alike_are_fine(tmp_path: Path) -> None:
    """The target of the one is empty; of the other the first is taken."""
    made = document(result("own.x", "pass", target=""), result("a.b", "pass"), result("a.b", "pass"))
    read = read_report(write(tmp_path, "report.json", made), "diff")
    assert set(read.results) == {("", "own.x"), ("m@a", "a.b")}
