"""Contracts on requests that come at once: each gets its own answer, and none is lost."""

from __future__ import annotations

from itertools import combinations

from pytest_llmcompat.answer import answered, came, judge_each, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import NONCES
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, fail, inconclusive


def _require_overlap(*exchanges: Exchange) -> None:
    """Inconclusive unless two of the requests were under way at the same time."""
    sent = [exchange for exchange in exchanges if exchange.unsent is None]
    for one, other in combinations(sent, 2):
        if one.started < other.started + other.total and other.started < one.started + one.total:
            return
    inconclusive("no two of the requests were under way at the same time")


@contract(
    "concurrency.isolation",
    MUST,
    source="own rule: an answer belongs to its request",
    breaks="Users get the answers of other users.",
    fix="Keep the state of each request apart: prompts, caches and slots.",
    catches=("concurrent-answers-swapped",),
    cases=("ml-explore/mlx-lm#965", "vllm-project/vllm#9910", "inferencerlabs/inferencer-feedback#127"),
)
def test_each_request_gets_its_own_answer(
    concurrent_1: Exchange, concurrent_2: Exchange, concurrent_3: Exchange, concurrent_4: Exchange
) -> None:
    """Of four requests at once none gets what another one was to be answered."""
    exchanges = (concurrent_1, concurrent_2, concurrent_3, concurrent_4)
    _require_overlap(*exchanges)
    judge_each(_expect_own, *exchanges)


def _expect_own(exchange: Exchange) -> None:
    answer = turn(exchange)
    text, own = answer.text.casefold(), NONCES[exchange.probe]
    for nonce in NONCES.values():
        if nonce != own and nonce.casefold() in text:
            fail(*answer.text_at, f"{own}; {nonce} is the answer to another request", answer.text)
    if own.casefold() not in text:
        inconclusive(f"{exchange.probe}: the model did not repeat its code")


@contract(
    "concurrency.stream-isolation",
    MUST,
    source="own rule: a chunk belongs to its stream",
    breaks="Pieces of one user's answer show up in that of another.",
    fix="Give each stream a queue of its own.",
    catches=("concurrent-chunks-mixed",),
    cases="QuantumNous/new-api#5445",
)
def test_streams_do_not_mix(concurrent_2: Exchange, concurrent_4: Exchange) -> None:
    """Of two streams at once none holds a chunk of the other."""
    _require_overlap(concurrent_2, concurrent_4)
    ids = [
        {i for c in stream(e).chunks if isinstance(i := c.at("/id"), str) and i}
        for e in (concurrent_2, concurrent_4)
    ]
    if not all(ids):
        inconclusive("the chunks bear no ids (chat.stream.chunk-required judges that)")
    if ids[0] == ids[1] and len(ids[0]) == 1:
        inconclusive("all answers have the same id (chat.id-unique judges that)")
    shared = ids[0] & ids[1]
    expect(not shared, concurrent_2, "ids of chunks", "none of the other stream", sorted(shared))


@contract(
    "concurrency.no-errors",
    SHOULD,
    source="own rule: a server that cannot serve a request now says 429 or 503",
    breaks="Two users at a time are enough for one of them to get an error or half an answer.",
    fix="Queue what cannot be served at once, or answer 429 or 503 with `Retry-After`.",
    catches=("concurrent-500", "streams-500"),
    cases="lemonade-sdk/lemonade#1836",
)
def test_requests_at_once_are_served_or_put_off(
    concurrent_1: Exchange,
    concurrent_2: Exchange,
    concurrent_3: Exchange,
    concurrent_4: Exchange,
    chat_basic: Exchange,
) -> None:
    """Four requests at once are served, or put off with 429 or 503; no answer is lost or cut."""
    answered(chat_basic)
    exchanges = (concurrent_1, concurrent_2, concurrent_3, concurrent_4)
    _require_overlap(*exchanges)
    judge_each(_expect_served_or_put_off, *exchanges)


def _expect_served_or_put_off(exchange: Exchange) -> None:
    expected = "an answer, or 429 or 503"
    if exchange.failure is not None and exchange.failure.startswith("the connection broke"):
        fail(exchange, "answer", expected, exchange.failure)
    status = came(exchange).status
    if status in (429, 503, 529):
        return
    if status >= 500:
        fail(exchange, "status", expected)
    answered(exchange)
