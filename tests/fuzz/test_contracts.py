"""Whole fuzzed answers through all contracts: each gives a verdict, and a report can be made of it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from pytest_llmcompat.cassette import Recording, read, write
from pytest_llmcompat.contract import MUST, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab.spool import decode, encode
from pytest_llmcompat.preflight import PreflightFailed, check, only_model
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.redaction import redact_answer
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, judge
from tests.fuzz.answers import broken, broken_json
from tests.fuzz.everywhere import everywhere, places
from tests.fuzz.profile import RANDOM, fuzzed
from tests.fuzz.samples import answer_of, real_traffic, samples
from tests.fuzz.trial import answered_by, fuzzed_lab, judge_one, judge_run, judge_traffic, report_of
from tests.test_corpus import CORPUS


def is_text(text: str) -> bool:
    """True for a text that can be sent."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def test_samples_are_worth_fuzzing() -> None:
    """They hold whole runs, streams among them, and an answer is judged as in its run when nothing is wrong."""
    assert len(samples()) > 5
    for sample in samples():
        assert sum(exchange.ok for exchange in sample.exchanges.values()) > 25
        assert any(exchange.events for exchange in sample.exchanges.values())
    healthy = samples()[0]
    basic = healthy.exchange("chat-basic")
    verdicts = judge_one(healthy, basic)
    assert len(verdicts) > 60
    assert [verdict.reason for verdict in verdicts if verdict.outcome in (Outcome.FAIL, Outcome.WARN)] == []


def test_fuzzing_finds_a_judgement_that_raises() -> None:
    """A contract that trusts an answer too much is found; else the tests below would prove nothing."""

    @contract("fuzz.trusting", MUST, source="ours")
    def trusting(chat_basic: Exchange) -> None:
        """Only of a healthy answer."""
        assert chat_basic.json["choices"][0]["message"]["content"].strip()

    made = trusting.__llmcompat_contract__  # type: ignore[attr-defined]
    healthy = samples()[0].exchange("chat-basic")
    assert judge(made, "t", lambda _: healthy).outcome is Outcome.PASS
    raised = set()
    for seed in range(200):
        fuzzed_one = answered_by(healthy, broken(Random(seed), answer_of(healthy)))
        try:
            judge(made, "t", lambda _: fuzzed_one)  # noqa: B023
        except (TypeError, LookupError, AttributeError) as error:
            raised.add(type(error))
    assert raised >= {TypeError, KeyError, IndexError}


@fuzzed(RANDOM)
def test_one_answer_with_faults(random: Random) -> None:
    """One answer of a run is broken, and all contracts that read it judge it."""
    sample = random.choice(samples())
    exchange, other = (random.choice(list(sample.exchanges.values())) for _ in range(2))
    changed = answered_by(exchange, broken(random, answer_of(exchange), answer_of(other)))
    report_of(sample.target, [changed], judge_one(sample, changed))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no recorded traffic beside the repository")
@fuzzed(RANDOM)
def test_real_traffic_with_faults(random: Random) -> None:
    """A recorded answer of a real provider is broken, and at times what was asked for; passive contracts judge it."""
    exchange, other = random.choice(real_traffic()), random.choice(real_traffic())
    changed = answered_by(exchange, broken(random, answer_of(exchange), answer_of(other)))
    if random.random() < 0.3:
        sent = broken_json(random, changed.request.body.decode()).encode(errors="surrogatepass")
        changed = replace(changed, request=replace(changed.request, body=sent))
    report_of(Target(changed.target, f"https://{changed.target}", ""), [changed], judge_traffic(changed))


@fuzzed(st.integers(0, 2**32), st.sampled_from([0.05, 0.3, 1.0]), share=0.03)
def test_whole_run_with_faults(seed: int, share: float) -> None:
    """A share of all answers is broken as they come in: probes are built on them, and all contracts judge them."""
    random = Random(seed)
    sample = random.choice(samples())
    lab = fuzzed_lab(sample, random, share)
    lab.prefetch(PROBES, concurrency=1)
    report_of(sample.target, lab.obtained(), judge_run(lab))


@fuzzed(RANDOM)
def test_first_answers_with_faults(random: Random) -> None:
    """The checks before a run let it begin or say in one line why not, whatever the list of models is."""
    sample = random.choice(samples())

    def fetch(base_url: str) -> Exchange:
        del base_url
        return fuzzed_lab(sample, random, 0.7).exchange("models-list")

    for first_look in (
        lambda: only_model(sample.target, fetch),
        lambda: check(fuzzed_lab(sample, random, 0.7), fetch),
    ):
        with suppress(PreflightFailed):
            first_look()


@fuzzed(RANDOM)
def test_answers_with_faults_come_back_from_other_processes(random: Random) -> None:
    """What workers share is an exchange again, to the byte."""
    sample = random.choice(samples())
    exchange = random.choice(list(sample.exchanges.values()))
    changed = answered_by(exchange, broken(random, answer_of(exchange)))
    assert decode(json.loads(json.dumps(encode(changed)))) == changed


@fuzzed(RANDOM)
def test_answers_with_faults_come_back_from_cassettes(
    tmp_path_factory: pytest.TempPathFactory, random: Random
) -> None:
    """Whatever came is written, and read again as it was, but for account names and cookies."""
    sample = random.choice(samples())
    exchange = random.choice(list(sample.exchanges.values()))
    answer = redact_answer(broken(random, answer_of(exchange)))
    # Half a character comes from JSON, never from a socket; nor does a body without a head.
    assume(
        answer.status
        and all(is_text(text) for header in answer.headers for text in header)
        and is_text(answer.failure or "")
    )
    interactions = ((exchange.request, answer),)
    recording = Recording(exchange.probe, "2026-01-01", "https://example.com/v1", "m", {}, interactions)
    path = tmp_path_factory.getbasetemp() / "fuzzed" / "e" / "m" / "p.yaml"
    write(path, recording)
    ((_, again),) = read(path).interactions
    assert (again.status, again.body, again.failure) == (answer.status, answer.body, answer.failure)
    assert sorted(again.headers) == sorted(answer.headers)


@fuzzed(RANDOM, share=0.03)
def test_same_fault_in_every_answer(random: Random) -> None:
    """What all answers have at one place is odd in the same way, so that comparing them does not part them."""
    changed = everywhere(random, random.choice(samples()), random.choice(places()))
    report_of(changed.target, changed.exchanges.values(), judge_run(changed))
