"""Throttling: what an answer asks for, and what the official client makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import formatdate

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.sdk import retries
from pytest_llmcompat.throttling import met, out_of_quota, speaks_of_limits, wait_asked

GOOD = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
}


def answer(
    status: int, document: object, headers: Mapping[str, str] | None = None, started: float = 0.0
) -> Exchange:
    """A recorded answer; underscores in header names stand for hyphens."""
    pairs = (
        ("content-type", "application/json"),
        *((k.replace("_", "-"), v) for k, v in (headers or {}).items()),
    )
    request = Request("POST", "http://h/v1/chat/completions", (), b'{"model": "m", "messages": []}')
    body = json.dumps(document).encode()
    return Exchange("p", "t", request, status=status, headers=pairs, body=body, started=started)


def limited(**headers: str) -> Exchange:
    """A 429 with further headers."""
    return answer(429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, headers)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "20"}, 20.0),
        ({"retry_after_ms": "300", "retry_after": "1"}, 0.3),
        ({"retry_after": "20s"}, None),
        ({"retry_after": "nan"}, None),
        ({}, None),
    ],
)
def test_wait_is_read_as_clients_read_it(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds go before seconds; what is no number and no date cannot be read."""
    assert wait_asked(limited(**headers)) == seconds


def test_date_is_a_wait_from_the_time_of_sending() -> None:
    """A recording of last year asks for the same wait as it did then."""
    refusal = answer(429, {}, {"retry_after": formatdate(1_700_000_030, usegmt=True)}, 1_700_000_000.0)
    assert wait_asked(refusal) == pytest.approx(30)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry_after": "7"}, 7.0), ({"retry_after": "3600"}, None), ({"x_should_retry": "false"}, None)],
)
def test_official_client_obeys_without_anybody_waiting(
    headers: dict[str, str], seconds: float | None
) -> None:
    """The wait is the client's own reckoning; it gives up after two minutes or when it is told to."""
    assert retries(limited(**headers), answer(200, GOOD)) == seconds


def test_unreadable_wait_is_the_clients_own_guess() -> None:
    """«20s» is ignored: the client comes back after about half a second."""
    wait = retries(limited(retry_after="20s"), answer(200, GOOD))
    assert wait is not None
    assert wait < 1


def test_answers_before_a_retry_are_met_as_well() -> None:
    """A 429 that a second try overcame is still a 429 that came."""
    first, second = limited(), answer(200, GOOD)
    whole = Exchange("p", "t", second.request, status=200, body=second.body, retried=(first,))
    assert [each.status for each in met([whole])] == [429, 200]


@pytest.mark.parametrize(
    ("refusal", "speaks"),
    [
        (answer(503, {"error": {"message": "Rate limit exceeded"}}), True),
        (answer(200, {"choices": None, "error": {"message": "Too many requests", "code": 429}}), True),
        (answer(503, {"error": {"message": "The engine is overloaded"}}), False),
        (answer(200, GOOD | {"note": "rate limit"}), False),
    ],
)
def test_only_failures_speak_of_limits(refusal: Exchange, speaks: bool) -> None:
    """A good answer that mentions limits, and a failure for other reasons, are no throttling."""
    assert speaks_of_limits(refusal) is speaks


def test_used_up_quota_is_no_matter_of_waiting() -> None:
    """`insufficient_quota` is told from a limit that passes."""
    assert out_of_quota(answer(429, {"error": {"message": "You exceeded it.", "code": "insufficient_quota"}}))
    assert not out_of_quota(limited())
