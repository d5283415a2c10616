"""The baseline: the accepted results of an earlier run, what it says of a new result, and how it is written anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmcompat.change import Comparison, Difference, compare_results, difference_of
from pytest_llmcompat.report import Report, Result
from pytest_llmcompat.summary import joint_report, levels_of
from pytest_llmcompat.verdict import Outcome

__all__ = ["Baseline", "match", "updated"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier report, and which of its targets stands for which target of the run.

    matches: target id of the run → target id in the report, None for a target that the report does not know.
    strict: a contract that passed and is inconclusive now is a regression, too.
    """

    report: Report
    matches: Mapping[str, str | None]
    strict: bool = False

    @classmethod
    def of(cls, report: Report, targets: Sequence[str], *, strict: bool = False) -> Baseline:
        """The baseline of a run on some targets, named by their ids."""
        return cls(report, match(report.targets, targets), strict)

    def gate(self, result: Result) -> Difference | None:
        """What has come of a contract since; None for a target that the baseline does not know.

        `Change.REGRESSION` fails whatever the verdict is; nothing else does, a `fail` included. A target without
        a baseline is judged by its verdicts alone.
        """
        theirs = self._theirs(result["target"])
        if theirs is None:
            return None
        old = self.report.results.get((theirs, result["contract"]))
        return difference_of(old, result, strict=self.strict)

    def comparison(
        self, target: str, results: Iterable[Result], loaded: Collection[str]
    ) -> Comparison | None:
        """The results of a target beside those of the baseline; None when it does not know the target.

        results: of this run, of any target. loaded: ids of the contracts that were there to be chosen from.
        """
        theirs = self._theirs(target)
        if theirs is None:
            return None
        old = self.report.of(theirs)
        return compare_results(
            old,
            [result for result in results if result["target"] == target],
            existing=_existing((result["contract"] for result in old), loaded),
            strict=self.strict,
        )

    def _theirs(self, target: str) -> str | None:
        """A contract that reads no target has the same "" in both."""
        return self.matches.get(target) if target else target


def match(known: Sequence[str], targets: Sequence[str]) -> dict[str, str | None]:
    """Target id of a run → the target of an earlier report that it is, None when the report does not know it.

    It has the same id; or it is the only one of the run, the report has only one, and their ids share the model
    or the place: an upgrade often sits on another port or host, or has a model of another name.
    """
    if len(known) == len(targets) == 1 and _have_moved(known[0], targets[0]):
        return {targets[0]: known[0]}
    return {target: target if target in known else None for target in targets}


def _have_moved(one: str, other: str) -> bool:
    (model, _, place), (other_model, _, other_place) = one.rpartition("@"), other.rpartition("@")
    return place == other_place or (model == other_model and model != "")


def updated(
    earlier: Report | None, document: Mapping[str, Any], *, loaded: Collection[str], strict: bool = False
) -> dict[str, Any]:
    """The report to keep as the baseline from now on.

    document: the JSON report of this run. Its results replace the earlier ones; those of contracts and targets
    that did not run stay, and those of contracts that exist no more go. An inconclusive result displaces no
    settled one unless `strict`: an outage says nothing of what the endpoint keeps.
    """
    targets, results, exchanges = (document[key] for key in ("targets", "results", "exchanges"))
    levels = levels_of(document)
    if earlier is not None:
        matches = match(earlier.targets, [target["id"] for target in targets])
        ours = {theirs: target for target, theirs in matches.items() if theirs is not None}
        new = {(result["target"], result["contract"]): result for result in results}
        kept = _kept(earlier, new, ours, loaded, strict=strict)
        results = [result for _, result in sorted({**new, **kept}.items())]
        exchanges = [*exchanges, *_still_read(earlier.document["exchanges"], exchanges, ours, kept)]
        targets = _targets(earlier.document["targets"], targets, ours)
        levels = {ours.get(id, id): level for id, level in levels_of(earlier.document).items()} | levels
    return joint_report(document, targets, results, exchanges, levels)


def _existing(earlier: Iterable[str], loaded: Collection[str]) -> set[str]:
    """The contracts that exist, as far as can be known: of an area nothing of which was loaded, nothing is.

    A run on the bundled suite does not load the contracts of a user's own, and the other way round.
    """
    areas = {id.partition(".")[0] for id in loaded}
    return {*loaded, *(id for id in earlier if id.partition(".")[0] not in areas)}


def _kept(
    earlier: Report,
    new: Mapping[tuple[str, str], Result],
    ours: Mapping[str, str],
    loaded: Collection[str],
    *,
    strict: bool,
) -> dict[tuple[str, str], Result]:
    """The earlier results that stay, under the target's id of today."""
    existing = _existing((contract for _, contract in earlier.results), loaded)
    kept: dict[tuple[str, str], Result] = {}
    for (theirs, contract), old in earlier.results.items():
        key = (ours.get(theirs, theirs), contract)
        if contract in existing and _stays(old, new.get(key), strict=strict):
            kept[key] = {**old, "target": key[0]}
    return kept


def _stays(old: Result, new: Result | None, *, strict: bool) -> bool:
    if new is None:
        return True
    return not strict and new["verdict"] == Outcome.INCONCLUSIVE and old["verdict"] != Outcome.INCONCLUSIVE


def _still_read(
    earlier: Iterable[Mapping[str, Any]],
    new: Iterable[Mapping[str, Any]],
    ours: Mapping[str, str],
    kept: Mapping[tuple[str, str], Result],
) -> list[dict[str, Any]]:
    """The earlier exchanges on which kept results rest, under the target's id of today."""
    there = {(exchange["target"], exchange["probe"]) for exchange in new}
    read = {(target, probe) for (target, _), result in kept.items() for probe in result["probes"]} - there
    renamed = [
        {**exchange, "target": ours.get(exchange["target"], exchange["target"])} for exchange in earlier
    ]
    return [exchange for exchange in renamed if (exchange["target"], exchange["probe"]) in read]


def _targets(
    earlier: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], ours: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """All targets, those of the run in the place of the ones that they stand for."""
    of_run = {target["id"]: target for target in new}
    before = [of_run.get(ours.get(target["id"], ""), target) for target in earlier]
    there = {target["id"] for target in before}
    return [*before, *(target for id, target in of_run.items() if id not in there)]
