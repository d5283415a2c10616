"""Single flight across processes: exchanges of a run in a private folder, one file and one lock a probe."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_llmcompat.exchange import Exchange, Refusal, Request

__all__ = ["SharedHold", "Spool", "Unshared", "decode", "encode"]


class Unshared(Exception):
    """Workers cannot share their exchanges; its text is one line that says what to do."""


class Spool:
    """A `Store` of one target's exchanges; processes that share the folder send each probe once."""

    def __init__(self, folder: Path, target_id: str) -> None:
        self._folder = folder / hashlib.sha256(target_id.encode()).hexdigest()[:16]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def once(self, probe_id: str, run: Callable[[], Exchange]) -> Exchange:
        """The exchange that another process has written, else that of `run`, written for the others.

        Raises Unshared when it cannot be written.
        """
        from filelock import FileLock

        path = self._folder / f"{probe_id}.json"
        with FileLock(self._folder / f"{probe_id}.lock"):
            if path.exists():
                return decode(json.loads(path.read_text("utf-8")))
            exchange = run()
            self._put(path, exchange)
            return exchange

    def _put(self, path: Path, exchange: Exchange) -> None:
        whole = path.with_suffix(".part")
        try:
            whole.write_text(json.dumps(encode(exchange)), "utf-8")
            whole.replace(path)
        except OSError as error:
            raise Unshared(
                f"what workers share cannot be written below {self._folder}: {error.strerror}; make room there, "
                "set TMPDIR, or run without -n"
            ) from error

    def hold(self, clock: Callable[[], float] = time.time) -> SharedHold:
        """The time for which the endpoint asked all processes to wait."""
        return SharedHold(self._folder / "hold", clock)

    def exchanges(self) -> tuple[Exchange, ...]:
        """All exchanges that any process of the run has written."""
        return tuple(
            decode(json.loads(path.read_text("utf-8"))) for path in sorted(self._folder.glob("*.json"))
        )


class SharedHold:
    """A `Hold` of several processes: its end is the time of a file.

    clock: unix time in seconds.
    """

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self._file, self._clock = file, clock

    def left(self) -> float:
        """See `Hold`."""
        try:
            return self._file.stat().st_mtime - self._clock()
        except FileNotFoundError:
            return 0.0

    def for_seconds(self, seconds: float) -> None:
        """See `Hold`. That a process which asks for less at the same moment wins costs nothing but one more 429."""
        if self.left() < seconds:
            self._file.touch()
            end = self._clock() + seconds
            os.utime(self._file, (end, end))


def encode(exchange: Exchange) -> dict[str, Any]:
    """An exchange as a JSON value; bodies in base64."""
    request = exchange.request
    return {
        "probe": exchange.probe,
        "target": exchange.target,
        "request": [request.method, request.url, request.headers, base64.b64encode(request.body).decode()],
        "status": exchange.status,
        "headers": exchange.headers,
        "body": base64.b64encode(exchange.body).decode(),
        "arrivals": exchange.arrivals,
        "started": exchange.started,
        "total": exchange.total,
        "failure": exchange.failure,
        "refused": {name: [r.status, r.message] for name, r in exchange.refused.items()},
        "unsent": exchange.unsent,
        "given_up": exchange.given_up,
        "unsupported": exchange.unsupported,
        "requests": exchange.requests,
        "retried": [encode(earlier) for earlier in exchange.retried],
        "live": exchange.live,
    }


def decode(value: dict[str, Any]) -> Exchange:
    """The exchange that `encode` made a JSON value of."""
    method, url, headers, body = value["request"]
    return Exchange(
        **{
            **value,
            "request": Request(method, url, _pairs(headers), base64.b64decode(body)),
            "headers": _pairs(value["headers"]),
            "body": base64.b64decode(value["body"]),
            "arrivals": tuple((seconds, length) for seconds, length in value["arrivals"]),
            "retried": tuple(decode(earlier) for earlier in value["retried"]),
            "refused": {name: Refusal(*refusal) for name, refusal in value["refused"].items()},
        }
    )


def _pairs(headers: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers)
