"""Sections of the report in Markdown on what does not itself fail a run; each only when there is something to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_llmcompat.readiness import Readiness
from pytest_llmcompat.reporting.markup import bullets, cell, code, folded, prose, table
from pytest_llmcompat.reporting.replacement import plural
from pytest_llmcompat.verdict import Outcome

__all__ = ["sections"]

Document = Mapping[str, Any]

_MOST: Final = 100
_MOST_PROBES: Final = 4
_LONGEST_REASON: Final = 200
# What a baseline says besides regressions, in the order of its weight.
_CHANGES: Final = (
    ("weaker", "weaker than before"),
    ("unsettled", "no longer settled"),
    ("known", "known: broken before, and now"),
    ("improvements", "improved"),
    ("settled", "settled now"),
    ("new", "new"),
)
_REPLACEMENT: Final = (
    ("lost", "not kept"),
    ("lost_below", "weaker, or below the level"),
    ("unsettled", "not settled"),
)
_GRAVEST_FIRST: Final = (Readiness.NOT_READY, Readiness.UNKNOWN, Readiness.LIMITS, Readiness.READY)


def sections(document: Document) -> Iterator[str]:
    """Blocks of Markdown, the weightier first."""
    yield from _waivers(document)
    yield from _drift(document)
    yield from _changes(document)
    yield from _clients(document)
    yield from _replacements(document)
    yield from _spent(document)
    yield from _warnings(document)


def _waivers(document: Document) -> Iterator[str]:
    waivers = document.get("waivers", {})
    if expired := waivers.get("expired"):
        yield f"### Expired waivers\n\n{bullets(map(_waiver, expired), _MOST)}"
    if used := waivers.get("used"):
        failures = sum(waiver["failures"] for waiver in used)
        items = (f"{_waiver(waiver)}: {plural(waiver['failures'], 'failure')}" for waiver in used)
        yield folded(f"{plural(failures, 'failure')} waived", bullets(items, _MOST))
    useless = [
        *(f"{_waiver(waiver)}: nothing needs it any more" for waiver in waivers.get("unused", ())),
        *(f"{_waiver(waiver)}: there is no such contract" for waiver in waivers.get("unknown", ())),
    ]
    if useless:
        yield folded(f"{plural(len(useless), 'waiver')} of no use", bullets(useless, _MOST))


def _waiver(waiver: Mapping[str, Any]) -> str:
    link = f", {prose(waiver['link'])}" if waiver.get("link") else ""
    return (
        f"{code(waiver['contract'])} on {code(waiver['target'])} until {prose(waiver['expires'])} "
        f"({prose(waiver['reason'])}{link})"
    )


def _drift(document: Document) -> Iterator[str]:
    for target in document.get("drift", ()):
        groups: dict[tuple[str, ...], list[str]] = {}
        for change in target["changes"]:
            key = (change["change"], change["place"], change["was"] or "", change["now"] or "")
            groups.setdefault(key, []).append(change["probe"])
        if groups:
            rows = [_drifted(key, probes) for key, probes in groups.items()]
            yield f"### Drift of {code(target['target'])}"
            yield f"Compared with the recording of {prose(target['recording'] or '')} ({prose(target['reason'])})."
            yield table(["what", "place", "recorded", "now", "answers"], rows, _MOST)


def _drifted(key: tuple[str, ...], probes: list[str]) -> list[str]:
    change, place, was, now = key
    more = f" and {len(probes) - _MOST_PROBES} more" if len(probes) > _MOST_PROBES else ""
    return [
        prose(change),
        code(place),
        code(was),
        code(now),
        f"{prose(', '.join(probes[:_MOST_PROBES]))}{more}",
    ]


def _changes(document: Document) -> Iterator[str]:
    gate = document.get("gate", {}).get("targets", {})
    for name, title in _CHANGES:
        items = [_change(change, target) for target, its in gate.items() for change in its.get(name, ())]
        if items:
            yield folded(f"{len(items)} {title}", bullets(items, _MOST))
    gone = [f"{code(id)} on {code(target)}" for target, its in gate.items() for id in its.get("removed", ())]
    if gone:
        yield folded(f"{len(gone)} no longer there", bullets(gone, _MOST))
    for target, its in gate.items():
        if its.get("compared_with") is None:
            yield f"The target {code(target)} is not in the baseline: its verdicts alone count."
        elif its["compared_with"] != target:
            theirs = code(its["compared_with"])
            yield f"The target {code(target)} is compared with {theirs}, the only one of the baseline."


def _change(change: Mapping[str, Any], target: str) -> str:
    was, now = (prose(change[key]) if change.get(key) else "none" for key in ("was", "now"))
    verdicts = now if was == now else f"{was} → {now}"
    return f"{_contract(change)} on {code(target)}: {verdicts}{_because(change)}"


def _contract(entry: Mapping[str, Any]) -> str:
    return f"{prose(entry['level']).upper()} {code(entry['contract'])}"


def _because(entry: Mapping[str, Any]) -> str:
    return f"; {prose(entry['reason'], _LONGEST_REASON)}" if entry.get("reason") else ""


def _clients(document: Document) -> Iterator[str]:
    found = [
        (Readiness(its["readiness"]), client, target, its.get("reasons", ()))
        for target, of in document["summary"]["targets"].items()
        for client, its in of.get("clients", {}).items()
    ]
    if not found:
        return
    found.sort(key=lambda entry: _GRAVEST_FIRST.index(entry[0]))
    counted = Counter(readiness for readiness, *_ in found)
    summary = ", ".join(
        f"{counted[readiness]} {readiness}" for readiness in _GRAVEST_FIRST if counted[readiness]
    )
    rows = [
        [cell(client), cell(target), str(readiness), _shown(reasons)]
        for readiness, client, target, reasons in found
    ]
    yield folded(f"Clients: {summary}", table(["client", "target", "readiness", "why"], rows, _MOST))


def _shown(reasons: Iterable[str]) -> str:
    first, *others = [*reasons] or [""]
    more = f" (and {len(others)} more)" if others else ""
    return f"{prose(first, _LONGEST_REASON)}{more}"


def _replacements(document: Document) -> Iterator[str]:
    for pair in document.get("replaceable", ()):
        losses = [
            f"{title}: {_contract(loss)}{_because(loss)}"
            for name, title in _REPLACEMENT
            for loss in pair.get(name, ())
        ]
        yield f"Replacement: {prose(pair['conclusion'])}"
        if losses:
            yield folded(plural(len(losses), "difference"), bullets(losses, _MOST))


def _spent(document: Document) -> Iterator[str]:
    if (spent := document.get("spent")) is None:
        return
    budget = spent.get("budget") or {}
    parts = []
    for key, unit in (("requests", "requests"), ("tokens", "tokens"), ("cost_usd", "USD")):
        limit = budget.get(key)
        parts.append(f"{spent[key]} {unit}" if limit is None else f"{spent[key]} of {limit} {unit}")
    yield f"Spent: {', '.join(parts)}."


def _warnings(document: Document) -> Iterator[str]:
    warned = [result for result in document["results"] if result["verdict"] == Outcome.WARN]
    if warned:
        items = (f"{_contract(result)} on {code(result['target'])}{_because(result)}" for result in warned)
        yield folded(plural(len(warned), "warning"), bullets(items, _MOST))
