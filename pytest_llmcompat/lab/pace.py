"""How fast requests may follow each other: an endpoint that says 429 is asked less, and not at all for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Pace", "Turn"]


@dataclass(slots=True)
class Turn:
    """The right to have one request under way.

    limits: how many limits the endpoint had shown when it was given. throttled: seconds to wait, None for none.
    """

    limits: int
    throttled: float | None = None

    def throttle(self, seconds: float) -> None:
        """The request was answered 429: nobody sends for `seconds`, and fewer at once from now on."""
        self.throttled = seconds


class Pace:
    """Turns for the requests to one endpoint; any number at once until it throttles.

    A throttled turn halves how many may be under way, down to one, for the rest of the run: half of what there
    was at the most since the last time. Of the requests that were under way together only the first does so,
    since they all met the same limit.

    clock, sleep: of seconds, as `time.monotonic` and `time.sleep`; without `sleep`, `give_up` ends each wait.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] | None = None
    ) -> None:
        self._given_up = threading.Event()
        self._clock, self._sleep = clock, sleep or self._given_up.wait
        self._changed = threading.Condition()
        self._under_way = self._peak = 0
        self._limit: int | None = None
        self._limits = 0
        self._held_until = float("-inf")

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait until one more request may go out; the turn ends with the block."""
        turn = Turn(self._begin())
        try:
            yield turn
        finally:
            self._end(turn)

    def wait(self, seconds: float) -> None:
        """Wait before a retry that is nobody else's matter."""
        self._sleep(seconds)

    def give_up(self) -> None:
        """Let nobody wait for time to pass any more: the run is at its end."""
        self._given_up.set()

    def _begin(self) -> int:
        while True:
            with self._changed:
                while self._limit is not None and self._under_way >= self._limit:
                    self._changed.wait()
                now = self._clock()
                if now >= self._held_until or self._given_up.is_set():
                    self._under_way += 1
                    self._peak = max(self._peak, self._under_way)
                    return self._limits
                left = self._held_until - now
            self._sleep(left)

    def _end(self, turn: Turn) -> None:
        with self._changed:
            if turn.throttled is not None:
                self._held_until = max(self._held_until, self._clock() + turn.throttled)
                if turn.limits == self._limits:
                    self._limit, self._peak = max(1, self._peak // 2), 0
                    self._limits += 1
            self._under_way -= 1
            self._changed.notify_all()
