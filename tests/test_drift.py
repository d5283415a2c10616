"""Drift: what a server does otherwise than when it was recorded, and what is the model's or the moment's doing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.cassette import CassetteError, path_of, recorded_targets
from pytest_llmcompat.drift import Change, Drift, Recorded, compare, drifts, recorded_for
from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.lab import Lab, Source
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource
from pytest_llmcompat.probes import PROBES, SUITES
from pytest_llmcompat.reference import serve
from pytest_llmcompat.reporting.drift import drift_json, drift_lines
from pytest_llmcompat.suite import CASSETTES
from pytest_llmcompat.target import Target

PLACE = "http://reference/v1"
# A few of each kind: a list, a refusal, plain answers, streams, tools, responses, embeddings, error routes.
SOME = (
    *(
        "models-list",
        "models-404",
        "auth-none",
        "route-unknown",
        "err-types",
        "err-unknown-model",
        "chat-basic",
    ),
    *("chat-length", "chat-n2", "stream-basic", "tool-required", "tool-stream", "json-schema", "emb-float"),
    *("resp-basic", "resp-stream", "resp-length", "resp-tool", "cors", "stream-abort"),
)


@contextmanager
def sending(source: str, folder: Path, defects: Iterable[str] = ()) -> Iterator[Lab]:
    """A lab on a running reference that records or is live."""
    with serve(defects, pause=0.0005) as served:
        target = Target("reference", served.base_url, served.model, served.key, place=PLACE)
        every: dict[str, Source] = {
            "recording": RecordingSource(target, folder),
            "live": LiveSource(target),
        }
        lab = Lab(target, every[source], named=SUITES)
        try:
            yield lab
        finally:
            lab.close()


def answers(defects: Iterable[str] = (), probes: Iterable[str] = SOME) -> tuple[Exchange, ...]:
    """Live exchanges of the reference with some defects."""
    with sending("live", Path(), defects) as lab:
        lab.prefetch(probes, 8)
        return tuple(e for e in lab.obtained() if e.probe in set(probes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cassettes of the healthy reference, of all probes."""
    path = tmp_path_factory.mktemp("cassettes")
    with sending("recording", path) as lab:
        lab.prefetch(PROBES, 8)
        assert not [exchange.probe for exchange in lab.obtained() if exchange.failure]
    return path


@pytest.fixture(scope="module")
def healthy(folder: Path) -> Recorded:
    """The recording of the healthy reference, as a run reads it."""
    (recorded,) = recorded_for(
        folder, [Target("reference", "http://elsewhere/v1", "reference-small", place=PLACE)]
    )
    return recorded


def found(recorded: Recorded, live: Iterable[Exchange]) -> set[tuple[str, str, str, str]]:
    """What changed, over all probes."""
    (comparison,) = compare([recorded], live)
    return {(d.change.value, d.place, d.was, d.now) for d in comparison.drifts}


@pytest.mark.parametrize("run", ["first", "second"])
def test_healthy_server_has_not_drifted(healthy: Recorded, run: str) -> None:
    """Every answer has the recorded shape, run after run; only the stream that is left half-way is passed over."""
    del run
    (comparison,) = compare([healthy], answers(probes=PROBES))
    assert comparison.drifts == ()
    assert set(healthy.exchanges) - set(comparison.probes) == {"stream-abort"}
    assert len(comparison.probes) > 90
    assert list(drift_lines(comparison))[1:] == ["drift: none; every answer has the recorded shape"]


@pytest.mark.parametrize(("endpoint", "model", "path"), recorded_targets(CASSETTES))
def test_committed_recordings_have_not_drifted_from_themselves(endpoint: str, model: str, path: Path) -> None:
    """Real servers, with all that they get wrong, are the same as themselves."""
    (recorded,) = recorded_for(CASSETTES, [Target("t", endpoint, model)])
    assert recorded.recording == f"{model} at {endpoint}"
    assert len(recorded.exchanges) == len(list(path.glob("*.yaml")))
    assert found(recorded, [replace(e, target="t", live=True) for e in recorded.exchanges.values()]) == set()


VALUES_ONLY = (
    *(
        "created-milliseconds",
        "id-repeats",
        "model-unrelated",
        "deltas-cumulative",
        "completion-tokens-inflated",
    ),
    *("legal-wrong-answers", "legal-burst", "legal-comments", "legal-dated-model", "stream-think-in-content"),
    *(
        "embeddings-not-unit",
        "prompt-tokens-doubled",
        "tool-arguments-broken",
        "error-with-traceback",
        "stop-ignored",
    ),
)


@pytest.mark.parametrize("defect", VALUES_ONLY)
def test_values_never_count(healthy: Recorded, defect: str) -> None:
    """Other texts, counts, ids, times and numbers of chunks are for the contracts to judge."""
    assert found(healthy, answers([defect])) == set()


FINISH = "body /choices/*/finish_reason"


@pytest.mark.parametrize(
    ("defect", "expected"),
    [
        ("usage-missing", {("disappeared", "body /usage", "object", "")}),
        ("created-iso", {("changed", "body /created", "number", "string")}),
        ("content-parts", {("changed", "body /choices/*/message/content", "string", "array")}),
        ("choices-empty", {("disappeared", "body /choices/*", "object", "")}),
        ("object-plural", {("changed", "body /object", "chat.completion", "chat.completions")}),
        ("finish-eos", {("changed", FINISH, "stop", "eos_token")}),
        ("cap-finish-stop", {("changed", FINISH, "length", "stop")}),
        ("tool-finish-stop", {("changed", FINISH, "tool_calls", "stop")}),
        ("request-id-missing", {("disappeared", "header x-request-id", "", "")}),
        ("completion-as-text-plain", {("changed", "header content-type", "application/json", "text/plain")}),
        ("stream-without-done", {("disappeared", "event [DONE]", "", "")}),
        (
            "stream-as-json-type",
            {("changed", "header content-type", "text/event-stream", "application/json")},
        ),
        (
            "stream-ignored",
            {("changed", "body", "events (text/event-stream)", "JSON (application/json)")},
        ),
        ("chunk-id-missing", {("disappeared", "event /id", "string", "")}),
        ("delta-null-at-end", {("changed", "event /choices/*/delta", "object", "null or object")}),
        ("error-message-missing", {("disappeared", "body /error/message", "string", "")}),
        ("error-html", {("changed", "body", "JSON (application/json)", "something else (text/html)")}),
        ("unknown-model-code-other", {("changed", "body /error/code", "model_not_found", "not_found_error")}),
        ("validation-422", {("changed", "status", "400", "422")}),
        ("auth-none-accepted", {("changed", "status", "401", "200")}),
        ("response-status-stop", {("changed", "body /status", "completed", "stop")}),
        ("response-in-progress-missing", {("disappeared", "event response.in_progress", "", "")}),
        (
            "response-part-type-text",
            {("changed", "body /output/*:message/content/*/type", "output_text", "text")},
        ),
        ("json-schema-500", {("changed", "status", "200", "500")}),
        ("legal-response-done", {("appeared", "event [DONE]", "", "")}),
    ],
)
def test_defect_is_reported_for_what_it_is(
    healthy: Recorded, defect: str, expected: set[tuple[str, str, str, str]]
) -> None:
    """Each change of shape gives exactly its drift, and nothing that follows from it."""
    assert found(healthy, answers([defect])) == expected


@pytest.mark.parametrize(
    "defect", ["legal-stream-breaks-off", "legal-throttles", "legal-overloaded", "throttled-200"]
)
def test_what_is_of_the_moment_is_no_drift(healthy: Recorded, defect: str) -> None:
    """Throttled, overloaded or broken off: nothing is known of the shape then."""
    assert (
        found(healthy, answers([defect], ["chat-basic", "chat-length", "stream-basic", "stream-plain"]))
        == set()
    )


def test_new_parameter_refusals_are_drift(healthy: Recorded) -> None:
    """That a parameter is now refused shows where the lab had to leave it out."""
    changes = found(healthy, answers(["legal-unsupported-400"], ["chat-n2"]))
    assert ("changed", "parameter n", "accepted", "refused") in changes


def answer(value: Any, probe: str = "chat-basic", status: int = 200, **changes: Any) -> Exchange:
    """A plain answer."""
    body = json.dumps(value).encode()
    headers = (("content-type", "application/json"),)
    return Exchange(
        probe, "t", Request("POST", "http://h/v1/chat", (), b""), status, headers, body, **changes
    )


def completion(message: dict[str, Any], finish: str, tokens: int = 9, **more: Any) -> dict[str, Any]:
    """A chat completion."""
    choice = {"message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": None}
    return {"choices": [choice], "usage": {"completion_tokens": tokens}, **more}


CALL = {"content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]}
TEXT = {"content": "It rains."}
REFUSED = {"content": None, "refusal": "I cannot do that."}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ((CALL, "tool_calls"), (TEXT, "stop")),
        ((TEXT, "stop"), (REFUSED, "stop")),
        ((TEXT, "stop"), (TEXT, "content_filter")),
        ((TEXT, "stop", 9), (TEXT, "length", 12)),
        ((TEXT, "stop"), ({"content": ""}, "stop")),
    ],
)
def test_what_the_model_chose_is_no_drift(was: tuple[Any, ...], now: tuple[Any, ...]) -> None:
    """Text, call or refusal, long or short; but a key beside them is the server's."""
    assert drifts(answer(completion(*was)), answer(completion(*now))) == ()
    (drift,) = drifts(answer(completion(*was)), answer(completion(*now, id="x")))
    assert (drift.change, drift.place) == (Change.APPEARED, "body /id")


@pytest.mark.parametrize(
    ("was", "now", "place"),
    [
        ((TEXT, "stop"), (TEXT, "length"), FINISH),
        ((TEXT, "stop", 9), (TEXT, "eos", 12), FINISH),
        ((CALL, "tool_calls"), (CALL, "stop"), FINISH),
        ((TEXT, "stop"), ({}, "stop"), "body /choices/*/message/content"),
        ((TEXT, "stop"), ({**TEXT, "reasoning": "r"}, "stop"), "body /choices/*/message/reasoning"),
    ],
)
def test_what_the_server_says_of_it_is_drift(was: tuple[Any, ...], now: tuple[Any, ...], place: str) -> None:
    """Of answers of one length a new end is the server's; so is a content or reasoning that comes or goes."""
    assert [drift.place for drift in drifts(answer(completion(*was)), answer(completion(*now)))] == [place]


def test_state_of_the_cache_is_no_drift() -> None:
    """Null for no hit is what vLLM says; a key that is gone is something else."""
    details: tuple[dict[str, Any], ...] = ({"prompt_tokens_details": {}}, {"prompt_tokens_details": None}, {})
    hit, miss, gone = ({"usage": usage} for usage in details)
    assert drifts(answer(hit), answer(miss)) == ()
    assert [drift.place for drift in drifts(answer(hit), answer(gone))] == [
        "body /usage/prompt_tokens_details"
    ]


def test_empty_arrays_say_nothing_of_their_elements() -> None:
    """No files today, no annotations today."""
    assert drifts(answer({"data": [{"id": 1}]}), answer({"data": []})) == ()


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (answer({}, status=500), []),
        (answer({}, status=500, retried=(answer({}, status=500),)), ["status"]),
        (answer({}, status=503, retried=(answer({}, status=503),)), []),
        (answer({}, status=404), ["status"]),
        (answer({}, failure="the connection was reset"), []),
        (answer({}, "err-role", status=500), ["status"]),
        (answer({}, refused={"seed": Refusal(400, "no seed")}), ["parameter seed"]),
    ],
)
def test_status_is_drift_when_it_is_a_decision(live: Exchange, expected: list[str]) -> None:
    """500 may pass, unless it comes again, or for a request that is meant to be refused."""
    assert [drift.place for drift in drifts(answer({}, live.probe), live)] == expected


def test_bodies_of_errors_are_compared_though_the_status_is_new() -> None:
    """The code of an error may go with its status, and so may the envelope."""
    was = answer({"error": {"code": "invalid", "param": None}}, "err-role", status=400)
    now = answer({"error": {"code": "bad"}}, "err-role", status=422)
    assert [drift.place for drift in drifts(was, now)] == ["status", "body /error/param", "body /error/code"]


def copied(folder: Path, into: Path, endpoint: str, model: str) -> None:
    """One cassette under the name of another target."""
    for path in folder.rglob("models-list.yaml"):
        target = path_of(into, Target("t", endpoint, model), "models-list")
        target.parent.mkdir(parents=True)
        text = path.read_text("utf-8").replace(f"endpoint: {PLACE}", f"endpoint: {endpoint}")
        target.write_text(text.replace("\n  model: reference-small", f"\n  model: {model}"), "utf-8")


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ((), None),
        (("new m", "old m", "old n"), "m at http://new/v1"),
        (("old m", "old n"), "m at http://old/v1"),
        (("new n", "old o"), "n at http://new/v1"),
    ],
)
def test_recording_to_compare_with(folder: Path, tmp_path: Path, recorded: Any, expected: str | None) -> None:
    """The target's own, else the only one of its model, else the only one of its endpoint."""
    for host, model in (name.split() for name in recorded):
        copied(folder, tmp_path, f"http://{host}/v1", model)
    chosen = recorded_for(tmp_path, [Target("m@new", "http://new/v1", "m")])
    assert [one.recording for one in chosen] == ([expected] if expected else [])
    assert [list(one.exchanges) for one in chosen] == ([["models-list"]] if expected else [])


@pytest.mark.parametrize("recorded", [("old m", "older m"), ("new n", "new o"), ("old n",)])
def test_recordings_that_may_not_be_meant_are_named(
    folder: Path, tmp_path: Path, recorded: tuple[str, ...]
) -> None:
    """Nothing is compared when it is not clear with what; the report says so."""
    for host, model in (name.split() for name in recorded):
        copied(folder, tmp_path, f"http://{host}/v1", model)
    target = Target("m@new", "http://new/v1", "m")
    (comparison,) = compare(recorded_for(tmp_path, [target]), [answer({})])
    names = ", ".join(f"{model} at http://{host}/v1" for host, model in (name.split() for name in recorded))
    assert list(drift_lines(comparison)) == [
        "drift: not compared with any recording: m at http://new/v1 is not recorded; there are " + names
    ]


def test_folder_without_recordings_turns_drift_off(tmp_path: Path) -> None:
    """No cassettes, no comparison."""
    target = Target("t", "http://h/v1", "m")
    assert recorded_for(tmp_path, [target]) == recorded_for(tmp_path / "absent", [target]) == ()


def test_damaged_cassette_is_an_error_before_the_run(folder: Path, tmp_path: Path) -> None:
    """One line that names the file, and not a comparison that is silently smaller."""
    copied(folder, tmp_path, "http://h/v1", "m")
    (path,) = tmp_path.rglob("*.yaml")
    path.write_text(path.read_text("utf-8")[:-200], "utf-8")
    with pytest.raises(CassetteError, match=r"cassette .*models-list\.yaml: .*delete it and record it again"):
        recorded_for(tmp_path, [Target("t", "http://h/v1", "m")])


def test_probe_without_a_cassette_is_no_drift(folder: Path, tmp_path: Path) -> None:
    """What was never recorded cannot have changed."""
    copied(folder, tmp_path, PLACE, "reference-small")
    target = Target("reference", "http://elsewhere/v1", "reference-small", place=PLACE)
    (comparison,) = compare(
        recorded_for(tmp_path, [target]), answers(["usage-missing"], ["models-list", "chat-basic"])
    )
    assert (comparison.probes, comparison.drifts) == (("models-list",), ())


def test_report_names_each_change_once(healthy: Recorded) -> None:
    """A header that is missing in twenty answers is one line, with the first of them."""
    live = answers(["request-id-missing", "error-param-missing", "finish-eos"])
    (comparison,) = compare([healthy], live)
    first, *lines = drift_lines(comparison)
    count = len(comparison.probes)
    assert first == (
        f"drift: {count} answers compared with the recording of reference-small at {PLACE} "
        "(the same endpoint and model)"
    )
    assert lines[0] == (
        f"drift: disappeared in {count} answers: header x-request-id "
        f"(models-list, models-404, auth-none, route-unknown and {count - 4} more)"
    )
    assert "drift: disappeared in 5 answers: body /error/param: null or string" in lines[1]
    assert lines[2].startswith(f"drift: changed in 1 answer: {FINISH}: stop → eos_token (chat-basic")
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("defect", "key"),
    [("response-sequence-missing", "sequence_number"), ("response-event-lines-missing", "event:")],
)
def test_key_of_all_types_of_events_is_one_line(healthy: Recorded, defect: str, key: str) -> None:
    """Twelve types of events lack the same thing."""
    (comparison,) = compare([healthy], answers([defect]))
    assert len(comparison.drifts) > 20
    (report,) = list(drift_lines(comparison))[1:]
    assert report.startswith(f"drift: disappeared in 3 answers: event * /{key}: ")


def test_json_has_every_change_with_its_probe(healthy: Recorded) -> None:
    """The report of a machine is not grouped."""
    (value,) = drift_json(compare([healthy], answers(["finish-eos"], ["chat-basic", "chat-length"])))
    assert (value["target"], value["recording"]) == ("reference", f"reference-small at {PLACE}")
    assert value["compared"] == ["chat-basic", "chat-length"]
    assert value["changes"] == [
        {"probe": "chat-basic", "place": FINISH, "change": "changed", "was": "stop", "now": "eos_token"}
    ]
    assert json.loads(json.dumps(value)) == value


def test_text_of_the_endpoint_is_not_obeyed() -> None:
    """Keys and words come from the server, and go to a terminal."""
    was, now = answer({"object": "a"}), answer({"object": "\x1b[2J\nb" + "x" * 999, "\x1b]0;k\x07": 1})
    recorded = Recorded("t", "m at \x1b[1m", "r", {"chat-basic": was})
    (comparison,) = compare([recorded], [now])
    lines = list(drift_lines(comparison))
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert all(str(text).isprintable() for text in drift_json([comparison])[0]["changes"][0].values())


def test_flood_of_changes_is_cut_with_a_hint() -> None:
    """A server that shares nothing with the recorded one does not fill the terminal."""
    now = answer({f"key{n}": n for n in range(100)})
    (comparison,) = compare([Recorded("t", "m at h", "r", {"chat-basic": answer({})})], [now])
    lines = list(drift_lines(comparison))
    assert len(lines) == 42
    assert lines[-1] == "drift: and 60 more; --llm-report=PATH.json has them all"


def test_drift_is_a_value() -> None:
    """Equal drifts are one in a set."""
    one, two = (Drift("t", "p", "status", Change.CHANGED, "400", "422") for _ in range(2))
    assert {one} == {two}
