"""Starting and stopping the reference: uvicorn in a thread, on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn

from pytest_llmcompat.reference.app import PREFIX, application
from pytest_llmcompat.reference.auth import DEFAULT_KEY, LEGAL_KEYLESS
from pytest_llmcompat.reference.defect import find
from pytest_llmcompat.reference.models import DEFAULT_MODEL
from pytest_llmcompat.reference.state import State

__all__ = ["DEFAULT_PAUSE", "Reference", "serve"]

DEFAULT_PAUSE: Final = 0.02
_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reference:
    """A running reference. key: None when it needs none. model: one of those that it serves."""

    base_url: str
    key: str | None
    model: str


@contextmanager
def serve(
    defects: Iterable[str] = (), *, key: str | None = DEFAULT_KEY, pause: float = DEFAULT_PAUSE, port: int = 0
) -> Iterator[Reference]:
    """Run a reference while the context is open; it answers from the first moment.

    defects: names from DEFECTS. key: the one it accepts; None for a server without keys.
    pause: seconds between the chunks of a stream. port: 0 for any free one.
    Raises UnknownDefect, and OSError when the port is taken.
    """
    chosen = find(defects)
    state = State(key=None if LEGAL_KEYLESS in chosen else key, pause=pause, defects=chosen)
    listener = socket.create_server((_HOST, port))
    # The kernel queues connections from here on, so nobody has to wait until uvicorn is up.
    base_url = f"http://{_HOST}:{listener.getsockname()[1]}{PREFIX}"
    server = _Server(state, listener)
    server.start()
    try:
        yield Reference(base_url, state.key, DEFAULT_MODEL)
    finally:
        server.stop()


class _Server:
    """Uvicorn without its own loop of ticks, so that it stops at once, open streams included."""

    def __init__(self, state: State, listener: socket.socket) -> None:
        config = uvicorn.Config(
            application(state),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=60,
        )
        self._uvicorn, self._listener = uvicorn.Server(config), listener
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llmcompat-reference", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if not self._uvicorn.started:
            raise RuntimeError("the reference did not start; the reason was printed by its thread")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        config = self._uvicorn.config
        config.load()
        self._uvicorn.lifespan = config.lifespan_class(config)
        await self._uvicorn.startup(sockets=[self._listener])
        self._ready.set()
        await self._stopped.wait()
        for server in self._uvicorn.servers:
            server.close()
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
