"""The report in Markdown: what a reviewer in a hurry reads, and GitHub shows as the summary of a step.

First whether it may ship, then what speaks against it, and all else folded. A function of the JSON report alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_llmcompat.reporting.markup import bullets, cell, code, fenced, folded, prose, table
from pytest_llmcompat.reporting.sections import sections
from pytest_llmcompat.reporting.shipping import Failure, failures, faults, missing, reasons, shipping
from pytest_llmcompat.verdict import Outcome

__all__ = ["LARGEST", "markdown_report"]

LARGEST: Final = 900_000
"""Bytes of a report. GitHub throws away a larger summary than 1 MiB (actions/runner, UnsupportedSummarySize)."""

_MOST: Final = 100
_MOST_PLACES: Final = 3
_LONGEST_COMMAND: Final = 8000
_REPRODUCE: Final = "Reproduce: "
_COUNTS: Final = tuple(outcome.value for outcome in Outcome)
_WHY: Final = "claim, evidence, who breaks, how to mend and to reproduce it"
_CUT: Final = "*The rest is left out here, to keep this short; the JSON report has all of it.*"


def markdown_report(document: Mapping[str, Any], *, largest: int = LARGEST) -> str:
    """The report of a run as Markdown of GitHub's kind.

    document: the JSON report; any text in it may be hostile. largest: bytes that it takes at most, as UTF-8;
    explanations fill no more than half of them, and beyond that the sections at the end are left out with a note.
    """
    blocks = [
        *_answer(document),
        *_targets(document),
        *_failing(document, largest // 2),
        *_not_judged(document),
        *sections(document),
        _origin(document),
    ]
    room, kept = largest - _size(_CUT), []
    for block in blocks:
        room -= _size(block)
        if room < 0:
            kept.append(_CUT)
            break
        kept.append(block)
    return "\n\n".join(kept) + "\n"


def _size(block: str) -> int:
    """The bytes of a block with what separates it from the next."""
    return len(block.encode()) + 2


def _answer(document: Mapping[str, Any]) -> Iterator[str]:
    answer = shipping(document)
    counts = document["summary"]
    verdicts = ", ".join(f"{counts[name]} {name}" for name in _COUNTS if counts[name]) or "nothing judged"
    yield f"**{answer}:** {'; '.join(map(prose, reasons(document)))} ({verdicts})"
    if shard := document.get("shard"):
        yield f"This is shard {prose(shard)} alone; `llmcompat merge` joins the reports of all shards."


def _targets(document: Mapping[str, Any]) -> Iterator[str]:
    summary = document["summary"]
    rows = [
        [
            cell(target),
            prose(its.get("level", summary["level"])).upper(),
            *(str(its[count]) for count in _COUNTS),
            str(its["requests"]),
            str(its["prompt_tokens"] + its["completion_tokens"]),
        ]
        for target, its in summary["targets"].items()
    ]
    if rows:
        yield table(
            ["target", "level", *(f"#{count}" for count in (*_COUNTS, "requests", "tokens"))], rows, _MOST
        )


def _failing(document: Mapping[str, Any], room: int) -> Iterator[str]:
    """Regressions, then what fails by its verdict alone; each is explained until the room is filled."""
    every = failures(document)
    baseline = document.get("gate", {}).get("baseline", "the baseline")
    short: list[Failure] = []
    for title, group in (
        (f"Regressions against {code(baseline)}", [f for f in every if f.is_regression]),
        ("Failed", [f for f in every if not f.is_regression]),
    ):
        if group:
            yield f"### {title}"
        for failure in group:
            if not short:
                explained = f"{_headline(failure)}\n\n{folded(_WHY, *_explanation(failure))}"
                room -= _size(explained)
                if room >= 0:
                    yield explained
                    continue
            short.append(failure)
    if short:
        yield "The JSON report explains these, which would fill too much room here:"
        yield from _lists(short)
    if others := faults(document):
        yield "### Fails the run besides"
        yield bullets(map(prose, others), _MOST)


def _lists(short: list[Failure]) -> Iterator[str]:
    """Lists short enough to be left out one by one."""
    for start in range(0, len(short), _MOST):
        yield bullets([_headline(failure) for failure in short[start : start + _MOST]], _MOST)


def _headline(failure: Failure) -> str:
    result = failure.result
    verdicts = f" ({prose(failure.was)} → {result['verdict']})" if failure.was else ""
    about = f" on {code(result['target'])}" if result["target"] else ""
    level = prose(result["level"]).upper()
    return f"**{level}** {code(result['contract'])}{about}{verdicts}: {prose(result['reason'], 300)}"


def _explanation(failure: Failure) -> Iterator[str]:
    result = failure.result
    places = result["evidence"][:_MOST_PLACES]
    more = len(result["evidence"]) - len(places)
    parts = [
        ("Claim", prose(_with_source(result))),
        *(("Evidence", _place(place)) for place in places),
        ("Evidence", f"and in {more} more places, all in the JSON report" if more else ""),
        ("Breaks", prose(result["breaks"])),
        ("Fix", prose(result["fix"])),
        ("Seen in", prose(", ".join(result["cases"]))),
    ]
    yield bullets([f"**{title}:** {text}" for title, text in parts if text], len(parts))
    for command in _commands(result["explanation"]):
        yield fenced(command)


def _with_source(result: Mapping[str, Any]) -> str:
    return f"{result['claim']} [{result['source']}]" if result["source"] else str(result["claim"])


def _place(place: Mapping[str, str]) -> str:
    return (
        f"{code(place['probe'])}, {prose(place['where'])}: found {code(place['found'])}; "
        f"expected {prose(place['expected'])}"
    )


def _commands(explanation: str) -> Iterable[str]:
    """The commands that reproduce a failure; one that is too long to show is of no use in part."""
    lines = [line for line in explanation.splitlines() if line.startswith(_REPRODUCE)]
    return [line.removeprefix(_REPRODUCE) for line in lines if len(line) <= _LONGEST_COMMAND]


def _not_judged(document: Mapping[str, Any]) -> Iterator[str]:
    if found := missing(document):
        yield "### Not judged"
        yield bullets((f"{count} × {prose(reason)}" for reason, count in found.most_common()), _MOST)


def _origin(document: Mapping[str, Any]) -> str:
    tool = document["tool"]
    return f"<sub>{prose(tool['name'])} {prose(tool['version'])}, {prose(document['generated'])}</sub>"
