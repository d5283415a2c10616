"""Fairness of the contracts on the Responses API: what is missing, weak or busy is no broken contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.probe import fixture_name
from pytest_llmcompat.probes import BY_FIXTURE, PROBES
from pytest_llmcompat.reference import serve
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, judge

AREAS = ("responses", "responses.stream", "cancel")
CONTRACTS = {c.id: c for c in bundled_contracts() if c.area in AREAS or c.id.startswith("sdk.responses")}
OURS = [id for id in PROBES if "resp-" in id]
PASS, FAIL, WARN = Outcome.PASS, Outcome.FAIL, Outcome.WARN
INCONCLUSIVE, UNSUPPORTED = Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED


@cache
def sent_to(*variants: str) -> Mapping[str, Exchange]:
    """What came of each probe of this API at a reference."""
    with serve(variants, pause=0.0005) as reference:
        target = Target("reference", reference.base_url, reference.model, reference.key)
        lab = Lab(target, LiveSource(target))
        try:
            lab.prefetch(OURS, concurrency=4)
            return {id: lab.exchange(id) for id in OURS}
        finally:
            lab.close()


def outcomes(*others: Exchange, healthy: bool = True) -> dict[str, Outcome]:
    """The verdicts of all contracts when these came, and the healthy answers to everything else, or nothing."""
    given = {each.probe: each for each in others}

    def read(name: str) -> Exchange:
        probe = BY_FIXTURE[name]
        nothing = Exchange(probe, "t", Request("POST", "u", (), b""), failure="nothing came")
        return given.get(probe, sent_to()[probe] if healthy else nothing)

    return {id: judge(contract, "t", read, Level.MAY).outcome for id, contract in CONTRACTS.items()}


def broken(found: Mapping[str, Outcome]) -> set[str]:
    """The contracts that fail or warn."""
    return {id for id, outcome in found.items() if outcome in (FAIL, WARN)}


def changed(probe: str, **changes: Any) -> Exchange:
    """The healthy answer to a probe with some of its keys changed; None takes a key out."""
    healthy = sent_to()[probe]
    body = {name: value for name, value in {**healthy.json, **changes}.items() if value is not None}
    return replace(healthy, body=json.dumps(body).encode())


def refusal(probe: str, status: int, message: str, param: str | None = None) -> Exchange:
    """A refusal of a probe in the envelope."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return replace(sent_to()[probe], status=status, body=json.dumps({"error": error}).encode())


def rewritten(probe: str, old: str, new: str) -> Exchange:
    """The healthy answer to a probe with one text in place of another."""
    healthy = sent_to()[probe]
    assert old in healthy.text
    return replace(healthy, body=healthy.text.replace(old, new).encode(), arrivals=())


def message(*parts: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [*parts]}


def text(words: str) -> dict[str, Any]:
    """A text part."""
    return {"type": "output_text", "text": words, "annotations": []}


def usage(input_tokens: int, output_tokens: int, thought: int = 0, cached: int = 0) -> dict[str, Any]:
    """Token counts that add up."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": input_tokens + output_tokens,
    }


def test_endpoint_without_the_api_costs_one_request_and_no_verdict() -> None:
    """Where /responses is 404, nothing else of it is sent, and every contract on it is unsupported."""
    answers = sent_to("legal-responses-absent")
    assert {id: e.requests for id, e in answers.items() if e.requests} == {"resp-basic": 1}
    found = outcomes(*answers.values(), healthy=False)
    assert {id for id, outcome in found.items() if outcome is not UNSUPPORTED} == set()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_breaks_nothing(status: int) -> None:
    """A server that was busy all the time settles nothing, but for the statuses of invalid requests."""
    answers = [refusal(id, status, "Try later.") for id in OURS]
    about_status = {"responses.unknown-model-404", "responses.retrieve-404", "responses.no-chat-params"}
    about_status |= {"responses.tool-roundtrip"}
    assert broken(outcomes(*answers)) <= (about_status if status == 500 else set())


def test_nothing_came_breaks_nothing() -> None:
    """Lost connections settle nothing."""
    assert set(outcomes(healthy=False).values()) == {INCONCLUSIVE}


def test_weak_model_breaks_nothing() -> None:
    """A model that obeys, remembers and calls nothing is the model's fault."""
    assert broken(outcomes(*sent_to("legal-wrong-answers").values())) == set()


def test_model_that_only_thinks_breaks_nothing() -> None:
    """A cap that was spent on reasoning leaves no message, and that is legal."""
    thought = {"id": "rs_1", "type": "reasoning", "summary": []}
    capped = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    spent = usage(30, 64, thought=64)
    assert broken(outcomes(changed("resp-basic", output=[thought], usage=spent, **capped))) == set()
    assert broken(outcomes(changed("resp-basic", output=[], usage=spent))) <= {"responses.retrieve"}


@pytest.mark.parametrize("parts", [[], [{"type": "refusal", "refusal": "No."}]], ids=["empty", "refusal"])
def test_model_that_says_nothing_breaks_nothing(parts: list[Any]) -> None:
    """An empty message and a refusal are answers, too."""
    said = changed("resp-basic", output=[message(*parts)], usage=usage(30, 1))
    assert broken(outcomes(said, changed("resp-json", output=[message(*parts)]))) == set()


def test_answer_of_an_older_api_breaks_nothing() -> None:
    """OpenAI's own answers of 2025 lack `logprobs`, `completed_at` and the newest counters."""
    old = changed("resp-basic", output=[message(text("OK."))], usage=usage(30, 3), background=None)
    assert broken(outcomes(old)) <= {"responses.retrieve"}


def test_stream_of_before_the_numbers_breaks_nothing() -> None:
    """Recordings of OpenAI up to May 2025 bear no sequence_number; a server of today has to."""
    healthy = sent_to()["resp-stream"].text
    bare = "".join(line if "data:" not in line else _unnumbered(line) for line in healthy.splitlines(True))
    today = replace(sent_to()["resp-stream"], body=bare.encode(), arrivals=())
    created = sent_to()["resp-stream"].events[0].data.partition('"created_at":')[2].partition(",")[0]
    then = replace(today, body=bare.replace(f'"created_at":{created}', '"created_at":1742000000').encode())
    assert broken(outcomes(then)) == set()
    assert broken(outcomes(today)) == {"responses.stream.sequence"}


def _unnumbered(line: str) -> str:
    event = json.loads(line.removeprefix("data: "))
    del event["sequence_number"]
    return f"data: {json.dumps(event, separators=(',', ':'))}\n"


def test_half_characters_break_nothing() -> None:
    """A model of random weights writes pieces of characters, which joined texts show otherwise than whole ones."""
    garbled = rewritten("resp-stream", '"delta":" small"', '"delta":"\ufffd\ufffd"')
    found = outcomes(garbled)
    assert found["responses.stream.text-delta"] is INCONCLUSIVE
    assert broken(found) == set()


@pytest.mark.parametrize("feature", ["tools", "tool_choice"])
def test_endpoint_without_tools_is_unsupported(feature: str) -> None:
    """An endpoint that refuses tools by name breaks no contract on them."""
    told = f"Unsupported parameter: '{feature}'."
    found = outcomes(*(refusal(id, 400, told, feature) for id in ("resp-tool", "resp-tool-result")))
    about_tools = ("responses.tool-call", "responses.tool-flat-schema", "responses.tool-roundtrip")
    assert {found[id] for id in about_tools} == {UNSUPPORTED}
    assert broken(found) == set()


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ("Missing required parameter: 'tools[0].function'.", "tools[0].function"),
        ('[{"type": "missing", "loc": ["body", "tools", 0, "function"], "msg": "Field required"}]', None),
        ("invalid type: tools[0]: missing field `function`", None),
    ],
)
def test_nested_form_alone_is_no_function_calling(said: str, param: str | None) -> None:
    """A refusal that misses chat's `function` is about the form of the tools, whatever its words."""
    assert outcomes(refusal("resp-tool", 400, said, param))["responses.tool-flat-schema"] is FAIL


def test_stateless_endpoint_that_says_so_breaks_nothing() -> None:
    """Nothing is kept, and every answer tells."""
    unknown = [
        refusal(id, 404, "Not found.") for id in ("resp-get", "err-resp-get", "resp-delete", "resp-items")
    ]
    refused = refusal("resp-prev", 400, "previous_response_id is not supported.", "previous_response_id")
    found = outcomes(changed("resp-basic", store=False), refused, *unknown)
    assert broken(found) == set()
    assert found["responses.previous-id"] is found["responses.retrieve-404"] is UNSUPPORTED


def test_refused_store_breaks_nothing() -> None:
    """An endpoint that refuses `store` by name has promised nothing."""
    basic = replace(changed("resp-basic"), refused={"store": Refusal(400, "Unsupported parameter: 'store'.")})
    found = outcomes(basic, refusal("resp-get", 404, "Not found."))
    assert found["responses.store-echo"] is UNSUPPORTED


def test_counts_without_cached_tokens_prove_no_loss() -> None:
    """Some gateways leave what came from a cache out of the input tokens."""
    forgot = message(text("Which one?"))
    few = changed("resp-prev", output=[forgot], usage=usage(4, 3))
    cached = changed("resp-prev", output=[forgot], usage=usage(4, 3, cached=50))
    assert outcomes(few)["responses.previous-id"] is FAIL
    assert outcomes(cached)["responses.previous-id"] is INCONCLUSIVE


def test_model_that_stops_early_met_no_cap() -> None:
    """A short answer is completed, whatever the cap."""
    early = rewritten("resp-length", '"status":"incomplete"', '"status":"completed"')
    early = replace(early, body=early.text.replace('"output_tokens":16', '"output_tokens":9').encode())
    found = outcomes(early)
    assert found["responses.max-output"] is found["responses.stream.incomplete-event"] is INCONCLUSIVE


def test_done_behind_the_end_is_tolerated() -> None:
    """A trailing [DONE] is no part of this stream and harms nobody."""
    assert broken(outcomes(*sent_to("legal-response-done").values())) == set()


def test_background_response_of_any_age_breaks_nothing() -> None:
    """One that is finished already cannot be cancelled any more."""
    done = changed("resp-cancel", status="completed")
    assert outcomes(done)["cancel.responses"] is INCONCLUSIVE
    assert broken(outcomes(refusal("resp-cancel", 400, "It is finished."))) == set()


HOSTILE: list[Any] = [None, 7, "x", [[None]], {"type": []}]


@pytest.mark.parametrize("probe", [id for id in OURS if PROBES[id].method == "POST"])
def test_hostile_answer_is_judged_and_raises_nothing(probe: str) -> None:
    """Whatever stands in the place of a value, each contract comes to a verdict."""
    readers = [c for c in CONTRACTS.values() if fixture_name(probe) in c.reads and c.area != "sdk"]
    for value in HOSTILE:
        for body in _spoilt(sent_to()[probe], value):
            spoilt = replace(sent_to()[probe], body=body, arrivals=())
            given = {**sent_to(), probe: spoilt}
            for contract in readers:
                assert judge(contract, "t", lambda name: given[BY_FIXTURE[name]], Level.MAY)  # noqa: B023


def _spoilt(exchange: Exchange, value: Any) -> list[bytes]:
    """The body with the value in the place of itself and of each key of its first two levels, one at a time."""
    if exchange.is_json:
        return [json.dumps(each).encode() for each in _replaced(exchange.json, value)]
    bodies = []
    for event in (exchange.events[0], exchange.events[4], exchange.events[-1]):
        for each in _replaced(json.loads(event.data), value):
            bodies.append(exchange.text.replace(event.data, json.dumps(each)).encode())
    return bodies


def _replaced(document: Any, value: Any) -> list[Any]:
    whole = [value]
    for key in document if isinstance(document, dict) else ():
        whole.append({**document, key: value})
        if isinstance(document[key], dict):
            whole += [{**document, key: {**document[key], inner: value}} for inner in document[key]]
    return whole


def test_page_in_place_of_an_api_costs_one_request() -> None:
    """A server that answers every path with a page is asked nothing more of this API, and breaks one contract."""
    answers = sent_to("responses-route-html")
    assert {id: e.requests for id, e in answers.items() if e.requests} == {"resp-basic": 1}
    assert broken(outcomes(*answers.values(), healthy=False)) == {"responses.supported"}


def test_only_what_the_suite_made_is_deleted() -> None:
    """DELETE goes to the response of `resp-basic`, after everything else that reads it."""
    answers = sent_to()
    made = answers["resp-basic"].json["id"]
    assert answers["resp-delete"].request.url.endswith(f"/responses/{made}")
    assert {"resp-get", "resp-prev"} <= set(PROBES["resp-delete"].parents)
    assert [id for id in OURS if PROBES[id].method == "DELETE"] == ["resp-delete"]
