"""Writes docs/interop.md: what the suite says of the real servers whose cassettes are committed.

Run it in the root of the repository after recording: `python -m tests.interop.table`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pytest_llmcompat.cassette import read as read_cassette
from pytest_llmcompat.cassette import recorded_targets
from pytest_llmcompat.contract import Level
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import ReplayingSource
from pytest_llmcompat.passive import judge_throughout
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.reading import is_chosen, read
from pytest_llmcompat.suite import CASSETTES, bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, Verdict

__all__ = ["page", "replayed"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "interop.md"
# The fixed ports of the scripts in this folder, see README.md here.
NAMES: Final = {
    "4000": "LiteLLM proxy 1.108.7 (mock_response)",
    "8000": "llama-cpp-python 0.3.36 (random weights)",
}
SHOWN: Final = (Outcome.FAIL, Outcome.WARN, Outcome.UNSUPPORTED)
INTRODUCTION: Final = """\
# Real servers, judged

What the suite says of servers that nobody here wrote, read off the cassettes that are committed below `cassettes/`
(and ship with the plugin: `pytest --llm-replay` in a directory without cassettes of its own shows the same).
`tests/interop/` has the scripts that install, start and judge them; `python -m tests.interop.table` writes this page.

A *fail* is a broken MUST; a *warn* is a broken SHOULD, or a MUST kept in a weaker form. Contracts about time are
inconclusive in a replay. Both servers answer without a capable model, so contracts that need one are inconclusive.
"""


def replayed(endpoint: str, model: str, cassettes: Path = CASSETTES) -> list[Verdict]:
    """What every contract says of a recorded target."""
    target = Target(f"{model}@{endpoint}", endpoint, model, key="recorded")
    lab = Lab(target, ReplayingSource(target, cassettes))
    lab.prefetch([probe_id for probe_id in PROBES if is_chosen(probe_id, ())], 1)
    return [
        judge_throughout(contract, target, partial(read, lab), lab.obtained(), Level.MUST)
        for contract in bundled_contracts()
    ]


def page(cassettes: Path = CASSETTES) -> str:
    """The whole page, from the cassettes alone."""
    sections = [INTRODUCTION]
    for endpoint, model, folder in recorded_targets(cassettes):
        sections.append("\n".join(_section(endpoint, model, folder, replayed(endpoint, model, cassettes))))
    return "\n".join(sections)


def _section(endpoint: str, model: str, folder: Path, verdicts: list[Verdict]) -> Iterator[str]:
    recording = read_cassette(folder / "chat-basic.yaml")
    port = endpoint.partition("//")[2].partition("/")[0].rpartition(":")[2]
    yield f"## {NAMES.get(port, endpoint)}\n"
    yield f"Model `{model}`, recorded {recording.recorded_at[:10]}.\n"
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
