"""Sending a probe: its request, its one retry, the dialect that it speaks, and when it is not sent at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.lab.sending import obtain
from pytest_llmcompat.probe import Context, Probe
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.redaction import KEY_MARKER
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer
from tests.servers import Connection, Received, Script, Time, completion, lab_on, refusal, serving

KEY = "sk-canary-0123456789"


def answering(*answers: tuple[int, object, dict[str, str]]) -> Script:
    """A server that gives these answers one after the other, and completions from then on."""
    left = list(answers)

    def script(_: Received, connection: Connection) -> None:
        status, body, headers = left.pop(0) if left else (200, completion(), {})
        connection.answer(body, status, headers)

    return script


def sent(
    probe_id: str, *answers: tuple[int, object, dict[str, str]], **changes: Any
) -> tuple[Exchange, list[Received], Time]:
    """The exchange of a probe with a server that gives some answers; its requests, and the time that passed."""
    time = Time()
    with serving(answering(*answers)) as server, lab_on(server, pace=time.pace(), **changes) as lab:
        exchange = lab.exchange(probe_id)
    return exchange, server.received, time


# --- the request ---


def test_request_bears_key_model_and_body() -> None:
    """What goes out is the probe's request; what is kept of it has a placeholder for the key."""
    exchange, (request,), _ = sent("chat-basic")
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-stainless-lang"] == "python"
    assert request.json == exchange.sent
    assert request.json["model"] == "m"
    assert KEY not in repr(exchange)
    assert KEY not in exchange.request.curl()


@pytest.mark.parametrize(
    ("probe_id", "authorization"),
    [("auth-none", None), ("auth-wrong", f"Bearer {WRONG_KEY}"), ("models-list", f"Bearer {KEY}")],
)
def test_probe_bears_the_credentials_that_it_is_about(probe_id: str, authorization: str | None) -> None:
    """The key goes out with the probes that are meant to bear it, and with no other."""
    _, (request,), _ = sent(probe_id)
    assert request.headers.get("authorization") == authorization


def test_basic_credentials_do_not_hold_the_key() -> None:
    """The real key never goes out under a wrong scheme."""
    _, (request,), _ = sent("auth-scheme")
    assert request.headers["authorization"].startswith("Basic ")


def test_target_without_key_sends_none() -> None:
    """A server that has no keys is asked without one."""
    _, (request,), _ = sent("models-list", target={"key": None, "no_auth": True})
    assert "authorization" not in request.headers


def test_further_headers_go_along_and_credentials_among_them_are_not_kept() -> None:
    """`--llm-header` may hold a key as well; the curl command of a report must not show it."""
    headers = {"Api-Key": "azure-secret-42", "X-Tenant": "blue"}
    exchange, (request,), _ = sent("models-list", target={"headers": headers})
    assert (request.headers["api-key"], request.headers["x-tenant"]) == ("azure-secret-42", "blue")
    kept = dict(exchange.request.headers)
    assert (kept["api-key"], kept["x-tenant"]) == (KEY_MARKER, "blue")


def test_probe_without_key_is_not_let_in_by_a_further_header() -> None:
    """Contracts on missing keys would fail on every endpoint whose key goes into a header of its own."""
    headers = {"Api-Key": "azure-secret-42", "X-Tenant": "blue"}
    _, (request,), _ = sent("auth-none", target={"headers": headers})
    assert "api-key" not in request.headers
    assert request.headers["x-tenant"] == "blue"


def test_raw_body_goes_out_as_it_is() -> None:
    """The probe with broken JSON sends broken JSON."""
    _, (request,), _ = sent("err-json")
    with pytest.raises(json.JSONDecodeError):
        _ = request.json
    assert request.headers["content-type"] == "application/json"


def test_route_without_version_is_asked_on_the_same_host() -> None:
    """The URL of this probe is built from the base URL, and the key stays on its host."""
    exchange, (request,), _ = sent("route-no-v1")
    assert request.path == "/chat/completions"
    assert exchange.unsent is None


def test_probe_that_cannot_be_built_is_not_sent() -> None:
    """Without a version in the base URL there is none to leave out."""
    exchange, received, _ = sent("route-no-v1", target={"endpoint": "http://127.0.0.1:9"})
    assert (exchange.requests, exchange.unsupported, received) == (0, True, [])
    assert exchange.unsent == "the base URL has no version segment such as /v1"


# --- the one retry ---


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_fault_is_tried_once_more(status: int) -> None:
    """The second answer counts when it is good."""
    exchange, received, time = sent("models-list", (status, {}, {"retry-after": "7"}))
    assert (exchange.status, exchange.requests, len(received)) == (200, 2, 2)
    assert time.slept == [7.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_decision_of_the_server_is_not_tried_again(status: int) -> None:
    """501 says that there is no such thing, and 4xx that the request is at fault."""
    exchange, received, time = sent("models-list", (status, {}, {}))
    assert (exchange.status, len(received), time.slept) == (status, 1, [])


def test_fault_that_lasts_counts() -> None:
    """There is one retry and no third try."""
    exchange, received, _ = sent("models-list", (429, {}, {}), (429, {}, {}))
    assert (exchange.status, exchange.requests, len(received)) == (429, 2, 2)


def test_server_error_on_an_invalid_request_is_not_tried_again() -> None:
    """For a request that is meant to be refused 500 is the server's answer; 429 is not."""
    exchange, received, _ = sent("err-json", (500, {}, {}))
    assert (exchange.status, len(received)) == (500, 1)
    exchange, received, _ = sent("err-json", (429, {}, {}), (400, {}, {}))
    assert (exchange.status, len(received)) == (400, 2)


@pytest.mark.parametrize(
    ("value", "waited"),
    [
        ({"retry-after": "0"}, [0.0]),
        ({"retry-after": "2.5"}, [2.5]),
        ({"retry-after": "30"}, [30.0]),
        ({"retry-after": "-4"}, [0.0]),
        ({"retry-after": "soon"}, [1.0]),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, [0.0]),
        ({"retry-after": "Mon, 99 Jan 99999 00:00:00 GMT"}, [1.0]),
        ({}, [1.0]),
    ],
)
def test_retry_waits_as_the_server_asks(value: dict[str, str], waited: list[float]) -> None:
    """Seconds or a date (RFC 9110 section 10.2.3); a second when there is nothing to read."""
    _, received, time = sent("models-list", (503, {}, value))
    assert (len(received), time.slept) == (2, waited)


@pytest.mark.parametrize("value", ["31", "3600", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_longer_wait_than_half_a_minute_is_not_waited_for(status: int, value: str) -> None:
    """Who asks for an hour would have it for each probe; the answer stands, and nothing waits."""
    exchange, received, time = sent("models-list", (status, {}, {"retry-after": value}))
    assert (exchange.status, len(received), time.slept) == (status, 1, [])


def test_broken_connection_is_tried_once_more() -> None:
    """A reset may pass; negative probes are no exception."""
    for probe_id in ("models-list", "err-json"):
        resets = [True]

        def script(_: Received, connection: Connection, resets: list[bool] = resets) -> None:
            if resets:
                resets.clear()
                connection.reset()
            else:
                connection.answer({})

        with serving(script) as server, lab_on(server) as lab:
            exchange = lab.exchange(probe_id)
        assert (exchange.failure, exchange.requests) == (None, 2)


def test_silence_is_tried_once_more_and_then_part_of_the_exchange() -> None:
    """A time-out is a result like any other."""

    def script(_: Received, connection: Connection) -> None:
        assert connection.gone()
        connection.close()

    with serving(script) as server, lab_on(server, timeout=0.1) as lab:
        exchange = lab.exchange("models-list")
    assert (exchange.status, exchange.failure, exchange.requests) == (
        0,
        "no answer had come after 0.1 s (--llm-timeout)",
        2,
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/html", b"<html>"), ("application/json", b"{"), ("text/event-stream", b'{"a": 1}'), ("", b"")],
)
def test_wrong_content_type_or_body_is_an_answer(content_type: str, body: bytes) -> None:
    """Contracts judge it; the lab keeps it as it came, and sends no retry for it."""
    exchange, received, _ = sent("chat-basic", (200, body, {"content-type": content_type}))
    assert (exchange.status, exchange.body, exchange.media_type, exchange.failure) == (
        200,
        body,
        content_type,
        None,
    )
    assert len(received) == 1


# --- the dialect of the server ---


def strict(*refused: str) -> Script:
    """A server that refuses parameters by name."""

    def script(request: Received, connection: Connection) -> None:
        body = request.json if request.body[:1] == b"{" else {}
        for name in refused:
            if body.get("messages") and name in body:
                connection.answer(refusal(f"Unsupported parameter: '{name}'", name), 400)
                return
        connection.answer(completion())

    return script


def test_dialect_is_learned_once_and_spoken_by_all_later_probes() -> None:
    """A carrier that `chat-basic` was refused costs one request in the whole run."""
    with serving(strict("max_tokens", "temperature")) as server, lab_on(server) as lab:
        basic = lab.exchange("chat-basic")
        length, stop = lab.exchange("chat-length"), lab.exchange("chat-stop")
    assert (basic.requests, length.requests, stop.requests) == (3, 1, 1)
    assert set(basic.refused) == {"max_tokens", "temperature"}
    assert length.sent["max_completion_tokens"] == 6
    assert "temperature" not in stop.sent
    assert basic.sent["seed"] == 7
    assert "max_tokens" in stop.refused


def test_compound_probe_names_what_was_refused() -> None:
    """The exchange that counts is the one without; contracts on the parameter see its refusal."""
    with serving(strict("n")) as server, lab_on(server) as lab:
        exchange = lab.exchange("chat-n2")
    assert exchange.ok
    assert set(exchange.refused) == {"n"}
    assert exchange.sent["logprobs"] is True
    assert "n" not in exchange.sent


def test_headers_of_the_sdk_are_left_out_where_they_are_refused() -> None:
    """A gateway that minds unknown headers still gets its other contracts judged."""

    def script(request: Received, connection: Connection) -> None:
        minded = "x-stainless-lang" in request.headers
        connection.answer(refusal("header not allowed") if minded else completion(), 400 if minded else 200)

    with serving(script) as server, lab_on(server) as lab:
        exchange = lab.exchange("chat-basic")
    assert exchange.ok
    assert set(exchange.refused) == {"sdk-headers"}
    assert "x-stainless-lang" not in dict(exchange.request.headers)


def test_invalid_requests_are_not_negotiated() -> None:
    """What is meant to be refused is sent once, as it is, before and without `chat-basic`."""
    exchange, received, _ = sent("err-temperature", (400, refusal("temperature", "temperature"), {}))
    assert (exchange.status, len(received)) == (400, 1)
    assert received[0].json["temperature"] == 9.5


def reasoning(thinks: int) -> Script:
    """A model that thinks for so many tokens before it says anything, and reports none of them."""

    def script(request: Received, connection: Connection) -> None:
        body = request.json
        cap = body.get("max_tokens") or body.get("max_completion_tokens") or 10**6
        silent = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "length"}
        connection.answer(completion() if cap > thinks else completion(choices=[silent]))

    return script


def test_reasoning_model_gets_more_room_in_text_reading_probes() -> None:
    """`chat-basic` is asked again with sixteen-fold room; probes that read the cap itself keep theirs."""
    with serving(reasoning(300)) as server, lab_on(server) as lab:
        basic, stop, length = (lab.exchange(id) for id in ("chat-basic", "chat-stop", "chat-length"))
    assert (basic.sent["max_tokens"], basic.requests) == (640, 2)
    assert basic.json["choices"][0]["message"]["content"] == "pong"
    assert (stop.sent["max_tokens"], length.sent["max_tokens"]) == (480, 6)


def test_room_that_is_refused_is_not_asked_for_again() -> None:
    """A small context has no room for more; the first answer counts then, with ordinary caps."""

    def script(request: Received, connection: Connection) -> None:
        if request.json["max_tokens"] > 512:
            connection.answer(refusal("max_tokens is too large: the context is 512", "max_tokens"), 400)
        else:
            reasoning(10**6)(request, connection)

    with serving(script) as server, lab_on(server) as lab:
        basic, stop = lab.exchange("chat-basic"), lab.exchange("chat-stop")
    assert basic.ok
    assert (basic.sent["max_tokens"], stop.sent["max_tokens"]) == (40, 30)


def test_hostile_server_gets_a_bounded_number_of_requests() -> None:
    """Whatever it refuses, no probe takes more than a few dozen requests."""
    count = 0
    words = ["max_tokens", "temperature", "seed", "max_completion_tokens", "'user'", "metadata", "what?"]

    def script(_: Received, connection: Connection) -> None:
        nonlocal count
        count += 1
        if count % 5 == 0:
            connection.answer({}, 429)
        elif count % 3 == 0:
            connection.answer(completion())
        else:
            connection.answer(refusal(f"{words[count % len(words)]} is bad"), 400)

    with serving(script) as server, lab_on(server) as lab:
        for probe in PROBES.values():
            assert lab.exchange(probe.id).requests <= 60


# --- not sent at all ---


def test_feature_that_is_not_there_is_not_asked_for_again() -> None:
    """When `tool-required` is refused for its tools, the probes behind it are unsupported and cost nothing."""
    with serving(strict("tools")) as server, lab_on(server) as lab:
        required = lab.exchange("tool-required")
        asked = len(server.received)
        stream = lab.exchange("tool-stream")
    assert required.status == 400
    assert (stream.requests, stream.unsupported, len(server.received)) == (0, True, asked)
    assert stream.unsent == "tool-required was refused with 400, so tool-stream was not sent"


@pytest.mark.parametrize(("status", "unsupported"), [(404, True), (501, True), (400, False), (422, False)])
def test_refusal_that_names_no_feature_leaves_the_rest_open(status: int, unsupported: bool) -> None:
    """Only «there is no such thing» makes a feature unsupported; a bad day of the server does not."""

    def script(request: Received, connection: Connection) -> None:
        if "tools" in request.json:
            connection.answer(refusal("something is wrong"), status)
        else:
            connection.answer(completion())

    with serving(script) as server, lab_on(server) as lab:
        stream = lab.exchange("tool-stream")
    assert stream.unsent is not None
    assert stream.unsupported is unsupported


def test_fault_of_the_server_gates_nothing() -> None:
    """After a 500 on the parent the child is sent all the same: it may work."""

    def script(request: Received, connection: Connection) -> None:
        plain = "tools" in request.json and "stream" not in request.json
        connection.answer(completion(), 500 if plain else 200)

    with serving(script) as server, lab_on(server) as lab:
        assert lab.exchange("tool-required").status == 500
        assert lab.exchange("tool-stream").unsent is None


def test_replayed_fault_is_not_waited_for() -> None:
    """A cassette with a retry in it plays at once."""

    class Recorded:
        live = False

        def __init__(self) -> None:
            self.answers = [Answer(429, (("retry-after", "9"),)), Answer(200)]

        def send(self, request: Request, probe: Probe) -> Answer:
            del request, probe
            return self.answers.pop(0)

        def close(self) -> None: ...

    time = Time()
    context = Context(Target("t", "http://h/v1", "m"), {})
    exchange = obtain(PROBES["models-list"], context, Recorded(), time.pace())
    assert (exchange.status, exchange.requests, exchange.live, time.slept) == (200, 2, False, [])
