"""How much of one exchange is borne: seconds, bytes and shape, whatever the endpoint does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MIB", "Limits"]

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one exchange; what goes past one is given up, and the failure names it.

    connect: seconds until the connection is open. first_byte: seconds from sending to the head of the answer.
    idle: seconds between two parts of the answer. total: seconds from sending to the end of the body.
    body: bytes of the body, as it is sent and with each content coding removed. parsed: bytes of memory that
    it may take as text and as JSON, as `views.footprint` has it. What is fetched, such as a list of 100,000
    models, may have `listing` times as many of both.
    headers: number of headers. lines: lines of a body that is no JSON. depth: levels of nested JSON.
    digits: digits of one number.
    """

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 60.0
    body: int = 4 * MIB
    parsed: int = 20 * MIB
    listing: int = 4
    headers: int = 1000
    lines: int = 40_000
    depth: int = 100
    digits: int = 300
