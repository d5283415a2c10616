"""Secrets: the endpoint tells everybody the key, in every form and place that an answer has for it."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from pytest_llmcompat.reference import Reference
from tests.hostile.answering import chunk
from tests.hostile.behaviour import FAIL, Behaviour, Place
from tests.hostile.wrapping import Answering, afflicting, everything, forward, key_of, later, on, streams
from tests.servers import Connection, Received, completion, refusal, serving

__all__ = ["ROWS"]

Coding = Callable[[str], str]
_SELECT: Final = (
    "unknown-model or bad-role or finish-length or multi-turn or done-sentinel or models.retrieve"
)
_PIECE: Final = 5


def pieces(key: str) -> list[str]:
    """A key cut small."""
    return [key[start : start + _PIECE] for start in range(0, len(key), _PIECE)]


def refusing(code: Coding) -> Answering:
    """Refuse, and repeat the key in the message, the code and the parameter."""

    def how(request: Received, connection: Connection) -> None:
        said = code(key_of(request))
        error = {"message": f"bad key {said}, go away", "type": said, "param": said, "code": said}
        connection.answer({"error": error}, 400)

    return how


def in_body(code: Callable[[str], bytes], kind: str, status: int = 400) -> Answering:
    """Answer bytes that hold the key."""
    return lambda request, connection: connection.answer(
        code(key_of(request)), status, {"content-type": kind}
    )


def in_headers(request: Received, connection: Connection) -> None:
    """Answer, with the key in headers, in the reason of the status and in a cookie."""
    key = key_of(request)
    coded = base64.b64encode(f"user:{key}".encode()).decode()
    body = json.dumps(completion()).encode()
    connection.raw(
        f"HTTP/1.1 200 OK {key}\r\nx-echo: {key}\r\nx-key: Bearer {key}\r\nx-basic: {coded}\r\n"
        f"set-cookie: key={quote(key)}; path=/\r\nx-request-id: {key}\r\nx-ratelimit-limit-requests: {key}\r\n"
        f"content-type: application/json; key={key}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )


def streaming(event: Callable[[str], bytes]) -> Answering:
    """Stream the key in small pieces, one an event."""

    def how(request: Received, connection: Connection) -> None:
        connection.begin(200, {"content-type": "text/event-stream"})
        for piece in pieces(key_of(request)):
            connection.chunk(event(piece))
        connection.chunk(b"data: [DONE]\n\n")
        connection.chunk(b"")

    return how


def in_arguments(piece: str) -> bytes:
    """A delta of a tool call's arguments."""
    return chunk(tool_calls=[{"index": 0, "function": {"arguments": piece}}])


def in_failing_stream(request: Received, connection: Connection) -> None:
    """A stream that breaks off with an error that repeats the key, after a comment that does."""
    key = key_of(request)
    connection.begin(200, {"content-type": "text/event-stream"})
    connection.chunk(f": {key}\n\nevent: {key}\nid: {key}\ndata: {{}}\n\n".encode() + chunk("x"))
    connection.chunk(b"data: " + json.dumps(refusal(f"bad {key}")).encode() + b"\n\n")
    connection.reset()


def across_parts(request: Received, connection: Connection) -> None:
    """The key in one text of a body, whose bytes come one by one."""
    connection.begin(200, {"content-type": "application/json"})
    for byte in json.dumps(completion(key_of(request))).encode():
        connection.chunk(bytes([byte]))
    connection.chunk(b"")


def in_redirect(request: Received, connection: Connection) -> None:
    """Redirect to a place on this host that bears the key."""
    key = key_of(request)
    connection.answer(b"", 307, {"location": f"/v1/{quote(key, safe='')}?api-key={quote(key)}#{key}"})


def in_models(reference: Reference) -> Iterator[Place]:
    """A list of models that are called like the key, beside the right one."""

    def script(request: Received, connection: Connection) -> None:
        if request.method == "GET":
            key = key_of(request)
            ids = (reference.model, key, f"ft:{key}:x", quote(key, safe=""))
            data = [{"id": id, "object": "model", "created": 1, "owned_by": key} for id in ids]
            connection.answer({"object": "list", "data": data} if request.path == "/v1/models" else data[1])
        else:
            forward(reference, request, connection)

    with serving(script) as server:
        yield Place(server.base_url)


def at_pre_flight(request: Received, connection: Connection) -> None:
    """Refuse the key by name, after a list of models called like it."""
    key = key_of(request)
    if request.method == "GET":
        connection.answer({"object": "list", "data": [{"id": f"{key}"}, {"id": quote(key, safe="")}]})
    else:
        connection.answer(refusal(f"there is no model for {key} or {html.escape(key)}"), 404)


def in_completion(request: Received, connection: Connection) -> None:
    """A completion in whose every text the key stands."""
    key = key_of(request)
    function = {"name": key, "arguments": json.dumps({"location": key, key: key})}
    message = {"role": key, "content": key, "tool_calls": [{"id": key, "type": key, "function": function}]}
    choice = {"index": 0, "finish_reason": key, "message": message}
    names = dict.fromkeys(("id", "model", "system_fingerprint", "object", key), key)
    connection.answer({**completion(choices=[choice]), **names})


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)


def _escapes(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def _leak(
    id: str, what: str, how: Answering, *arguments: str, status: int = 1, select: str = _SELECT
) -> Behaviour:
    return Behaviour(id, what, afflicting(later, how), status, (), {}, select, arguments)


def _mixed(which: Answering) -> Answering:
    """Streams as given; all else as a refusal with the key."""
    return lambda request, connection: (which if streams(request) else refusing(str))(request, connection)


ROWS = (
    Behaviour(
        "key-in-error",
        "Refusals repeat the key, before the whole suite.",
        afflicting(later, refusing(str)),
        1,
        ("auth.key-not-leaked",),
        {"auth.key-not-leaked": FAIL},
    ),
    _leak(
        "key-in-base64",
        "Refusals repeat the key in base64.",
        refusing(
            lambda key: (
                f"{base64.b64encode(key.encode()).decode()} {base64.urlsafe_b64encode(f'u:{key}'.encode()).decode()}"
            )
        ),
    ),
    _leak("key-in-hex", "Refusals repeat the key in hexadecimal.", refusing(lambda key: key.encode().hex())),
    _leak(
        "key-url-coded",
        "Refusals repeat the key as URLs have it.",
        refusing(
            lambda key: (
                f"{quote(key, safe='')} {quote(quote(key, safe=''))} {''.join(f'%{b:02X}' for b in key.encode())}"
            )
        ),
    ),
    _leak(
        "key-json-escaped",
        "Refusals repeat the key in JSON's escapes.",
        in_body(
            lambda key: (
                f'{{"error": {{"message": "{_escapes(key)}", "code": "{key.replace("/", chr(92) + "/")}"}}}}'.encode()
            ),
            "application/json",
        ),
    ),
    _leak(
        "key-json-in-json",
        "Refusals repeat a refusal that repeats the key.",
        refusing(lambda key: json.dumps(json.dumps({"error": _escapes(key)}))),
    ),
    _leak(
        "key-in-html",
        "Refusals are pages with the key as entities.",
        in_body(lambda key: f"<p title='{html.escape(key)}'>{_entities(key)}</p>".encode(), "text/html"),
        status=0,
    ),
    _leak("key-in-headers", "Headers, cookies and the reason of the status repeat the key.", in_headers),
    _leak("key-in-completion", "Every text of a completion is the key.", in_completion),
    _leak("key-across-parts", "A body that holds the key comes byte by byte.", across_parts),
    _leak(
        "key-in-gzip",
        "A compressed body holds the key.",
        lambda request, connection: connection.answer(
            gzip.compress(json.dumps(refusal(key_of(request))).encode()),
            400,
            {"content-encoding": "gzip", "content-type": "application/json"},
        ),
        status=0,
    ),
    _leak(
        "key-in-utf-16",
        "A body in UTF-16 holds the key.",
        in_body(lambda key: json.dumps(refusal(key)).encode("utf-16"), "application/json"),
        status=0,
    ),
    _leak("key-across-deltas", "Deltas hold the key together.", _mixed(streaming(chunk))),
    _leak(
        "key-across-arguments",
        "Deltas of a tool call's arguments hold the key together.",
        _mixed(streaming(in_arguments)),
        select="arguments-concat or unknown-model",
    ),
    _leak(
        "key-across-events",
        "Events that are no JSON hold the key together.",
        _mixed(streaming(lambda piece: f"data: {piece}\n\n".encode())),
    ),
    _leak("key-in-stream-error", "A stream breaks off with the key.", _mixed(in_failing_stream)),
    _leak("key-in-redirect", "Redirects bear the key.", in_redirect, status=0),
    Behaviour("key-as-model", "Models are called like the key.", on(in_models), 1, (), {}, "models"),
    Behaviour("key-at-pre-flight", "Pre-flight ends with the key.", afflicting(everything, at_pre_flight), 4),
    Behaviour(
        "key-in-401",
        "Refuses the key, and repeats it.",
        afflicting(
            everything,
            lambda request, connection: connection.answer(refusal(f"who is {key_of(request)}?"), 401),
        ),
        4,
    ),
    _leak("key-and-workers", "Two worker processes meet refusals with the key.", refusing(str), "-n", "2"),
    _leak(
        "key-and-logs",
        "A log at the lowest level is kept of refusals with the key.",
        _mixed(in_headers),
        "--log-level=DEBUG",
        "--log-file=debug.log",
        "--log-file-level=DEBUG",
        "--log-cli-level=DEBUG",
    ),
)
