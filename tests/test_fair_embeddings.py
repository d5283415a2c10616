"""Fairness of the contracts beside chat: a missing route, a busy server or a weak model is no broken contract."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.probe import Context, Unsendable
from pytest_llmcompat.probes import BY_FIXTURE, PROBES
from pytest_llmcompat.probes.embeddings import TEXTS, TOKENS
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, Verdict, judge

AREAS = ("embeddings.", "completions.", "moderations.", "files.", "batches.", "sdk.embeddings-default")
EVERY = {contract.id: contract for contract in bundled_contracts()}
CONTRACTS = {id: contract for id, contract in EVERY.items() if id.startswith(AREAS)}
MINE = [
    id
    for id, probe in PROBES.items()
    if id == "models-list" or probe.suite in ("embeddings", "legacy", "other")
]
TARGET = Target("m@h", "http://h/v1", "gpt", "key")
PASS, FAIL, WARN = Outcome.PASS, Outcome.FAIL, Outcome.WARN
INCONCLUSIVE, UNSUPPORTED = Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED

ALPHA = tuple(math.sin(n * n) for n in range(1, 17))
FOX = tuple(math.cos(3 * n * n) for n in range(1, 17))


def exchange(
    probe: str, answer: Any = None, status: int = 200, refused: Mapping[str, Refusal] | None = None
) -> Exchange:
    """The probe's own request, without what was refused, and an answer to it: JSON, or the text of a stream."""
    parents = {
        id: Exchange(id, "t", Request("POST", "u", (), b""), 400 if id == "completions-basic" else 200)
        for id in PROBES[probe].parents
    }
    sent: Any = PROBES[probe].body(Context(TARGET, parents)) or {}
    kept = {name: value for name, value in sent.items() if name not in (refused or {})}
    request = Request("POST", "http://h/v1/embeddings", (), json.dumps(kept).encode())
    body = answer if isinstance(answer, str) else json.dumps(answer)
    return Exchange(probe, "t", request, status=status, body=body.encode(), refused=refused or {})


def listing(*vectors: Any, tokens: int | None = 12, model: str = "gpt") -> dict[str, Any]:
    """An answer with embeddings."""
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return {"object": "list", "data": data, "model": model, **usage}


def packed(form: str, numbers: tuple[float, ...]) -> str:
    """Numbers in base64, each packed as `form` says."""
    return base64.b64encode(b"".join(struct.pack(form, n) for n in numbers)).decode()


def completion(*choices: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A text completion with (text, finish reason) as choices."""
    listed = [{"text": t, "index": n, "finish_reason": f} for n, (t, f) in enumerate(choices)]
    return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": listed, **more}


def error(message: str) -> dict[str, Any]:
    """An error in the envelope."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def verdict(contract: str, *exchanges: Exchange) -> Verdict:
    """What the contract says when these came, and nothing of the other probes."""
    given = {each.probe: each for each in exchanges}

    def read(name: str) -> Exchange:
        probe = BY_FIXTURE[name]
        nothing = Exchange(probe, "t", Request("POST", "u", (), b""), failure="nothing came")
        return given.get(probe, nothing)

    return judge(EVERY[contract], "t", read, Level.MAY)


GOOD = exchange("emb-float", listing(ALPHA, FOX, ALPHA))


def everything(answer: Any, status: int = 200) -> list[Exchange]:
    """One answer to each probe, sent or not."""
    return [exchange(id, answer, status) for id in MINE if id != "completions-single"]


def run(answer: Any, status: int) -> list[Exchange]:
    """What comes of a run in which each request gets one answer: some probes are then not sent."""
    came: dict[str, Exchange] = {}
    for id in MINE:
        parents = {parent: came[parent] for parent in PROBES[id].parents}
        try:
            PROBES[id].body(Context(TARGET, parents))
            came[id] = exchange(id, answer, status)
        except Unsendable as reason:
            nothing = Request("POST", "u", (), b"")
            came[id] = Exchange(id, "t", nothing, unsent=str(reason), unsupported=reason.unsupported)
    return list(came.values())


@pytest.mark.parametrize("id", CONTRACTS)
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (501, "This server does not support embeddings."),
    ],
)
def test_server_without_the_route_is_unsupported(id: str, status: int, message: str) -> None:
    """Most chat servers have none of these routes, and are red in no contract."""
    assert verdict(id, *run(error(message), status)).outcome is UNSUPPORTED


@pytest.mark.parametrize("id", [id for id in CONTRACTS if id.startswith(("embeddings.", "sdk."))])
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "You are not allowed to generate embeddings from this model"),
        (400, "The model does not support Embeddings API"),
    ],
)
def test_model_without_embeddings_is_unsupported(id: str, status: int, message: str) -> None:
    """A chat model in the place of an embedding model is red in no contract."""
    assert verdict(id, *run(error(message), status)).outcome is UNSUPPORTED


@pytest.mark.parametrize("id", [id for id in CONTRACTS if id.startswith("completions.")])
@pytest.mark.parametrize("status", [400, 404])
def test_chat_model_without_text_completions_is_unsupported(id: str, status: int) -> None:
    """OpenAI's own chat models refuse the route, and are red in no contract."""
    message = "This is a chat model and not supported in the v1/completions endpoint."
    assert verdict(id, *run(error(message), status)).outcome is UNSUPPORTED


@pytest.mark.parametrize("id", CONTRACTS)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_busy_server_is_inconclusive(id: str, status: int) -> None:
    """Nothing is known of a server that had no time."""
    assert verdict(id, *run(error("busy"), status)).outcome is INCONCLUSIVE


HOSTILE: list[Any] = [
    None,
    [],
    {},
    7,
    "data: {}\n\n",
    "data: [1]\n\ndata: null\n\n",
    'data: {"choices": null, "usage": 7, "id": {}}\n\n',
    "<html></html>",
    "[" * 100_000,
    {"data": None, "choices": None, "results": None},
    {"data": {}, "choices": {}, "usage": []},
    {"data": [None, 7, []], "choices": [None, 7, []]},
    {"data": [{"embedding": None}] * 3, "choices": [{"text": None, "finish_reason": 7}], "usage": {}},
    {"data": [{"embedding": {}, "index": True}] * 3, "choices": [{"text": {}, "logprobs": 7}], "model": {}},
    {"data": [{"embedding": [10**400, "x"], "index": 10**400}] * 3, "usage": {"prompt_tokens": 10**400}},
    {"data": [{"embedding": [0, 0], "index": "0"}] * 3, "usage": {"prompt_tokens": True}},
    {"data": [{"embedding": "ÿ"}, {"embedding": ""}, {"embedding": "AAAA"}], "model": 7},
    {"data": [{"embedding": [1]}, {"embedding": [1, 2]}, {"embedding": [[1]]}]},
]


@pytest.mark.parametrize("id", CONTRACTS)
def test_hostile_answer_gives_a_verdict(id: str) -> None:
    """Whatever comes, a judgement ends in an outcome and never in an exception of another kind."""
    for answer in HOSTILE:
        for status in (200, 400, 500):
            assert verdict(id, *everything(answer, status)).outcome in Outcome
            assert verdict(id, *everything(answer, status), GOOD).outcome in Outcome


@pytest.mark.parametrize(
    ("form", "said"), [("<d", "as float64"), (">f", "as big-endian float32"), (">d", "as big-endian float64")]
)
def test_other_binary_form_is_named(form: str, said: str) -> None:
    """The evidence says what the bytes are instead."""
    coded = exchange("emb-base64", listing(*(packed(form, v) for v in (ALPHA, FOX, ALPHA))))
    found = verdict("embeddings.base64-equals-float", coded, GOOD)
    assert found.outcome is FAIL
    assert said in found.reason


def test_unit_vector_in_another_form_is_recognised_alone() -> None:
    """No twin is needed when the bytes are a vector of length 1 in one form only."""
    length = math.hypot(*ALPHA)
    unit = tuple(n / length for n in ALPHA)
    assert verdict("embeddings.base64", exchange("emb-base64", listing(packed("<f", unit)))).outcome is PASS
    assert verdict("embeddings.base64", exchange("emb-base64", listing(packed("<d", unit)))).outcome is FAIL
    assert verdict("embeddings.base64", exchange("emb-base64", listing(packed("<f", ALPHA)))).outcome is PASS


def test_rounded_floats_are_the_same_vector() -> None:
    """Six digits, or half precision, are no other vector."""
    rounded = exchange("emb-float", listing(*([round(n, 3) for n in v] for v in (ALPHA, FOX, ALPHA))))
    coded = exchange("emb-base64", listing(*(packed("<f", v) for v in (ALPHA, FOX, ALPHA))))
    assert verdict("embeddings.base64-equals-float", coded, rounded).outcome is PASS
    assert verdict("sdk.embeddings-default", coded, rounded).outcome is PASS


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (ALPHA, PASS),
        (ALPHA[:8], PASS),
        (FOX, FAIL),
        (FOX[:8], WARN),
        (ALPHA + ALPHA, FAIL),
        (packed("<f", ALPHA), PASS),
        (None, INCONCLUSIVE),
    ],
)
def test_single_text_is_compared_with_the_batch(vector: Any, expected: Outcome) -> None:
    """A shortened vector may be shortened in another way than ours; a whole one may not differ."""
    assert (
        verdict("embeddings.single-string", exchange("emb-single", listing(vector)), GOOD).outcome is expected
    )


def test_refused_dimensions_are_unsupported() -> None:
    """A model of fixed length says so, and is red in no contract."""
    refused = {"dimensions": Refusal(400, "dimensions is not supported")}
    single = exchange("emb-single", listing(ALPHA), refused=refused)
    assert verdict("embeddings.dimensions", single, GOOD).outcome is UNSUPPORTED
    assert verdict("embeddings.single-string", single, GOOD).outcome is PASS


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (len(TOKENS), PASS),
        (len(TOKENS) + 4, PASS),
        (3 * len(TOKENS), FAIL),
        (None, INCONCLUSIVE),
        (0, INCONCLUSIVE),
    ],
)
def test_token_arrays_are_judged_by_the_count(tokens: int | None, expected: Outcome) -> None:
    """Tokens that a model adds are no fault; those of a number written out are."""
    answer = exchange("emb-tokens", listing(ALPHA, tokens=tokens))
    assert verdict("embeddings.token-input", answer, GOOD).outcome is expected


def test_refused_token_arrays_are_unsupported() -> None:
    """A server may take texts only, as long as it says so."""
    refusal = exchange("emb-tokens", error("input must be a string"), 400)
    assert verdict("embeddings.token-input", refusal, GOOD).outcome is UNSUPPORTED


def test_alias_of_a_deployment_is_doubted_only_when_unlike() -> None:
    """Azure's deployments bear names of their own; a dated or longer id is the same model."""
    models = exchange("models-list", {"data": [{"id": "gpt"}, {"id": "other"}]})
    expected = {"gpt-002-v2": PASS, "openai/gpt": PASS, "bert": WARN, "other": FAIL}
    found = {
        name: verdict(
            "embeddings.model-echo", models, exchange("emb-float", listing(ALPHA, model=name))
        ).outcome
        for name in expected
    }
    assert found == expected


def test_equal_vectors_of_different_texts_are_a_fault() -> None:
    """Close vectors are the model's affair, the very same one is not."""
    near, noisy = (FOX[0] + 1e-3, *FOX[1:]), (FOX[0], FOX[1] - 2e-3, *FOX[2:])
    same = exchange("emb-float", listing(*[FOX] * len(TEXTS)))
    close = exchange("emb-float", listing(FOX, near, noisy))
    assert verdict("embeddings.batch-order", same).outcome is FAIL
    assert verdict("embeddings.batch-order", close).outcome is PASS


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ([(" 4 5 6 ", "stop"), (" 5 6", "stop")], PASS),
        ([(" 4, 5, 6,", "stop"), ("", "stop")], PASS),
        ([("\ufffd\ufffd zq", "length"), (" 5 6", "length")], INCONCLUSIVE),
        ([(" and counting", "stop")], INCONCLUSIVE),
        ([(" 4 5 6 7", "stop")], FAIL),
        ([(" 4 5 6 7 8 9", "length")], FAIL),
    ],
)
def test_stop_string_is_judged_where_the_model_came_to_it(
    choices: list[tuple[str, str]], expected: Outcome
) -> None:
    """A model that does not count proves nothing about `stop`."""
    answer = exchange("completions-basic", completion(*choices))
    assert verdict("completions.stop-string", answer).outcome is expected


@pytest.mark.parametrize(("status", "expected"), [(400, UNSUPPORTED), (500, FAIL), (503, INCONCLUSIVE)])
def test_server_of_single_prompts_is_judged_by_them(status: int, expected: Outcome) -> None:
    """What becomes of several prompts decides one contract, and the others are settled by one prompt."""
    several = exchange("completions-basic", error("prompt must be a string"), status)
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    one = exchange("completions-single", completion((" 4 5 6 ", "stop"), usage=usage))
    found = {id: verdict(id, several, one).outcome for id in CONTRACTS if id.startswith("completions.")}
    assert found == {
        "completions.array-prompt": expected,
        "completions.logprobs": INCONCLUSIVE,
        "completions.shape": PASS,
        "completions.stop-string": PASS,
        "completions.stream": INCONCLUSIVE,
        "completions.usage": PASS,
    }


def test_chunk_of_openai_is_sound() -> None:
    """OpenAI's chunks leave out what it leaves null, and the one with the usage has no choice."""
    chunk = {"id": "c", "object": "text_completion", "choices": [{"text": "a", "index": 0}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    events = [chunk, {**chunk, "choices": [], "usage": usage}]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    streamed = exchange("completions-stream", body)
    assert verdict("completions.stream", streamed).outcome is PASS
    assert verdict("completions.usage", streamed).outcome is PASS


def test_broken_off_stream_is_inconclusive() -> None:
    """A server that fails in the middle and says so has not broken the shape of its chunks."""
    chunk = {"id": "c", "object": "text_completion", "choices": [{"text": "a", "index": 0}]}
    events = [chunk, error("overloaded")]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    assert verdict("completions.stream", exchange("completions-stream", body)).outcome is INCONCLUSIVE


def test_moderation_that_wants_a_model_is_unsupported() -> None:
    """Mistral's moderation has no default model."""
    refusal = exchange("moderation", error("Missing required parameter: 'model'"), 400)
    assert verdict("moderations.shape", refusal).outcome is UNSUPPORTED


@pytest.mark.parametrize(
    ("id", "probe"),
    [("images.shape", "image"), ("audio.speech", "speech"), ("audio.transcription", "transcription")],
)
def test_media_are_judged_whatever_comes(id: str, probe: str) -> None:
    """No answer is an exception, a missing route is unsupported and a busy server inconclusive."""
    found = {}
    for status, answer in [(200, a) for a in HOSTILE] + [(404, error("no")), (503, error("busy"))]:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        came = Exchange(probe, "t", Request("POST", "u", (), b""), status=status, body=text.encode())
        found[status] = verdict(id, came).outcome
    assert found == {200: FAIL, 404: UNSUPPORTED, 503: INCONCLUSIVE}
