"""The rim where exchanges come from: what one request gets back, from a socket or from a cassette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pytest_llmcompat.exchange import Headers, Request
from pytest_llmcompat.probe import Probe

__all__ = ["NO_MORE", "Answer", "Line", "MissingExchange", "TimeUp", "Withheld"]

NO_MORE: Final = "; more is not read"
"""How the failure of an answer ends that went past a limit of size or shape; it would do so again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request.

    status: HTTP status, 0 when none came. headers: (lower-case name, value) pairs.
    body: bytes with the content coding removed. arrivals: (seconds since sending, bytes) for each part.
    started: unix time of sending. total: seconds until the end of the body.
    failure: why no whole answer came, None when it did.
    """

    status: int = 0
    headers: Headers = ()
    body: bytes = b""
    arrivals: tuple[tuple[float, int], ...] = ()
    started: float = 0.0
    total: float = 0.0
    failure: str | None = None


class MissingExchange(LookupError):
    """A replayed run needs a request that no cassette answers."""


class Withheld(Exception):
    """A request may not go out, as a limit of the run forbids it; the message says which."""


class TimeUp(Exception):
    """The run's time is up: nothing more is sent, and what is under way is given up."""


class Line(Protocol):
    """One probe's connection to its target, live or recorded."""

    live: bool

    def send(self, request: Request, probe: Probe) -> Answer:
        """The answer to a request.

        Raises MissingExchange when a cassette does not hold it, Withheld and TimeUp when a limit of the run forbids it.
        """

    def close(self) -> None:
        """The probe has its exchange; whatever was recorded may be written."""
