"""Hypothesis at the small readers: event streams, headers of times and limits, pointers, JSON that a model wrote."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example
from hypothesis import strategies as st

from pytest_llmcompat.answer import Stream
from pytest_llmcompat.evidence import MISSING, Document, shown
from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.json_text import joined_objects, json_object_in, read_json, violation, without_thinking
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.lab.sending import _retry_after
from pytest_llmcompat.node import objection
from pytest_llmcompat.plain import line, plain
from pytest_llmcompat.refusal import error_message, error_param, names
from pytest_llmcompat.sse import Block, Parser, parse
from pytest_llmcompat.throttling import out_of_quota, speaks_of_limits, wait_asked
from pytest_llmcompat.vectors import cosine, vector
from tests.fuzz.profile import fuzzed

# Bytes among which the marks of event streams and of JSON are frequent.
LINES = [b"\n", b"\r", b"\r\n", b"\n\n", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b":"]
MARKS = st.sampled_from([*LINES, b"\xef\xbb\xbf", b"[DONE]", b"{}", b"\0", b"\xff", b"9" * 5000])
STREAMS = st.lists(st.one_of(MARKS, st.binary(max_size=8)), max_size=30).map(b"".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TIMES = st.one_of(
    st.text(max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(r"[+-]?\d{0,400}(\.\d*)?([eE][+-]?\d{1,4})?", fullmatch=True),
    st.from_regex(
        r"(Mon|Sun), \d{1,2} (Jan|Dec) \d{1,6} \d{1,3}:\d\d(:\d\d)? (GMT|[+-]\d{4}|)", fullmatch=True
    ),
    st.datetimes().map(lambda time: time.strftime("%a, %d %b %Y %H:%M:%S GMT")),
)


def exchange(**changes: Any) -> Exchange:
    """An answer to a chat request."""
    request = Request("POST", "https://example.com/v1/chat/completions", (), b"{}")
    return Exchange("chat-basic", "t", request, **{"status": 200, **changes})


@fuzzed(STREAMS, st.lists(st.integers(0, 200), max_size=6))
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\r\r\n", [1, 2, 3])
def test_event_stream_is_the_same_in_any_split(body: bytes, cuts: list[int]) -> None:
    """Blocks do not depend on how the bytes arrived; they lie in order and none is lost."""
    parser, found, begin = Parser(), list[Block](), 0
    for cut in [*sorted(cuts), len(body)]:
        found += parser.feed(body[begin:cut])
        begin = max(begin, cut)
    last = parser.close()
    whole = parse(body)
    assert whole == (*found, *([last] if last is not None else []))
    bounds = [bound for block in whole for bound in (block.start, block.end)]
    assert bounds == sorted(bounds)
    assert all(0 <= bound <= len(body) + 1 for bound in bounds)
    for block in whole:
        assert block.retry is None or block.retry >= 0
        assert isinstance(block.data + block.event, str)


@fuzzed(TIMES, st.sampled_from(["retry-after", "retry-after-ms"]), st.sampled_from([0.0, 1.7e9]))
@example("1e400", "retry-after", 0.0)
@example("nan", "retry-after-ms", 0.0)
@example("Fri, 31 Dec 9999 23:59:59 -2359", "retry-after", 0.0)
@example("Mon, 01 Jan 0001 00:00:00 -0000", "retry-after", 0.0)
def test_times_of_headers_are_numbers_or_nothing(value: str, name: str, started: float) -> None:
    """A wait that cannot be read is none; what the lab would wait is never negative and never NaN."""
    answer = exchange(status=429, headers=((name, value),), started=started)
    asked = wait_asked(answer)
    assert asked is None or math.isfinite(asked)
    assert _retry_after(answer) >= 0


@fuzzed(
    JSON, st.lists(st.one_of(st.text(max_size=6), st.integers().map(str)), max_size=5), st.text(max_size=10)
)
@example([1], ["9" * 5000], "")
@example(["a"], ["٣"], "")
@example(["a"], ["²"], "")
def test_pointers_lead_somewhere_or_nowhere(value: Any, steps: list[str], expected: str) -> None:
    """Any pointer into any document, and evidence about it that a terminal can show."""
    document = Document("p", "body", value)
    pointer = "".join(f"/{step}" for step in steps)
    assert document.has(pointer) == (document.at(pointer) is not MISSING)
    assert all(isinstance(entry, Document) for entry in document.items(pointer))
    for text in (shown(value), str(document.evidence(pointer, expected, MISSING))[: -len(expected) or None]):
        assert line(text).isprintable()
    assert len(shown(value)) <= 200


@fuzzed(
    st.one_of(st.text(), JSON.map(json.dumps), st.lists(JSON.map(json.dumps), max_size=3).map(" ".join)), JSON
)
def test_json_of_a_model_is_read_or_not(text: str, other: Any) -> None:
    """Whatever a model writes is a value, several, or none."""
    value = read_json(without_thinking(text))
    assert value is MISSING or repr(json.loads(without_thinking(text))) == repr(value)
    assert all(isinstance(each, dict) for each in joined_objects(text))
    first = json_object_in(text)
    assert first is None or isinstance(first, dict)
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    broken = violation(other, schema)
    assert (broken is None) == (
        isinstance(other, dict) and other.keys() == {"a"} and isinstance(other["a"], str)
    )


@fuzzed(JSON, st.sampled_from([200, 400, 404, 429, 500]), st.text(max_size=12))
def test_errors_of_any_shape_say_something(body: Any, status: int, word: str) -> None:
    """The readings of an error take any JSON body."""
    for value in (
        body,
        {"error": body},
        {"error": {"message": body, "param": body, "code": body}},
        {"detail": [body]},
    ):
        answer = exchange(status=status, body=json.dumps(value).encode())
        assert isinstance(error_message(answer), str)
        assert error_param(answer) != ""
        assert names(answer, word or "n") in (True, False)
        assert speaks_of_limits(answer) in (True, False)
        assert out_of_quota(answer) in (True, False)


@fuzzed(st.lists(JSON, max_size=5), st.lists(st.floats() | st.integers(), max_size=5))
def test_streams_and_vectors_of_any_shape_are_read(values: list[Any], numbers: list[float]) -> None:
    """The port of openai-node's helper and the readings of embeddings take what comes."""
    chunks = [
        {"choices": [{"index": each, "delta": value, "finish_reason": value}]}
        for each, value in enumerate(values)
    ]
    chunks += [{"choices": [{"index": 0, "delta": {"tool_calls": [value]}}]} for value in values]
    stream = Stream(exchange(), tuple(Document("p", f"event {n}", chunk) for n, chunk in enumerate(chunks)))
    found = objection(stream)
    assert found is None or found.missing
    for value in (*values, numbers):
        read = vector(Document("p", "body", {"embedding": value}))
        assert read is None or all(map(math.isfinite, read))
        assert read is None or -1.01 < cosine(read, read) < 1.01


@fuzzed(st.text(), st.sampled_from(["GET", "POST", "PUT", ""]))
def test_any_url_has_a_kind_or_none(url: str, method: str) -> None:
    """Recordings hold any URL; a curl command and plain text are made of each."""
    request = Request(method, f"http{url}", (("a", url),), url.encode(errors="surrogatepass"))
    assert isinstance(kinds_of(Exchange("p", "t", request, status=200)), frozenset)
    assert isinstance(request.curl(), str)
    assert all(character.isprintable() or character == "\n" for character in plain(url))
