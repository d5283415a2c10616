"""What the exchanges of a run may use up together: time and memory."""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from pytest_llmcompat.limits import MIB
from pytest_llmcompat.wire import TimeUp

__all__ = ["MEMORY", "Allowance"]

MEMORY: Final = 48 * MIB
"""Bytes of answers that a run keeps, in each of its processes."""


class Allowance:
    """The time and the memory that are left to a run; safe to use from several threads.

    seconds: how long the run may take. ends: unix time of its end, which processes share; the default is
    `seconds` from now. memory: bytes of answers that this process may keep.
    """

    def __init__(self, seconds: float = math.inf, *, ends: float | None = None, memory: int = MEMORY) -> None:
        self.seconds = seconds
        self.ends = time.time() + seconds if ends is None else ends
        self.memory = memory
        self._kept = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds until the run's time is up, 0 when it is."""
        return max(0.0, self.ends - time.time())

    def check(self) -> None:
        """Raise TimeUp when the run's time is up."""
        if self.left <= 0:
            raise self.time_up()

    def time_up(self) -> TimeUp:
        """What to raise when the run's time is up."""
        return TimeUp(f"the run's time of {self.seconds:g} s was up (--llm-run-timeout)")

    def take(self, size: int) -> bool:
        """Take bytes of memory; False, and nothing is taken, when there are not so many left."""
        with self._lock:
            if self._kept + size > self.memory:
                return False
            self._kept += size
            return True

    def give_back(self, size: int) -> None:
        """Bytes that were taken are free again."""
        with self._lock:
            self._kept -= size
