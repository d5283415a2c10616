"""Redaction of streams: what a client joins from the events is no key, however the endpoint cuts it."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmcompat.redaction import KEY_MARKER, redact_answer
from pytest_llmcompat.sse import parse
from pytest_llmcompat.wire import Answer
from tests.canary import CANARY, joined, traces

Chunk = Callable[[str], dict[str, Any]]

CHUNKS: dict[str, Chunk] = {
    "chat": lambda text: {"choices": [{"index": 0, "delta": {"content": text}}]},
    "reasoning": lambda text: {"choices": [{"index": 0, "delta": {"reasoning_content": text}}]},
    "refusal": lambda text: {"choices": [{"index": 0, "delta": {"refusal": text}}]},
    "completions": lambda text: {"choices": [{"index": 0, "text": text}]},
    "responses": lambda text: {"type": "response.output_text.delta", "output_index": 0, "delta": text},
    "array": lambda text: {"pieces": ["", text]},
    "tool call": lambda text: {
        "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]
    },
}

CUTS: dict[str, Callable[[str], list[str]]] = {
    "in two": lambda text: [text[:6], text[6:]],
    "by character": list,
    "in threes, with words around": lambda text: [
        "the key: ",
        *(text[i : i + 3] for i in range(0, len(text), 3)),
        " is yours",
    ],
}


def stream_of(values: Iterable[object], *, ascii_only: bool = True) -> bytes:
    """An event stream of JSON values."""
    events = (f"data: {json.dumps(value, ensure_ascii=ascii_only)}\n\n" for value in values)
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def redacted(body: bytes, key: str = CANARY) -> bytes:
    """A body that came with an event stream, without the key."""
    return redact_answer(Answer(200, (("content-type", "text/event-stream"),), body), [key]).body


def traces_in(body: bytes, key: str = CANARY) -> list[str]:
    """Where a key is left, in the bytes or in what a client joins."""
    whole = (text.encode("utf-8", "surrogatepass") for _, text in joined(body))
    return [trace for data in (body, *whole) for trace in traces(key, data)]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("cut", CUTS)
def test_key_in_pieces_is_replaced_by_one_placeholder(chunk: str, cut: str) -> None:
    """Whatever the field is and however the key is cut, a client joins the placeholder in its place."""
    make, pieces = CHUNKS[chunk], CUTS[cut](CANARY)
    body = stream_of(map(make, pieces))
    assert traces_in(body)
    clean = redacted(body)
    assert traces_in(clean) == []
    texts = [text for where, text in joined(clean) if KEY_MARKER in text and where != "data"]
    assert texts == ["".join(pieces).replace(CANARY, KEY_MARKER)]
    assert len(parse(clean)) == len(parse(body))
    assert all(json.loads(block.data) for block in parse(clean)[:-1])


@pytest.mark.parametrize(
    "coded",
    [
        json.dumps({"key": CANARY}),
        quote(CANARY, safe=""),
        base64.b64encode(f"user:{CANARY}".encode()).decode(),
        CANARY.encode().hex(),
    ],
    ids=["json", "url", "base64", "hex"],
)
def test_coded_key_in_pieces_is_replaced(coded: str) -> None:
    """The arguments of a tool call are JSON in JSON; other codings are cut by the same knife."""
    clean = redacted(stream_of(map(CHUNKS["tool call"], [coded[i : i + 4] for i in range(0, len(coded), 4)])))
    assert traces_in(clean) == []
    assert KEY_MARKER.encode() in clean


@pytest.mark.parametrize("same_event", [True, False])
def test_choices_that_take_turns_hide_no_key(same_event: bool) -> None:
    """Two choices stream the key at the same time, in one event each or in common ones."""
    choices = [[{"index": n, "delta": {"content": character}} for n in (0, 1)] for character in CANARY]
    events = choices if same_event else [[one] for both in choices for one in both]
    clean = redacted(stream_of({"choices": event} for event in events))
    for number in (0, 1):
        deltas = [
            choice["delta"]["content"]
            for block in parse(clean)[:-1]
            for choice in json.loads(block.data)["choices"]
            if choice["index"] == number
        ]
        assert "".join(deltas) == KEY_MARKER


def test_items_of_different_types_that_take_turns_hide_no_key() -> None:
    """The Responses API names text and reasoning alike: `delta`; the type of the event tells them apart."""
    kinds = ("response.output_text.delta", "response.reasoning_text.delta")
    body = stream_of({"type": kind, "delta": character} for character in CANARY for kind in kinds)
    clean = redacted(body)
    for kind in kinds:
        events = [json.loads(block.data) for block in parse(clean)[:-1]]
        assert "".join(event["delta"] for event in events if event["type"] == kind) == KEY_MARKER


def test_snapshots_after_deltas_lose_the_key_too() -> None:
    """`response.output_text.done` repeats the whole text."""
    done = {"type": "response.output_text.done", "text": f"key {CANARY}"}
    clean = redacted(stream_of([*map(CHUNKS["responses"], CANARY), done]))
    assert traces_in(clean) == []
    assert json.loads(parse(clean)[-2].data)["text"] == f"key {KEY_MARKER}"


@pytest.mark.parametrize(
    "body",
    [
        "".join(f"data: {character}\n\n" for character in CANARY),
        "".join(f"data:{character}\r\r" for character in CANARY),
        "".join(f": {character}\n" for character in CANARY) + "data: x\n\ndata: y\n\n",
        "".join(f'{{"response": {json.dumps(character)}}}\n' for character in CANARY),
        "".join(f'data: {"[" * 9}{{"a": {json.dumps(character)}\n\n' for character in CANARY),
        "".join(f'data: {{"a": {json.dumps(character)}, "n": {"9" * 5000}}}\n\n' for character in CANARY),
    ],
    ids=["text", "carriage returns", "comments", "json lines", "broken json", "unreadable numbers"],
)
def test_streams_of_other_kinds_hide_no_key(body: str) -> None:
    """No JSON, not quite JSON, and JSON without events."""
    clean = redacted(body.encode())
    assert clean.count(KEY_MARKER.encode()) == 1
    assert traces_in(clean) == []


def test_escapes_between_the_pieces_keep_their_bytes() -> None:
    """What stands around the pieces stays as it was written: escapes, emoji in halves, letters of any script."""
    around = ["\\u0041\\ud83d\\ude00ü\\n" + CANARY[:7], CANARY[7:] + "\\/\\ud83d", "\\ude00 日本"]
    lines = [f'data: {{"content": "{text}"}}\n\n' for text in around]
    clean = redacted("".join(lines).encode())
    assert clean.decode() == (
        f'data: {{"content": "\\u0041\\ud83d\\ude00ü\\n{KEY_MARKER}"}}\n\n'
        'data: {"content": "\\/\\ud83d"}\n\ndata: {"content": "\\ude00 日本"}\n\n'
    )


def test_arrivals_stay_in_step() -> None:
    """Each event keeps its time; the placeholder comes with the first piece."""
    events = [f'data: {{"content": "{text}"}}\n\n'.encode() for text in ("a", CANARY[:9], CANARY[9:], "b")]
    body = b"".join(events)
    arrivals = tuple((float(number), len(event)) for number, event in enumerate(events))
    length = (("content-length", str(len(body))),)
    clean = redact_answer(Answer(200, length, body, arrivals), [CANARY])
    sizes = [len(event) for event in clean.body.split(b"\n\n")[:-1]]
    assert [size + 2 for size in sizes] == [size for _, size in clean.arrivals]
    assert clean.headers == (("content-length", str(len(clean.body))),)


def test_key_in_two_parts_of_a_body_is_one_key() -> None:
    """Parts of the transport are no boundaries: the body is read as a whole."""
    body = json.dumps({"error": {"message": CANARY}}).encode()
    answer = Answer(400, (), body, ((0.1, 30), (0.2, len(body) - 30)))
    clean = redact_answer(answer, [CANARY])
    assert traces(CANARY, clean.body) == []
    assert sum(length for _, length in clean.arrivals) == len(clean.body)


@pytest.mark.parametrize("length", range(1, len(CANARY)))
def test_key_that_is_cut_off_with_the_stream_leaves_no_beginning(length: int) -> None:
    """A reset or a limit ends the body within the key: in one piece, in several, and coded."""
    part = CANARY[:length]
    bodies = [
        json.dumps({"error": CANARY}).encode()[: 11 + length],
        stream_of(map(CHUNKS["chat"], part)).removesuffix(b"data: [DONE]\n\n"),
        stream_of(map(CHUNKS["chat"], [*part[:-5], part[-5:]]))[: -len("data: [DONE]\n\n")],
        b'{"basic": "' + base64.b64encode(f"u:{CANARY}".encode())[:length],
        b'{"hex": "' + CANARY.encode().hex()[:length].encode(),
    ]
    for body in bodies:
        clean = redacted(body)
        texts = [clean.decode(), *(text for where, text in joined(clean) if where != "data")]
        forms = (
            CANARY[:9],
            base64.b64encode(f"u:{CANARY}".encode()).decode()[3:12],
            CANARY.encode().hex()[:9],
        )
        assert not [form for form in forms for text in texts if form in text]


@pytest.mark.parametrize(
    "body",
    [
        stream_of(map(CHUNKS["chat"], ["sk-", "can", "ary", " is ", "a bird"])),
        b'{"content": "sk-canary-5f1e"}\n',
        b'{"content": "sk-cana',
        b'{\n "a": "sk-",\n "b": "x"\n}',
        b"",
    ],
)
def test_stream_without_the_key_comes_back_unchanged(body: bytes) -> None:
    """Beginnings of a key are words like others."""
    assert redacted(body) == body


KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=60).filter(
    lambda key: len(set(key)) > 8 and len({key[i : i + 8] for i in range(len(key) - 7)}) == len(key) - 7
)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "url": lambda key: quote(key, safe=""),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "hex": lambda key: key.encode().hex(),
}


@settings(deadline=None, max_examples=100)
@given(
    key=KEYS,
    form=st.sampled_from(sorted(FORMS)),
    chunk=st.sampled_from(sorted(CHUNKS)),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=80),
    around=st.text("·ü…😀\n", max_size=5),
)
def test_no_part_of_any_key_survives_any_cut(
    key: str, form: str, chunk: str, sizes: list[int], around: str
) -> None:
    """Neither the bytes nor what a client joins keep eight characters of the key in a row, nor of its coding."""
    coded = around + FORMS[form](key) + around
    pieces = []
    for size in sizes:
        pieces.append(coded[:size])
        coded = coded[size:]
    body = stream_of(map(CHUNKS[chunk], [*pieces, coded]), ascii_only=len(around) % 2 == 0)
    clean = redacted(body, key)
    texts = [clean.decode(), *(text for where, text in joined(clean) if where != "data")]
    hidden = {FORMS[form](key)[i : i + 8] for i in range(len(FORMS[form](key)) - 7)}
    hidden = {part for part in hidden if part not in KEY_MARKER and len(set(part)) > 1}
    left = [part for part in hidden if any(part in text.replace(KEY_MARKER, "") for text in texts)]
    assert left == []
    assert traces_in(clean, key) == []


HOSTILE = {
    "quotes without end": b'data: {"a":"' + b'\\"' * 200 + b"\n\n",
    "texts without number": b'data: "a""s""k""-"\n\n',
    "pairs": b'{"sk-canary":"sk-canary-5f1e"}\n',
    "lines": b"{\n",
    "names": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_large_hostile_stream_is_read_in_bounded_time_and_memory(kind: str) -> None:
    """Beyond what any stream has, pieces are no longer joined; what is there is looked at once."""
    event = HOSTILE[kind]
    few, many = (
        event * (length // len(event))
        if event
        else b"".join(b'data: {"n%d":"sk-canary"}\n\n' % n for n in range(length // 20))
        for length in (200_000, 2_000_000)
    )
    started = time.process_time()
    redacted(many)
    assert time.process_time() - started < 10.0
    tracemalloc.start()
    redacted(few)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
