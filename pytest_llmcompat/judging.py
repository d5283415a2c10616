"""From a collected contract to its verdict, and from the verdict to an outcome of pytest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_llmcompat.change import Change, Difference
from pytest_llmcompat.cleaning import clean_report, clean_value
from pytest_llmcompat.collection import is_guest, target_of
from pytest_llmcompat.contract import Contract, contract_of
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.passive import judge_recorded, judge_throughout, of_kind, ordinary
from pytest_llmcompat.plain import line
from pytest_llmcompat.reporting.changes import change_line
from pytest_llmcompat.reporting.explanation import explain
from pytest_llmcompat.reporting.result import NOT_JUDGED, result_of
from pytest_llmcompat.run import Run
from pytest_llmcompat.verdict import Outcome, Verdict, judge
from pytest_llmcompat.waiver import waive

__all__ = ["category_of", "complete_report", "judge_item"]

_RESULT: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def judge_item(item: pytest.Function, run: Run) -> bool | None:
    """Judge an item that is a contract: fail, skip or pass it by its verdict; None for an ordinary test."""
    contract = contract_of(item.function)
    if contract is None:
        return None
    verdict, exchanges = _judged(item, contract, run)
    verdict = waive(verdict, run.configuration.waivers, run.started.date())
    explanation = explain(verdict, exchanges) if verdict.evidence or verdict.broken else ""
    result = result_of(verdict, explanation, [e.probe for e in exchanges])
    item.stash[_RESULT] = result
    item.user_properties += [
        ("llmcompat.contract", contract.id),
        ("llmcompat.level", contract.level.value),
        ("llmcompat.verdict", verdict.outcome.value),
        ("llmcompat.target", verdict.target),
    ]
    baseline = run.measures.baseline
    difference = None if baseline is None else baseline.gate(result)
    if difference is not None:
        result["gate"] = difference.change.value
    _end(verdict, explanation, difference, accepts=run.settings.update_baseline)
    return True


def _end(verdict: Verdict, explanation: str, difference: Difference | None, *, accepts: bool) -> None:
    """Turn a verdict into an outcome of pytest: with a baseline, nothing fails but what has become worse."""
    if accepts and verdict.outcome is Outcome.FAIL:
        raise pytest.xfail.Exception(line(f"accepted: {verdict.reason}"))
    if difference is not None and difference.change is Change.REGRESSION and not accepts:
        pytest.fail(f"{change_line(difference)}\n{explanation or verdict.reason}", pytrace=False)
    if verdict.outcome is Outcome.FAIL:
        if difference is None:
            pytest.fail(explanation, pytrace=False)
        raise pytest.xfail.Exception(line(f"{difference.change}: {verdict.reason}"))
    if verdict.outcome is Outcome.WAIVED:
        raise pytest.xfail.Exception(line(verdict.reason))
    if verdict.outcome in (Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE):
        pytest.skip(line(f"{verdict.outcome}: {verdict.reason}"))


def complete_report(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, run: Run
) -> None:
    """Make pytest's report of one phase of an item ours: with the result, and without the keys of the run."""
    contract = contract_of(getattr(item, "function", None))
    if contract is not None:
        _attach_result(item, contract, call, report)
        if isinstance(report.longrepr, tuple):
            # Else every skipped contract would seem to lie in this module.
            path, number = item.reportinfo()[:2]
            report.longrepr = (str(path), (number or 0) + 1, report.longrepr[2])
    clean_report(report, run.secrets, contract=contract is not None)
    if (result := vars(report).get("llmcompat")) is not None:
        report.__dict__["llmcompat"] = clean_value(result, run.secrets)


def category_of(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Category, letter and word by which pytest counts and shows a verdict that it has no outcome for."""
    result = getattr(report, "llmcompat", {})
    if result.get("verdict") == Outcome.WARN and report.passed:
        return "warned", "w", ("WARN", {"yellow": True})
    if not hasattr(report, "wasxfail") or not result:
        return None
    if result["verdict"] == Outcome.WAIVED:
        return "waived", "W", ("WAIVED", {"yellow": True})
    return "accepted", "a", ("ACCEPTED", {"yellow": True})


def _attach_result(
    item: pytest.Item, contract: Contract, call: pytest.CallInfo[None], report: pytest.TestReport
) -> None:
    """Put the result of a contract on the report of its call, or of the setup that never came to it."""
    result = item.stash.get(_RESULT, None)
    if result is None and call.excinfo is not None:
        verdict = Verdict(contract, _target_id(item), Outcome.INCONCLUSIVE, _why_not_judged(call.excinfo))
        item.stash[_RESULT] = result = result_of(verdict, "", [])
        report.__dict__["llmcompat"] = result
    elif result is not None and report.when == "call":
        report.__dict__["llmcompat"] = result


def _why_not_judged(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """An exchange is missing, the contract itself raised, or the user skips it: the verdict stays open."""
    if excinfo.errisinstance(pytest.skip.Exception):
        return f"skipped: {excinfo.value}"
    if excinfo.errisinstance(pytest.fail.Exception):
        return f"{NOT_JUDGED}{excinfo.value}"
    return f"{NOT_JUDGED}{excinfo.typename}: {excinfo.value}"


def _target_id(item: pytest.Item) -> str:
    target = target_of(item)
    return target.id if target is not None else ""


def _judged(item: pytest.Function, contract: Contract, run: Run) -> tuple[Verdict, list[Exchange]]:
    """The verdict on what a contract reads and, when it is passive, on what else came; and what it is about."""
    target, reads = target_of(item), [] if is_guest(item) else _exchanges(item, contract)
    level = run.fails_at(contract, target)
    if target is None:
        return judge(contract, "", item.funcargs.__getitem__, level), reads
    there = run.lab(target).obtained()
    if is_guest(item):
        there = tuple(ordinary(contract, there))
    if run.settings.lint or is_guest(item):
        return judge_recorded(contract, target, there, level), of_kind(contract, there)
    verdict = judge_throughout(contract, target, item.funcargs.__getitem__, there, level)
    return verdict, _in_the_run(reads + of_kind(contract, there), there)


def _in_the_run(exchanges: Iterable[Exchange], there: Iterable[Exchange]) -> list[Exchange]:
    """The exchanges without repetition, and without probes that the chosen suites leave out."""
    names = {exchange.probe for exchange in there}
    return list({e.probe: e for e in exchanges if e.probe in names}.values())


def _exchanges(item: pytest.Function, contract: Contract) -> list[Exchange]:
    """The exchanges that a contract reads, single ones and those of families."""
    read = [item.funcargs[name] for name in contract.reads]
    flat = [e for value in read for e in (value if isinstance(value, tuple) else (value,))]
    return [e for e in flat if isinstance(e, Exchange)]
