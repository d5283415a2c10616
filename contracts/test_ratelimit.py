"""Contracts on the headers that tell clients how much they may still send."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, is_foreign, judge_each
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import expect, fail, unsupported, warn, warn_unless

# What is limited comes last; its names vary (`requests`, `tokens`, `input-images`, `tokens_usage_based`).
_HEADER: Final = re.compile(r"x-ratelimit-(limit|remaining|reset)-([\w-]+)")
_COUNT: Final = re.compile(r"[0-9]+")
_DURATION: Final = re.compile(r"0|(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
# Numbers of seconds up to a year are understood by people, if not by Go; a Unix time is far above.
_YEAR: Final = 366 * 86_400


@contract(
    "ratelimit.headers-format",
    SHOULD,
    passive="every",
    source="recorded answers of api.openai.com (reset `12ms`, `14m24s`); go-openai ratelimit.go parses Go durations",
    breaks="Clients that pace themselves raise on the number, or sleep for fifty years.",
    fix="Send whole numbers, and the time until the reset as a duration such as `1m30s` or `12ms`.",
    catches=("ratelimit-negative", "ratelimit-float", "ratelimit-reset-epoch"),
)
def test_ratelimit_headers_can_be_parsed(chat_basic: Exchange) -> None:
    """Rate-limit headers hold whole numbers, and durations as Go writes them."""
    limits = _limits(chat_basic)
    for (kind, what), value in limits.items():
        if kind != "reset":
            number = _COUNT.fullmatch(value) is not None
            expect(number, chat_basic, f"header x-ratelimit-{kind}-{what}", "a whole number of at least 0")
    for (kind, what), value in limits.items():
        if kind == "reset":
            _expect_duration(chat_basic, f"header x-ratelimit-reset-{what}", value)


def _expect_duration(exchange: Exchange, where: str, value: str) -> None:
    expected = "the time until the reset, such as 12ms or 1m30s"
    if _DURATION.fullmatch(value):
        return
    if re.fullmatch(r"\d{1,8}(?:\.\d+)?", value) and float(value) < _YEAR:
        warn(exchange, where, expected)
    fail(exchange, where, expected)


@contract(
    "ratelimit.remaining-decreases",
    MAY,
    passive="every",
    source="own rule: what remains is a part of the limit",
    breaks="Clients that send as much as remains are throttled.",
    fix="Send the limit and what remains of it from the same counter.",
    catches=("ratelimit-above-limit",),
)
def test_remaining_is_part_of_the_limit(chat_basic: Exchange, chat_turns: Exchange) -> None:
    """No more remains than the limit."""
    judge_each(_expect_part, chat_basic, chat_turns)


def _expect_part(exchange: Exchange) -> None:
    limits = _limits(exchange)
    judged = 0
    for (kind, what), remaining in limits.items():
        limit = limits.get(("limit", what), "")
        if kind == "remaining" and _is_count(remaining) and _is_count(limit):
            where = f"header x-ratelimit-remaining-{what}"
            warn_unless(int(remaining) <= int(limit), exchange, where, f"at most {limit}")
            judged += 1
    if not judged:
        unsupported(f"{exchange.probe}: no header says both a limit and what remains of it")


def _is_count(value: str) -> bool:
    return _COUNT.fullmatch(value) is not None and len(value) < 20


def _limits(exchange: Exchange) -> dict[tuple[str, str], str]:
    """The rate-limit headers of an answer, by kind and what is limited; unsupported when there are none.

    A recorded value without any digit is what a recorder has put in the place of the server's.
    """
    found = ((_HEADER.fullmatch(name), value.strip()) for name, value in answered(exchange).headers)
    limits = {
        (match[1], match[2]): value
        for match, value in found
        if match is not None and not (is_foreign(exchange) and not re.search(r"\d", value))
    }
    if not limits:
        unsupported("the answers say nothing of rate limits")
    return limits
