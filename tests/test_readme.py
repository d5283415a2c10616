"""The README stays true: its run, its commands and its options are those of this version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pytest_llmcompat.configuration import FILE_NAME, read_configuration, settings_of
from pytest_llmcompat.settings import Settings
from pytest_llmcompat.suite import bundled_contracts

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
OWN_OPTIONS = {"--llm-list"}
# What the file alone can say.
WITHOUT_OPTION = {"name", "require_models", "latency"}


def test_shown_run_has_the_contracts_of_this_version() -> None:
    """The table of the shown run has a row for each area, which counts all its contracts, and no fail."""
    rows = re.findall(r"^([a-z.]+)((?: +(?:\d+|\.)){5})$", README, re.MULTILINE)
    counts = {area: [int(n) if n != "." else 0 for n in numbers.split()] for area, numbers in rows}
    expected = Counter(contract.area for contract in bundled_contracts())
    assert {area: sum(numbers) for area, numbers in counts.items()} == {**expected, "all": expected.total()}
    passed, failed, warned, *skipped = counts["all"]
    assert (failed, warned) == (0, 0)
    assert f"{passed} passed, {sum(skipped)} skipped in" in README


def test_listed_options_are_those_of_the_settings() -> None:
    """The table of options names each option once, and none that does not exist."""
    rows = [line for line in README.splitlines() if line.startswith("| `--llm-")]
    listed = [option for line in rows for option in re.findall(r"--llm-[a-z-]+", line.split("|")[1])]
    names = Settings.__dataclass_fields__.keys() - WITHOUT_OPTION
    expected = {f"--llm-{name.replace('_', '-')}" for name in names}
    assert sorted(listed) == sorted(expected | OWN_OPTIONS)


def test_shown_settings_are_valid(tmp_path: Path) -> None:
    """The example of llmcompat.toml is taken as it stands."""
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / FILE_NAME).write_text(example)
    configuration = read_configuration(tmp_path)
    _, (production,) = settings_of({"target": ["all"]}, configuration)
    assert production.model == ("gpt-4.1", "gpt-4.1-mini")
    assert len(configuration.waivers) == 1


def walk() -> list[tuple[str, int, list[str]]]:
    """The commands of the walk through the gate: text, exit status, and the lines that are shown after them."""
    section = README[README.index("## The gate: ") : README.index("## In CI, before")]
    steps: list[tuple[str, int, list[str]]] = []
    for kind, block in re.findall(r"```(console|text)\n(.*?)```", section, re.DOTALL):
        if kind == "text":
            steps[-1][2].extend(block.splitlines())
            continue
        for command in re.findall(r"(?:^.*<<'END'\n(?:.*\n)*?END$|^.+$)", block, re.MULTILINE):
            status = re.search(r"# exit status (\d)$", command)
            steps.append((command, int(status[1]) if status else 0, []))
    return steps


def test_walk_through_the_gate_goes_as_written(tmp_path: Path) -> None:
    """Each command of the section ends with the status that it names and prints the lines that are shown."""
    binaries = Path(sys.executable).parent
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "GITHUB", "OPENAI"))
    }
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    shown = 0
    for command, status, lines in walk():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        for line in lines:
            assert line in done.stdout.splitlines(), f"{command}\n{done.stdout}"
        shown += len(lines)
    assert shown > 3


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """CI looks the command up in the README, so that both stay the same."""
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    (looked_up,) = re.findall(r'grep -Fx -m 1 "(.*)" README.md', ci)
    assert looked_up in README.splitlines()


@pytest.mark.parametrize(
    "page", sorted({"README.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))})
)
def test_links_lead_to_files(page: str) -> None:
    """Every link to a file of the repository leads somewhere."""
    source = ROOT / page
    for link in re.findall(r"\]\(([^)#:]+)\)", source.read_text("utf-8")):
        assert (source.parent / link).exists(), link
