"""Contracts on how long an answer takes to begin."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import answered, stream
from pytest_llmcompat.contract import SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import fail, inconclusive

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
    if not stream_plain.live:
        inconclusive("times are judged on live exchanges only")
    with_text = [c.where for c in answer.chunks if any(p.at("/delta/content") for p in c.items("/choices"))]
    if len(with_text) < 2:
        inconclusive("the text came in one chunk (chat.stream.multiple-chunks judges that)")
    first = stream_plain.arrival(stream_plain.events[int(with_text[0].split()[1])].end)
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
