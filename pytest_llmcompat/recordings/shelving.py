"""From recordings to targets: each host that answered is on trial by what it answered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.kind import kinds_of
from pytest_llmcompat.recordings.files import read_recordings
from pytest_llmcompat.recordings.record import RecordingError
from pytest_llmcompat.recordings.shelf import Shelf
from pytest_llmcompat.target import Target

__all__ = ["shelves_of"]


def shelves_of(paths: Iterable[str]) -> tuple[tuple[Shelf, ...], tuple[Path, ...]]:
    """The exchanges of the API below some paths, by host, and the files that were passed over.

    Raises RecordingError, also when nothing of the API is recorded there.
    """
    recordings = read_recordings(Path(path) for path in paths)
    by_host: dict[str, list[Exchange]] = {}
    for exchange in recordings.exchanges:
        if kinds_of(exchange):
            by_host.setdefault(exchange.target, []).append(exchange)
    if not by_host:
        raise RecordingError(
            f"{', '.join(paths)}: nothing of the OpenAI API is recorded there (requests to …/chat/completions, "
            "…/embeddings, …/models and so on)"
        )
    shelves = (Shelf(_target(host, exchanges), exchanges) for host, exchanges in by_host.items())
    return tuple(shelves), recordings.passed_over


def _target(host: str, exchanges: Iterable[Exchange]) -> Target:
    every = list(exchanges)
    models = (e.sent.get("model") for e in every if isinstance(e.sent, dict))
    named = dict.fromkeys(model for model in models if isinstance(model, str) and model)
    scheme = urlsplit(every[0].request.url).scheme or "https"
    return Target(id=host, endpoint=f"{scheme}://{host}", model=", ".join(named))
