"""Rate limits: headers that count, durations as Go prints them, 429 when nothing is left."""

from __future__ import annotations

import httpx
import pytest

from pytest_llmcompat.reference import Reference, serve
from pytest_llmcompat.reference import ratelimit as limits
from pytest_llmcompat.reference.defect import Defects
from pytest_llmcompat.reference.errors import ApiError
from pytest_llmcompat.reference.ratelimit import RateLimit, duration

NOTHING: Defects = frozenset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.012, "12ms"), (1, "1s"), (59.871, "59.871s"), (90, "1m30s"), (60, "1m0s"), (0, "0ms"), (-1, "0ms")],
)
def test_duration_reads_like_go(seconds: float, text: str) -> None:
    """Clients parse the resets with Go's ParseDuration."""
    assert duration(seconds) == text


def test_headers_count_down_by_what_was_spent(reference: Reference, http: httpx.Client) -> None:
    """A request lowers the remaining requests by one and the remaining tokens by its own."""
    body = {"model": reference.model, "messages": [{"role": "user", "content": "hi"}]}
    first, second = (http.post("/chat/completions", json=body) for _ in range(2))
    spent = second.json()["usage"]["total_tokens"]
    for kind, amount in (("requests", 1), ("tokens", spent)):
        before, after = (int(answer.headers[f"x-ratelimit-remaining-{kind}"]) for answer in (first, second))
        assert before - after == amount
        assert after < int(second.headers[f"x-ratelimit-limit-{kind}"])


def test_exhausted_limit_is_429_that_says_when_to_retry() -> None:
    """When the window is spent the request is refused with Retry-After and the code clients look for."""
    limit = RateLimit()
    limit.take(limits.TOKENS_PER_MINUTE - 1, NOTHING)
    with pytest.raises(ApiError) as caught:
        limit.take(2, NOTHING)
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    assert 1 <= int(caught.value.headers["retry-after"]) <= 60


def test_window_refills() -> None:
    """After its minute the whole limit is there again, and not before."""
    now = [1000.0]
    limit = RateLimit(clock=lambda: now[0])
    remaining = []
    for passed in (0, 59, 2):
        now[0] += passed
        remaining.append(int(limit.take(5, NOTHING)["x-ratelimit-remaining-requests"]))
    assert remaining == [
        limits.REQUESTS_PER_MINUTE - 1,
        limits.REQUESTS_PER_MINUTE - 2,
        limits.REQUESTS_PER_MINUTE - 1,
    ]


def test_each_server_counts_for_itself() -> None:
    """Two references do not share limits."""
    remaining = []
    for _ in range(2):
        with serve() as running, httpx.Client(headers={"authorization": f"Bearer {running.key}"}) as http:
            body = {"model": running.model, "messages": [{"role": "user", "content": "hi"}]}
            answer = http.post(f"{running.base_url}/chat/completions", json=body)
            remaining.append(answer.headers["x-ratelimit-remaining-requests"])
    assert remaining[0] == remaining[1]
