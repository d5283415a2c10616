"""The examples for CI are of this version: they load, and every command in them uses what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llmcompat.command import main
from pytest_llmcompat.reference import serve
from pytest_llmcompat.reference.auth import DEFAULT_KEY

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "ci"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PAGES = sorted(FOLDER.glob("*.md"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
USED = f"OWNER/pytest-llmcompat@v{version('pytest-llmcompat')}"
# The help names an option once.
ALIASES = {"--junitxml": "--junit-xml"}
LLMCOMPAT = "import sys; from pytest_llmcompat.command import main; sys.exit(main())"

Mapping = dict[str, Any]


def mappings(value: object) -> Iterator[Mapping]:
    """Every mapping in a YAML document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(part)


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of one language on a page."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def documents(path: Path) -> list[Any]:
    """The YAML of a file, or of the blocks on a page."""
    texts = blocks(path, "yaml") if path.suffix == ".md" else [path.read_text("utf-8")]
    return [yaml.safe_load(text) for text in texts]


def scripts(path: Path) -> list[str]:
    """The shell scripts of a file: steps of GitHub, jobs of GitLab, console blocks of a page."""
    found = blocks(path, "console") if path.suffix == ".md" else []
    for mapping in (m for document in documents(path) for m in mappings(document)):
        found += [mapping["run"]] if "run" in mapping else []
        found += [line for key in ("before_script", "script") for line in mapping.get(key, ())]
    return found


def commands(path: Path) -> list[list[str]]:
    """The calls of pytest and llmcompat in a file, with their arguments."""
    lines = [line for script in scripts(path) for line in script.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line.partition(" || ")[0], comments=True) for line in lines]
    return [call for call in words if call and call[0] in ("pytest", "llmcompat")]


def action_steps(path: Path) -> list[Mapping]:
    """The steps that use the action."""
    found = (m for document in documents(path) for m in mappings(document))
    return [m for m in found if "pytest-llmcompat@" in str(m.get("uses", ""))]


@cache
def pytest_options() -> dict[str, bool]:
    """Every long option of pytest with this plugin, and whether it takes a value."""
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=FOLDER
    ).stdout
    lines = [line for line in text.splitlines() if re.match(r"  -", line)]
    return {
        name: value == "="
        for line in lines
        for name, value in re.findall(r"(?<![\w-])(--[a-z][\w-]*)(=?)", line)
    }


def check_pytest(arguments: list[str]) -> None:
    """Every option exists, has a value when it needs one, and none when it takes none."""
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        option = ALIASES.get(option, option)
        if option.startswith("--"):
            assert option in pytest_options(), argument
            assert bool(equals) is pytest_options()[option], argument


@pytest.mark.parametrize("path", [*WORKFLOWS, *PAGES], ids=lambda path: path.name)
def test_commands_use_options_that_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the help of pytest and of the command, in a process of the kind that a job starts."""
    for name, *arguments in commands(path):
        if name == "pytest":
            check_pytest(arguments)
            continue
        with pytest.raises(SystemExit) as ended:
            main([arguments[0], "--help"])
        assert ended.value.code == 0
        offered = capsys.readouterr().out
        for argument in arguments[1:]:
            option = argument.partition("=")[0]
            assert not option.startswith("--") or re.search(rf"{option}\b", offered), argument


@pytest.mark.parametrize("path", [*WORKFLOWS, FOLDER / "README.md"], ids=lambda path: path.name)
def test_action_is_used_with_inputs_that_exist(path: Path) -> None:
    """At the version of this repository; lines of `args` are arguments of pytest."""
    for step in action_steps(path):
        assert step["uses"] == USED
        assert {*step["with"]} <= {*ACTION["inputs"]}
        check_pytest(step["with"].get("args", "").splitlines())


def test_examples_are_more_than_empty_files() -> None:
    """Between them they use everything that the tests above look for."""
    assert len(WORKFLOWS) == 4
    assert {path.name for path in WORKFLOWS if action_steps(path)} == {
        "github-actions.yml",
        "nightly-upgrade-gate.yml",
    }
    called = [call for path in [*WORKFLOWS, *PAGES] for call in commands(path)]
    assert {call[0] for call in called} == {"pytest", "llmcompat"}
    assert all(any("--llm-" in argument for argument in call) for call in called if call[0] == "pytest")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_scripts_are_sound_and_hold_no_expression(path: Path) -> None:
    """Expressions stand in `env` and `with`: in a script they would be run as a part of it."""
    for script in scripts(path):
        assert "${{" not in script
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_asks_for_little(path: Path) -> None:
    """A workflow of GitHub may read the repository and no more, and never runs foreign code beside a secret."""
    text = path.read_text("utf-8")
    (document,) = documents(path)
    assert "pull_request_target" not in text
    if path.name != "gitlab-ci.yml":
        assert document["permissions"] == {"contents": "read"}
        assert all("timeout-minutes" in job for job in document["jobs"].values())


def test_keys_are_in_no_command_line() -> None:
    """Secrets go to `env` or to the action's `api-key`."""
    for path in [*WORKFLOWS, *PAGES]:
        for call in commands(path):
            assert not [
                argument for argument in call if argument.startswith(("--llm-api-key=", "--llm-header="))
            ]
    for step in (step for path in WORKFLOWS for step in action_steps(path)):
        assert not [name for name, value in step["with"].items() if "secrets." in value and name != "api-key"]


def test_page_lists_all_examples_and_inputs() -> None:
    """Each file, each input and output of the action; links lead to files."""
    text = (FOLDER / "README.md").read_text("utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (FOLDER / link).is_file(), link
    assert {path.name for path in FOLDER.iterdir()} - {"README.md"} <= set(re.findall(r"\]\(([^)]+)\)", text))
    table = text.partition("| input | meaning |")[2].partition("\n\n")[0]
    listed = [
        name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    ]
    assert sorted(listed) == sorted(ACTION["inputs"])
    outputs = text.partition("Outputs: ")[2].partition(".")[0]
    assert sorted(re.findall(r"`([a-z-]+)`", outputs)) == sorted(ACTION["outputs"])


def test_recipe_before_a_release_does_what_it_says(tmp_path: Path) -> None:
    """Its commands on two references, one of them with the defect; each ends with the status that the page shows."""
    page = FOLDER / "pre-release.md"
    start, *steps = blocks(page, "console")
    (defect,) = re.findall(r"--defect (\S+)", start)
    with serve(pause=0.0005) as healthy, serve([defect], pause=0.0005) as broken:
        places = {"http://127.0.0.1:8001/v1": healthy.base_url, "http://127.0.0.1:8002/v1": broken.base_url}
        for step in steps:
            for shown, real in places.items():
                step = step.replace(shown, real)
            run = called(step, tmp_path)
            (status,) = re.findall(r"# exit status (\d)", step)
            assert run.returncode == int(status), run.stdout + run.stderr
    assert len(steps) == 4
    after = (tmp_path / "after.md").read_text("utf-8")
    assert after.startswith("**Do not ship:** 1 regression against before\\.json (")
    assert list((tmp_path / "cassettes").rglob("stream-basic.yaml"))


def called(step: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the recipe, on a few contracts."""
    name, *arguments = shlex.split(step.replace("\\\n", " "), comments=True)
    real = {
        "pytest": [
            "-m",
            "pytest",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-k",
            "done or models.list",
        ],
        "llmcompat": ["-c", LLMCOMPAT],
    }
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": DEFAULT_KEY}
    command = [sys.executable, *real[name], *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
