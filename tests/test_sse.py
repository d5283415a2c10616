"""Server-sent events: the parser against a slow model of the WHATWG rules, and what it keeps beyond them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmcompat.sse import Block, Parser, parse


@dataclass
class Browser:
    """Section 9.2.6 of the HTML standard, word for word: what an EventSource makes of a whole body."""

    data: str = ""
    event_type: str = ""
    last_event_id: str = ""
    reconnection_time: int | None = None
    dispatched: list[tuple[str, str, str]] = field(default_factory=list)

    def read(self, body: bytes) -> None:
        """Decode, cut into lines, interpret each; what no line end closes is discarded."""
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
        for line in re.split("\r\n|\r|\n", text)[:-1]:
            self.interpret(line)

    def interpret(self, line: str) -> None:
        """One line: blank, comment, or field."""
        if line == "":
            self.dispatch()
        elif line[0] == ":":
            pass
        elif ":" in line:
            name, value = line.split(":", 1)
            self.process(name, value[1:] if value[:1] == " " else value)
        else:
            self.process(line, "")

    def process(self, name: str, value: str) -> None:
        """One field."""
        if name == "event":
            self.event_type = value
        elif name == "data":
            self.data += value + "\n"
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.reconnection_time = int(value)

    def dispatch(self) -> None:
        """Hand out the event, unless its data buffer is empty."""
        if self.data != "":
            self.dispatched.append((self.event_type or "message", self.data[:-1], self.last_event_id))
        self.data = self.event_type = ""


PIECES = [
    "data",
    "event",
    "id",
    "retry",
    "other",
    ":",
    ": ",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\0",
    "7",
    "42",
]
PIECES += [
    "x",
    "é",
    "日",
    "🏓",
    "\ufeff",
    "\x85",
    "\u2028",
    "data: a\n\n",
    "data:\n",
    "id: 1\n",
    "retry: 5\n",
]
BODIES = st.one_of(
    st.lists(
        st.one_of(
            st.sampled_from(PIECES).map(str.encode),
            st.sampled_from([b"\xff", b"\xc3", b"\xef\xbb", b"\xef\xbb\xbf", b"\xe2\x80"]),
        ),
        max_size=24,
    ).map(b"".join),
    st.binary(max_size=40),
)


def fed(parts: list[bytes]) -> list[Block]:
    """The blocks of a body that comes in parts."""
    parser = Parser()
    blocks = [block for part in parts for block in parser.feed(part)]
    last = parser.close()
    return blocks if last is None else [*blocks, last]


@settings(deadline=None, max_examples=400)
@given(BODIES)
def test_any_body_dispatches_what_a_browser_dispatches(body: bytes) -> None:
    """Type, data and last event id of each event, and the last reconnection time, are those of the standard."""
    browser = Browser()
    browser.read(body)
    blocks = parse(body)
    assert [(b.event, b.data, b.last_event_id) for b in blocks if b.is_event] == browser.dispatched
    closed = [b for b in blocks if b.terminated]
    times = [b.retry for b in closed if b.retry is not None]
    if len(closed) == len(blocks):  # An open block's last line may have been discarded.
        assert (times[-1] if times else None) == browser.reconnection_time


@settings(deadline=None, max_examples=400)
@given(BODIES, st.data())
def test_any_split_gives_the_blocks_of_the_whole_body(body: bytes, data: st.DataObject) -> None:
    """Where the network cuts the body, in a character, a CRLF or the byte order mark, changes nothing."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert fed(parts) == list(parse(body))


@settings(deadline=None, max_examples=200)
@given(BODIES)
def test_byte_by_byte_gives_the_blocks_of_the_whole_body(body: bytes) -> None:
    """The finest split of all."""
    assert fed([body[i : i + 1] for i in range(len(body))]) == list(parse(body))


@settings(deadline=None, max_examples=400)
@given(BODIES)
def test_offsets_cut_the_body_into_its_blocks(body: bytes) -> None:
    """The bytes between `start` and `end` are the block; between blocks there are only line ends and the mark."""
    blocks = parse(body)
    position = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    for block in blocks:
        assert set(body[position : block.start]) <= set(b"\r\n")
        # A mark inside the body is text; alone at the start of a piece it would be taken for one.
        (alone,) = parse(b"\n" + body[block.start : block.end])
        assert (alone.fields, alone.comments) == (block.fields, block.comments)
        assert alone.terminated is block.terminated
        position = block.end
    assert set(body[position:]) <= set(b"\r\n")


def test_block_ends_behind_the_first_byte_of_its_blank_line() -> None:
    """With CRLF the event is complete at the CR already; clients need not wait for the LF."""
    first, second = parse(b"data: a\r\n\r\n: c\n\n")
    assert (first.start, first.end) == (0, 10)
    assert (second.start, second.end) == (11, 16)


def test_offsets_count_the_byte_order_mark_and_comments() -> None:
    """Offsets are those of the body as it came, so that arrival times can be looked up by them."""
    (block,) = parse(b"\xef\xbb\xbf: ping\ndata: a\n\n")
    assert (block.start, block.end, block.comments) == (3, 19, ("ping",))


def test_event_comes_out_with_the_first_byte_of_its_blank_line() -> None:
    """An event is known no later than a client knows it."""
    parser = Parser()
    assert parser.feed(b"data: a\r\n") == []
    (block,) = parser.feed(b"\r")
    assert (block.data, block.end) == ("a", 10)
    assert parser.feed(b"\n") == []
    assert parser.close() is None


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (b"data:test\n\ndata:  test\n\n", ["test", " test"]),
        (b": comment\n\nid: 1\n\nevent: a\n\n", []),
        (b"data: a\n", []),
        (b"data: a", []),
        (b" data: a\n\nDATA: b\n\n", []),
        (b"", []),
    ],
)
def test_bodies_with_a_known_meaning(body: bytes, events: list[str]) -> None:
    """A data field without a value makes an event, a block without data fields does not, nor an open end."""
    assert [block.data for block in parse(body) if block.is_event] == events


def test_unterminated_block_is_kept_and_marked() -> None:
    """Clients drop what no blank line follows; contracts must see it, even a field cut in its name."""
    _, cut = parse(b"data: a\n\nevent: x\ndat")
    assert not cut.terminated
    assert not cut.is_event
    assert cut.fields == (("event", "x"), ("dat", ""))
    assert (cut.start, cut.end) == (9, 21)


def test_blocks_without_data_are_kept() -> None:
    """Comments and blocks of other fields lie between events, where contracts look for them."""
    blocks = parse(b": OPENROUTER PROCESSING\n\nid: 3\nfoo: bar\n\ndata: a\n\n")
    assert [block.is_event for block in blocks] == [False, False, True]
    assert blocks[0].comments == ("OPENROUTER PROCESSING",)
    assert blocks[1].fields == (("id", "3"), ("foo", "bar"))
    assert blocks[2].last_event_id == "3"


def test_id_with_a_null_character_is_ignored() -> None:
    """The standard keeps the id before it."""
    assert [block.last_event_id for block in parse(b"id: 1\n\nid: 2\0\ndata: a\n\nid\n\n")] == ["1", "1", ""]


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [(b"10", 10), (b"", None), (b"-1", None), ("٣".encode(), None), (b"9" * 9000, None)],
)
def test_retry_is_a_number_of_ascii_digits(value: bytes, milliseconds: int | None) -> None:
    """Anything else is no reconnection time, digits of other scripts and endless numbers included."""
    assert parse(b"retry: " + value + b"\n\n")[0].retry == milliseconds


def test_endless_line_in_many_parts_takes_linear_time() -> None:
    """A hostile server that never ends its line must not make the parser search it again with each part."""
    parser = Parser()
    started = time.perf_counter()
    for _ in range(3000):
        parser.feed(b"x" * 10_000)
    assert time.perf_counter() - started < 5.0
