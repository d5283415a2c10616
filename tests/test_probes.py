"""Probes: pure data, complete and free of side effects; each builds its request from its declared parents alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from pytest_llmcompat import probes
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.probe import Authorization, Context, Probe, Unsendable
from pytest_llmcompat.probes import (
    BY_FIXTURE,
    FAMILIES,
    OPT_IN,
    PROBES,
    SUITES,
    family,
    tools,
)
from pytest_llmcompat.probes.core import UNKNOWN_MODEL
from pytest_llmcompat.reference import serve
from pytest_llmcompat.target import Target

TARGET = Target("m@h", "http://h/v1", "vendor/m", "key")
CALLS = [
    {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"city": city, "unit": "celsius"})},
    }
    for number, city in enumerate(("Rome", "Oslo"))
]
DOCUMENTED = {
    "core": """models-list models-retrieve models-404 auth-none auth-wrong auth-scheme route-unknown route-method
        route-no-v1 route-trailing-slash err-json err-array-body err-missing-messages err-missing-model err-types
        err-empty-messages err-role err-temperature err-unknown-model err-stream chat-basic chat-developer
        chat-length chat-mct chat-n2 chat-stop chat-params chat-long stream-basic stream-plain stream-n2
        stream-abort chat-turns concurrent-1 concurrent-2 concurrent-3 concurrent-4""",
    "tools": """tool-required err-tool-id err-tool-choice err-tool-choice-value err-required-no-tools tool-stream
        tool-named tool-none tool-auto tool-result tool-result-contents tool-result-empty tool-result-omitted""",
    "json": "err-json-schema err-json-name err-json-type json-object json-schema json-schema-stream",
    "embeddings": "emb-float err-emb-encoding err-emb-empty emb-base64 emb-single emb-tokens",
    "legacy": "completions-basic completions-single completions-stream",
    "other": "moderation files-list batches-list",
    "responses": """resp-basic resp-stream resp-length resp-tool resp-tool-result resp-prev resp-get resp-json
        resp-err err-resp-prev err-resp-get resp-delete resp-gone""",
    "reasoning": "reasoning reasoning-stream",
    "vision": "vision vision-text",
    "extra": "cors chat-unknown-param",
    "opt-in": """image speech transcription resp-items resp-count resp-chat-params resp-background resp-cancel
        route-double-slash models-noauth err-context err-tools-empty tool-result-foreign tool-truncated-stream
        functions-legacy audio-in""",
}
MEDIA = {"image": "dall-e-2", "speech": "tts-1", "transcription": "whisper-1"}
NEGATIVE = [id for id in PROBES if id.startswith("err-")]
# These hold no conversation that a lax server could answer at length.
WITHOUT_CONVERSATION = {
    "err-json",
    "err-array-body",
    "err-missing-messages",
    "err-types",
    "err-emb-encoding",
    "err-emb-empty",
    "err-resp-prev",
    "err-resp-get",
}


def exchange(probe: str, answer: object, status: int = 200) -> Exchange:
    """A parent's exchange with a JSON answer."""
    request = Request("POST", "http://h/v1/chat/completions", (), b"{}")
    return Exchange(probe, TARGET.id, request, status=status, body=json.dumps(answer).encode())


def calling(calls: object) -> dict[str, Any]:
    """A completion whose message bears tool calls."""
    return {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": calls}}]}


def context(probe: Probe, calls: object = CALLS) -> Context:
    """What the lab would give the probe: its parents' exchanges and no others."""
    answers: Mapping[str, object] = {
        "models-list": {
            "object": "list",
            "data": [
                {"id": "plain"},
                {"id": "vendor/m", "context_length": 200},
                *({"id": id} for id in MEDIA.values()),
            ],
        },
        "tool-required": calling(calls),
        "resp-basic": {"id": "resp_1"},
        "resp-background": {"id": "resp_2"},
    }
    parents = {*probe.parents, *([probe.requires] if probe.requires else [])}
    # Refused, so that the probes that stand in for its parts are built.
    statuses = {"tool-result-contents": 400, "completions-basic": 400}
    return Context(TARGET, {id: exchange(id, answers.get(id, {}), statuses.get(id, 200)) for id in parents})


def body(id: str, calls: object = CALLS) -> Any:
    """The body that a probe builds."""
    return PROBES[id].body(context(PROBES[id], calls))


def test_ids_are_unique_across_modules() -> None:
    """No probe hides another one of the same id."""
    parts = (part for part in vars(probes).values() if isinstance(part, ModuleType))
    modules = [part for part in parts if part.__name__.startswith(probes.__name__)]
    every = [probe.id for module in modules for probe in module.PROBES]
    assert sorted(every) == sorted(PROBES)
    assert len(BY_FIXTURE) == len(every)


def test_suites_hold_the_documented_probes() -> None:
    """Each suite consists of the probes that its documentation lists."""
    assert set(SUITES) == set(DOCUMENTED)
    found = {suite: {id for id, probe in PROBES.items() if probe.suite == suite} for suite in SUITES}
    assert found == {suite: set(ids.split()) for suite, ids in DOCUMENTED.items()}


@pytest.mark.parametrize("probe", PROBES.values(), ids=lambda probe: probe.id)
def test_request_builds_from_declared_parents(probe: Probe) -> None:
    """Body and path read no exchange but those of the declared parents, and the body is JSON or bytes."""
    given = context(probe)
    path = probe.path(given) if callable(probe.path) else probe.path
    assert path.startswith(("/", "http://h/"))
    built = probe.body(given)
    assert built is None or isinstance(built, bytes) or json.loads(json.dumps(built)) == built
    assert (built is None) == (probe.method in ("GET", "DELETE", "OPTIONS") or path.endswith("/cancel"))


@pytest.mark.parametrize("probe", PROBES.values(), ids=lambda probe: probe.id)
def test_request_names_the_model_under_test(probe: Probe) -> None:
    """Every request with a model asks for the one under test, one for its medium, or one that cannot exist."""
    built = probe.body(context(probe))
    if isinstance(built, dict) and "model" in built:
        unknown = probe.id in ("err-unknown-model", "err-stream", "resp-err")
        assert built["model"] == (UNKNOWN_MODEL if unknown else MEDIA.get(probe.id, TARGET.model))


def test_parents_exist_and_come_without_a_circle() -> None:
    """A probe can be sent after its parents, whichever is asked for first."""

    def depth(id: str, above: tuple[str, ...] = ()) -> int:
        assert id not in above
        probe = PROBES[id]
        needed = {*probe.parents, *([probe.requires] if probe.requires else [])}
        return 1 + max((depth(parent, (*above, id)) for parent in needed), default=0)

    assert {depth(id) for id in PROBES} == {1, 2, 3, 4}


@pytest.mark.parametrize("probe", PROBES.values(), ids=lambda probe: probe.id)
def test_optional_parts_are_in_the_body(probe: Probe) -> None:
    """What may be left out, or grown, is there: features of a compound probe, and the cap of one with headroom."""
    built = probe.body(context(probe))
    named = set(built) if isinstance(built, dict) else set()
    assert set(probe.features) <= named
    assert not probe.headroom or named & {"max_tokens", "max_completion_tokens", "max_output_tokens"}


@pytest.mark.parametrize("id", NEGATIVE)
def test_invalid_probe_is_never_negotiated_and_cheap_when_served(id: str) -> None:
    """An invalid request is sent as it is, and caps its answer at one token for the server that serves it."""
    probe = PROBES[id]
    assert probe.negative
    assert not probe.features
    assert not probe.headroom
    assert probe.authorization is Authorization.KEY
    built = body(id)
    conversation = isinstance(built, dict) and isinstance(built.get("messages"), list)
    assert conversation == (id not in WITHOUT_CONVERSATION)
    assert not conversation or built["max_tokens"] == 1


def test_invalid_probes_are_refused_before_generation() -> None:
    """The reference, which keeps the specification, refuses each of them with a 4xx and generates nothing."""
    with serve() as reference:
        target = Target("reference", reference.base_url, reference.model, reference.key)
        lab = Lab(target, LiveSource(target))
        try:
            answers = {id: lab.exchange(id) for id in NEGATIVE}
        finally:
            lab.close()
    assert {id: answer.status for id, answer in answers.items() if answer.status // 100 != 4} == {}
    assert all("choices" not in answer.text for answer in answers.values())
    assert {answer.requests for answer in answers.values()} == {1}


@pytest.mark.parametrize(
    ("twin", "id", "added"),
    [
        ("stream-basic", "chat-basic", {"stream", "stream_options"}),
        ("tool-stream", "tool-required", {"stream", "stream_options"}),
        ("json-schema-stream", "json-schema", {"stream"}),
        ("err-stream", "err-unknown-model", {"stream"}),
    ],
)
def test_streamed_twin_differs_by_its_stream_keys_alone(twin: str, id: str, added: set[str]) -> None:
    """A streamed twin asks exactly what the plain probe asks, so that their answers can be compared."""
    plain, streamed = body(id), body(twin)
    assert set(streamed) - set(plain) == added
    assert {name: value for name, value in streamed.items() if name not in added} == plain


@pytest.mark.parametrize(
    ("twin", "content"), [("tool-result-empty", {"content": ""}), ("tool-result-omitted", {})]
)
def test_result_twin_differs_in_content_alone(twin: str, content: dict[str, str]) -> None:
    """The ways to write the content beside tool calls are sent in otherwise equal histories."""
    history, other = body("tool-result"), body(twin)
    call, other_call = history["messages"][1], other["messages"][1]
    assert call == {"role": "assistant", "content": None, "tool_calls": CALLS}
    assert other_call == {"role": "assistant", **content, "tool_calls": CALLS}
    assert [m["role"] for m in other["messages"]] == [m["role"] for m in history["messages"]]
    assert {**other, "messages": []} == {**history, "messages": []}


def test_compound_history_holds_both_forms_of_content() -> None:
    """One request asks whether an empty content and a missing one are accepted beside tool calls."""
    turns = [m for m in body("tool-result-contents")["messages"] if m["role"] == "assistant"]
    assert [turn["tool_calls"] for turn in turns] == [[call] for call in CALLS]
    assert turns[0]["content"] == ""
    assert "content" not in turns[1]


def test_compound_history_needs_two_calls() -> None:
    """A model that made one call is asked about each form by itself."""
    with pytest.raises(Unsendable, match="one call only"):
        body("tool-result-contents", CALLS[:1])


@pytest.mark.parametrize("part", ["tool-result-empty", "tool-result-omitted"])
def test_part_is_not_sent_when_the_compound_was_accepted(part: str) -> None:
    """A conforming endpoint pays one request for both forms."""
    answers = {"tool-required": calling(CALLS), "tool-result-contents": calling([])}
    accepted = Context(TARGET, {id: exchange(id, answer) for id, answer in answers.items()})
    with pytest.raises(Unsendable, match="accepted"):
        PROBES[part].body(accepted)


def test_longer_results_show_whether_results_are_counted() -> None:
    """The results of one of the twins hold the same number and a note of many words."""
    short, long = body("tool-result")["messages"][-1], body("tool-result-empty")["messages"][-1]
    assert json.loads(short["content"]) == {"temp": tools.SENTINEL}
    assert json.loads(long["content"]) == {"temp": tools.SENTINEL, "note": tools.NOTE}
    assert len(tools.NOTE.split()) >= 20


def test_results_answer_the_calls_of_the_model() -> None:
    """The history holds the calls as they came and one result for each."""
    messages = body("tool-result")["messages"]
    assert messages[1]["tool_calls"] == CALLS
    assert [m["tool_call_id"] for m in messages[2:]] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    "calls",
    [
        None,
        [],
        {},
        [None],
        [{**CALLS[0], "id": ""}],
        [{**CALLS[0], "id": None}],
        [CALLS[0], CALLS[0]],
        [{"id": "call_0", "type": "function"}],
        [{**CALLS[0], "type": None}],
        [{**CALLS[0], "function": {"name": "functions.get_weather", "arguments": "{}"}}],
        [{**CALLS[0], "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}],
        [{**CALLS[0], "function": {"name": "get_weather", "arguments": '{"city": "Ro'}}],
        [{**CALLS[0], "function": {"name": "get_weather", "arguments": "[" * 100_000}}],
    ],
    ids=[
        "null",
        "no-calls",
        "an-object",
        "no-object",
        "empty-id",
        "no-id",
        "equal-ids",
        "no-function",
        "no-type",
        "unknown-name",
        "arguments-as-object",
        "arguments-cut",
        "arguments-too-deep",
    ],
)
def test_broken_calls_are_replaced_in_the_history(calls: object) -> None:
    """Calls that would be refused for their own fault give way to a sound one, which has its result."""
    messages = body("tool-result", calls)["messages"]
    [call] = messages[1]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Rome", "unit": "celsius"}
    assert [m.get("tool_call_id") for m in messages[2:]] == [call["id"]]


def test_tools_of_one_request_agree_on_strict() -> None:
    """Every request with tools is strict for all of them or for none: some servers refuse a mixture."""
    for id, probe in PROBES.items():
        if probe.suite == "tools" and "tools" in (built := body(id)):
            assert len({tool["function"].get("strict") for tool in built["tools"]}) == 1, id


def test_function_without_parameters_is_sent_alone() -> None:
    """Only `tool-named` sends a function without `parameters`, so that a refusal of it decides little else."""
    bare = {
        id
        for id, probe in PROBES.items()
        if probe.suite == "tools"
        and any("parameters" not in tool["function"] for tool in body(id).get("tools", []))
    }
    assert bare == {"tool-named"}


def test_model_with_slash_is_looked_up_encoded() -> None:
    """The hard case for servers, an id with a slash, is looked up as the official client writes it."""
    probe = PROBES["models-retrieve"]
    assert callable(probe.path)
    assert probe.path(context(probe)) == "/models/vendor%2Fm"


def test_base_without_version_cannot_be_tried_without_it() -> None:
    """A base URL without a version segment leaves nothing to strip, and the endpoint is not blamed."""
    probe = PROBES["route-no-v1"]
    assert callable(probe.path)
    assert probe.path(Context(TARGET, {})) == "http://h/chat/completions"
    with pytest.raises(Unsendable) as raised:
        probe.path(Context(Target("m@h", "http://h/api", "m"), {}))
    assert raised.value.unsupported


@pytest.mark.parametrize(
    ("named", "listed", "expected"),
    [
        (None, [{"id": "chat"}, {"id": "Text-Embedding-3"}, {"id": "embed-2"}], "Text-Embedding-3"),
        ("mine", [{"id": "embed-2"}], "mine"),
        (None, [{"id": "chat"}], "vendor/m"),
        (None, [None, 7, {"id": 7}, {"id": None}], "vendor/m"),
        (None, {"id": "embed-2"}, "vendor/m"),
        (None, None, "vendor/m"),
    ],
)
def test_embedding_model_is_named_listed_or_the_one_under_test(
    named: str | None, listed: object, expected: str
) -> None:
    """`--llm-embedding-model` wins over the list, the list over the model under test."""
    target = replace(TARGET, embedding_model=named)
    given = Context(target, {"models-list": exchange("models-list", {"data": listed})})
    built = PROBES["emb-float"].body(given)
    assert isinstance(built, dict)
    assert built["model"] == expected


@pytest.mark.parametrize(("length", "expected"), [(None, 256), (3072, 256), (384, 192), (2, 1)])
def test_dimensions_are_fewer_than_the_model_has(length: int | None, expected: int) -> None:
    """Half of the numbers that the first answer has, at the most 256."""
    first = {"data": [] if length is None else [{"embedding": [0.5] * length}]}
    given = {"models-list": exchange("models-list", {}), "emb-float": exchange("emb-float", first)}
    built = PROBES["emb-single"].body(Context(TARGET, given))
    assert isinstance(built, dict)
    assert built["dimensions"] == expected


@pytest.mark.parametrize(
    ("status", "message", "unsupported"),
    [
        (404, "Not Found", True),
        (501, "no", True),
        (403, "not allowed to generate embeddings from this model", True),
        (400, "bad input", False),
        (401, "no key", False),
    ],
)
@pytest.mark.parametrize(
    "id", ["emb-base64", "emb-single", "emb-tokens", "err-emb-encoding", "err-emb-empty"]
)
def test_embeddings_stop_after_the_first_refusal(
    id: str, status: int, message: str, unsupported: bool
) -> None:
    """An endpoint without embeddings pays one request."""
    refused = exchange("emb-float", {"error": {"message": message}}, status)
    with pytest.raises(Unsendable) as raised:
        PROBES[id].body(Context(TARGET, {"models-list": exchange("models-list", {}), "emb-float": refused}))
    assert raised.value.unsupported is unsupported


@pytest.mark.parametrize("id", MEDIA)
def test_media_are_asked_of_a_listed_model_only(id: str) -> None:
    """What is billed is not sent to a model that was guessed."""
    given = Context(
        TARGET, {"models-list": exchange("models-list", {"data": [{"id": "m"}, None, {"id": 7}]})}
    )
    with pytest.raises(Unsendable) as raised:
        PROBES[id].body(given)
    assert raised.value.unsupported


def test_single_prompt_is_sent_only_when_several_are_refused() -> None:
    """A conforming endpoint pays one request for both forms; one without the route pays no other."""
    accepted, absent = exchange("completions-basic", {}), exchange("completions-basic", {}, 404)
    for id, parent in (
        ("completions-single", accepted),
        ("completions-single", absent),
        ("completions-stream", absent),
    ):
        with pytest.raises(Unsendable):
            PROBES[id].body(Context(TARGET, {"completions-basic": parent}))


def test_families_hold_what_their_names_say() -> None:
    """Streams and plain answers are apart, and the refusals are the negative probes."""
    plain = {probe.id for probe in family("chat_exchanges")}
    streamed = {probe.id for probe in family("stream_exchanges")}
    assert streamed == {
        "stream-basic",
        "stream-plain",
        "stream-n2",
        "tool-stream",
        "json-schema-stream",
        "reasoning-stream",
    }
    default = [id for id, probe in PROBES.items() if probe.suite != OPT_IN]
    assert plain == {id for id in default if id.startswith(("chat-", "tool-", "json-"))} - streamed
    assert all(body(id).get("stream") is True for id in streamed)
    assert all("stream" not in body(id) for id in plain)
    assert {probe.id for probe in family("error_exchanges", SUITES)} >= set(NEGATIVE)
    assert family("error_exchanges", ("json",)) == tuple(
        PROBES[id] for id in ("err-json-schema", "err-json-name", "err-json-type")
    )
    assert set(FAMILIES) & set(BY_FIXTURE) == set()
