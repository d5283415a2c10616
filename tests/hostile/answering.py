"""Ways of answering that rows of several kinds share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from pytest_llmcompat.reference import Reference
from tests.hostile.behaviour import Place, Serve
from tests.hostile.wrapping import Answering, Which, forward, on
from tests.servers import Connection, Received, completion, serving

__all__ = ["body", "chat", "chunk", "endless", "rewriting", "saying", "spliced", "stream"]

_JSON: Final = {"content-type": "application/json"}
_OPEN: Final = {"content-type": "text/event-stream"}


def body(content: bytes | Callable[[], bytes], **headers: str) -> Answering:
    """An answer 200 of these bytes, made when the first request comes; `_` in header names is `-`."""
    made = cache(lambda: content() if callable(content) else content)
    named = {**_JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}

    def how(request: Received, connection: Connection) -> None:
        del request
        connection.answer(made(), 200, named)

    return how


def chat(**changes: Any) -> Answering:
    """An answer 200 of a completion with other members."""
    return body(lambda: json.dumps(completion(**changes)).encode())


def saying(content: str, *, escaped: bool = True) -> Answering:
    """A completion with a text. escaped: characters beyond ASCII go out as JSON escapes."""
    value = completion(content)
    return body(lambda: json.dumps(value, ensure_ascii=escaped).encode("utf-8", errors="surrogatepass"))


def spliced(*members: str) -> Answering:
    """A completion with members written by hand, as no JSON library would write them."""
    return body(
        lambda: b", ".join([json.dumps(completion()).encode()[:-1], *map(str.encode, members)]) + b"}"
    )


def stream(parts: Callable[[], Iterable[bytes]]) -> Answering:
    """A stream of parts, for ever when these never end."""

    def how(request: Received, connection: Connection) -> None:
        del request
        connection.begin(200, _OPEN)
        for part in parts():
            connection.chunk(part)
        connection.chunk(b"")

    return how


def endless(part: bytes, head: bytes = b"") -> Answering:
    """Raw bytes for ever."""

    def how(request: Received, connection: Connection) -> None:
        del request
        connection.raw(head)
        while True:
            connection.raw(part)

    return how


def chunk(content: str = "x", **delta: Any) -> bytes:
    """An event of a stream with a text, or with another delta."""
    choice = {"index": 0, "delta": delta or {"content": content}, "finish_reason": None}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def rewriting(which: Which, rewrite: Callable[[bytes], bytes]) -> Serve:
    """A server that gets all requests answered by the reference, and rewrites some of its answers."""

    def serve(reference: Reference) -> Iterator[Place]:
        def script(request: Received, connection: Connection) -> None:
            forward(reference, request, connection, rewrite if which(request) else bytes)

        with serving(script) as server:
            yield Place(server.base_url)

    return on(serve)
