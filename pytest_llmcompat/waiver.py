"""Waivers: failures accepted in writing, each with a contract, a target, a reason and a day on which it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from pytest_llmcompat.verdict import Outcome, Verdict

__all__ = ["Review", "Waiver", "contradictions", "review", "unknown", "waive", "waivers_of"]


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failure that somebody has accepted.

    contract, target: ids, or globs over ids. reason: why it is accepted.
    expires: the last day on which it holds. link: where it is discussed, "" for nowhere.
    """

    contract: str
    target: str
    reason: str
    expires: date
    link: str = ""

    def covers(self, contract: str, target: str) -> bool:
        """True for a contract of a target that it is about, expired or not."""
        return fnmatchcase(contract, self.contract) and fnmatchcase(target, self.target)

    def __str__(self) -> str:
        link = f", {self.link}" if self.link else ""
        return f"{self.contract} on {self.target} until {self.expires} ({self.reason}{link})"


def waivers_of(tables: Iterable[Mapping[str, Any]]) -> tuple[Waiver, ...]:
    """The waivers of a configuration that fits its schema."""
    return tuple(
        Waiver(
            contract=table["contract"],
            target=table.get("target", "*"),
            reason=table["reason"].strip(),
            expires=date.fromisoformat(table["expires"]),
            link=table.get("link", ""),
        )
        for table in tables
    )


def contradictions(waivers: Sequence[Waiver]) -> list[int]:
    """The positions of waivers that say about a contract and a target what an earlier one says otherwise."""
    first: dict[tuple[str, str], Waiver] = {}
    found = []
    for position, waiver in enumerate(waivers):
        known = first.setdefault((waiver.contract, waiver.target), waiver)
        if known is not waiver:
            found.append(position)
    return found


def unknown(waivers: Iterable[Waiver], contracts: Collection[str]) -> list[Waiver]:
    """The waivers that are about none of these contracts."""
    return [
        waiver
        for waiver in waivers
        if not any(fnmatchcase(contract, waiver.contract) for contract in contracts)
    ]


@dataclass(frozen=True, slots=True)
class Review:
    """What has come of the waivers in a run.

    used: each with the number of failures that it waives. expired: past their day, whatever they are about.
    unused: nothing that they are about fails any more. unknown: about no contract that there is.
    """

    used: tuple[tuple[Waiver, int], ...] = ()
    expired: tuple[Waiver, ...] = ()
    unused: tuple[Waiver, ...] = ()
    unknown: tuple[Waiver, ...] = ()


def review(
    waivers: Iterable[Waiver],
    results: Iterable[Mapping[str, Any]],
    existing: Collection[str],
    targets: Collection[str],
    today: date,
) -> Review:
    """What has come of the waivers, by the results of a run.

    existing: ids of all contracts that there are. targets: ids of the targets of the run. A waiver is unused
    only when all that it is about was judged and settled.
    """
    every, verdicts = list(waivers), {(r["contract"], r["target"]): r["verdict"] for r in results}
    strange = unknown(every, existing)
    used, unused = [], []
    for waiver in every:
        about = [(c, t) for c in existing for t in targets if waiver.covers(c, t)]
        found = [verdicts.get(pair, Outcome.INCONCLUSIVE.value) for pair in about]
        if waived := found.count(Outcome.WAIVED.value):
            if today <= waiver.expires:
                used.append((waiver, waived))
        elif about and not {Outcome.INCONCLUSIVE.value, Outcome.FAIL.value} & set(found):
            unused.append(waiver)
    return Review(
        used=tuple(used),
        expired=tuple(waiver for waiver in every if waiver.expires < today),
        unused=tuple(waiver for waiver in unused if today <= waiver.expires),
        unknown=tuple(strange),
    )


def waive(verdict: Verdict, waivers: Iterable[Waiver], today: date) -> Verdict:
    """The verdict itself, or that a failure is waived: by the waiver that holds longest."""
    if verdict.outcome is not Outcome.FAIL:
        return verdict
    holding = [w for w in waivers if w.covers(verdict.contract.id, verdict.target) and today <= w.expires]
    if not holding:
        return verdict
    longest = max(holding, key=lambda waiver: waiver.expires)
    link = f", {longest.link}" if longest.link else ""
    reason = f"waived until {longest.expires}: {longest.reason}{link}; {verdict.reason}"
    return replace(verdict, outcome=Outcome.WAIVED, reason=reason)
