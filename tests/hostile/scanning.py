"""Looking for the canary, the key of each hostile run, in every byte that the run produced."""

from __future__ import annotations

from pathlib import Path

from pytest_llmcompat.cassette import CassetteError, read
from tests.canary import CANARY, joined, traces

__all__ = ["CANARY", "canaries_in", "canaries_in_file"]


def canaries_in(data: bytes) -> list[str]:
    """The forms in which bytes hold the canary."""
    return traces(CANARY, data)


def canaries_in_file(path: Path) -> list[str]:
    """The same of a file; of a cassette also those in its bodies, and what a client joins from their events."""
    found = canaries_in(path.read_bytes())
    if path.suffix == ".yaml":
        found += [f"{form} in an answer" for body in _bodies(path) for form in _in_answer(body)]
    return found


def _bodies(path: Path) -> list[bytes]:
    """The bodies of a cassette, which may be in base64; none of one that cannot be read, which is a fault itself."""
    try:
        return [answer.body for _, answer in read(path).interactions]
    except CassetteError:
        return []


def _in_answer(body: bytes) -> list[str]:
    found = canaries_in(body)
    for where, text in joined(body):
        found += [
            f"{form} joined from {where}" for form in canaries_in(text.encode("utf-8", "surrogatepass"))
        ]
    return found
