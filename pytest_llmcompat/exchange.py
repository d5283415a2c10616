"""What came of a probe on a target: one request and its answer, immutable, with lazily parsed views."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_llmcompat.evidence import MISSING, Evidence, shown
from pytest_llmcompat.sse import Block, parse
from pytest_llmcompat.views import footprint, text_size, view

__all__ = ["SDK_HEADERS", "Exchange", "Headers", "Refusal", "Request"]

Headers = tuple[tuple[str, str], ...]

SDK_HEADERS: Final = "sdk-headers"
"""The name under which `Exchange.refused` notes that the headers of the official SDK were refused."""


# Bytes of memory of a block of an event stream beside its texts, measured with CPython 3.11 and rounded up.
_BLOCK_COST: Final = 512


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it went out; the real key never stands in `headers`.

    headers: (name, value) pairs with lower-case names; body: raw bytes, empty for none.
    """

    method: str
    url: str
    headers: Headers
    body: bytes

    def curl(self) -> str:
        """A shell command that repeats the request, with the key taken from $OPENAI_API_KEY."""
        parts = ["curl -sS -i", f"-X {self.method}", shlex.quote(self.url)]
        for name, value in self.headers:
            if name.startswith("x-stainless") or name in {"accept", "user-agent", "content-length"}:
                continue
            # Double quotes, in which the shell puts the variable's value.
            is_key = value == "Bearer $OPENAI_API_KEY"
            parts.append(f'-H "{name}: {value}"' if is_key else f"-H {shlex.quote(f'{name}: {value}')}")
        if self.body:
            parts.append(f"--data-binary {shlex.quote(self.body.decode('utf-8', errors='replace'))}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 4xx answer that made the lab leave a parameter out: its status and the message of its error."""

    status: int
    message: str


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    probe: id of the probe. target: id of the target.
    status: HTTP status; 0 when no answer came. headers: (lower-case name, value) pairs of the answer.
    body: raw bytes of the answer, content coding removed, the key (if echoed) replaced.
    arrivals: (seconds since the request was sent, number of bytes) for each part of the body.
    started: unix time in seconds at which the request was sent. total: seconds until the body had ended.
    failure: why no whole answer came (time-out, reset connection), None when it did.
    refused: parameters that were left out because the server refused them by name, and how it did.
    unsent: why the probe was not sent at all (a parent gave nothing to build on), None when it was.
    given_up: True when it was not sent, or not read to its end, because the run's time was up.
    unsupported: True when it was not sent because the endpoint lacks the feature that it needs.
    requests: how many HTTP requests the probe took, with retries and negotiation.
    retried: answers (429, 5xx, lost connections) after which the same request was sent once more.
    live: False when the answer was read from a cassette.
    """

    probe: str
    target: str
    request: Request
    status: int = 0
    headers: Headers = ()
    body: bytes = b""
    arrivals: tuple[tuple[float, int], ...] = ()
    started: float = 0.0
    total: float = 0.0
    failure: str | None = None
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    unsent: str | None = None
    given_up: bool = False
    unsupported: bool = False
    requests: int = 1
    retried: tuple[Exchange, ...] = ()
    live: bool = True

    def header(self, name: str) -> str | None:
        """The value of an answer header (last one wins), None when absent; names are case-insensitive."""
        values = [value for key, value in self.headers if key == name.lower()]
        return values[-1] if values else None

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; "" when there is no Content-Type."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def ok(self) -> bool:
        """True for a whole answer with a 2xx status."""
        return self.failure is None and 200 <= self.status < 300

    @view(size=lambda self: text_size(self.body))
    def text(self) -> str:
        """The body as UTF-8 text, invalid bytes replaced."""
        return self.body.decode("utf-8", errors="replace")

    @property
    def json(self) -> Any:
        """The body parsed as JSON; None when it is not JSON (see `is_json`)."""
        return self._parsed[1]

    @property
    def is_json(self) -> bool:
        """True when the body is exactly one JSON value."""
        return self._parsed[0]

    @view(size=lambda self: footprint(self.body) + text_size(self.body))
    def _parsed(self) -> tuple[bool, Any]:
        try:
            return True, json.loads(self.body.decode("utf-8", errors="replace"))
        except (ValueError, RecursionError):
            return False, None

    @view(size=lambda self: footprint(self.request.body) + text_size(self.request.body))
    def sent(self) -> Any:
        """The request body parsed as JSON; None when it was not JSON."""
        try:
            return json.loads(self.request.body)
        except (ValueError, RecursionError):
            return None

    @view(size=lambda self: text_size(self.body) + _BLOCK_COST * self.body.count(b"\n\n"))
    def blocks(self) -> tuple[Block, ...]:
        """The body as server-sent-event blocks, comments and empty ones included."""
        return parse(self.body)

    @property
    def events(self) -> tuple[Block, ...]:
        """The blocks that a client dispatches as events."""
        return tuple(block for block in self.blocks if block.is_event)

    def arrival(self, offset: int) -> float:
        """Seconds after sending at which the body byte before `offset` had arrived."""
        seen = 0
        for seconds, length in self.arrivals:
            seen += length
            if seen >= offset:
                return seconds
        return self.total

    def evidence(self, where: str, expected: str, found: object = MISSING) -> Evidence:
        """Evidence about the `status`, a `header NAME` or the `body` of this exchange."""
        if found is MISSING:
            found = self._found(where)
        return Evidence(self.probe, where, shown(found), expected)

    def _found(self, where: str) -> object:
        if where == "status":
            return self.status
        if where.startswith("header "):
            value = self.header(where.removeprefix("header "))
            return MISSING if value is None else value
        return self.body
