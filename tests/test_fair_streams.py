"""Fairness of the contracts on streams and clients: what is the model's, the network's or nobody's fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.probe import Context
from pytest_llmcompat.probes import BY_FIXTURE, FAMILIES, PROBES, family
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import Outcome, judge

CONTRACTS = {contract.id: contract for contract in bundled_contracts()}
OURS = [id for id in CONTRACTS if id.startswith(("chat.stream.", "sdk."))]
TARGET = Target("m@h", "http://h/v1", "m", "key")
HEAD: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
PASS, FAIL, WARN = Outcome.PASS, Outcome.FAIL, Outcome.WARN
INCONCLUSIVE, UNSUPPORTED = Outcome.INCONCLUSIVE, Outcome.UNSUPPORTED


def exchange(probe: str, body: bytes = b"", **changed: Any) -> Exchange:
    """The probe's own request and an answer to it."""
    # Embeddings are asked for once they are there; the compound of tool results is split once it was refused.
    parents = {
        id: Exchange(id, "t", Request("POST", "u", (), b""), 200 if id == "emb-float" else 400)
        for id in PROBES[probe].parents
    }
    sent: Any = PROBES[probe].body(Context(TARGET, parents))
    content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    request = Request("POST", "http://h/v1/chat/completions", (), content)
    arrivals = ((0.1, len(body)),)
    answer = Exchange(probe, "t", request, status=200, body=body, arrivals=arrivals, total=0.1)
    return replace(answer, **changed)


def events(*data: Any) -> bytes:
    """Events with these data."""
    texts = [d if isinstance(d, str) else json.dumps(d, ensure_ascii=False) for d in data]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def choice(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    delta = {} if content is None else {"content": content}
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


ROLE = {**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
COUNTED = {**HEAD, "choices": [], "usage": USAGE}


def streamed(probe: str, *texts: str, finish: str = "stop", behind: Iterable[Any] = ("[DONE]",)) -> Exchange:
    """A whole stream of these texts."""
    return exchange(probe, events(ROLE, *map(choice, texts), choice(finish=finish), *behind))


def plain(text: str, finish: str = "stop") -> Exchange:
    """The answer that is not streamed."""
    message = {"role": "assistant", "content": text}
    body = {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": USAGE}
    return exchange("chat-basic", json.dumps(body).encode())


def outcome(contract: str, *exchanges: Exchange) -> Outcome:
    """What the contract says when these came, and nothing of the other probes."""
    given = {each.probe: each for each in exchanges}

    def read(name: str) -> object:
        if name in FAMILIES:
            return tuple(given[probe.id] for probe in family(name) if probe.id in given)
        probe = BY_FIXTURE[name]
        return given.get(probe, exchange(probe, status=0, failure="nothing came"))

    return judge(CONTRACTS[contract], "t", read, Level.MAY).outcome


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 0, "failure": "nothing came for 30 s"},
        {"status": 429, "body": b'{"error": {"message": "slow down"}}'},
        {"status": 500, "body": b"oops"},
        {"status": 200, "body": b"data: {", "failure": "the connection broke"},
    ],
    ids=["silence", "rate limit", "crash", "broken connection"],
)
@pytest.mark.parametrize("id", OURS)
def test_endpoint_in_trouble_is_inconclusive_everywhere(id: str, trouble: dict[str, Any]) -> None:
    """An endpoint that gives no whole answer has broken no contract."""
    read = [BY_FIXTURE[name] for name in CONTRACTS[id].reads if name in BY_FIXTURE]
    negative = [probe.id for probe in family("error_exchanges") if probe.id.startswith("err-t")]
    assert outcome(id, *(exchange(probe, **trouble) for probe in [*read, *negative])) is INCONCLUSIVE


@pytest.mark.parametrize("id", ["chat.stream.content-type", "chat.stream.is-sse", "sdk.stream-iterate"])
def test_missing_route_is_unsupported(id: str) -> None:
    """An endpoint without chat completions says so with 404."""
    assert outcome(id, exchange("stream-basic", b"{}", status=404)) is UNSUPPORTED


def test_refused_option_is_unsupported() -> None:
    """Usage is not asked of a stream whose `stream_options` were refused by name."""
    answer = replace(streamed("stream-basic", "pong"), refused={"stream_options": Refusal(400, "no")})
    assert outcome("chat.stream.usage-chunk", answer) is UNSUPPORTED
    assert outcome("chat.stream.usage-chunk", streamed("stream-basic", "pong")) is FAIL


@pytest.mark.parametrize(
    "id",
    ["chat.stream.done-sentinel", "chat.stream.finish-once", "chat.stream.usage-chunk", "sdk.node-final"],
)
def test_stream_that_ends_with_an_error_lacks_nothing(id: str) -> None:
    """A server that fails on the way and says so owes neither an end, nor usage, nor [DONE]."""
    broken = [ROLE, choice("po"), {"error": {"message": "out of memory"}}]
    assert outcome(id, exchange("stream-basic", events(*broken))) is INCONCLUSIVE
    assert outcome(id, exchange("stream-basic", events(*broken[:2]))) is FAIL


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("pong \ufffd\ufffd 日本", "pong 🏓 日本", FAIL),
        ("pong 🏓 日\ufffd", "pong 🏓 日本", FAIL),
        ("pong 🏓 日本", "pong 🏓 日本", PASS),
        ("pong 🏓 日本", "pong \ufffd 日本", PASS),
        ("zq \ufffd 00 \ufffd", "zq \ufffd 00 \ufffd", INCONCLUSIVE),
        ("zq \ufffd 00", "another garbage", INCONCLUSIVE),
        ("\ufffd a" * 40, " a" * 80, INCONCLUSIVE),
        ("pong", "pong 🏓 日本", INCONCLUSIVE),
    ],
)
def test_replacement_characters_are_blamed_on_damage_only(text: str, whole: str, expected: Outcome) -> None:
    """A model that writes garbage is no server that cuts characters: then the rest of the text is the same."""
    answers = streamed("stream-basic", *text.split(" ")), plain(whole.replace(" ", ""))
    assert outcome("chat.stream.utf8-split", *answers) is expected


def test_half_a_surrogate_pair_is_the_servers_fault() -> None:
    """No model writes half a pair: the server has cut its own escapes."""
    body = events(ROLE, choice("x")).replace(b'"x"', b'"\\ud83c"')
    assert outcome("chat.stream.utf8-split", exchange("stream-basic", body)) is FAIL


@pytest.mark.parametrize(("finish", "expected"), [("stop", FAIL), ("length", INCONCLUSIVE)])
def test_empty_stream_is_blamed_when_it_was_not_cut(finish: str, expected: Outcome) -> None:
    """A reasoning model may spend its whole cap in secret; without a cut, counted tokens have to show."""
    answer = streamed("stream-basic", "", finish=finish, behind=[COUNTED, "[DONE]"])
    assert outcome("chat.stream.concat-nonempty", answer, plain("pong")) is expected


WORDS = ("Well", ",", " here", " is", " some", "thing")


@pytest.mark.parametrize(
    ("texts", "finish", "expected"),
    [
        (WORDS, "length", PASS),
        (WORDS, "stop", FAIL),
        (WORDS[:4], "stop", INCONCLUSIVE),
        ("Hello!", "stop", INCONCLUSIVE),
        (("He", "ll", "o ", "th", "er", "e!"), "stop", INCONCLUSIVE),
        ((*WORDS, " more"), "stop", INCONCLUSIVE),
    ],
    ids=["cut", "cut and denied", "ended", "letters", "pairs of letters", "more pieces than tokens"],
)
def test_cap_is_judged_by_chunks_that_are_tokens(
    texts: Iterable[str], finish: str, expected: Outcome
) -> None:
    """A server that cuts a finished text into letters has not reached the cap of 6 tokens."""
    assert outcome("chat.stream.finish-length", streamed("stream-n2", *texts, finish=finish)) is expected


@pytest.mark.parametrize(("last", "expected"), [("thing", FAIL), ("<|end|>", INCONCLUSIVE)])
def test_cap_is_judged_by_logprobs_where_they_are(last: str, expected: Outcome) -> None:
    """Six tokens of text are the cap; the token that ends an answer is none of the text."""
    tokens = [*WORDS[:5], last]
    chunks = [
        choice("".join(WORDS[:5]) + ("thing" if last == "thing" else "")),
        choice(finish="stop", logprobs={"content": [{"token": token} for token in tokens]}),
    ]
    answer = exchange("stream-n2", events(ROLE, *chunks, "[DONE]"))
    assert outcome("chat.stream.finish-length", answer) is expected


def test_connection_that_never_closes_is_the_servers_fault() -> None:
    """Behind [DONE] there is nothing to wait for, so a time-out there is no accident."""
    held = replace(streamed("stream-basic", "pong"), total=30.0, failure="nothing came for 30 s")
    assert outcome("chat.stream.closes-after-done", held) is FAIL
    assert outcome("chat.stream.closes-after-done", replace(held, live=False)) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("total", "wait", "live", "expected"),
    [
        (4.0, 0.4, True, FAIL),
        (4.0, 3.5, True, INCONCLUSIVE),
        (0.9, 0.1, True, INCONCLUSIVE),
        (4.0, 0.4, False, INCONCLUSIVE),
    ],
    ids=["held back", "waited for a place", "fast", "recorded"],
)
def test_burst_is_blamed_when_generating_took_the_time(
    total: float, wait: float, live: bool, expected: Outcome
) -> None:
    """A fast server behind a queue sends a burst as well; a short answer shows how long the queue is."""
    body = streamed("stream-plain", *(f"{n} " for n in range(40))).body
    late = exchange("stream-plain", body, arrivals=((total, len(body)),), total=total, live=live)
    short = replace(exchange("chat-length", plain("1 2 3").body), total=wait)
    assert outcome("chat.stream.incremental", late, short) is expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, PASS),
        ({"total": 30.0}, FAIL),
        ({"status": 503}, FAIL),
        ({"status": 0, "failure": "nothing came for 30 s"}, FAIL),
        ({"status": 429}, INCONCLUSIVE),
        ({"live": False, "status": 503}, INCONCLUSIVE),
    ],
    ids=["served", "late", "turned away", "silent", "rate limit", "recorded"],
)
def test_request_after_a_lost_client_is_judged_live(changed: dict[str, Any], expected: Outcome) -> None:
    """A busy server is at fault only when the client that left is what keeps it busy."""
    left = exchange("stream-abort", events(ROLE, choice("1 "), choice("2 "), choice("3 ")))
    after = exchange("chat-turns", plain("KESTREL-31").body, **changed)
    assert outcome("chat.stream.disconnect-safe", left, after, plain("pong")) is expected


def test_lost_client_that_was_never_lost_settles_nothing() -> None:
    """A stream that was over before the client could leave shows nothing."""
    after = exchange("chat-turns", plain("KESTREL-31").body)
    for left in (streamed("stream-abort", "1 "), exchange("stream-abort", plain("1 2 3").body)):
        assert outcome("chat.stream.disconnect-safe", left, after, plain("pong")) is INCONCLUSIVE


@pytest.mark.parametrize("id", ["chat.stream.usage-last", "sdk.stream-helper-text"])
def test_results_of_moderation_may_follow_the_usage(id: str) -> None:
    """OpenAI itself sends them there; any other chunk behind the usage loses it."""
    behind = {**HEAD, "choices": [], "usage": None}
    moderated = [COUNTED, {**behind, "moderation": {"input": {}}}, "[DONE]"]
    assert outcome(id, streamed("stream-basic", "pong", behind=moderated)) is PASS
    assert outcome(id, streamed("stream-basic", "pong", behind=[COUNTED, behind, "[DONE]"])) is FAIL


def test_cut_stream_is_put_together_all_the_same() -> None:
    """A model that never stops gives the client an answer, too."""
    assert outcome("sdk.stream-helper-text", streamed("stream-basic", "po", "ng", finish="length")) is PASS


def test_endless_stream_is_not_replayed() -> None:
    """Thousands of chunks are no business of the stream helper."""
    answer = streamed("stream-basic", *["x"] * 6500)
    assert outcome("sdk.stream-helper-text", answer) is INCONCLUSIVE


def test_stream_with_logprobs_of_null_lacks_the_feature() -> None:
    """A server that says null for logprobs has none; an object without entries is broken."""
    told = events(ROLE, choice("Hm.", logprobs=None), choice(finish="stop"))
    empty = events(ROLE, choice("Hm.", logprobs={"content": []}), choice(finish="stop"))
    assert outcome("chat.stream.logprobs", exchange("stream-n2", told)) is UNSUPPORTED
    assert outcome("chat.stream.logprobs", exchange("stream-n2", empty)) is FAIL


def test_error_text_outside_the_envelope_is_lost_for_the_client() -> None:
    """Only what stands where the client looks reaches its exception."""
    sound = b'{"error": {"message": "no", "type": "t", "code": "c", "param": null}}'
    assert outcome("sdk.error-class", exchange("err-types", sound, status=400)) is PASS
    assert outcome("sdk.error-class", exchange("err-types", b'{"detail": "no"}', status=400)) is FAIL
    assert outcome("sdk.error-class", exchange("err-types", b'{"detail": "no"}', status=503)) is INCONCLUSIVE


def test_client_is_not_asked_for_what_the_model_left_out() -> None:
    """A model that calls no tool leaves the contracts on calls open."""
    text = exchange("tool-required", plain("It is warm.").body)
    stream = streamed("tool-stream", "It is warm.")
    assert outcome("sdk.parse-tools", text) is INCONCLUSIVE
    assert outcome("sdk.stream-helper-tools", stream) is INCONCLUSIVE
