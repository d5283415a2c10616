"""Contracts that hold for any exchange of a kind, in a run and on recordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmcompat.contract import KINDS, Contract, UnknownKind, contract
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.passive import judge_alone, judge_recorded, judge_throughout, of_kind
from pytest_llmcompat.probes import BY_FIXTURE, FAMILIES
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome

CONTRACTS = {contract.id: contract for contract in bundled_contracts()}
PASSIVE = [contract for contract in CONTRACTS.values() if contract.passive]
TARGET = Target("m@h", "https://h/v1", "m")
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


def chat(name: str, path: str = "/v1/chat/completions", **changed: Any) -> Exchange:
    """A recorded chat completion with some keys of its body changed."""
    request = Request("POST", f"https://h{path}", (), b'{"model": "m", "messages": []}')
    body = json.dumps(ANSWER | changed).encode()
    headers = (("content-type", "application/json"),)
    return Exchange(name, "m@h", request, 200, headers, body, live=False)


def unsent(name: str) -> Any:
    """What a run reads in which nothing was sent."""
    if name == "llm_target":
        return TARGET
    if name in FAMILIES:
        return ()
    return Exchange(BY_FIXTURE[name], "m@h", Request("", "", (), b""), unsent="nothing was sent", requests=0)


def test_kind_that_does_not_exist_is_refused() -> None:
    """A slip of the pen would else make a contract that is never applied."""
    wrong: Any = "chats"
    with pytest.raises(UnknownKind, match="'chats' is no kind of exchange; there are chat, "):
        contract("x.y", CONTRACTS["chat.object"].level, source="", passive=wrong)


def test_every_kind_of_the_suite_is_a_known_one() -> None:
    """Kinds come from one list."""
    assert PASSIVE
    assert {kind for each in PASSIVE for kind in each.passive} <= set(KINDS)


def test_only_exchanges_of_the_kind_are_judged() -> None:
    """A contract on chat completions has nothing to say of embeddings."""
    mine, other = chat("mine"), chat("other", "/v1/embeddings")
    assert of_kind(CONTRACTS["chat.object"], [mine, other]) == [mine]
    assert of_kind(CONTRACTS["chat.id-unique"], [mine, other]) == []


ON_CHAT = [contract for contract in PASSIVE if {"chat", "every"} & set(contract.passive)]


@pytest.mark.parametrize("each", ON_CHAT, ids=lambda each: each.id)
def test_good_answer_breaks_no_passive_contract(each: Contract) -> None:
    """A plain good answer of unknown origin is enough for each of them, or settles nothing."""
    verdict = judge_alone(each, chat("good"), TARGET)
    assert verdict.outcome not in (Outcome.FAIL, Outcome.WARN), verdict.reason


def test_recordings_get_one_verdict_with_all_evidence() -> None:
    """Each exchange that breaks the contract is named."""
    exchanges = [chat("one"), chat("two", object="text"), chat("three", object=None)]
    verdict = judge_recorded(CONTRACTS["chat.object"], TARGET, exchanges)
    assert verdict.outcome is Outcome.FAIL
    assert [evidence.probe for evidence in verdict.evidence] == ["two", "three"]
    assert verdict.reason.endswith("(and 1 more exchange)")


def test_one_exchange_that_settles_is_enough() -> None:
    """Exchanges that settle nothing hide no pass."""
    no_call: dict[str, Any] = {"choices": [{**ANSWER["choices"][0], "finish_reason": "tool_calls"}]}
    assert judge_recorded(CONTRACTS["usage.sum"], TARGET, [chat("a", usage=None), chat("b")]).outcome is (
        Outcome.PASS
    )
    verdict = judge_recorded(CONTRACTS["tools.finish-only-with-calls"], TARGET, [chat("a", **no_call)])
    assert verdict.outcome is Outcome.FAIL


def test_nothing_of_the_kind_settles_nothing() -> None:
    """The verdict says what is missing."""
    verdict = judge_recorded(CONTRACTS["chat.object"], TARGET, [])
    assert (verdict.outcome, verdict.reason) == (
        Outcome.INCONCLUSIVE,
        "nothing of the kind chat is recorded",
    )


def test_run_applies_a_passive_contract_to_what_it_does_not_read() -> None:
    """A fault that shows in the answer to another probe is found, too."""
    exchanges = [chat("json-schema", object="text")]
    verdict = judge_throughout(CONTRACTS["chat.object"], TARGET, unsent, exchanges)
    assert verdict.outcome is Outcome.FAIL
    assert [evidence.probe for evidence in verdict.evidence] == ["json-schema"]


@pytest.mark.parametrize("probe", ["stream-abort", "route-no-v1", "err-types"])
def test_run_leaves_some_exchanges_to_their_own_contracts(probe: str) -> None:
    """A broken-off stream, another route and an invalid request that was served prove nothing else."""
    verdict = judge_throughout(CONTRACTS["chat.object"], TARGET, unsent, [chat(probe, object="text")])
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_contract_that_is_not_passive_reads_what_it_names() -> None:
    """Another exchange of the run makes no difference to it."""
    verdict = judge_throughout(CONTRACTS["chat.id-unique"], TARGET, unsent, [chat("a"), chat("b")])
    assert verdict.outcome is Outcome.INCONCLUSIVE
