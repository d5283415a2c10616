"""The terminal summary: a table of verdicts by area for each target, warnings, and what the run cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.plain import plain
from pytest_llmcompat.reporting.conclusion import client_lines, gate_lines
from pytest_llmcompat.reporting.cost import cost_of
from pytest_llmcompat.reporting.result import NOT_JUDGED
from pytest_llmcompat.run import Run
from pytest_llmcompat.verdict import Outcome

__all__ = ["print_summary", "table"]

_AGAIN: Final = "the verdicts stand; make room and run again: recorded exchanges are not sent a second time"


def print_summary(terminal: Any, run: Run, conclusion: Conclusion) -> None:
    """Write the summary of a run with pytest's terminal reporter."""
    if run.results:
        _print_targets(terminal, run, conclusion)
        _print_whole(terminal, run, conclusion)
    for what, count in Counter(run.unwritten).items():
        times = "" if count == 1 else f" ({count} times)"
        terminal.write_line(plain(f"not written: {what}{times}"), red=True)
    if run.unwritten:
        terminal.write_line(_AGAIN, red=True)


def _print_targets(terminal: Any, run: Run, conclusion: Conclusion) -> None:
    exchanges = run.exchanges()
    for target in run.targets:
        results = [result for result in run.results if result["target"] == target.id]
        if not results:
            continue
        terminal.write_sep("=", plain(f"llmcompat: {target.id}"))
        for line in table(results):
            terminal.write_line(line)
        for line in _warnings(results, explained=terminal.verbosity > 0):
            terminal.write_line(line, yellow=True)
        for line in _missing(results):
            terminal.write_line(line, red=True)
        for line in client_lines(conclusion.clients.get(target.id, ()), explained=terminal.verbosity > 0):
            terminal.write_line(line)
        terminal.write_line(_spent([e for e in exchanges if e.target == target.id]))


def _print_whole(terminal: Any, run: Run, conclusion: Conclusion) -> None:
    lines = list(gate_lines(conclusion, run, whole=terminal.verbosity > 0))
    if lines:
        terminal.write_sep("=", "llmcompat: the whole run")
    for line in lines:
        terminal.write_line(line)
    for fault in conclusion.faults:
        terminal.write_line(plain(f"fails the run: {fault}"), red=True)
    if run.accepted:
        terminal.write_line(plain(f"accepted as the baseline: {run.settings.baseline}"))
    if run.passed_over:
        terminal.write_line(plain(f"no recordings, passed over: {', '.join(map(str, run.passed_over))}"))
    for path in run.written:
        terminal.write_line(plain(f"report: {path}"))


def _spent(exchanges: Iterable[Exchange]) -> str:
    """One line on requests and tokens; a recording run that goes on has both kinds of requests."""
    every = list(exchanges)
    counts = [(sum(e.requests for e in every if e.live is live), live) for live in (True, False)]
    requests = [f"{count} requests {'sent' if live else 'replayed'}" for count, live in counts if count]
    cost = cost_of(every)
    return (
        f"{', '.join(requests) or 'no requests'}; {cost.prompt_tokens} prompt and {cost.completion_tokens} "
        "completion tokens as the endpoint counts them"
    )


def table(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Counts of each verdict by area, and the sum; a column for waived failures only when there are some."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        counts.setdefault(result["area"], Counter())[result["verdict"]] += 1
    width = max((len(area) for area in counts), default=0) + 2
    total = sum(counts.values(), Counter())
    columns = [outcome.value for outcome in Outcome if outcome is not Outcome.WAIVED or total[outcome.value]]
    yield "area".ljust(width) + "".join(column.rjust(14) for column in columns)
    for area in sorted(counts):
        yield _row(area, counts[area], width, columns)
    yield _row("all", total, width, columns)


def _row(name: str, counted: Counter[str], width: int, columns: Iterable[str]) -> str:
    return name.ljust(width) + "".join(str(counted[column] or ".").rjust(14) for column in columns)


def _warnings(results: Iterable[dict[str, Any]], *, explained: bool) -> Iterator[str]:
    """A line for each warning, or its whole explanation (with `-v`)."""
    warned = sorted(
        (r for r in results if r["verdict"] == "warn"), key=lambda result: str(result["contract"])
    )
    for result in warned:
        if explained:
            yield from ("", *result["explanation"].splitlines())
        else:
            yield f"warn {result['level'].upper():<6} {result['contract']}: {result['reason']}"
    if warned and not explained:
        yield "-v explains each warning, and so does --llm-report=PATH.json"


def _missing(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    reasons = Counter(
        result["reason"].removeprefix(NOT_JUDGED)
        for result in results
        if result["reason"].startswith(NOT_JUDGED)
    )
    for reason, count in sorted(reasons.items()):
        yield f"{count} {'contract' if count == 1 else 'contracts'} not judged: {reason}"
