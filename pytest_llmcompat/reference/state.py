"""What one running reference knows: its key, its pace, its defects, and the little that it counts."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_llmcompat.reference.crowd import Crowd
from pytest_llmcompat.reference.defect import Defects
from pytest_llmcompat.reference.ratelimit import RateLimit
from pytest_llmcompat.reference.request import Message

__all__ = ["Identifiers", "State", "StoredResponse"]

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Identifiers:
    """Ids that look random, never repeat, and come in the same order in each run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next(self, prefix: str, length: int, alphabet: str = _ALPHABET) -> str:
        """A new id: the prefix and `length` characters."""
        digest = hashlib.blake2b(str(next(self._numbers)).encode(), digest_size=length).digest()
        return prefix + "".join(alphabet[byte % len(alphabet)] for byte in digest)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that was kept. items: its input. turns: the conversation up to and with its output."""

    shape: dict[str, Any]
    items: tuple[dict[str, Any], ...]
    turns: tuple[Message, ...]


@dataclass(slots=True)
class State:
    """One running reference.

    key: the bearer key it accepts; None when it needs none. pause: seconds between the chunks of a stream.
    started: Unix time. answers: chat answers given.
    stored: kept responses, by id. seen: how often each conversation came.
    blocked_until: time.monotonic until which nothing is served. crowd: prompts that begin alike.
    """

    key: str | None
    pause: float
    defects: Defects
    identifiers: Identifiers = field(default_factory=Identifiers)
    ratelimit: RateLimit = field(default_factory=RateLimit)
    started: int = field(default_factory=lambda: int(time.time()))
    answers: int = 0
    stored: dict[str, StoredResponse] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    blocked_until: float = 0.0
    crowd: Crowd = field(default_factory=Crowd)
