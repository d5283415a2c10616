"""The three sources of answers: live, recording, replaying."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pytest_llmcompat.cassette import Recording, Replay, path_of, read, write
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.live import LiveClient, LiveLine
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer, Line, MissingExchange

__all__ = ["LiveSource", "RecordingSource", "ReplayingSource"]


class LiveSource:
    """Answers of the endpoint itself, nothing kept."""

    def __init__(
        self, target: Target, limits: Limits | None = None, allowance: Allowance | None = None
    ) -> None:
        self._client = LiveClient(target, limits, allowance)

    def open(self, probe: Probe) -> Line:
        """A live line."""
        del probe
        return LiveLine(self._client)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class RecordingSource:
    """Answers of the endpoint, each probe written to a cassette; probes that have one are not sent again.

    unwritten: takes a line for each cassette that could not be written; the exchange is judged all the same.
    """

    def __init__(
        self,
        target: Target,
        folder: Path,
        limits: Limits | None = None,
        allowance: Allowance | None = None,
        unwritten: list[str] | None = None,
    ) -> None:
        self._target, self._folder = target, folder
        self._unwritten = [] if unwritten is None else unwritten
        self._client = LiveClient(target, limits, allowance)

    def open(self, probe: Probe) -> Line:
        """A recorded line when there is a cassette, else a live one that writes it."""
        path = path_of(self._folder, self._target, probe.id)
        if path.exists():
            return _ReplayedLine(path)
        return _RecordingLine(self._client, self._target, probe, path, self._unwritten)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class ReplayingSource:
    """Answers from cassettes only; no socket is touched."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._target, self._folder = target, folder

    def open(self, probe: Probe) -> Line:
        """A recorded line. Raises MissingExchange when the probe has no cassette."""
        path = path_of(self._folder, self._target, probe.id)
        if not path.exists():
            return _AbsentLine(probe, path)
        return _ReplayedLine(path)

    def close(self) -> None:
        """Nothing to release."""


class _ReplayedLine:
    live = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replay = Replay(read(path))

    def send(self, request: Request, probe: Probe) -> Answer:
        answer = self._replay.answer(request)
        if answer is None:
            raise MissingExchange(
                f"the cassette {self._path} holds no answer to {request.method} {request.url} as the probe "
                f"{probe.id} sends it now; delete the file and record it again with --llm-record"
            )
        return answer

    def close(self) -> None:
        pass


class _AbsentLine:
    live = False

    def __init__(self, probe: Probe, path: Path) -> None:
        self._message = f"no cassette for the probe {probe.id} at {path}; record it with --llm-record"

    def send(self, request: Request, probe: Probe) -> Answer:
        del request, probe
        raise MissingExchange(self._message)

    def close(self) -> None:
        pass


class _RecordingLine:
    live = True

    def __init__(
        self, client: LiveClient, target: Target, probe: Probe, path: Path, unwritten: list[str]
    ) -> None:
        self._client, self._target, self._probe, self._path = client, target, probe, path
        self._unwritten = unwritten
        self._interactions: list[tuple[Request, Answer]] = []

    def send(self, request: Request, probe: Probe) -> Answer:
        answer = self._client.send(request, probe)
        self._interactions.append((request, answer))
        return answer

    def close(self) -> None:
        if not self._interactions:
            return
        recording = Recording(
            probe=self._probe.id,
            recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            endpoint=self._target.place or self._target.endpoint,
            model=self._target.model,
            versions=_versions(),
            interactions=tuple((self._placed(request), answer) for request, answer in self._interactions),
        )
        try:
            write(self._path, recording, secrets=secrets_of(self._target))
        except OSError as error:
            self._unwritten.append(f"a recording in {self._path.parent}: {error.strerror}")

    def _placed(self, request: Request) -> Request:
        """The request as sent to the target's lasting place, if it has one: files then differ by content only."""
        if self._target.place is None:
            return request
        here, there = urlsplit(request.url), urlsplit(self._target.place)
        return replace(request, url=urlunsplit(here._replace(scheme=there.scheme, netloc=there.netloc)))


@cache
def _versions() -> Mapping[str, str]:
    return {
        "pytest-llmcompat": version("pytest-llmcompat"),
        "httpx": version("httpx"),
        "vcrpy": version("vcrpy"),
        "python": platform.python_version(),
    }
