"""The command `llmcompat`, as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_llmcompat.command import main
from pytest_llmcompat.configuration import read_configuration
from pytest_llmcompat.contract import SHOULD, Contract
from pytest_llmcompat.reporting.description import close_ids, described
from pytest_llmcompat.reporting.json_report import SCHEMA_FILE
from pytest_llmcompat.suite import bundled_contracts
from tests.test_passive import ANSWER

ROOT = Path(__file__).resolve().parent.parent
RUN = "import sys; from pytest_llmcompat.command import main; sys.exit(main())"


def llmcompat(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own, in an environment with settings that must not matter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "--no-such-option"}
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def recorded(folder: Path, **changed: Any) -> Path:
    """A recording of one answer, with some keys of its body changed."""
    record = {
        "url": "https://api.example.com/v1/chat/completions",
        "request": {"model": "m", "messages": []},
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(ANSWER | changed),
    }
    path = folder / "traffic.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_good_recording_gives_status_0(tmp_path: Path) -> None:
    """The table of verdicts is the usual one; the folder's own pytest settings take no part."""
    (tmp_path / "conftest.py").write_text("raise SystemExit(9)")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    recorded(tmp_path)
    run = llmcompat("lint", "traffic.jsonl", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "llmcompat: api.example.com" in run.stdout
    assert "1 requests replayed; 9 prompt and 3 completion tokens" in run.stdout


def test_broken_must_gives_status_1_and_explains_itself(tmp_path: Path) -> None:
    """The explanation points into the recording; the report is that of every run."""
    recorded(tmp_path, object="text")
    run = llmcompat("lint", "traffic.jsonl", "--report", "report.json", cwd=tmp_path)
    assert run.returncode == 1
    assert "MUST chat.object is broken by api.example.com" in run.stdout
    assert 'traffic.jsonl#1, body /object: found "text"; expected "chat.completion"' in " ".join(
        run.stdout.split()
    )
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8"))).validate(report)
    assert [r["contract"] for r in report["results"] if r["verdict"] == "fail"] == ["chat.object"]
    assert [e["probe"] for e in report["exchanges"]] == ["traffic.jsonl#1"]


def test_level_decides_what_fails(tmp_path: Path) -> None:
    """A broken SHOULD is a warning, unless it is asked for."""
    choice = {**ANSWER["choices"][0], "logprobs": {"content": [{"token": "x", "logprob": -1.0}]}}
    recorded(tmp_path, choices=[choice])
    assert llmcompat("lint", "traffic.jsonl", cwd=tmp_path).returncode == 0
    run = llmcompat("lint", "traffic.jsonl", "--level", "should", cwd=tmp_path)
    assert run.returncode == 1
    assert "SHOULD chat.logprobs-null is broken" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nowhere.yaml",), "ERROR: nowhere.yaml cannot be read: No such file or directory"),
        (("traffic.jsonl", "--level", "most"), "'most' is no level; give must, should or may"),
        (("traffic.jsonl", "--report", "report.pdf"), "report.pdf"),
    ],
)
def test_bad_input_gives_status_2_and_one_line(
    arguments: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    """Nothing is judged."""
    recorded(tmp_path)
    run = llmcompat("lint", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert problem in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert "passed" not in run.stdout


def test_contract_is_explained(tmp_path: Path) -> None:
    """Level, claim, who breaks, what to do, where it comes from, and what proves it."""
    run = llmcompat("explain", "chat.stream.done-sentinel", cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith("MUST chat.stream.done-sentinel\nClaim:")
    for part in (
        "Breaks:",
        "Fix:",
        "Source:",
        "stream-without-done",
        "https://github.com/ikawrakow/ik_llama.cpp",
    ):
        assert part in run.stdout


def test_mistyped_contract_gets_close_matches(tmp_path: Path) -> None:
    """Exit status 2, and what may have been meant."""
    run = llmcompat("explain", "chat.stream.done-sentinal", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert (
        "there is no contract 'chat.stream.done-sentinal'; did you mean chat.stream.done-sentinel"
        in run.stderr
    )


def test_part_of_an_id_finds_all_that_contain_it() -> None:
    """An area is a way to look for its contracts."""
    contracts = bundled_contracts()
    assert set(close_ids("chat.stream.usage", contracts)) >= {
        "chat.stream.usage-chunk",
        "chat.stream.usage-last",
    }
    assert close_ids("no such thing at all", contracts) == []


@pytest.mark.parametrize("each", bundled_contracts(), ids=lambda each: each.id)
def test_description_fits_the_terminal(each: Contract) -> None:
    """Lines are short but for what cannot be broken."""
    text = described(each)
    assert text.startswith(f"{each.level.name} {each.id}\n")
    assert all(
        len(line) <= 110 or " " not in line.strip().partition(":")[2].strip() for line in text.splitlines()
    )


def test_description_leaves_out_what_is_not_known() -> None:
    """A contract of a user's own may say little of itself."""
    bare = Contract("a.b", SHOULD, "It works.", "a", "us", "", "", (), (), ("chat_basic",), (), lambda: None)
    assert described(bare).splitlines() == [
        "SHOULD a.b",
        "Claim:      It works.",
        "Source:     us",
        "Reads:      chat_basic",
    ]


def test_init_writes_a_file_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to try next, and never writes over a file that is there."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "wrote llmcompat.toml; try it with: pytest --llm-target=reference\n"
    assert list(read_configuration(tmp_path).targets) == ["reference"]
    assert main(["init"]) == 4
    assert capsys.readouterr().err == (
        "llmcompat: llmcompat.toml is there already; edit it, or move it away first\n"
    )
