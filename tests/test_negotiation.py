"""Negotiation: which parameters a server refuses is found out in few requests, and nobody else is blamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmcompat.exchange import SDK_HEADERS, Exchange, Refusal, Request
from pytest_llmcompat.lab.negotiation import (
    CARRIERS,
    HEADROOM,
    Attempt,
    dialect_of,
    headroom_of,
    negotiate,
    speak,
    wants_headroom,
)
from tests.servers import completion, refusal

Body = Mapping[str, Any]
Answer = tuple[int, object]
OK: Answer = (200, completion())
FEATURES = (
    "user",
    "store",
    "metadata",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "tier",
    "format",
    "t",
)


def exchange(answer: Answer, body: Body | None = None) -> Exchange:
    """An exchange with a JSON answer."""
    request = Request("POST", "http://h/v1/chat/completions", (), json.dumps(body or {}).encode())
    return Exchange("p", "t", request, status=answer[0], body=json.dumps(answer[1]).encode())


class Model:
    """A server as a function from a body to an answer, that notes what it is asked."""

    def __init__(self, answer: Callable[[Body], Answer], *, minds_headers: bool = False) -> None:
        self._answer, self._minds_headers = answer, minds_headers
        self.asked: list[Attempt] = []

    def __call__(self, attempt: Attempt) -> Exchange:
        self.asked.append(attempt)
        if self._minds_headers and attempt.extra_headers:
            return exchange((400, refusal("unknown header")), attempt.body)
        return exchange(self._answer(attempt.body), attempt.body)


def negotiated(
    model: Model, body: Body, features: tuple[str, ...] = (), *, extra_headers: bool = False
) -> tuple[Exchange, dict[str, Refusal]]:
    """Negotiate without a dialect."""
    return negotiate(body, features, {}, model, extra_headers=extra_headers)


def naming(*unknown: str, message: str = "Unsupported parameter: '{}'", param: bool = True) -> Model:
    """A server that refuses parameters by name, the first one of them that it meets."""

    def answer(body: Body) -> Answer:
        for name in unknown:
            if name in body:
                return 400, refusal(message.format(name), name if param else None)
        return OK

    return Model(answer)


def silent(*unknown: str) -> Model:
    """A server that refuses parameters without saying which."""
    return Model(lambda body: (400, refusal("bad request")) if set(unknown) & set(body) else OK)


def plain(**parameters: Any) -> dict[str, Any]:
    """A request body."""
    return {"model": "m", "messages": [], **parameters}


# --- refused by name ---


def test_accepted_request_costs_one_request() -> None:
    """A conforming server pays nothing for negotiation."""
    model = naming()
    got, refused = negotiated(model, plain(max_tokens=5, n=2), ("n",), extra_headers=True)
    assert (got.status, refused, len(model.asked)) == (200, {}, 1)


@pytest.mark.parametrize("param", [True, False])
def test_refused_max_tokens_becomes_max_completion_tokens(param: bool) -> None:
    """Newer OpenAI models refuse the old name and take the new one."""
    said = (
        "Unsupported parameter: '{}' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    got, refused = negotiated(naming("max_tokens", message=said, param=param), plain(max_tokens=5))
    assert got.sent == plain(max_completion_tokens=5)
    assert refused == {"max_tokens": Refusal(400, said.format("max_tokens"))}


def test_server_that_knows_no_cap_gets_none() -> None:
    """Both names refused: the request goes out without a cap rather than not at all."""
    got, refused = negotiated(naming("max_tokens", "max_completion_tokens"), plain(max_tokens=5))
    assert got.sent == plain()
    assert set(refused) == {"max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize("carrier", ["temperature", "seed"])
@pytest.mark.parametrize("param", [True, False])
def test_refused_carrier_is_left_out(carrier: str, param: bool) -> None:
    """Reasoning models refuse a temperature, some servers a seed: the other parameters stay."""
    body = plain(max_tokens=5, temperature=0, seed=7)
    got, refused = negotiated(naming(carrier, param=param), body)
    assert got.ok
    assert got.sent == {name: value for name, value in body.items() if name != carrier}
    assert set(refused) == {carrier}


def test_several_refused_parameters_are_left_out_one_after_the_other() -> None:
    """Servers name one at a time; each keeps the message that it was refused with."""
    got, refused = negotiated(naming("temperature", "n"), plain(temperature=0, n=2, seed=7), ("n",))
    assert got.sent == plain(seed=7)
    assert {name: r.message for name, r in refused.items()} == {
        name: f"Unsupported parameter: '{name}'" for name in ("temperature", "n")
    }


def test_validation_errors_of_fastapi_name_by_their_place() -> None:
    """`detail` lists what is wrong; the request that it repeats names nothing."""

    def answer(body: Body) -> Answer:
        if "seed" not in body:
            return OK
        return 422, {"detail": [{"type": "extra", "loc": ["body", "seed"], "msg": "no", "input": dict(body)}]}

    got, refused = negotiated(Model(answer), plain(max_tokens=5, temperature=0, seed=7))
    assert got.sent == plain(max_tokens=5, temperature=0)
    assert set(refused) == {"seed"}


def test_parameters_that_a_refusal_only_repeats_are_not_blamed() -> None:
    """FastAPI echoes the whole body when a field is missing: that is no reason to drop the cap on tokens."""
    model = Model(
        lambda body: (
            422,
            {"detail": [{"loc": ["body", "foo"], "msg": "Field required", "input": dict(body)}]},
        )
    )
    got, refused = negotiated(model, plain(max_tokens=5, temperature=0))
    assert (got.status, refused, len(model.asked)) == (422, {}, 1)


def test_message_that_lists_all_parameters_blames_the_one_whose_absence_helps() -> None:
    """Leaving out an innocent one changes nothing, so it stays in the request and out of `refused`."""
    said = "one of max_tokens, temperature, top_p is out of range"
    model = Model(lambda body: (400, refusal(said)) if "top_p" in body else OK)
    got, refused = negotiated(model, plain(max_tokens=5, temperature=0, top_p=1), ("top_p",))
    assert got.sent == plain(max_tokens=5, temperature=0)
    assert set(refused) == {"top_p"}


def test_refusal_that_nothing_helps_blames_nobody() -> None:
    """A context that is too short names `max_tokens`; the first answer counts, and no parameter is refused."""
    model = Model(
        lambda _: (400, refusal("context of 512 is too short: max_tokens, temperature and 2000 of prompt"))
    )
    got, refused = negotiated(model, plain(max_tokens=5, temperature=0, n=2), ("n",))
    assert got.sent == plain(max_tokens=5, temperature=0, n=2)
    assert refused == {}
    assert len(model.asked) <= 5


def test_everyday_word_counts_only_when_quoted() -> None:
    """«Ask the user to try again» is not about the parameter `user`."""
    model = Model(lambda _: (400, refusal("the user has no access, stop")))
    _, refused = negotiated(model, plain(user="u", stop=["x"]), ("user", "stop"))
    assert refused == {}


def test_fault_after_a_refusal_keeps_what_was_refused() -> None:
    """The parameter was refused for sure; that the next answer is a fault is another matter."""
    model = Model(lambda body: (400, refusal("'seed'", "seed")) if "seed" in body else (503, {}))
    got, refused = negotiated(model, plain(seed=7))
    assert got.status == 503
    assert set(refused) == {"seed"}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429, 500, 501, 503])
def test_other_statuses_are_not_negotiated(status: int) -> None:
    """Only 400 and 422 are about parameters."""
    model = Model(lambda _: (status, refusal("max_tokens n", "n")))
    got, refused = negotiated(model, plain(max_tokens=5, n=2), ("n",))
    assert (got.status, refused, len(model.asked)) == (status, {}, 1)


# --- headers of the SDK ---


def test_server_that_minds_the_headers_of_the_sdk_gets_none() -> None:
    """They are left out when that helps, and noted."""
    model = Model(lambda _: OK, minds_headers=True)
    got, refused = negotiated(model, plain(), extra_headers=True)
    assert got.ok
    assert refused == {SDK_HEADERS: Refusal(400, "unknown header")}
    assert [attempt.extra_headers for attempt in model.asked] == [True, False]


def test_headers_are_not_blamed_when_leaving_them_out_does_not_help() -> None:
    """One try without them is enough."""
    model = Model(lambda _: (404, refusal("no such model")))
    got, refused = negotiated(model, plain(), extra_headers=True)
    assert (got.status, refused, len(model.asked)) == (404, {}, 2)


# --- split on reject ---


@pytest.mark.parametrize("guilty", FEATURES)
def test_split_names_the_one_guilty_feature(guilty: str) -> None:
    """Halves first: the guilty one of nine is found in ten requests at the most, and all others are accepted."""
    model = silent(guilty)
    body = plain(**dict.fromkeys(FEATURES, 1))
    got, refused = negotiated(model, body, FEATURES)
    assert set(refused) == {guilty}
    assert got.ok
    assert got.sent == {name: value for name, value in body.items() if name != guilty}
    assert len(model.asked) <= 10


@settings(deadline=None)
@given(st.sets(st.sampled_from(FEATURES)))
def test_split_finds_any_set_of_guilty_features(guilty: set[str]) -> None:
    """Each guilty feature is named, none else, and the exchange that counts has all the others."""
    model = silent(*guilty)
    got, refused = negotiated(model, plain(**dict.fromkeys(FEATURES, 1)), FEATURES)
    assert set(refused) == guilty
    assert set(got.sent) - {"model", "messages"} == set(FEATURES) - guilty
    assert len(model.asked) <= 18


def test_feature_that_needs_an_earlier_one_is_accepted_with_it() -> None:
    """`top_logprobs` is refused without `logprobs`; the search adds to what is accepted already."""

    def answer(body: Body) -> Answer:
        lonely = "top_logprobs" in body and "logprobs" not in body
        return (400, refusal("bad")) if lonely or "n" in body else OK

    got, refused = negotiated(
        Model(answer),
        plain(n=2, temperature=1, logprobs=True, top_logprobs=2),
        ("n", "temperature", "logprobs", "top_logprobs"),
    )
    assert set(refused) == {"n"}
    assert got.sent == plain(temperature=1, logprobs=True, top_logprobs=2)


def test_features_are_not_searched_when_the_plain_request_is_refused() -> None:
    """One request tells that they are not to blame."""
    model = Model(lambda _: (400, refusal("bad request")))
    got, refused = negotiated(model, plain(**dict.fromkeys(FEATURES, 1)), FEATURES)
    assert (got.status, refused, len(model.asked)) == (400, {}, 2)
    assert set(got.sent) >= set(FEATURES)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_fault_in_the_middle_of_the_search_ends_it(status: int) -> None:
    """A server that breaks down on a feature has not decided on it; the exchange says what it answered."""

    def answer(body: Body) -> Answer:
        if "store" in body:
            return 400, refusal("bad")
        return (status, {}) if "metadata" in body else OK

    got, refused = negotiated(
        Model(answer), plain(user="u", store=False, metadata={}), ("user", "store", "metadata")
    )
    assert got.status == status
    assert set(refused) == {"store"}


# --- whatever a server answers ---

STATUSES = st.sampled_from([200, 400, 400, 400, 422, 404, 429, 500, 0])
MESSAGES = st.sampled_from(
    ["bad", *CARRIERS, *FEATURES, "max_tokens max_completion_tokens 'n' 'user'", '["]', "n" * 99]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(STATUSES, MESSAGES, MESSAGES), min_size=1, max_size=60))
def test_number_of_requests_is_bounded_whatever_the_server_answers(
    answers: list[tuple[int, str, str]],
) -> None:
    """A hostile server can drag out neither the loop over names nor the search."""
    count = 0

    def answer(_: Body) -> Answer:
        nonlocal count
        status, message, param = answers[count % len(answers)]
        count += 1
        return status, refusal(message, param)

    body = plain(**dict.fromkeys(FEATURES, 1), max_tokens=1, temperature=0, seed=7)
    negotiated(Model(answer), body, FEATURES, extra_headers=True)
    assert count <= 40


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[1]", b'"x"', b'{"error": 7}', b'{"error": {"message": {"a": [NaN]}, "param": []}}'],
)
def test_refusal_of_any_shape_is_read(body: bytes) -> None:
    """An error that is no envelope names nothing, and breaks nothing here."""

    def send(attempt: Attempt) -> Exchange:
        request = Request("POST", "u", (), json.dumps(dict(attempt.body)).encode())
        return Exchange("p", "t", request, status=400, body=body)

    got, refused = negotiate(plain(max_tokens=5), (), {}, send, extra_headers=False)
    assert (got.status, refused) == (400, {})


# --- dialect and head-room ---

BASIC = {"max_tokens": 40}


def test_dialect_holds_the_refused_carriers_only() -> None:
    """What `chat-basic` had to do without, later probes do without; features are each probe's own matter."""
    refused = {"max_tokens": Refusal(400, "x"), "n": Refusal(400, "y"), SDK_HEADERS: Refusal(400, "z")}
    basic = Exchange("chat-basic", "t", Request("POST", "u", (), b""), status=200, refused=refused)
    assert dialect_of(basic) == {"max_tokens": Refusal(400, "x")}
    assert dialect_of(None) == {}


def test_body_is_spoken_in_the_dialect() -> None:
    """Refused carriers are left out or swapped, and the cap grows by the factor."""
    refused = {"max_tokens": Refusal(400, "x"), "temperature": Refusal(400, "y")}
    body = plain(max_tokens=5, temperature=0, seed=7)
    assert speak(body, refused, 16) == plain(max_completion_tokens=80, seed=7)
    assert speak(body, {}, 1) == body
    assert body == plain(max_tokens=5, temperature=0, seed=7)


EMPTY = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "length"}


@pytest.mark.parametrize(
    ("answer", "wants"),
    [
        (completion(), False),
        (completion(choices=[EMPTY]), True),
        (completion(choices=[{**EMPTY, "message": {"content": None}}]), True),
        (completion(choices=[{**EMPTY, "message": {"content": "po"}}]), False),
        (completion(usage={"completion_tokens_details": {"reasoning_tokens": 12}}), True),
        (completion(usage={"completion_tokens_details": {"reasoning_tokens": 0}}), False),
        (completion(usage={"completion_tokens_details": {"reasoning_tokens": True}}), False),
        (completion(usage=None, choices=None), False),
        ([], False),
        (completion(choices=[{"finish_reason": "length", "message": "text"}]), False),
    ],
)
def test_model_that_spends_its_cap_on_reasoning_wants_room(answer: object, wants: bool) -> None:
    """Seen by an empty text that ended by length, or by reasoning tokens in the usage."""
    assert wants_headroom(exchange((200, answer))) is wants
    assert not wants_headroom(exchange((500, answer)))


@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
def test_room_is_kept_once_it_was_given(cap: str) -> None:
    """Whether `chat-basic` had more room is read off its request: its answer then looks like any other."""
    assert headroom_of(exchange(OK, plain(**{cap: 640})), BASIC) == HEADROOM
    assert headroom_of(exchange(OK, plain(**{cap: 40})), BASIC) == 1
    assert headroom_of(exchange(OK, plain()), BASIC) == 1
    assert headroom_of(None, BASIC) == 1
