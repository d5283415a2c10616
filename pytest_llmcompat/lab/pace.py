"""How fast requests may follow each other: an endpoint that says 429 is asked less, and not at all for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from pytest_llmcompat.lab.allowance import Allowance

__all__ = ["Hold", "Pace", "Turn"]

_PATIENCE: Final = 120.0


class Hold(Protocol):
    """The time for which nobody sends, shared by the processes of a run (see `lab.spool`)."""

    def left(self) -> float:
        """Seconds of it that are left; 0 or less for none."""

    def for_seconds(self, seconds: float) -> None:
        """Nobody sends for that long from now on, or for longer if somebody asked for that."""


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

    Its patience is bounded: `patience` seconds of waiting without one request that is let through, and as many
    of waiting before retries. After that nobody waits any more, and what the endpoint answers stands.

    clock, sleep: of seconds, as `time.monotonic` and `time.sleep`; without `sleep`, `give_up` ends each wait.
    allowance: the time of the run; no wait goes past its end. hold: shared with other processes of the run.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        *,
        allowance: Allowance | None = None,
        patience: float = _PATIENCE,
        hold: Hold | None = None,
    ) -> None:
        self._allowance, self._patience, self._hold = allowance or Allowance(), patience, hold
        self._in_vain = self._waited = 0.0
        self._given_up = threading.Event()
        self._clock, self._sleep = clock, sleep or self._given_up.wait
        self._changed = threading.Condition()
        self._under_way = self._peak = 0
        self._limit: int | None = None
        self._limits = 0
        self._held_until = float("-inf")

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait until one more request may go out; the turn ends with the block.

        Raises TimeUp when the run's time is up before.
        """
        turn = Turn(self._begin())
        try:
            yield turn
        finally:
            self._end(turn)

    def check(self) -> None:
        """Raise TimeUp when the run's time is up."""
        self._allowance.check()

    @property
    def is_patient(self) -> bool:
        """False when waiting for the endpoint has been in vain for too long."""
        with self._changed:
            return self._in_vain <= self._patience

    def wait(self, seconds: float) -> bool:
        """Wait before a retry that is nobody else's matter; False, at once, when there was too much waiting."""
        with self._changed:
            if self._waited + seconds > self._patience:
                return False
            self._waited += seconds
        self._pause(seconds)
        return True

    def give_up(self) -> None:
        """Let nobody wait for time to pass any more: the run is at its end."""
        self._given_up.set()

    def _pause(self, seconds: float) -> None:
        self._sleep(min(seconds, self._allowance.left))
        self._allowance.check()

    def _begin(self) -> int:
        while True:
            self._allowance.check()
            with self._changed:
                while self._limit is not None and self._under_way >= self._limit:
                    self._changed.wait()
                left = max(self._held_until - self._clock(), self._hold.left() if self._hold else 0.0)
                if left <= 0 or self._given_up.is_set():
                    self._under_way += 1
                    self._peak = max(self._peak, self._under_way)
                    return self._limits
            self._pause(left)

    def _end(self, turn: Turn) -> None:
        with self._changed:
            if turn.throttled is None:
                self._in_vain = 0.0
            else:
                if turn.limits == self._limits:
                    self._limit, self._peak = max(1, self._peak // 2), 0
                    self._limits += 1
                    self._in_vain += turn.throttled
                if self._in_vain <= self._patience:
                    self._held_until = max(self._held_until, self._clock() + turn.throttled)
                    if self._hold is not None:
                        self._hold.for_seconds(turn.throttled)
            self._under_way -= 1
            self._changed.notify_all()
