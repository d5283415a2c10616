"""Contracts on 429: that throttling is told as such, for how long, and that the official client obeys."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import body, judge_each, served
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.sdk import retries
from pytest_llmcompat.throttling import (
    LONGEST_WAIT,
    met,
    out_of_quota,
    speaks_of_limits,
    throttled,
    wait_asked,
)
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn, warn_unless

_SPEC_429: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 86354): TooManyRequests"
_HEADER: Final = re.compile(r"x-ratelimit-(limit|remaining|reset)-(requests|tokens)")
_KINDS: Final = ("limit", "remaining", "reset")
# Words by which `code` or `type` say what ran out.
_TELLING: Final = re.compile(r"rate|limit|quota|requests|tokens|throttl|slow_down", re.IGNORECASE)
_READABLE: Final = "a number of seconds from 1 to 120, or a date"


def _throttled(exchanges: tuple[Exchange, ...]) -> list[Exchange]:
    found = throttled(exchanges)
    if not found:
        inconclusive("nothing was answered 429")
    return found


@contract(
    "error.429-status",
    MUST,
    source=f"{_SPEC_429} is an ErrorResponse; openai-python 3.57 _base_client.py:957 retries 429",
    breaks="Clients take throttling for a broken server or for an answer: they raise at once, or read nothing.",
    fix="Answer 429 with the JSON error envelope whenever a client sends too much, and nothing else.",
    catches=("throttled-503", "throttled-200", "throttled-flat"),
    cases="UKGovernmentBEIS/inspect_ai#1534",
    passive=("error", "chat"),
)
def test_throttling_is_429(every_exchange: tuple[Exchange, ...]) -> None:
    """A request that was one too many is answered 429, with the error envelope."""
    seen = [answer for answer in met(every_exchange) if answer.status == 429 or speaks_of_limits(answer)]
    if not seen:
        inconclusive("nothing was throttled")
    for answer in seen:
        if answer.status in (200, 403, 500, 502, 503, 529):
            fail(answer, "status", "429, since the text speaks of limits")
        if answer.status == 429:
            expect(answer.is_json, answer, "body", "JSON with an `error` object")
            expect_conforms(body(answer), "error")


@contract(
    "ratelimit.retry-after",
    SHOULD,
    source=f"{_SPEC_429} has Retry-After, an integer of at least 1; openai-python 3.57 _base_client.py:849-930",
    breaks="Clients wait for half a second, are refused again and give up; above two minutes they do not retry.",
    fix="Send `Retry-After` with whole seconds until the next request will be served, at least 1.",
    catches=("retry-after-missing", "retry-after-text", "retry-after-zero", "retry-after-hour"),
    cases=("etalab-ia/OpenGateLLM#364", "BerriAI/litellm#4695"),
    passive="error",
)
def test_429_says_when_to_come_back(every_exchange: tuple[Exchange, ...]) -> None:
    """A 429 says in `Retry-After` how long to wait, in a form and of a length that clients obey."""
    judge_each(_expect_wait, *_throttled(every_exchange))


def _expect_wait(answer: Exchange) -> None:
    if out_of_quota(answer):
        inconclusive("the quota is used up, against which no waiting helps")
    given = answer.header("retry-after") or answer.header("retry-after-ms")
    if given is None:
        warn(answer, "header retry-after", _READABLE)
    wait = wait_asked(answer)
    expect(wait is not None and 0 < wait <= LONGEST_WAIT, answer, "header retry-after", _READABLE, given)


@contract(
    "ratelimit.429-code",
    SHOULD,
    source="OpenAI's guide to error codes: 429 is `rate_limit_exceeded`, `slow_down` or `insufficient_quota`",
    breaks="Programs wait and retry for hours when the money is used up, or give up when waiting would help.",
    fix="Set `error.code` to `rate_limit_exceeded`, or to `insufficient_quota` when no waiting helps.",
    catches=("throttled-without-code",),
    passive="error",
)
def test_429_says_what_ran_out(every_exchange: tuple[Exchange, ...]) -> None:
    """The `code` or `type` of a 429 tells a rate limit from a used-up quota; else it is a warning."""
    judge_each(_expect_telling, *_throttled(every_exchange))


def _expect_telling(answer: Exchange) -> None:
    error = body(answer)
    if not isinstance(error.at("/error"), dict):
        inconclusive(f"{answer.probe}: the 429 has no envelope (error.429-status judges that)")
    told = [error.at(f"/error/{key}") for key in ("code", "type")]
    telling = any(isinstance(value, str) and _TELLING.search(value) for value in told)
    warn_unless(telling, error, "/error/code", "rate_limit_exceeded or insufficient_quota")


@contract(
    "ratelimit.sdk-retries",
    MUST,
    source="openai-python 3.57 runs on the recorded bytes: _base_client.py:922-975 and 849-920",
    breaks="The official clients raise RateLimitError at once, or retry too early and then raise it.",
    fix="Send `Retry-After` in whole seconds up to 120 with each 429, and no `x-should-retry: false`.",
    catches=("retry-after-text", "retry-after-hour", "throttled-do-not-retry"),
    cases="tinyhumansai/openhuman#6504",
)
def test_official_client_waits_and_succeeds(
    every_exchange: tuple[Exchange, ...], chat_basic: Exchange
) -> None:
    """After a 429 the official client waits as long as it was told, tries again and gets the answer."""
    served(chat_basic)
    judge_each(lambda refusal: _expect_obeyed(refusal, chat_basic), *_throttled(every_exchange))


def _expect_obeyed(refusal: Exchange, answer: Exchange) -> None:
    if out_of_quota(refusal):
        inconclusive("the quota is used up, against which no waiting helps")
    told = refusal.header("retry-after") or refusal.header("retry-after-ms")
    if told is None and refusal.header("x-should-retry") != "false":
        inconclusive(f"{refusal.probe}: there is no Retry-After (ratelimit.retry-after judges that)")
    waited, asked = retries(refusal, answer), wait_asked(refusal)
    where = "headers retry-after, x-should-retry"
    found = f"{told}, {refusal.header('x-should-retry')}"
    expect(waited is not None, refusal, where, "such that the official client tries again", found)
    expect(asked is not None, refusal, where, "a time that the official client can read", found)


@contract(
    "ratelimit.429-not-on-idle",
    MAY,
    source="own rule: the suite sends a few dozen small requests",
    breaks="Interactive programs with a few requests in parallel run into the limit.",
    fix="Allow at least some dozen requests a minute, eight at a time.",
    catches=("throttles-at-once",),
)
def test_few_requests_are_not_throttled(every_exchange: tuple[Exchange, ...]) -> None:
    """The few requests of the suite draw no 429; those that go out at once on purpose are not counted."""
    refused = throttled(e for e in every_exchange if not PROBES[e.probe].together)
    if refused and all(out_of_quota(answer) for answer in refused):
        inconclusive("the quota is used up")
    for answer in refused:
        warn(answer, "status", "an answer: the suite had sent a few dozen small requests")


@contract(
    "ratelimit.headers-present",
    MAY,
    source="recorded answers of api.openai.com; sashabaranov/go-openai ratelimit.go reads all six",
    breaks="Clients that pace themselves by what remains have to guess it.",
    fix="Where `x-ratelimit-*` headers are sent, send limit, remaining and reset of each kind.",
    catches=("ratelimit-remaining-missing",),
    cases="openai/openai-node#1477",
)
def test_ratelimit_headers_are_complete(chat_basic: Exchange) -> None:
    """Rate-limit headers come in threes: limit, remaining and reset, of requests or of tokens."""
    served(chat_basic)
    found = {(m[1], m[2]) for name, _ in chat_basic.headers if (m := _HEADER.fullmatch(name))}
    if not found:
        unsupported("the answer says nothing of rate limits")
    for what in sorted({what for _, what in found}):
        for kind in _KINDS:
            warn_unless(
                (kind, what) in found, chat_basic, f"header x-ratelimit-{kind}-{what}", "sent as well"
            )
