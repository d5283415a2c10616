"""Hostile servers around a healthy reference: who is afflicted, and by what."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from pytest_llmcompat.reference import Reference
from tests.hostile.behaviour import Place, Serve
from tests.servers import Connection, Received, serving

__all__ = [
    "Answering",
    "Which",
    "afflicting",
    "everything",
    "fetched",
    "forward",
    "key_of",
    "later",
    "models_list",
    "on",
    "plain",
    "streams",
]

Which = Callable[[Received], bool]
Answering = Callable[[Received, Connection], None]
# What is between a server and its client, and not for those behind it.
_HOP = frozenset({"connection", "transfer-encoding", "content-length"})


def everything(request: Received) -> bool:
    """Every request."""
    del request
    return True


def streams(request: Received) -> bool:
    """Requests for a streamed answer that is worth one."""
    return b'"stream": true' in request.body and b"no-such-model" not in request.body


def later(request: Received) -> bool:
    """Whatever is not asked before a run begins: the two requests of pre-flight are served."""
    return not models_list(request) and request.headers.get("idempotency-key") != "llmcompat-chat-basic"


def plain(request: Received) -> bool:
    """Chat requests behind pre-flight that want no stream."""
    return request.path == "/v1/chat/completions" and later(request) and not streams(request)


def models_list(request: Received) -> bool:
    """GET /models."""
    return request.method == "GET" and request.path == "/v1/models"


def key_of(request: Received) -> str:
    """The key that a request bears, "" for none."""
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def on(serve: Callable[[Reference], Iterator[Place]]) -> Serve:
    """A row's server from a generator."""
    opened: Callable[[Reference], AbstractContextManager[Place]] = contextmanager(serve)
    return opened


def afflicting(which: Which, how: Answering) -> Serve:
    """A server that answers some requests in a hostile way and gets all others answered by the reference."""

    def serve(reference: Reference) -> Iterator[Place]:
        def script(request: Received, connection: Connection) -> None:
            if which(request):
                how(request, connection)
            else:
                forward(reference, request, connection)

        with serving(script) as server:
            yield Place(server.base_url)

    return on(serve)


def fetched(reference: Reference, request: Received) -> tuple[int, dict[str, str], Iterator[bytes]]:
    """Status, headers and the parts of the body, as they come, of what the reference answers."""
    there = http.client.HTTPConnection(urlsplit(reference.base_url).netloc)
    headers = {name: value for name, value in request.headers.items() if name not in (*_HOP, "host")}
    there.request(request.method, request.path, request.body, headers)
    answer = there.getresponse()
    kept = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in _HOP}

    def parts() -> Iterator[bytes]:
        try:
            while part := answer.read1(65536):
                yield part
        finally:
            there.close()

    return answer.status, kept, parts()


def forward(
    reference: Reference,
    request: Received,
    connection: Connection,
    rewrite: Callable[[bytes], bytes] = bytes,
) -> None:
    """Let the reference answer. rewrite: of each event of a stream, and of each other body as a whole."""
    status, headers, parts = fetched(reference, request)
    if "event-stream" in headers.get("content-type", ""):
        connection.begin(status, headers)
        for part in parts:
            connection.chunk(rewrite(part))
        connection.chunk(b"")
    else:
        connection.answer(rewrite(b"".join(parts)), status, headers)
