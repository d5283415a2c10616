"""The architecture: which module may know which, how long one may be, and what loading the plugin costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pytest_llmcompat.suite import CONTRACTS

PACKAGE = "pytest_llmcompat"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE
LONGEST = 330

# From the words to the wire: each of these knows only those before it, and nothing else of the package.
DOWN_TO_EXCHANGES = (
    "limits",
    "views",
    "evidence",
    "sse",
    "exchange",
    "refusal",
    "target",
    "probe",
    "probes",
    "wire",
    "redaction",
    "proxies",
    "foreign",
    "cassette",
    "lab",
)
# What steers a run or leaves the process: judgements reach none of it, however indirectly.
OUT_OF_REACH_OF_CONTRACTS = {
    "baseline",
    "beginning",
    "budget",
    "cassette",
    "change",
    "cleaning",
    "collection",
    "command",
    "conclusion",
    "configuration",
    "drift",
    "ending",
    "foreign",
    "judging",
    "lab",
    "logs",
    "matrix",
    "measures",
    "merging",
    "options",
    "plugin",
    "passive",
    "preflight",
    "proxies",
    "recordings",
    "redaction",
    "reference",
    "replaceable",
    "report",
    "reporting",
    "run",
    "settings",
    "shape",
    "shard",
    "summary",
    "waiver",
    "wire",
}
# A report says what was judged: it neither sends nor judges.
OUT_OF_REACH_OF_REPORTS = {"cassette", "lab", "probes", "reference", "wire"}


def files() -> list[Path]:
    """All modules of the package and of the suite."""
    return sorted({*ROOT.rglob("*.py"), *CONTRACTS.glob("*.py")})


def part_of(path: Path) -> str:
    """The module or package below `pytest_llmcompat` that a file belongs to."""
    if path.is_relative_to(CONTRACTS):
        return "contracts"
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports anywhere, in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}.")}
    return found


@cache
def graph() -> dict[str, frozenset[str]]:
    """Which part imports which others."""
    edges: dict[str, set[str]] = {}
    for path in files():
        edges.setdefault(part_of(path), set()).update(imported(path))
    return {part: frozenset(others - {part}) for part, others in edges.items()}


def reach(part: str) -> set[str]:
    """All parts that a part imports, and those that they import, and so on."""
    seen: set[str] = set()
    waiting = [part]
    while waiting:
        new = graph().get(waiting.pop(), frozenset()) - seen
        seen |= new
        waiting += new
    return seen


@pytest.mark.parametrize("part", DOWN_TO_EXCHANGES)
def test_module_on_the_way_to_exchanges_imports_only_earlier_ones(part: str) -> None:
    """Probes never judge, the lab knows no contract: what comes later in the run is unknown to both."""
    earlier = DOWN_TO_EXCHANGES[: DOWN_TO_EXCHANGES.index(part)]
    assert graph()[part] <= set(earlier)


def test_contracts_never_come_near_a_sender() -> None:
    """A judgement reads exchanges; nothing that it imports could send, record or steer the run."""
    assert reach("contracts") & OUT_OF_REACH_OF_CONTRACTS == set()


def test_contracts_do_not_import_each_other() -> None:
    """Each module of the suite can be loaded alone."""
    for path in CONTRACTS.glob("*.py"):
        assert "contracts" not in imported(path)


def test_verdicts_know_contracts_and_evidence_only() -> None:
    """The outcome of a judgement depends on nothing else."""
    assert graph()["verdict"] == {"contract", "evidence"}
    assert graph()["contract"] == frozenset()


def test_reports_neither_send_nor_judge() -> None:
    """Reports are functions of what was found."""
    assert graph()["reporting"] & OUT_OF_REACH_OF_REPORTS == set()
    for path in (ROOT / "reporting").glob("*.py"):
        assert "import judge" not in path.read_text("utf-8")


def test_reference_is_a_server_of_its_own() -> None:
    """What is judged shares no code with what judges."""
    assert graph()["reference"] == frozenset()


def test_nobody_imports_the_plugin() -> None:
    """Hooks call the package, never the other way round."""
    assert [part for part, others in graph().items() if "plugin" in others] == []


def test_options_know_nothing_of_the_run() -> None:
    """Settings are checked before anything that could send is even imported."""
    assert reach("settings") & {"lab", "cassette", "wire", "run", "preflight", "probes"} == set()


@pytest.mark.parametrize("path", files(), ids=lambda path: "/".join(path.parts[-2:]))
def test_module_is_short(path: Path) -> None:
    """A module that outgrows this lacks a name for one of its parts."""
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


LOADED = """
import json, sys
import pytest, _pytest.config
known = set(sys.modules)
import pytest_llmcompat
import pytest_llmcompat.plugin
print(json.dumps(sorted(set(sys.modules) - known)))
"""


def test_loading_the_plugin_imports_nothing_but_the_standard_library_and_pytest() -> None:
    """It is loaded in every pytest run of its users' environments, nearly all of which have nothing to do with it."""
    command = [sys.executable, "-c", LOADED]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent).stdout
    loaded = {name for name in json.loads(output) if name.split(".")[0] not in {"pytest", "_pytest"}}
    ours = {name for name in loaded if name.split(".")[0] == PACKAGE}
    assert {name.split(".")[0] for name in loaded - ours} <= set(sys.stdlib_module_names)
    assert ours <= {PACKAGE, f"{PACKAGE}.plugin", f"{PACKAGE}.options"}
