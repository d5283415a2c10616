"""One answer while it comes in: head, parts and their times, when there is enough of it, and when too much."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.decoding import Decoding
from pytest_llmcompat.lab.structure import shape_fault
from pytest_llmcompat.limits import MIB, Limits
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.sse import Block, Parser
from pytest_llmcompat.views import footprint, text_size
from pytest_llmcompat.wire import NO_MORE, Answer

__all__ = ["Excess", "Reading"]

# What is left of a body that went past a limit: enough to see what it was.
_REMNANT: Final = 64 * 1024
# Beyond that many parts their times are no longer kept apart.
_MOST_PARTS: Final = 5_000
# Memory beside the bytes themselves, measured with CPython 3.11 and rounded up.
_HEADER_COST, _PART_COST = 256, 128


class Excess(Exception):
    """The answer went past a limit of size or shape."""

    def __init__(self, what: str) -> None:
        super().__init__(what + NO_MORE)


class Reading:
    """An answer that grows until it is whole, until its probe has seen enough, or until it is too much.

    limits: those of the exchange. allowance: the memory of the run, of which each kept byte is taken.
    """

    def __init__(self, probe: Probe, limits: Limits, allowance: Allowance) -> None:
        self._abort_after = probe.abort_after
        self._limits, self._allowance = limits, allowance
        times = limits.listing if probe.method == "GET" else 1
        self._most, self._most_parsed = times * limits.body, times * limits.parsed
        self._status = 0
        self._headers: Headers = ()
        self._body = bytearray()
        self._arrivals: list[tuple[float, int]] = []
        self._decoding = Decoding("")
        self._wire = self._between = self._lines = self._footprint = 0
        self._is_event_stream = self._is_json = self._is_enough = False
        self._is_ascii = True
        self._parser, self._content_chunks = Parser(), 0

    def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Status and headers have come. Raises Excess for too many, Undecodable for their content coding."""
        every = [(name.lower(), value) for name, value in headers]
        self._status, self._headers = status, tuple(every[: self._limits.headers])
        if len(every) > self._limits.headers:
            raise Excess(f"the answer has more than {self._limits.headers} headers")
        self._take_memory(sum(_HEADER_COST + len(name) + len(value) for name, value in self._headers))
        media_type = dict(every).get("content-type", "").partition(";")[0].strip().lower()
        self._is_event_stream = media_type == "text/event-stream"
        self._is_json = media_type.endswith("json")
        self._decoding = Decoding(",".join(value for name, value in every if name == "content-encoding"))

    def take(self, part: bytes, seconds: float) -> bool:
        """The next part has come, `seconds` after sending; True when the probe wants no more.

        Raises Excess when it is too much, Undecodable when it is not in its content coding.
        """
        length = len(self._body)
        for step, of_body in self._decoding.decode(part):
            if of_body:
                self._add(step, seconds)
            else:
                self._between += len(step)
                self._expect_at_most(self._between, "the body, with one of its codings removed,")
        self._wire += len(part)
        self._expect_at_most(self._wire, "the body, as it is sent,")
        if self._abort_after is None:
            return False
        blocks = self._parser.feed(bytes(self._body[length:]))
        self._content_chunks += sum(_has_content(block) for block in blocks)
        self._is_enough = self._content_chunks >= self._abort_after
        return self._is_enough

    @property
    def progress(self) -> str:
        """How far the answer had come."""
        if self._status == 0:
            return "no answer had come"
        return "the body had not ended" if self._body else "no body had come"

    @property
    def has_head(self) -> bool:
        """True when status and headers have come."""
        return self._status != 0

    def answer(self, *, started: float, total: float, failure: str | None) -> Answer:
        """The answer as it is now. started: unix time of sending. total: seconds that it took.

        A whole answer whose shape goes past a limit is a failure too. What went past one is cut short.
        """
        body, self._body = bytes(self._body), bytearray()
        if failure is None:
            failure = self._fault(body)
        if failure is not None and failure.endswith(NO_MORE):
            self._allowance.give_back(max(0, len(body) - _REMNANT))
            body = body[:_REMNANT]
        return Answer(
            status=self._status,
            headers=self._headers,
            body=body,
            arrivals=tuple(_within(self._arrivals, len(body))),
            started=started,
            total=total,
            failure=failure,
        )

    def _add(self, step: bytes, seconds: float) -> None:
        if not self._body and not self._is_event_stream:
            self._is_json = self._is_json or step.lstrip()[:1] in (b"{", b"[")
        is_new = not self._arrivals or (
            self._arrivals[-1][0] != seconds and len(self._arrivals) < _MOST_PARTS
        )
        self._take_memory(len(step) + is_new * _PART_COST)
        self._body += step
        if is_new:
            self._arrivals.append((seconds, len(step)))
        else:
            self._arrivals[-1] = (seconds, self._arrivals[-1][1] + len(step))
        self._expect_at_most(len(self._body), "the body")
        self._footprint += footprint(step)
        self._is_ascii = self._is_ascii and step.isascii()
        if self._footprint + text_size(self._body, is_ascii=self._is_ascii) > self._most_parsed:
            raise Excess(
                f"the body takes more than {self._most_parsed // MIB} MiB of memory when it is parsed"
            )
        self._lines += step.count(b"\n") + step.count(b"\r")
        if self._lines > self._limits.lines and not self._is_json:
            raise Excess(f"the body has more than {self._limits.lines} lines")

    def _expect_at_most(self, length: int, what: str) -> None:
        if length > self._most:
            raise Excess(f"{what} is longer than {self._most} bytes")

    def _take_memory(self, size: int) -> None:
        if not self._allowance.take(size):
            raise Excess(f"the answers of the run take more than {self._allowance.memory // MIB} MiB")

    def _fault(self, body: bytes) -> str | None:
        """What is wrong with a body that has come to its end."""
        coding = self._decoding.unfinished
        # Streams are read as they come, and some servers end them without the end of the coding.
        if coding is not None and not self._is_event_stream and not self._is_enough:
            return f"the body ended before its {coding} coding did"
        fault = shape_fault(body, self._limits, by_line=not self._is_json)
        return None if fault is None else fault + NO_MORE


def _within(arrivals: Iterable[tuple[float, int]], length: int) -> Iterator[tuple[float, int]]:
    """The arrivals of the first bytes of a body."""
    for seconds, part in arrivals:
        if length <= 0:
            return
        yield seconds, min(part, length)
        length -= part


def _has_content(block: Block) -> bool:
    try:
        chunk: Any = json.loads(block.data)
        return bool(chunk["choices"][0]["delta"]["content"])
    except (ValueError, RecursionError, TypeError, LookupError):
        return False
