"""`llmcompat diff`, `compare` and `merge`, as users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llmcompat.report import read_report
from tests.reports import DEFECTS, WARNED, document, real, result, verdicts, write
from tests.test_baseline import valid
from tests.test_command import llmcompat

GOOD, BAD = "good.json", "bad.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Real reports of a healthy and of a broken server, which are two targets."""
    write(tmp_path, GOOD, real())
    write(tmp_path, BAD, real(DEFECTS))
    return tmp_path


def target_of(folder: Path, name: str) -> str:
    """The only target of a report."""
    (target,) = read_report(folder / name, "test").targets
    return target


def refused(folder: Path, *arguments: str) -> str:
    """The line that a wrong call gets, without the name of the command; the exit status is 4."""
    run = llmcompat(*arguments, cwd=folder)
    assert (run.returncode, run.stdout) == (4, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("llmcompat: ")
    return line.removeprefix("llmcompat: ")


def test_diff_tells_regressions_first(folder: Path) -> None:
    """One line for a reader in a hurry, then what has moved, then the lists; exit status 1."""
    run = llmcompat("diff", GOOD, BAD, cwd=folder)
    assert (run.returncode, run.stderr) == (1, "")
    conclusion, moved, *lists = run.stdout.splitlines()
    assert conclusion.startswith(
        f"2 regressions against good.json: {len(real()['results'])} contracts compared, "
    )
    assert moved == (
        f"{target_of(folder, BAD)} is compared with {target_of(folder, GOOD)}, the only target in good.json"
    )
    assert lists[:2] == [
        "regressions:",
        "  MUST   auth.missing-401: pass → fail; auth-none, status: found 200; expected 401",
    ]
    assert any(WARNED in line for line in lists)


def test_diff_without_regressions_gives_status_0(folder: Path) -> None:
    """Improvements are listed; the same report twice gives one line."""
    run = llmcompat("diff", BAD, GOOD, cwd=folder)
    assert run.returncode == 0
    assert run.stdout.startswith("no regression against bad.json: ")
    assert "\nimprovements:\n  MUST   auth.missing-401: fail → pass\n" in run.stdout
    same = llmcompat("diff", BAD, BAD, cwd=folder)
    assert same.returncode == 0
    assert "\nnot kept before, and not now:\n  MUST   auth.missing-401: fail; auth-none" in same.stdout
    assert len(llmcompat("diff", GOOD, GOOD, cwd=folder).stdout.splitlines()) == 1


def test_strict_diff_takes_silence_for_a_loss(tmp_path: Path) -> None:
    """Only when it is asked for."""
    write(tmp_path, "old.json", document(result("a.b", "pass")))
    write(tmp_path, "new.json", document(result("a.b", "inconclusive")))
    assert llmcompat("diff", "old.json", "new.json", cwd=tmp_path).returncode == 0
    run = llmcompat("diff", "old.json", "new.json", "--strict", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout.splitlines()[1:] == [
        "regressions:",
        "  MUST   a.b: pass → inconclusive; why a.b is inconclusive",
    ]


def test_diff_of_a_matrix_goes_target_by_target(tmp_path: Path) -> None:
    """Targets that only one of the reports has are named; contracts without a target are compared, too."""
    old = document(
        *(result("a.b", "pass", target=id) for id in ("m@a", "m@b", "m@c")),
        result("own.x", "pass", target="", probes=[]),
        targets=["m@a", "m@b", "m@c"],
    )
    new = document(
        result("a.b", "fail"),
        *(result("a.b", "pass", target=id) for id in ("m@b", "m@d")),
        result("own.x", "fail", target="", probes=[]),
        targets=["m@a", "m@b", "m@d"],
    )
    write(tmp_path, "old.json", old)
    write(tmp_path, "new.json", new)
    run = llmcompat("diff", "old.json", "new.json", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "2 regressions against old.json: 3 contracts compared",
        "m@d is not in old.json: its verdicts alone count",
        "m@c is in old.json alone",
        "== m@a",
        "regressions:",
        "  MUST   a.b: pass → fail; why a.b is fail",
        "== without a target",
        "regressions:",
        "  MUST   own.x: pass → fail; why own.x is fail",
    ]


def test_output_fits_any_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrow is escaped where it is lacking."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    run = llmcompat("diff", GOOD, BAD, cwd=folder)
    assert (run.returncode, run.stderr) == (1, "")
    assert "auth.missing-401: pass \\u2192 fail" in run.stdout


def test_compare_says_what_would_break(folder: Path) -> None:
    """Of two files with a target each; exit status 1, or 0 the other way round."""
    run = llmcompat("compare", GOOD, BAD, cwd=folder)
    good, bad = target_of(folder, GOOD), target_of(folder, BAD)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.splitlines()[:3] == [
        f"{bad} cannot stand in for {good}: 2 contracts that {good} keeps break",
        f"breaks on {bad}:",
        "  MUST   auth.missing-401: fail; auth-none, status: found 200; expected 401",
    ]
    back = llmcompat("compare", BAD, GOOD, cwd=folder)
    assert (back.returncode, back.stdout) == (0, f"{good} can stand in for {bad}\n")


def test_compare_finds_targets_in_reports(folder: Path) -> None:
    """By id or glob, in one report or several; the level decides what counts."""
    good, bad = target_of(folder, GOOD), target_of(folder, BAD)
    reports = ("--report", GOOD, "--report", BAD)
    must, should = (
        llmcompat("compare", f"*{good[-6:]}", bad, *reports, f"--level={level}", cwd=folder)
        for level in ("must", "should")
    )
    assert must.stdout.startswith(f"{bad} cannot stand in for {good}: 2 contracts")
    assert should.stdout.startswith(f"{bad} cannot stand in for {good}: 3 contracts")
    assert llmcompat("merge", GOOD, BAD, "--output=both.json", cwd=folder).returncode == 0
    joined = llmcompat("compare", good, bad, "--report=both.json", cwd=folder)
    assert joined.stdout == must.stdout


def test_compare_of_one_target_at_two_times(tmp_path: Path) -> None:
    """The files tell them apart."""
    write(tmp_path, "a.json", document(result("a.b", "pass")))
    write(tmp_path, "b.json", document(result("a.b", "pass")))
    run = llmcompat("compare", "a.json", "b.json", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, "m@a of b.json can stand in for m@a of a.json\n")


def test_merge_writes_one_report(folder: Path) -> None:
    """It fits the schema, and the line counts what is in it."""
    run = llmcompat("merge", GOOD, BAD, "--output", "both.json", cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    made = valid(json.loads((folder / "both.json").read_text("utf-8")))
    assert verdicts(made) == verdicts(real()) | verdicts(real(DEFECTS))
    count = len(made["results"])
    assert run.stdout.startswith(f"both.json: 2 reports, 2 targets, {count} contracts, ")
    assert ", 2 fail, 1 warn, " in run.stdout


def test_merge_may_write_over_what_it_has_read(tmp_path: Path) -> None:
    """Jobs are joined one after the other so."""
    write(tmp_path, "all.json", document(result("a.b", "pass")))
    write(tmp_path, "next.json", document(result("a.c", "pass")))
    run = llmcompat("merge", "all.json", "next.json", "--output=all.json", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (0, "all.json: 2 reports, 1 target, 2 contracts, 2 pass\n")
    assert len(read_report(tmp_path / "all.json", "test").results) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"all.json", "next.json"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("diff", "none.json", "a.json"),
            "diff: none.json does not exist; `pytest --llm-endpoint=… --llm-report=PATH.json` writes a report",
        ),
        (
            ("diff", "a.json", "cut.json"),
            "diff: cut.json is no whole JSON text: Expecting value (line 1, column 11); "
            "write it anew with --llm-report",
        ),
        (
            ("diff", "a.json", "n.json"),
            "diff: no target of n.json is in a.json; there are m@a in the one and n@b in the other",
        ),
        (
            ("compare", "a.json", "two.json"),
            "compare: two.json has 2 targets (m@a, m@b); name two of them and add --report=two.json",
        ),
        (
            ("compare", "m@a", "m@b"),
            "compare: there is no file m@a; name a JSON report of one target, or say with --report=FILE where "
            "the target is",
        ),
        (
            ("compare", "m@*", "m@b", "--report=two.json"),
            "compare: 'm@*' is not the id of one target, nor a glob that fits one; it fits m@a, m@b",
        ),
        (
            ("compare", "m@a", "z", "--report=two.json"),
            "compare: 'z' is not the id of one target, nor a glob that fits one; there are m@a, m@b",
        ),
        (
            ("compare", "m@a", "*a", "--report=two.json"),
            "compare: m@a and *a are the same target, m@a",
        ),
        (
            ("compare", "m@a", "m@b", "--report=two.json", "--report=a.json"),
            "compare: m@a is in two.json and in a.json; join them with `llmcompat merge`, or leave one out",
        ),
        (
            ("compare", "m@a", "m@b", "--report=two.json", "--level=most"),
            "--level: 'most' is no level; give must, should or may",
        ),
        (
            ("compare", "m@a", "m@b", "--report=."),
            "--report: . is a folder; give the path of a JSON report",
        ),
        (
            ("merge", "a.json", "broken.json", "--output=out.json"),
            "a.b on m@a is pass in a.json and fail in broken.json; merge reports that do not overlap",
        ),
        (
            ("merge", "a.json", "two.json", "later.json", "--output=out.json"),
            "merge: later.json holds llmcompat.report/2, and this version reads llmcompat.report/1; write it anew "
            "with --llm-report, or take the version of pytest-llmcompat that wrote it",
        ),
        (
            ("merge", "a.json", "--output=nowhere/out.json"),
            "--output: nowhere/out.json cannot be written: No such file or directory",
        ),
        (("merge", "a.json", "--output=."), "--output: . is a folder; give the path of a file"),
    ],
)
def test_bad_input_gives_status_4_and_one_line(arguments: tuple[str, ...], line: str, tmp_path: Path) -> None:
    """It says which file, what is wrong with it, and what to do; nothing is written."""
    one = document(result("a.b", "pass"))
    write(tmp_path, "a.json", one)
    write(tmp_path, "n.json", document(targets=["n@b"]))
    write(tmp_path, "two.json", document(targets=["m@a", "m@b"]))
    write(tmp_path, "broken.json", document(result("a.b", "fail")))
    write(tmp_path, "later.json", one | {"schema": "llmcompat.report/2"})
    (tmp_path / "cut.json").write_text('{"schema":')
    assert refused(tmp_path, *arguments) == line
    assert not (tmp_path / "out.json").exists()
