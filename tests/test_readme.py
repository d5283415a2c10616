"""The README stays true: its run, its commands and its options are those of this version."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from pytest_llmcompat.settings import Settings, merge
from pytest_llmcompat.suite import bundled_contracts

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
OWN_OPTIONS = {"--llm-list"}


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
    expected = {f"--llm-{name.replace('_', '-')}" for name in Settings.__dataclass_fields__}
    assert sorted(listed) == sorted(expected | OWN_OPTIONS)


def test_shown_settings_are_valid() -> None:
    """The example of pyproject.toml is taken as it stands."""
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    table = tomllib.loads(example)["tool"]["llmcompat"]
    assert merge({}, table, table_name="README.md").model == ("gpt-4.1", "gpt-4.1-mini")


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
