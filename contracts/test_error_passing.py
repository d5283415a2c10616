"""Contracts on failures that any request may meet: their shape, what they tell, and what they give away."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import body, came, judge_each
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.throttling import met
from pytest_llmcompat.verdict import expect, inconclusive, warn

# Refusals that a later try may overcome: time-out, conflict, too early, too many.
_PASSING: Final = frozenset({408, 409, 425, 429})
_INTERNAL: Final = re.compile(
    r"Traceback \(most recent call last\)"
    r"|File \\?\"[^\"\n]{1,200}\.py\\?\", line \d+"
    r"|\bat [\w.$<>]+ \(?(?:file://)?/[^\s)]+:\d+:\d+\)?"
    r"|(?<![\w/])/(?:usr|home|opt|app|root|srv|var)/[\w./-]+\.(?:py|js|ts|go|rs|cc?|cpp)\b"
    r"|<class '[\w.]+'>|goroutine \d+ \[running\]"
)


@contract(
    "error.5xx-envelope",
    SHOULD,
    source="measured with openai-python 3.57: of an HTML page message, type and code are lost",
    breaks="Users see a page of HTML, or nothing, where the reason of the failure should stand.",
    fix="Send the JSON error envelope with 5xx as well, also from the proxy in front.",
    catches=("overloaded-html", "auth-none-500"),
    cases="sgl-project/sglang#3805",
    passive="error",
)
def test_server_failures_come_in_the_envelope(every_exchange: tuple[Exchange, ...]) -> None:
    """A 5xx answer carries the JSON error envelope."""
    failures = [a for a in met(every_exchange) if a.status >= 500 and a.failure is None]
    if not failures:
        inconclusive("no request met a failure of the server")
    for answer in failures:
        expect(answer.is_json, answer, "body", "JSON with an `error` object")
        expect_conforms(body(answer), "error")


@contract(
    "error.4xx-not-retry-hint",
    MAY,
    source="openai-python 3.57 _base_client.py:933-941 obeys `x-should-retry`",
    breaks="The official clients send a request three times that can never succeed.",
    fix="Send `x-should-retry: true` only with failures that may pass.",
    catches=("permanent-should-retry",),
    passive="error",
)
def test_refusals_do_not_ask_for_a_retry(error_exchanges: tuple[Exchange, ...]) -> None:
    """A refusal for good does not say `x-should-retry: true`."""
    judge_each(_expect_no_hint, *error_exchanges)


def _expect_no_hint(exchange: Exchange) -> None:
    status = came(exchange).status
    if not 400 <= status < 500 or status in _PASSING:
        inconclusive(f"{exchange.probe} was not refused for good but answered {status}")
    hint = exchange.header("x-should-retry")
    expect(hint != "true", exchange, "header x-should-retry", "absent or `false`: no retry helps")


@contract(
    "error.detail-not-internal",
    MAY,
    source="own rule: a message for users tells nothing of the server's inside",
    breaks="Stack traces and paths reach the users' screens and logs, and help attackers.",
    fix="Log the details on the server, and answer with a sentence for people.",
    catches=("error-with-traceback",),
    cases="vllm-project/vllm#57997",
    passive="error",
)
def test_messages_hold_no_internals(error_exchanges: tuple[Exchange, ...]) -> None:
    """An error message holds no stack trace and no path of a source file."""
    judge_each(_expect_no_internals, *error_exchanges)


def _expect_no_internals(exchange: Exchange) -> None:
    if came(exchange).status < 400:
        inconclusive(f"{exchange.probe} was not refused but answered {exchange.status}")
    found = _INTERNAL.search(exchange.text)
    if found is not None:
        warn(exchange, "body", "a message without stack traces and paths", found[0])
