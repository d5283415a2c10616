"""Write the pages of docs/ that are made from the code: the contract reference, the proof and real traffic.

    python -m docs.generate                              # docs/contracts/*.md, docs/{proof,clients,providers}.md
    python -m docs.generate --corpus ../shared/corpus    # and docs/real-world.md

`tests/test_docs.py` and `tests/test_corpus.py` fail when a page is not what this writes.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from docs.client_page import client_page
from docs.provider_page import provider_page
from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.passive import judge_alone, of_kind
from pytest_llmcompat.recordings import read_recordings
from pytest_llmcompat.reference import DEFECTS
from pytest_llmcompat.reporting.description import case_url
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, Verdict

DOCS: Final = Path(__file__).resolve().parent
_LONGEST_FOUND: Final = 60
_MADE: Final = "<!-- Made by docs/generate.py from the code; do not edit. -->"


def contract_pages() -> dict[Path, str]:
    """The text of each page that needs nothing but the code, by its path below docs/."""
    contracts = bundled_contracts()
    areas = {
        area: list(group)
        for area, group in groupby(sorted(contracts, key=lambda c: (c.area, c.id)), lambda c: c.area)
    }
    pages = {Path("contracts") / f"{area}.md": _area_page(area, group) for area, group in areas.items()}
    pages[Path("contracts") / "README.md"] = _index(areas)
    pages[Path("proof.md")] = _proof(contracts)
    pages[Path("clients.md")] = f"{_MADE}\n{client_page(contracts)}"
    pages[Path("providers.md")] = f"{_MADE}\n{provider_page()}"
    return pages


def _index(areas: dict[str, list[Contract]]) -> str:
    every = [contract for group in areas.values() for contract in group]
    levels = Counter(contract.level for contract in every)
    lines = [
        _MADE,
        "# Contracts",
        "",
        f"{len(every)} contracts: {', '.join(f'{levels[level]} {level.name}' for level in Level)}. "
        f"{sum(bool(contract.passive) for contract in every)} of them hold for recordings of others "
        "(`llmcompat lint`). `llmcompat explain CONTRACT-ID` shows one in the terminal; [proof](../proof.md) says "
        "which fault each is proved to catch.",
        "",
        "| area | MUST | SHOULD | MAY | contracts |",
        "|---|--:|--:|--:|--:|",
    ]
    for area, group in areas.items():
        counts = Counter(contract.level for contract in group)
        cells = " | ".join(str(counts[level]) for level in Level)
        lines.append(f"| [{area}]({area}.md) | {cells} | {len(group)} |")
    return _page(lines)


def _area_page(area: str, contracts: list[Contract]) -> str:
    lines = [
        _MADE,
        f"# {area}",
        "",
        "[All areas](README.md)",
        "",
        "| level | contract | claim |",
        "|---|---|---|",
    ]
    lines += [f"| {c.level.name} | [{c.id}](#{_anchor(c.id)}) | {_cell(c.claim)} |" for c in contracts]
    for contract in contracts:
        lines += ["", f"## {contract.id}", "", *_entry(contract)]
    return _page(lines)


def _entry(contract: Contract) -> Iterator[str]:
    yield f"**{contract.level.name}** · {_prose(contract.claim)}"
    yield ""
    for title, text in (("Who breaks", contract.breaks), ("How to fix it", contract.fix)):
        if text:
            yield f"- **{title}:** {_prose(text)}"
    yield f"- **Source:** {_prose(contract.source)}"
    if contract.cases:
        links = ", ".join(f"[{case}]({case_url(case)})" for case in contract.cases)
        yield f"- **Real cases:** {links}"
    yield f"- **Reads:** {', '.join(f'`{name}`' for name in contract.reads)}"
    if contract.passive:
        yield f"- **Holds for:** every exchange of the kind {', '.join(f'`{kind}`' for kind in contract.passive)}"
    yield f"- **Proved by:** {', '.join(f'`{name}`' for name in contract.catches)}"


def _proof(contracts: Iterable[Contract]) -> str:
    every = list(contracts)
    faults = {name: defect for name, defect in DEFECTS.items() if not defect.legal}
    variants = {name: defect for name, defect in DEFECTS.items() if defect.legal}
    caught_by: dict[str, list[str]] = {name: [] for name in faults}
    for contract in every:
        for name in contract.catches:
            caught_by.setdefault(name, []).append(contract.id)
    lines = [
        _MADE,
        "# Proof",
        "",
        f"{len(every)} contracts, {len(faults)} defects, {len(variants)} legal variants. Each contract passes on the "
        "healthy reference and breaks on each of its defects; each defect breaks these contracts and no other "
        "one; no legal variant breaks any. `tests/test_proof.py` proves it.",
        "",
        "## Contracts and their defects",
        "",
        "| level | contract | defects |",
        "|---|---|---|",
    ]
    for contract in every:
        names = ", ".join(f"`{name}`" for name in contract.catches)
        lines.append(f"| {contract.level.name} | {_link(contract)} | {names} |")
    lines += [
        "",
        "## Defects and what they break",
        "",
        "| defect | what is wrong | contracts |",
        "|---|---|--:|",
    ]
    lines += [
        f"| `{name}` | {_cell(defect.summary)} | {len(caught_by[name])} |"
        for name, defect in sorted(faults.items())
    ]
    lines += ["", "## Legal variants that stay green", "", "| variant | what is different |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(defect.summary)} |" for name, defect in sorted(variants.items())]
    return _page(lines)


@cache
def judged(corpus: Path, provider: str) -> list[tuple[Exchange, Verdict]]:
    """What each passive contract says of each recorded exchange of a provider it is about."""
    exchanges = [e for e in read_recordings([corpus / provider]).exchanges if kinds_of(e)]
    target = Target(provider, f"https://{provider}", "")
    return [
        (exchange, judge_alone(contract, exchange, target, Level.SHOULD))
        for contract in bundled_contracts()
        for exchange in of_kind(contract, exchanges)
    ]


def digest(corpus: Path) -> str:
    """SHA-256 over the recordings of a corpus: by it a page says which it was made of."""
    files = sorted(path for path in corpus.rglob("*.jsonl"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def providers(corpus: Path) -> list[str]:
    """The providers of a corpus, OpenAI first."""
    found = sorted(path.name for path in corpus.iterdir() if path.is_dir())
    return sorted(found, key=lambda name: name != "openai")


def real_world_page(corpus: Path) -> str:
    """The text of docs/real-world.md."""
    by_provider = {provider: judged(corpus, provider) for provider in providers(corpus)}
    lines = [
        _MADE,
        f"<!-- Of the recordings with the digest {digest(corpus)}. -->",
        "# Real traffic",
        "",
        "What the passive contracts say of recorded traffic that public projects keep as test fixtures. A contract "
        "counts once for each exchange; «judged» are those on which it came to a verdict. What breaks a contract "
        "here breaks the clients that the [contract reference](contracts/README.md) names, and was true when it was "
        "recorded; providers change.",
        "",
        "| provider | exchanges | judged | pass | warn | fail | contracts that fail |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for provider, found in by_provider.items():
        counts = Counter(verdict.outcome for _, verdict in found)
        settled = [counts[outcome] for outcome in (Outcome.PASS, Outcome.WARN, Outcome.FAIL)]
        broken = {v.contract.id for _, v in found if v.outcome is Outcome.FAIL}
        cells = (len({e.probe for e, _ in found}), sum(settled), *settled, len(broken))
        lines.append(f"| {provider} | {' | '.join(map(str, cells))} |")
    for provider, found in by_provider.items():
        lines += ["", f"## {provider}", "", *_deviations(corpus, found)]
    lines += ["", "## Left out", "", *_left_out(corpus, by_provider.values())]
    return _page(lines)


def _left_out(corpus: Path, found: Iterable[list[tuple[Exchange, Verdict]]]) -> Iterator[str]:
    """The recordings that prove nothing, and why."""
    yield "These recordings are no evidence of how a server answers:"
    yield ""
    flawed = {e.probe: e.failure for group in found for e, _ in group if e.failure is not None}
    for name, why in flawed.items():
        yield f"- {name.removeprefix(f'{corpus}/')}: {_prose(why)}"


def _deviations(corpus: Path, found: Iterable[tuple[Exchange, Verdict]]) -> Iterator[str]:
    ordered = sorted(found, key=lambda each: each[1].contract.id)
    rows = [
        row
        for _, group in groupby(ordered, lambda each: each[1].contract.id)
        if (row := _row(corpus, list(group))) is not None
    ]
    if not rows:
        yield "Nothing breaks."
        return
    yield "| level | contract | fail | warn | of | the first one |"
    yield "|---|---|--:|--:|--:|---|"
    yield from rows


def _row(corpus: Path, found: list[tuple[Exchange, Verdict]]) -> str | None:
    counts = Counter(verdict.outcome for _, verdict in found)
    fails, warns = counts[Outcome.FAIL], counts[Outcome.WARN]
    if not fails and not warns:
        return None
    worst = Outcome.FAIL if fails else Outcome.WARN
    first = next(verdict for _, verdict in found if verdict.outcome is worst)
    contract, evidence = first.contract, first.evidence[0]
    place = (
        f"{evidence.probe.removeprefix(f'{corpus}/')}, {evidence.where}: {evidence.found[:_LONGEST_FOUND]}"
    )
    settled = fails + warns + counts[Outcome.PASS]
    cells = (contract.level.name, _link(contract), fails or "", warns or "", settled, _cell(place))
    return f"| {' | '.join(map(str, cells))} |"


def _link(contract: Contract) -> str:
    """A link to the entry of a contract, from a page beside the folder contracts/."""
    return f"[{contract.id}](contracts/{contract.area}.md#{_anchor(contract.id)})"


def _anchor(id: str) -> str:
    """The anchor that code forges give the heading of an id."""
    return id.replace(".", "")


def _prose(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--corpus", type=Path, help="folder of recorded traffic, for real-world.md")
    corpus: Path | None = parser.parse_args().corpus
    pages = contract_pages()
    if corpus is not None:
        pages[Path("real-world.md")] = real_world_page(corpus)
    for old in (DOCS / "contracts").glob("*.md"):
        old.unlink()
    for path, text in pages.items():
        (DOCS / path).parent.mkdir(exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
