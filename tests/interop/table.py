"""Writes docs/interop.md: what the suite says of the real servers whose cassettes are committed.

Run it in the root of the repository after recording: `python -m tests.interop.table`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pytest_llmcompat.cassette import path_of
from pytest_llmcompat.cassette import read as read_cassette
from pytest_llmcompat.contract import Level
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import ReplayingSource
from pytest_llmcompat.matrix import targets_of
from pytest_llmcompat.passive import judge_throughout
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.reading import is_chosen, read
from pytest_llmcompat.settings import Settings
from pytest_llmcompat.suite import CASSETTES, bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, Verdict

__all__ = ["page", "recorded", "replayed"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "interop.md"
# The fixed ports of the scripts in this folder, see README.md here.
NAMES: Final = {
    "4000": "LiteLLM proxy 1.108.7, mocked answers",
    "4001": "LiteLLM proxy 1.108.7 in front of the reference",
    "8787": "Portkey gateway 1.15.2 in front of the reference",
    "8000": "llama-cpp-python 0.3.36, random weights",
    "8001": "vLLM 0.32.0 on CPU, random weights",
    "8002": "transformers serve 5.24.0, random weights",
    "4010": "aimock 1.43.0, fixed answers",
}
SHOWN: Final = (Outcome.FAIL, Outcome.WARN, Outcome.UNSUPPORTED)
INTRODUCTION: Final = """\
# Real servers, judged

What the suite says of servers that nobody here wrote, read off the cassettes that are committed below `cassettes/`
(and ship with the plugin: `pytest --llm-replay` in a directory without cassettes of its own shows the same).
`tests/interop/` has the scripts that install, start and judge them; `python -m tests.interop.table` writes this page.

A *fail* is a broken MUST; a *warn* is a broken SHOULD, or a MUST kept in a weaker form. Contracts about time are
inconclusive in a replay. No capable model stands behind these servers, so contracts that need one are inconclusive.
Every fail was checked by hand against the bytes: [interop-checked.md](interop-checked.md).
"""


def recorded(cassettes: Path = CASSETTES) -> dict[str, Target]:
    """The recorded targets, by the port of their servers."""
    with ExitStack() as resources:
        pairs = targets_of([Settings(replay=True, cassettes=str(cassettes))], resources)
    return {str(urlsplit(target.endpoint).port): target for target, _ in pairs}


def replayed(target: Target, cassettes: Path = CASSETTES) -> list[Verdict]:
    """What every contract says of a recorded target."""
    lab = Lab(target, ReplayingSource(target, cassettes))
    lab.prefetch([probe_id for probe_id in PROBES if is_chosen(probe_id, ())], 1)
    return [
        judge_throughout(contract, target, partial(read, lab), lab.obtained(), Level.MUST)
        for contract in bundled_contracts()
    ]


def page(cassettes: Path = CASSETTES) -> str:
    """The whole page, from the cassettes alone."""
    targets = recorded(cassettes)
    sections = ["\n".join(_section(name, targets[port], cassettes)) for port, name in NAMES.items()]
    return "\n".join([INTRODUCTION, *sections])


def _section(name: str, target: Target, cassettes: Path) -> Iterator[str]:
    date = read_cassette(path_of(cassettes, target, "chat-basic")).recorded_at[:10]
    verdicts = replayed(target, cassettes)
    yield f"## {name}\n"
    yield f"Model `{target.model}`, recorded {date}.\n"
    yield from _counts(verdicts)
    yield ""
    yield "| verdict | level | contract | evidence |"
    yield "|---|---|---|---|"
    for outcome in SHOWN:
        for verdict in verdicts:
            if verdict.outcome is outcome:
                reason = verdict.reason.replace("|", "\\|").replace("<", "&lt;")
                yield f"| {outcome} | {verdict.contract.level.name} | `{verdict.contract.id}` | {reason} |"
    yield ""


def _counts(verdicts: Iterable[Verdict]) -> Iterator[str]:
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.WAIVED]
    counted: dict[str, Counter[Outcome]] = {}
    for verdict in verdicts:
        counted.setdefault(verdict.contract.area, Counter())[verdict.outcome] += 1
    yield f"| area | {' | '.join(outcomes)} |"
    yield f"|---|{'---|' * len(outcomes)}"
    for area, counts in [*sorted(counted.items()), ("**all**", sum(counted.values(), Counter()))]:
        yield f"| {area} | {' | '.join(str(counts[outcome] or '') for outcome in outcomes)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
