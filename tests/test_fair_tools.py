"""Fairness of the contracts on tools and JSON: a weak model, a busy server or a refusal is no broken contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.probe import Context
from pytest_llmcompat.probes import BY_FIXTURE, PROBES
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, judge

CONTRACTS = {contract.id: contract for contract in bundled_contracts()}
# Their retired form has a request of its own, which is sent only when it is asked for by name.
TOOLS = [id for id in CONTRACTS if id.startswith("tools.") and id != "tools.legacy-functions"]
TARGET = Target("m@h", "http://h/v1", "m", "key")
ROME, OSLO = '{"city": "Rome", "unit": "celsius"}', '{"city": "Oslo", "unit": "celsius"}'
GARBAGE = "\ufffd\ufffdzq {]] \ufffd 00 "
PASS, FAIL, WARN = Outcome.PASS, Outcome.FAIL, Outcome.WARN
INCONCLUSIVE, UNSUPPORTED = Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED


def exchange(
    probe: str, answer: Any = None, status: int = 200, refused: Mapping[str, Refusal] | None = None
) -> Exchange:
    """The probe's own request, without what was refused, and an answer to it: JSON, or the text of a stream."""
    two = json.dumps(said("tool_calls", calls=[call(), call(arguments=OSLO, id="b")])).encode()
    parents = {
        id: Exchange(id, "t", Request("POST", "u", (), b""), 200 if id == "tool-required" else 400, body=two)
        for id in PROBES[probe].parents
    }
    sent: Any = PROBES[probe].body(Context(TARGET, parents))
    kept = {name: value for name, value in sent.items() if name not in (refused or {})}
    request = Request("POST", "http://h/v1/chat/completions", (), json.dumps(kept).encode())
    body = answer if isinstance(answer, str) else json.dumps(answer)
    return Exchange(probe, "t", request, status=status, body=body.encode(), refused=refused or {})


def call(name: str = "get_weather", arguments: str = ROME, id: str = "a") -> dict[str, Any]:
    """A tool call."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(
    finish: str, content: str | None = None, calls: list[Any] | None = None, prompt: int = 50
) -> dict[str, Any]:
    """A completion."""
    message = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": prompt}}


def error(message: str) -> dict[str, Any]:
    """An error in the envelope."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def outcome(contract: str, *exchanges: Exchange) -> Outcome:
    """What the contract says when these came, and nothing of the other probes."""
    given = {each.probe: each for each in exchanges}

    def read(name: str) -> Exchange:
        probe = BY_FIXTURE[name]
        nothing = Exchange(probe, "t", Request("POST", "u", (), b""), failure="nothing came")
        return given.get(probe, nothing)

    return judge(CONTRACTS[contract], "t", read, Level.MAY).outcome


@pytest.mark.parametrize("id", TOOLS)
def test_endpoint_without_tools_is_unsupported_in_all_of_them(id: str) -> None:
    """An endpoint that refuses tools by name is red in no contract about them."""
    reason = "Tool use is not supported by this model."
    dependent = {
        probe: Exchange(probe, "t", Request("POST", "u", (), b""), unsent="no tools", unsupported=True)
        for probe, it in PROBES.items()
        if it.requires == "tool-required"
    }
    refused = exchange("tool-required", error(reason), 400)
    negative = [
        exchange(p, error(reason), 400) for p, it in PROBES.items() if it.suite == "tools" and it.negative
    ]
    basic = [exchange("chat-basic", said("stop", "hi"))]
    assert outcome(id, refused, *dependent.values(), *negative, *basic) is UNSUPPORTED


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("id", [id for id in TOOLS if id != "tools.accepted"])
def test_server_in_trouble_is_blamed_once_at_most(id: str, status: int) -> None:
    """When a request with tools meets a server's trouble, only tools.accepted may speak of it."""
    probes = [p for p, it in PROBES.items() if it.suite == "tools"]
    assert outcome(id, *(exchange(p, error("sorry"), status) for p in probes)) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("status", "basic", "expected"),
    [
        (500, 200, FAIL),
        (500, 500, INCONCLUSIVE),
        (503, 200, INCONCLUSIVE),
        (429, 200, INCONCLUSIVE),
        (501, 200, UNSUPPORTED),
    ],
)
def test_crash_on_tools_is_told_from_a_server_that_is_down(
    status: int, basic: int, expected: Outcome
) -> None:
    """A 500 is blamed on tools only when the same server answers without them."""
    tools = exchange("tool-required", error("oops"), status)
    assert outcome("tools.accepted", tools, exchange("chat-basic", said("stop", "hi"), basic)) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said("tool_calls", calls=[call()]), PASS),
        (said("stop", "It is sunny in Rome."), FAIL),
        (said("length", "It is sunny in"), INCONCLUSIVE),
        (said("stop", ""), INCONCLUSIVE),
        (said("length", GARBAGE), INCONCLUSIVE),
        (said("content_filter", "It is"), INCONCLUSIVE),
        (
            {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]},
            INCONCLUSIVE,
        ),
    ],
)
def test_required_call_fails_only_on_whole_plain_text(answer: Any, expected: Outcome) -> None:
    """Text that was cut, nothing at all or a refusal does not show that `required` was ignored."""
    assert outcome("tools.required-calls", exchange("tool-required", answer)) is expected


def test_refused_choice_is_unsupported() -> None:
    """A server that refused `tool_choice` by name promised no call."""
    refused = {"tool_choice": Refusal(400, "tool_choice is not supported")}
    answer = exchange("tool-required", said("stop", "It is sunny in Rome."), refused=refused)
    assert outcome("tools.required-calls", answer) is UNSUPPORTED


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_weather", PASS),
        ("functions.get_weather", FAIL),
        ("get_weatherget_weather", FAIL),
        ("weather_lookup", INCONCLUSIVE),
        ("get_weather_forecast", INCONCLUSIVE),
    ],
)
def test_invented_name_is_the_models_and_a_distorted_one_the_servers(name: str, expected: Outcome) -> None:
    """Only a name that the API has changed breaks tools.name-known."""
    answer = said("tool_calls", calls=[call(name)])
    assert outcome("tools.name-known", exchange("tool-required", answer)) is expected


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([call()], INCONCLUSIVE),
        ([call(), call(arguments=OSLO, id="b")], PASS),
        ([call(arguments=ROME + OSLO)], FAIL),
        ([call(arguments=ROME + ROME)], INCONCLUSIVE),
    ],
)
def test_one_call_of_two_settles_nothing_and_a_merged_one_fails(calls: list[Any], expected: Outcome) -> None:
    """A model that makes one call is weak; one call with the arguments of both is the server's doing."""
    answer = exchange("tool-required", said("tool_calls", calls=calls))
    assert outcome("tools.parallel", answer) is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("{}", PASS),
        (" {} ", PASS),
        ("", WARN),
        ("null", FAIL),
        ('{"zone": "UTC"}', INCONCLUSIVE),
        ("{", INCONCLUSIVE),
    ],
)
def test_arguments_nobody_asked_for_are_the_models(arguments: str, expected: Outcome) -> None:
    """For a function without parameters an empty string is a warning, and made-up arguments settle nothing."""
    answer = exchange("tool-named", said("stop", calls=[call("get_time", arguments)]))
    assert outcome("tools.no-args", answer) is expected


@pytest.mark.parametrize(
    ("arguments", "finish", "expected"),
    [
        ('{"city": "Ro', "tool_calls", FAIL),
        ('{"city": "Ro', "length", INCONCLUSIVE),
        (ROME, "length", INCONCLUSIVE),
    ],
)
def test_cut_arguments_fail_only_when_the_end_denies_the_cut(
    arguments: str, finish: str, expected: Outcome
) -> None:
    """Broken JSON is excused by `length` and by nothing else."""
    answer = exchange("tool-required", said(finish, calls=[call(arguments=arguments)]))
    assert outcome("tools.arguments-json", answer) is expected


def test_equal_ids_in_separate_conversations_are_only_a_warning() -> None:
    """Clients match ids within one conversation; two equal ones in one answer are broken."""
    once = exchange("tool-required", said("tool_calls", calls=[call()]))
    again = exchange("tool-auto", said("tool_calls", calls=[call()]))
    twice = exchange("tool-required", said("tool_calls", calls=[call(), call(arguments=OSLO)]))
    assert outcome("tools.id-unique", once, again) is WARN
    assert outcome("tools.id-unique", twice) is FAIL
    assert outcome("tools.id-unique", once) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("text", "long", "expected"),
    [
        ("It is 31.7 degrees.", 80, PASS),
        ("It is 31,7 degrees.", 80, PASS),
        ("Nice weather.", 125, INCONCLUSIVE),
        ("Nice weather.", 80, FAIL),
        (GARBAGE, 40, INCONCLUSIVE),
    ],
)
def test_results_count_as_dropped_only_by_the_token_counts(text: str, long: int, expected: Outcome) -> None:
    """A model that ignores the result is weak, unless the longer results did not raise the count either."""
    given = [
        exchange("tool-required", said("tool_calls", calls=[call()], prompt=60)),
        exchange("tool-none", said("stop", "Hi.", prompt=45)),
        exchange("tool-result", said("stop", text, prompt=80)),
        exchange("tool-result-empty", said("stop", text, prompt=long)),
    ]
    assert outcome("tools.result-used", *given) is expected


def test_counts_that_never_change_prove_nothing() -> None:
    """An endpoint that counts every prompt alike is not blamed for dropping results."""
    probes = ("tool-required", "tool-none", "tool-result", "tool-result-empty")
    assert (
        outcome("tools.result-used", *(exchange(p, said("stop", "Hm.", prompt=25)) for p in probes))
        is INCONCLUSIVE
    )


def test_refusal_of_tools_without_choice_is_blamed_once() -> None:
    """The history with results goes out without a choice; where that is refused, results are not to blame."""
    refusal = error("`tool_choice` must be given when `tools` are")
    given = [
        exchange("tool-required", said("tool_calls", calls=[call()])),
        exchange("tool-auto", refusal, 400),
        exchange("tool-result", refusal, 400),
    ]
    assert outcome("tools.auto-default", *given) is FAIL
    assert outcome("tools.result-roundtrip", *given) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("message", "status", "expected"),
    [
        ("Missing required parameter: 'tools[0].function.parameters'.", 400, FAIL),
        ("[json.exception.out_of_range.403] key 'parameters' not found", 500, FAIL),
        ("tool_choice must be one of none, auto", 400, UNSUPPORTED),
        ("Invalid parameters", 400, INCONCLUSIVE),
        ("Internal server error", 500, INCONCLUSIVE),
    ],
)
def test_missing_parameters_are_blamed_only_by_name(message: str, status: int, expected: Outcome) -> None:
    """The probe names a function in `tool_choice` as well, so the refusal has to say what it is about."""
    accepted = exchange("tool-required", said("tool_calls", calls=[call()]))
    assert (
        outcome("tools.no-parameters-key", accepted, exchange("tool-named", error(message), status))
        is expected
    )


MOOD = '{"mood": "good", "n": 3}'


@pytest.mark.parametrize(
    ("content", "finish", "enforced", "followed"),
    [
        (MOOD, "stop", PASS, PASS),
        (f"\n{MOOD}\n", "stop", PASS, PASS),
        (f"```json\n{MOOD}\n```", "stop", FAIL, PASS),
        ('{"mood": "tired", "n": 3}', "stop", FAIL, PASS),
        ("I feel fine today.", "stop", FAIL, FAIL),
        ("I feel fine to", "length", INCONCLUSIVE, INCONCLUSIVE),
        (GARBAGE * 20, "length", INCONCLUSIVE, INCONCLUSIVE),
        ("", "stop", INCONCLUSIVE, INCONCLUSIVE),
        (f"<think>fine</think>{MOOD}", "stop", PASS, PASS),
    ],
)
def test_schema_contracts_tell_server_from_model(
    content: str, finish: str, enforced: Outcome, followed: Outcome
) -> None:
    """A cut or missing answer settles nothing; whole prose shows that the schema was ignored."""
    answer = exchange("json-schema", said(finish, content))
    assert outcome("json.schema-enforced", answer) is enforced
    assert outcome("json.schema-not-ignored", answer) is followed


def test_text_format_may_be_refused_where_all_formats_are() -> None:
    """A server without response formats is not blamed for the default one; a server with others is."""
    refused = {"response_format": Refusal(400, "response_format is not supported")}
    params = exchange("chat-params", said("stop", "hi"), refused=refused)
    other = exchange("json-object", said("stop", "{}"))
    assert outcome("json.text-type", params) is UNSUPPORTED
    assert outcome("json.text-type", params, other) is FAIL
