"""Server-sent events, parsed from raw bytes by the rules of the WHATWG HTML standard.

Section 9.2.6 «Interpreting an event stream» (https://html.spec.whatwg.org/multipage/server-sent-events.html)
fixes what a line, a comment, a field and an event are. On top of the standard the parser keeps what a browser
throws away, because contracts judge it: where each block lay in the body, and blocks that carry no data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Final

__all__ = ["Block", "Parser", "parse"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"[\r\n]")
# A body with more lines is no stream that a client could follow; the lab reads much fewer.
_MOST_LINES: Final = 200_000
# Python refuses to read numbers of more than 4300 digits.
_MOST_DIGITS: Final = 4000


@dataclass(frozen=True, slots=True)
class Block:
    """The lines between two blank lines of an event stream.

    fields: (name, value) of each field line, in order, unknown names included.
    comments: text of each comment line, without the colon.
    start, end: byte offsets in the body; `end` lies behind the first byte of the blank line.
    terminated: False for lines at the end of the body that no blank line follows; clients drop them.
    last_event_id: the last `id` that was sent up to and including this block, "" when there was none.
    """

    fields: tuple[tuple[str, str], ...]
    comments: tuple[str, ...]
    start: int
    end: int
    terminated: bool
    last_event_id: str

    @property
    def is_event(self) -> bool:
        """True when a client dispatches an event for this block: it has a data field and its blank line."""
        return self.terminated and any(name == "data" for name, _ in self.fields)

    @property
    def data(self) -> str:
        """The values of all data fields, joined by line feeds."""
        return "\n".join(value for name, value in self.fields if name == "data")

    @property
    def event(self) -> str:
        """The event type: the last `event` field, or `message`."""
        names = [value for name, value in self.fields if name == "event"]
        return names[-1] if names and names[-1] else "message"

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds; None when absent, not made of ASCII digits or endless."""
        times = [v for name, v in self.fields if name == "retry" and v.isascii() and v.isdigit()]
        return int(times[-1]) if times and len(times[-1]) <= _MOST_DIGITS else None


class Parser:
    """Incremental parser: bytes may be fed in any split, blocks come out when their blank line has come."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        self._offset = 0
        self._started = False
        self._after_carriage_return = False
        self._block_start: int | None = None
        self._fields: list[tuple[str, str]] = []
        self._comments: list[str] = []
        self._last_event_id = ""

    def feed(self, data: bytes) -> list[Block]:
        """Take the next bytes of the body and return the blocks that they complete."""
        self._pending += data
        if not self._started:
            if len(self._pending) < 3 and _BYTE_ORDER_MARK.startswith(self._pending):
                return []
            self._start()
        return self._take_lines()

    def close(self) -> Block | None:
        """End the body; return the unterminated block at its end, if there is one."""
        if not self._started:
            self._start()
        if self._pending:
            line, self._pending = bytes(self._pending), bytearray()
            self._open_block()
            self._take_line(line)
            self._offset += len(line)
        return self._finish(terminated=False) if self._block_start is not None else None

    def _start(self) -> None:
        self._started = True
        if self._pending.startswith(_BYTE_ORDER_MARK):
            del self._pending[:3]
            self._offset = 3

    def _take_lines(self) -> list[Block]:
        blocks: list[Block] = []
        data, position = self._pending, 0
        if self._after_carriage_return and data:
            # CRLF is one line end, also when its two bytes arrive apart.
            self._after_carriage_return = False
            position = 1 if data[:1] == b"\n" else 0
            self._offset += position
        while found := _LINE_END.search(data, max(position, self._searched)):
            end = found.start()
            line = bytes(data[position:end])
            position, begun = end + (2 if data[end : end + 2] == b"\r\n" else 1), position
            self._after_carriage_return = position == len(data) and data[end:] == b"\r"
            if line:
                self._open_block()
                self._take_line(line)
            elif self._block_start is not None:
                blocks.append(self._finish(terminated=True))
            self._offset += position - begun
        del data[:position]
        # What was searched once holds no line end: a line of a thousand parts is not searched a thousand times.
        self._searched = len(data)
        return blocks

    def _open_block(self) -> None:
        if self._block_start is None:
            self._block_start = self._offset

    def _take_line(self, line: bytes) -> None:
        text = line.decode("utf-8", errors="replace")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self._comments.append(value)
            return
        self._fields.append((name, value))
        if name == "id" and "\0" not in value:
            self._last_event_id = value

    def _finish(self, *, terminated: bool) -> Block:
        assert self._block_start is not None
        block = Block(
            fields=tuple(self._fields),
            comments=tuple(self._comments),
            start=self._block_start,
            end=self._offset + (1 if terminated else 0),
            terminated=terminated,
            last_event_id=self._last_event_id,
        )
        self._block_start, self._fields, self._comments = None, [], []
        return block


def _end_of_line(body: bytes, number: int) -> int | None:
    """The offset behind the line with a number; None when there are fewer."""
    if body.count(b"\n") + body.count(b"\r") < number:
        return None
    return next(islice(_LINE_END.finditer(body), number - 1, None)).end()


def parse(body: bytes) -> tuple[Block, ...]:
    """All blocks of a whole body, an unterminated last one included; those beyond 200,000 lines are left out."""
    parser = Parser()
    blocks = parser.feed(body[: _end_of_line(body, _MOST_LINES)])
    last = parser.close()
    return (*blocks, last) if last is not None else tuple(blocks)
