"""The summary of a report: its verdicts and costs counted, also of a report made of parts of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmcompat.report import Result
from pytest_llmcompat.verdict import Outcome

__all__ = ["joint_report", "levels_of", "summary_of"]


def summary_of(
    level: str,
    targets: Iterable[str],
    results: Sequence[Result],
    exchanges: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The key `summary` of a report: how often each verdict came, and by target what was spent, too.

    results, exchanges: entries of these keys of the report.
    """
    return {
        **_counts(results),
        "level": level,
        "targets": {
            target: {
                **_counts(result for result in results if result["target"] == target),
                **{
                    key: _sum(exchanges, target, key)
                    for key in ("requests", "prompt_tokens", "completion_tokens")
                },
            }
            for target in targets
        },
    }


def levels_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Target id → the weakest level that failed the run on it: a named target may have its own."""
    summary = document["summary"]
    return {id: of_target.get("level", summary["level"]) for id, of_target in summary["targets"].items()}


def joint_report(
    head: Mapping[str, Any],
    targets: Sequence[Mapping[str, Any]],
    results: Iterable[Result],
    exchanges: Sequence[Mapping[str, Any]],
    levels: Mapping[str, str],
) -> dict[str, Any]:
    """A report made of parts of others, summed up anew.

    head: the report whose date, tool and level it bears. levels: target id → its own level, where it is known.
    What a run concludes beyond its verdicts (its gate, waivers, what it means for clients) is not taken over: it
    would not be true of the whole.
    """
    every = [{key: value for key, value in result.items() if key != "gate"} for result in results]
    ids = [target["id"] for target in targets]
    summary = summary_of(head["summary"]["level"], ids, every, exchanges)
    for id in ids:
        summary["targets"][id]["level"] = levels.get(id, summary["level"])
    return {
        **{key: head[key] for key in ("schema", "generated", "tool")},
        "targets": targets,
        "results": every,
        "exchanges": exchanges,
        "summary": summary,
    }


def _counts(results: Iterable[Result]) -> dict[str, int]:
    counted = Counter(result["verdict"] for result in results)
    return {"contracts": counted.total(), **{outcome.value: counted[outcome.value] for outcome in Outcome}}


def _sum(exchanges: Iterable[Mapping[str, Any]], target: str, key: str) -> int:
    return sum(exchange[key] or 0 for exchange in exchanges if exchange["target"] == target)
