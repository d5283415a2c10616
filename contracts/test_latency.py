"""Contracts on how long an answer takes to begin."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import Stream, answered, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import expect, fail, inconclusive

# Seconds below which nobody minds to wait for the whole.
_LONG: Final = 1.5
_MOST: Final = 0.9


@contract(
    "latency.stream-faster",
    SHOULD,
    source="own rule: the first words of a stream come well before its last",
    breaks="The user waits almost as long for the first word as for the whole answer.",
    fix="Send each chunk as soon as it is there; switch buffering off in proxies.",
    catches=("stream-buffered",),
    cases="LostRuins/koboldcpp#1168",
)
def test_streams_begin_early(stream_plain: Exchange, chat_length: Exchange) -> None:
    """The first words of a long stream come well before its end."""
    answer = stream(stream_plain)
    _live(stream_plain)
    if len(_with_text(answer)) < 2:
        inconclusive("the text came in one chunk (chat.stream.multiple-chunks judges that)")
    first = _first_text(stream_plain, answer)
    if first <= _MOST * stream_plain.total:
        return
    # A short answer of the same server shows how long the wait for a place and for the prompt is.
    if stream_plain.total <= _LONG or 2 * answered(chat_length).total > stream_plain.total:
        inconclusive("the answer was too fast, or the server too busy, to tell when it began")
    fail(
        stream_plain,
        "arrival of the first text",
        f"well before the {stream_plain.total:.1f} s of the whole answer",
        f"{first:.1f} s",
    )


@contract(
    "latency.first-token",
    MUST,
    source="own rule: `latency.first_token` of the target in llmcompat.toml",
    breaks="Users wait longer for the first word than the product promises.",
    fix="Look at queues, cold starts and the length of prompts, or raise `latency.first_token`.",
    catches=("slow-to-begin",),
)
def test_first_text_comes_in_time(stream_plain: Exchange, llm_target: Target) -> None:
    """The first text of a stream comes within the time that the user allows."""
    limit = _limit(llm_target.latency.first_token, "first_token")
    answer = stream(stream_plain)
    _live(stream_plain)
    if not _with_text(answer):
        inconclusive("the stream holds no text")
    seconds = _first_text(stream_plain, answer)
    expect(
        seconds <= limit, stream_plain, "arrival of the first text", f"within {limit:g} s", f"{seconds:.2f} s"
    )


@contract(
    "latency.answer",
    MUST,
    source="own rule: `latency.answer` of the target in llmcompat.toml",
    breaks="Callers that wait for a whole answer run into their time-outs.",
    fix="Look at queues, cold starts and the speed of generation, or raise `latency.answer`.",
    catches=("slow-to-begin",),
)
def test_answer_comes_in_time(chat_basic: Exchange, llm_target: Target) -> None:
    """A short answer is whole within the time that the user allows."""
    limit = _limit(llm_target.latency.answer, "answer")
    seconds = answered(chat_basic).total
    _live(chat_basic)
    expect(seconds <= limit, chat_basic, "end of the answer", f"within {limit:g} s", f"{seconds:.2f} s")


def _limit(seconds: float | None, name: str) -> float:
    if seconds is None:
        inconclusive(f"no limit is set for this target (latency.{name} in llmcompat.toml)")
    return seconds


def _live(exchange: Exchange) -> None:
    if not exchange.live:
        inconclusive("times are judged on live exchanges only")


def _with_text(answer: Stream) -> list[str]:
    """The places of the chunks with text."""
    return [c.where for c in answer.chunks if any(p.at("/delta/content") for p in c.items("/choices"))]


def _first_text(exchange: Exchange, answer: Stream) -> float:
    """Seconds from sending to the arrival of the first text."""
    return exchange.arrival(exchange.events[int(_with_text(answer)[0].split()[1])].end)
