"""Contracts on when the parts of a stream arrive, and on what happens when the client leaves."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import DONE, answered, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.refusal import error_message
from pytest_llmcompat.verdict import expect, inconclusive

_FEW: Final = 10
_BURST: Final = 0.05
_LONG: Final = 1.5
_PATIENCE: Final = 5.0


@contract(
    "chat.stream.incremental",
    MUST,
    source="the arrival times of chunks; LostRuins/koboldcpp#1168: a proxy in front held the stream back",
    breaks="The user waits for the whole answer before the first word; clients with an idle time-out give up.",
    fix="Flush every chunk, and switch buffering off in proxies (`X-Accel-Buffering: no`, no compression).",
    catches="stream-buffered",
    cases="LostRuins/koboldcpp#1168",
)
def test_chunks_arrive_over_time(stream_plain: Exchange, chat_length: Exchange) -> None:
    """Chunks arrive while the answer is made, not in one burst at the end."""
    answer = stream(stream_plain)
    if not stream_plain.live:
        inconclusive("times are judged on live exchanges only")
    numbers = {
        int(c.where.split()[1])
        for c in answer.chunks
        if any(p.at("/delta/content") for p in c.items("/choices"))
    }
    times = [stream_plain.arrival(event.end) for n, event in enumerate(stream_plain.events) if n in numbers]
    if len(times) < _FEW:
        inconclusive("fewer than ten chunks with text came")
    if times[-1] - times[0] > _BURST:
        return
    # A short answer of the same server shows whether the time went into waiting for a place or into generating.
    waits = answered(chat_length).total
    if stream_plain.total <= _LONG or waits * 2 > stream_plain.total:
        inconclusive("the answer was too short or too fast to tell buffering from speed")
    expect(
        False,
        stream_plain,
        "arrival of chunks",
        f"over the {stream_plain.total:.1f} s that the answer took",
        f"{len(times)} chunks within {times[-1] - times[0]:.3f} s, after {times[0]:.1f} s",
    )


@contract(
    "chat.stream.multiple-chunks",
    SHOULD,
    source="own rule: a stream whose text comes whole is none to its user",
    breaks="The user waits for the whole answer before the first word.",
    fix="Send a chunk for each token or few.",
    catches="stream-one-chunk",
)
def test_long_answer_comes_in_pieces(stream_plain: Exchange) -> None:
    """A long answer comes in more than one chunk with text."""
    contents = [c.at("/delta/content") for c in stream(stream_plain).choices(0)]
    texts = [content for content in contents if isinstance(content, str) and content]
    if len("".join(texts).split()) < _FEW:
        inconclusive("the answer is too short to come in pieces")
    expect(len(texts) > 1, stream_plain, "chunks with text", "several", len(texts))


@contract(
    "chat.stream.disconnect-safe",
    SHOULD,
    source="own rule: a client that closes its connection wants nothing more",
    breaks="After a few closed chat windows the server answers nobody until it has finished writing to no one.",
    fix="Stop generating when the connection closes, and give its place to the next request.",
    catches="disconnect-blocks",
    cases=("ggml-org/llama.cpp#24496", "ggml-org/llama.cpp#11720"),
)
def test_next_request_is_served_after_a_lost_client(
    stream_abort: Exchange, chat_turns: Exchange, chat_basic: Exchange
) -> None:
    """After a client left a stream the next request is served as usual."""
    if not chat_turns.live:
        inconclusive("times are judged on live exchanges only")
    usual = answered(chat_basic).total
    if any(event.data == DONE for event in stream(stream_abort).exchange.events):
        inconclusive("the stream had ended before the client could leave")
    # A 4xx or a 500 has other causes, such as the content parts of that request.
    if chat_turns.unsent is not None or chat_turns.status in range(400, 502):
        answered(chat_turns)
    said = chat_turns.failure or f"{chat_turns.status}: {error_message(chat_turns)}"
    expect(chat_turns.ok, chat_turns, "answer", "an answer right after the client had left", said)
    limit = usual + _PATIENCE
    found = f"{chat_turns.total:.1f} s"
    expect(chat_turns.total <= limit, chat_turns, "time", f"at most {limit:.1f} s", found)
