"""Contracts on what surrounds the chunks of a stream: its headers and its fingerprint."""

from __future__ import annotations

from pytest_llmcompat.answer import judge_each, stream
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import expect, inconclusive, warn_unless


@contract(
    "chat.stream.anti-buffering",
    MAY,
    source="nginx holds answers back unless `X-Accel-Buffering: no` says otherwise; RFC 9111 on `no-cache`",
    breaks="Behind a proxy with usual settings the stream arrives in one piece.",
    fix="Send `Cache-Control: no-cache` and `X-Accel-Buffering: no` with streams.",
    catches=("stream-headers-missing",),
    cases="LostRuins/koboldcpp#1168",
)
def test_proxies_are_told_not_to_buffer(stream_plain: Exchange) -> None:
    """A stream tells caches and proxies to leave it alone; without that, it is a warning."""
    stream(stream_plain)
    cache = (stream_plain.header("cache-control") or "").lower()
    told = any(word in cache for word in ("no-cache", "no-store", "no-transform"))
    told = told or (stream_plain.header("x-accel-buffering") or "").lower() == "no"
    warn_unless(told, stream_plain, "header cache-control", "no-cache, or x-accel-buffering: no")


@contract(
    "chat.system-fingerprint",
    MAY,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33507): one value for one configuration; deprecated",
    breaks="Programs that watch for changes of the back end see one within an answer.",
    fix="Send one `system_fingerprint` with all chunks of an answer, or none.",
    catches=("chunk-fingerprint-changes",),
    passive="chat-stream",
)
def test_fingerprint_is_the_same_throughout(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """All chunks of a stream bear the same `system_fingerprint`, if they bear one."""
    judge_each(_expect_one_fingerprint, stream_basic, stream_plain)


def _expect_one_fingerprint(exchange: Exchange) -> None:
    marked = [c for c in stream(exchange).chunks if isinstance(c.at("/system_fingerprint"), str)]
    # An empty one before the first token means that it is not known yet.
    marked = [chunk for chunk in marked if chunk.at("/system_fingerprint")]
    if not marked:
        inconclusive(f"{exchange.probe}: the chunks bear no fingerprint")
    first = marked[0].at("/system_fingerprint")
    for chunk in marked:
        expect(chunk.at("/system_fingerprint") == first, chunk, "/system_fingerprint", f"{first}, as before")
