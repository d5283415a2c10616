"""Servers on the loopback that do exactly what a test tells them, down to the bytes and the reset."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.target import Target

__all__ = [
    "Connection",
    "Received",
    "Server",
    "Time",
    "completion",
    "lab_on",
    "limited",
    "refusal",
    "serving",
    "target_of",
]

Script = Callable[["Received", "Connection"], None]

PATIENCE = 10.0
"""Seconds after which a test that waits for something has failed."""


@dataclass(frozen=True)
class Received:
    """A request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Connection:
    """The server's end of a connection, for one answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.open = True

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def answer(self, body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer; a body that is not bytes goes out as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"content-type": "application/json"}
        self._head(status, {**kind, **(headers or {}), "content-length": str(len(content))})
        self.raw(content)

    def begin(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The head of an answer in chunks."""
        self._head(status, {"transfer-encoding": "chunked", **(headers or {})})

    def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the answer."""
        self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    def close(self) -> None:
        """End the connection in good order."""
        self.open = False

    def reset(self) -> None:
        """End the connection by a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False

    def gone(self, seconds: float = PATIENCE) -> bool:
        """Wait for the client to close its end; False when it has not within that time."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        self.raw("\r\n".join([*lines, "", ""]).encode())


@dataclass
class Server:
    """A running server: where it is, and what it has met.

    received: the requests, in the order in which they came. most: how many were under way at once at the most.
    """

    base_url: str
    script: Script
    received: list[Received] = field(default_factory=list)
    most: int = 0
    trouble: list[BaseException] = field(default_factory=list)
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bodies(self) -> list[Any]:
        """The JSON bodies received."""
        return [request.json for request in self.received]

    def serve(self, request: Received, connection: Connection) -> None:
        """Note a request and answer it by the script."""
        with self._lock:
            self.received.append(request)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            self.script(request, connection)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            connection.close()
        except BaseException as error:
            self.trouble.append(error)
            connection.reset()
        finally:
            with self._lock:
                self._under_way -= 1


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server that answers each request by a script, in a thread for each connection.

    tls: certificate and key of a server that speaks https; who breaks off the handshake is no trouble.
    """

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def setup(self) -> None:
            if tls is not None:
                self.request = tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
            super().setup()

        def handle(self) -> None:
            while (request := _received(self.rfile)) is not None:
                connection = Connection(self.connection)
                server.serve(request, connection)
                if not connection.open:
                    return

        def finish(self) -> None:
            super().finish()
            if tls is not None:
                self.request.close()

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Listener(("127.0.0.1", 0), Handler) as listener:
        scheme = "http" if tls is None else "https"
        server = Server(f"{scheme}://127.0.0.1:{listener.server_address[1]}/v1", script)
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
    assert server.trouble == [], server.trouble


def _received(stream: Any) -> Received | None:
    try:
        method, path, _ = stream.readline().decode().split()
    except (ValueError, OSError):
        return None
    headers = {}
    while line := stream.readline().strip().decode():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, path, headers, stream.read(int(headers.get("content-length", 0))))


def completion(content: str = "pong", **changes: Any) -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **changes,
    }


def refusal(message: str, param: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's envelope."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


class Time:
    """A clock that moves only when somebody sleeps, so that no test has to wait."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def pace(self) -> Pace:
        """A pace by this clock."""
        return Pace(self.clock, self.sleep)


def target_of(server: Server, **changes: Any) -> Target:
    """A target at a server."""
    return Target(
        **{"id": "t", "endpoint": server.base_url, "model": "m", "key": "sk-canary-0123456789", **changes}
    )


def limited(seconds: float = PATIENCE, **changes: Any) -> Limits:
    """Limits of which that on the whole exchange is `seconds`; `changes` are others."""
    return Limits(**{"first_byte": seconds, "idle": seconds, "total": seconds, **changes})


@contextmanager
def lab_on(server: Server, *, timeout: float = PATIENCE, **changes: Any) -> Iterator[Lab]:
    """A live lab on a server; `changes` are arguments of `Lab`, `target` those of `Target`."""
    target = target_of(server, **changes.pop("target", {}))
    source = LiveSource(target, limited(timeout))
    lab = Lab(target, source, **{"pace": Time().pace(), **changes})
    try:
        yield lab
    finally:
        lab.close()
