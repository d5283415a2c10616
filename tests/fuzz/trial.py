"""One trial: all contracts on fuzzed answers, and all that is made of their verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from jsonschema import Draft202012Validator

from pytest_llmcompat.conclusion import Conclusion
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.passive import judge_alone, judge_throughout, of_kind
from pytest_llmcompat.probe import Probe, fixture_name
from pytest_llmcompat.probes import FAMILIES, PROBES, SUITES
from pytest_llmcompat.reading import read
from pytest_llmcompat.recordings import Shelf
from pytest_llmcompat.reporting.explanation import explain
from pytest_llmcompat.reporting.json_report import SCHEMA_FILE, json_report
from pytest_llmcompat.reporting.markdown import markdown_report
from pytest_llmcompat.reporting.result import result_of
from pytest_llmcompat.reporting.terminal import table
from pytest_llmcompat.run import Run
from pytest_llmcompat.settings import Settings
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Verdict
from pytest_llmcompat.wire import Answer
from tests.fuzz.answers import broken
from tests.fuzz.samples import Sample, answer_of

__all__ = ["answered_by", "fuzzed_lab", "judge_one", "judge_run", "judge_traffic", "report_of"]


def answered_by(exchange: Exchange, answer: Answer) -> Exchange:
    """The exchange with another answer."""
    return replace(
        exchange,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        arrivals=answer.arrivals,
        started=answer.started,
        total=answer.total,
        failure=answer.failure,
    )


def judge_one(sample: Sample, fuzzed: Exchange) -> list[Verdict]:
    """What each contract says that reads the probe of a fuzzed exchange; the other exchanges are as recorded."""
    named, families = fixture_name(fuzzed.probe), _families(fuzzed.probe)

    def of(name: str) -> object:
        if name == named:
            return fuzzed
        if name in FAMILIES:
            # Two are enough for whatever compares the members of a family.
            member = FAMILIES[name](PROBES["chat-basic"]) and fuzzed.probe != "chat-basic"
            others = (sample.exchange("chat-basic"),) if member else ()
            return (fuzzed, *others) if name in families else others
        return read(sample, name, SUITES)

    kinds = kinds_of(fuzzed)
    verdicts = []
    for contract in bundled_contracts():
        if named in contract.reads or families & set(contract.reads):
            verdicts.append(judge_throughout(contract, sample.target, of, [fuzzed]))
        elif kinds & set(contract.passive):
            verdicts.append(judge_alone(contract, fuzzed, sample.target))
    return verdicts


def judge_run(source: Lab | Sample) -> list[Verdict]:
    """What every contract says of what a lab has obtained, or of a sample."""
    exchanges = source.obtained()
    return [
        judge_throughout(contract, source.target, lambda name: read(source, name, SUITES), exchanges)
        for contract in bundled_contracts()
    ]


def judge_traffic(exchange: Exchange) -> list[Verdict]:
    """What every passive contract of its kinds says of one recorded exchange."""
    target = Target(exchange.target, f"https://{exchange.target}", "")
    return [judge_alone(c, exchange, target) for c in bundled_contracts() if of_kind(c, [exchange])]


def fuzzed_lab(sample: Sample, random: Random, share: float) -> Lab:
    """A lab that gets the answers of a sample, a share of them broken: its own logic meets them, too."""
    return Lab(sample.target, _FuzzedSource(sample, random, share), named=SUITES)


class _FuzzedSource:
    def __init__(self, sample: Sample, random: Random, share: float) -> None:
        self._sample, self._random, self._share = sample, random, share

    def open(self, probe: Probe) -> _FuzzedSource:
        """The line of a probe."""
        del probe
        return self

    live = False

    def send(self, request: Request, probe: Probe) -> Answer:
        """The answer of the sample, or what became of it."""
        del request
        answer = answer_of(self._sample.exchange(probe.id))
        if self._random.random() >= self._share:
            return answer
        other = self._sample.exchange(self._random.choice(list(PROBES)))
        return broken(self._random, answer, answer_of(other))

    def close(self) -> None:
        """Nothing is open."""


def report_of(target: Target, exchanges: Iterable[Exchange], verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """The report on some verdicts, written and read again. Raises AssertionError when it is not as promised."""
    every = list(exchanges)
    run = Run(Settings(), (target,), {}, {target.id: Shelf(target, every)})
    for number, verdict in enumerate(verdicts):
        explanation = explain(verdict, every)
        run.judged[str(number)] = result_of(verdict, explanation, [e.probe for e in every])
        _check_text(explanation)
    report = json_report(run, Conclusion())
    text = json.dumps(report, allow_nan=False)
    again: dict[str, Any] = json.loads(text)
    assert again == report
    error = next(_validator().iter_errors(again), None)
    assert error is None, error
    for line in table(run.results):
        _check_text(line)
    # Markdown has invisible characters of its own, so that no reference to an issue is made.
    markdown_report(report).encode()
    return again


def _check_text(text: str) -> None:
    text.encode()
    assert all(character.isprintable() or character == "\n" for character in text)


def _families(probe_id: str) -> set[str]:
    return {name for name, holds in FAMILIES.items() if holds(PROBES[probe_id])}


@cache
def _validator() -> Any:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))
