"""Merging: the reports of several jobs as the one report that a single job would have written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NoReturn

from pytest_llmcompat.plain import line
from pytest_llmcompat.report import Report, Result
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.summary import joint_report, levels_of
from pytest_llmcompat.verdict import Outcome

__all__ = ["merged"]

# The verdict on the exchanges of several jobs is the first of these that one of the jobs gives.
_PRECEDENCE: Final = (
    Outcome.FAIL,
    Outcome.WAIVED,
    Outcome.WARN,
    Outcome.PASS,
    Outcome.UNSUPPORTED,
    Outcome.INCONCLUSIVE,
)
_SPENT: Final = ("requests", "prompt_tokens", "completion_tokens")


def merged(reports: Sequence[Report]) -> dict[str, Any]:
    """The union of some reports, at least one.

    Where two reports judge the same contract of the same target they have to agree, except that passive contracts
    are joined, and so are those of two shards: each shard has judged what it has sent itself. What several jobs
    have sent is counted as often as it was sent.
    Raises WrongUsage when verdicts, levels or versions differ, or a shard is missing.
    """
    _check_alike(reports)
    _check_shards(reports)
    targets = {target["id"]: target for report in reversed(reports) for target in report.document["targets"]}
    ids = list(dict.fromkeys(id for report in reports for id in report.targets))
    found: dict[tuple[str, str], list[tuple[Report, Result]]] = {}
    for report in reports:
        for key, result in report.results.items():
            found.setdefault(key, []).append((report, result))
    return joint_report(
        min(reports, key=lambda report: str(report.document["generated"])).document,
        [targets[id] for id in ids],
        [_one_result(found[key]) for key in sorted(found)],
        _exchanges(reports, ids),
        {id: level for report in reports for id, level in levels_of(report.document).items()},
    )


def _check_alike(reports: Sequence[Report]) -> None:
    first = reports[0]
    owners: dict[str, tuple[Report, str]] = {}
    for report in reports:
        _check_same(first, report, "by version", *(r.document["tool"]["version"] for r in (first, report)))
        _check_same(first, report, "at level", first.level, report.level)
        for target, level in levels_of(report.document).items():
            other, other_level = owners.setdefault(target, (report, level))
            _check_same(other, report, f"on {target} at level", other_level, level)
    for one_report, other in combinations(reports, 2):
        if one_report.document == other.document:
            _refuse(f"{one_report.path} and {other.path} are the same report; give each once")


def _check_same(first: Report, other: Report, what: str, one: str, another: str) -> None:
    if one != another:
        _refuse(
            f"{first.path} was judged {what} {one} and {other.path} {what} {another}; "
            "merge reports of one level and one version"
        )


def _check_shards(reports: Sequence[Report]) -> None:
    """Every shard has to be there, target by target: a contract that nobody judged would go unnoticed."""
    there: dict[str, dict[str, Path]] = {}
    for report in reports:
        if (shard := report.document.get("shard")) is not None:
            for target in report.targets:
                there.setdefault(target, {})[shard] = report.path
    for target, paths in there.items():
        shard, path = next(iter(paths.items()))
        count = shard.partition("/")[2]
        for other, other_path in paths.items():
            if other.partition("/")[2] != count:
                _refuse(
                    f"{path} is shard {shard} of {target} and {other_path} is shard {other}; merge shards of one run"
                )
        missing = [f"{n}/{count}" for n in range(1, int(count) + 1) if f"{n}/{count}" not in paths]
        if missing:
            which = (
                f"shard {missing[0]} is"
                if len(missing) == 1
                else f"{len(missing)} shards ({missing[0]} …) are"
            )
            _refuse(f"of {target}, {which} missing; give the reports of all {count} jobs")


def _one_result(found: Sequence[tuple[Report, Result]]) -> Result:
    report, first = found[0]
    for other, result in found[1:]:
        if first["verdict"] != result["verdict"] and not _may_differ(report, first, other, result):
            _refuse(
                f"{first['contract']} on {first['target']} is {first['verdict']} in {report.path} and "
                f"{result['verdict']} in {other.path}; merge reports that do not overlap"
            )
    return _joined([result for _, result in found])


def _may_differ(report: Report, one: Result, other: Report, another: Result) -> bool:
    if one.get("passive") or another.get("passive"):
        return True
    shards = {report.document.get("shard"), other.document.get("shard")}
    return None not in shards and len(shards) == 2


def _joined(results: Sequence[Result]) -> Result:
    """The gravest of some verdicts on one contract, with the evidence of all that are like it."""
    gravest = min(results, key=lambda result: _PRECEDENCE.index(Outcome(result["verdict"])))
    alike = [result for result in results if result["verdict"] == gravest["verdict"]]
    return {
        **gravest,
        "evidence": _distinct(evidence for result in alike for evidence in result["evidence"]),
        "probes": _distinct(probe for result in results for probe in result["probes"]),
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def _exchanges(reports: Sequence[Report], targets: Sequence[str]) -> list[dict[str, Any]]:
    """One for each target and probe, the first, with what all of the same were spent for."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for report in reports:
        for exchange in report.document["exchanges"]:
            found.setdefault((exchange["target"], exchange["probe"]), []).append(exchange)
    order = {target: position for position, target in enumerate(targets)}
    keys = sorted(found, key=lambda key: order.get(key[0], len(order)))
    return [_with_all_spent(found[key]) for key in keys]


def _with_all_spent(exchanges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A recording that several jobs replay was paid for once."""
    live = [exchange for exchange in exchanges if exchange["live"]]
    first = (live or exchanges)[0]
    return {**first, **{key: _sum([exchange[key] for exchange in live or [first]]) for key in _SPENT}}


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _refuse(what: str) -> NoReturn:
    raise WrongUsage(line(what))
