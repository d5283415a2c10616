"""The action for GitHub: its inputs reach pytest as they are, and its script does what a workflow relies on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from pytest_llmcompat.reference import serve
from tests.reports import DEFECTS, KEY

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = {step["name"]: step for step in STEPS if "run" in step}
# How the runner starts a step with `shell: bash`.
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
# Stands in the way of pytest, notes what it is called with, and calls it.
SHIM = '#!/bin/sh\nprintf \'%s\\n\' "$@" > "$NOTES"\nexec "{pytest}" "$@"\n'


@dataclass(frozen=True)
class Step:
    """What came of the main step. outputs: by name. arguments: of pytest."""

    status: int
    stdout: str
    outputs: dict[str, str]
    arguments: list[str]

    def text(self, output: str) -> str:
        """The file that an output names."""
        return Path(self.outputs[output]).read_text("utf-8")


def judge(folder: Path, **inputs: str) -> Step:
    """Run the main step in a folder, with inputs as the runner would put them into its environment."""
    given = {name: value["default"] for name, value in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    step = SCRIPTS["Judge"]
    variables = {name: filled(value, given) for name, value in step["env"].items()}
    script, shims = folder / "script.sh", folder / "bin"
    script.write_text(step["run"], encoding="utf-8")
    shims.mkdir()
    (shims / "pytest").write_text(SHIM.format(pytest=Path(sys.executable).with_name("pytest")))
    (shims / "pytest").chmod(0o755)
    work = folder / "work"
    work.mkdir()
    run = subprocess.run(
        [*SHELL, str(script)],
        cwd=work,
        env={
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "GITHUB"))
            },
            **variables,
            "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
            "PYTEST_ADDOPTS": "-p no:randomly -p no:cacheprovider",
            "GITHUB_OUTPUT": str(folder / "output"),
            "RUNNER_TEMP": str(folder),
            "NOTES": str(folder / "notes"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "output").exists(), run.stdout + run.stderr
    outputs = dict(line.split("=", 1) for line in (folder / "output").read_text("utf-8").splitlines())
    assert list(work.iterdir()) == []
    return Step(
        run.returncode, run.stdout + run.stderr, outputs, (folder / "notes").read_text("utf-8").splitlines()
    )


def filled(value: str, inputs: dict[str, str]) -> str:
    """The value of a variable with the expression in it replaced."""
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: inputs[found[1]], value)


def expressions(value: object) -> set[str]:
    """The inputs that expressions in a part of the action name."""
    return set(re.findall(r"inputs\.([a-z-]+)", json.dumps(value)))


def test_inputs_are_documented_and_used() -> None:
    """Each has a description and a default, and reaches a step."""
    for name, given in ACTION["inputs"].items():
        assert given["description"].endswith("."), name
        assert isinstance(given["default"], str), name
    assert expressions(STEPS) == {*ACTION["inputs"]}


def test_outputs_come_from_the_main_step() -> None:
    """Each names something that its script writes."""
    written = set(re.findall(r'echo "([a-z-]+)=', SCRIPTS["Judge"]["run"]))
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.judge.outputs.{name} }}}}"
        assert name in written
    assert set(re.findall(r"steps\.judge\.outputs\.([a-z-]+)", json.dumps(STEPS))) <= written


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_sound_and_holds_no_expression(name: str) -> None:
    """An expression in a script would be run as a part of it, whatever an input holds."""
    script = SCRIPTS[name]["run"]
    assert "${{" not in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert SCRIPTS[name]["shell"] == "bash"


def test_key_is_an_environment_variable_only() -> None:
    """It goes to one step, and its script looks no further than whether it is there."""
    (step,) = (step for step in STEPS if "api-key" in expressions(step))
    assert step["env"]["LLMCOMPAT_API_KEY"] == "${{ inputs.api-key }}"
    assert re.findall(r"[^\n]*\$\{?LLMCOMPAT_API_KEY[^\n]*", step["run"]) == [
        'if [ -n "$LLMCOMPAT_API_KEY" ]; then arguments+=(--llm-api-key-env=LLMCOMPAT_API_KEY); fi'
    ]


def test_healthy_endpoint_gives_status_0_and_three_reports(tmp_path: Path) -> None:
    """With the defaults of all that is not given; a folder of their own keeps the reports out of the checkout."""
    step = judge(tmp_path, endpoint="reference", args="-k=auth or models.list\n\n-q\n")
    assert step.status == 0, step.stdout
    assert step.outputs["exit-status"] == "0"
    assert step.arguments == [
        "--llm-endpoint=reference",
        f"--llm-report={step.outputs['report']}",
        f"--llm-report={step.outputs['summary']}",
        f"--junitxml={step.outputs['junit']}",
        "-k=auth or models.list",
        "-q",
    ]
    assert json.loads(step.text("report"))["schema"] == "llmcompat.report/1"
    assert step.text("summary").startswith("**May ship:** ")
    assert len(list(ElementTree.fromstring(step.text("junit")).iter("testcase"))) > 5
    assert {path.parent for path in map(Path, list(step.outputs.values())[1:4])} == {
        Path(step.outputs["reports"])
    }


def test_broken_endpoint_gives_status_1_and_the_reports_all_the_same(tmp_path: Path) -> None:
    """The key reaches pytest by the environment, and neither its arguments nor anything that it writes."""
    with serve(list(DEFECTS), key=KEY, pause=0.0005) as broken:
        step = judge(
            tmp_path,
            endpoint=broken.base_url,
            model=broken.model,
            api_key=KEY,
            level="should",
            args="-k=auth",
        )
    assert step.status == 1, step.stdout
    assert step.outputs["exit-status"] == "1"
    assert "--llm-level=should" in step.arguments
    failed = [r["contract"] for r in json.loads(step.text("report"))["results"] if r["verdict"] == "fail"]
    assert failed == ["auth.missing-401", "auth.scheme"]
    assert step.text("summary").startswith("**Do not ship:** 2 contracts failed")
    everything = [step.stdout, *step.arguments, *map(step.text, ("report", "summary", "junit"))]
    assert not [text for text in everything if KEY in text]


def test_hostile_inputs_are_arguments_and_no_script(tmp_path: Path) -> None:
    """Nothing of them is run, split or matched against files; a baseline that is not there is wrong usage."""
    hostile = "$(touch hacked) `touch hacked` '; touch hacked; \" * ~ ${HOME}"
    step = judge(tmp_path, endpoint="reference", model=f"{hostile}\n-x y", baseline=hostile)
    assert step.status == 4
    assert step.outputs["exit-status"] == "4"
    assert step.arguments[:4] == [
        "--llm-endpoint=reference",
        f"--llm-model={hostile}",
        "--llm-model=-x y",
        f"--llm-baseline={hostile}",
    ]
    assert "--llm-baseline" in step.stdout
