"""What stands in the place of a lab when recordings are judged: the exchanges are there, and nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.target import Target

__all__ = ["Shelf"]


class Shelf:
    """The recorded exchanges of one target."""

    def __init__(self, target: Target, exchanges: Iterable[Exchange]) -> None:
        self.target = target
        self._exchanges = tuple(exchanges)

    def obtained(self) -> tuple[Exchange, ...]:
        """All exchanges, in the order of the recordings."""
        return self._exchanges

    def exchange(self, probe_id: str) -> Exchange:
        """An exchange that was never sent: recordings of others know nothing of probes."""
        request = Request("", self.target.endpoint, (), b"")
        unsent = "recordings are judged, and no probe is sent"
        return Exchange(probe_id, self.target.id, request, unsent=unsent, requests=0, live=False)

    def prefetch(self, probe_ids: Iterable[str], concurrency: int) -> None:
        """Nothing is sent."""

    def close(self) -> None:
        """Nothing is open."""
