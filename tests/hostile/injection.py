"""Injection: the endpoint writes to a terminal, a browser, a runner of workflows, a shell, a file system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from pytest_llmcompat.reference import Reference
from tests.hostile.answering import chunk
from tests.hostile.behaviour import PASS, Behaviour, Place, Serve
from tests.hostile.wrapping import forward, later, models_list, on, streams
from tests.servers import Connection, Received, completion, serving

__all__ = ["ROWS"]

_PAYLOADS: Final = {
    "terminal": (
        "Escape sequences for terminals.",
        "\x1b[31mred\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.test\x1b\\link\x1b]52;c;cm0=\x07\x08\x7f"
        "\x9b31mred\x90payload\x9c\x8d",
    ),
    "lines": (
        "Other ends of a line, and text from right to left.",
        "one\rtwo\x0bthree\x0cfour\x1cfive\x85six\u2028seven\u2029eight\u202e\u2066cba\u2069\u202c\u200f\u200b\ufeff",
    ),
    "workflow": (
        "Commands for a runner of workflows.",
        "\n::error::injected\n::set-output name=x::y\r\n  ::add-mask::z\r::stop-commands::t\n%0A::warning::w"
        "\u2028::notice::n\n##[error]old\n##[set-env name=A;]b",
    ),
    "markup": (
        "Markup for browsers and XML.",
        '<script>alert(1)</script><img src=x onerror=alert(1)>"\'></td>]]><evil a="\'"/><![CDATA[<!DOCTYPE x '
        "[<!ENTITY a 'b'>]>&a;\x00\x01\x0b\ufffe\uffff",
    ),
    "tables": (
        "Markdown, and formulas for spreadsheets.",
        "=cmd|' /C calc'!A0\n| a | b |\n|---|---|\n[x](javascript:alert(1)) ![x](http://evil.test/x.png) ``` <!--\n"
        '@SUM(A1)"\r\n=HYPERLINK("http://evil.test")',
    ),
    "code": (
        "Commands for a shell, objects for a careless YAML loader, place holders.",
        "$(touch pwned) `touch pwned` '; touch pwned; '\n!!python/object/apply:os.system ['touch pwned']\n--- &a [*a]\n"
        "? - : {x: !!binary x}\n...\n{0.__class__} %s%n%(key)s $OPENAI_API_KEY",
    ),
    "surrogates": ("Half characters.", "\ud800a\udc00b\udfff"),
}
# Of these, what a command line cannot hold, or what is of another kind, is found out by the run itself.
_FOUND: Final = {"parent": "../../../x", "lines": "m\n::error::x\r\ny", "nul": "m\0x", "surrogate": "m\ud800"}
_GIVEN: Final = (
    *("/etc/passwd", "a/b", "a-b", "A/B", "a b", "a\tb", "a\\b", "../a/b", "..\\..\\x", "CON", "..", "."),
    *("m" * 300, "m" * 301, "m\x1b[31m\x07\x9b1m", "m\u202egpj.exe", "模型🏓" * 60),
    *("http://evil.test/?a=b&c=d#e%2e%2e%2f", "\"'`$(touch pwned)", "=1+1", "<b>m</b>"),
)


_SELECT: Final = "models or error or chat.id or content or finish or arguments"


def stuffed(payload: str) -> Serve:
    """The reference until pre-flight is over, then the payload in every text of every answer, and in headers."""
    printable = payload.encode("utf-8", "replace").translate(None, b"\r\n\0")
    model = {"id": payload, "object": payload, "created": 1, "owned_by": payload}

    def refuse(connection: Connection) -> None:
        error = dict.fromkeys(("message", "type", "param", "code"), payload)
        head = b"HTTP/1.1 400 %b\r\nx-request-id: %b\r\nretry-after: %b\r\n" % ((printable,) * 3)
        body = json.dumps({"error": error, "detail": payload}).encode()
        connection.raw(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (head, len(body)) + body
        )

    def answer(connection: Connection) -> None:
        function = {"name": payload, "arguments": payload}
        calls = [{"id": payload, "type": payload, "function": function}]
        message = {"role": payload, "content": payload, "refusal": payload, "tool_calls": calls}
        choice = {"index": 0, "finish_reason": payload, "message": message}
        names = dict.fromkeys(("id", "object", "model", "system_fingerprint", payload), payload)
        connection.answer(completion(choices=[choice], usage={payload: payload}, **names))

    def stream(connection: Connection) -> None:
        connection.begin(200, {"content-type": "text/event-stream"})
        for text in (payload, payload):
            connection.chunk(
                chunk(role=text, content=text, tool_calls=[{"index": 0, "id": text, "type": text}])
            )
        lines = payload.encode("utf-8", "replace")
        connection.chunk(b": %b\n\nevent: %b\nid: %b\ndata: %b\n\n" % ((lines,) * 4))
        connection.chunk(b"")

    def serve(reference: Reference) -> Iterator[Place]:
        def script(request: Received, connection: Connection) -> None:
            if models_list(request):
                right = {"id": reference.model, "object": "model", "created": 1, "owned_by": "o"}
                connection.answer({"object": "list", "data": [right, model]})
            elif not later(request):
                forward(reference, request, connection)
            elif streams(request):
                stream(connection)
            elif b'"max_tokens": 1}' in request.body or not request.path.endswith("/completions"):
                refuse(connection)
            else:
                answer(connection)

        with serving(script) as server:
            yield Place(server.base_url)

    return on(serve)


def called(*ids: str) -> Serve:
    """The reference under names of the endpoint's choice; with one name, the run finds it out by itself."""

    def serve(reference: Reference) -> Iterator[Place]:
        def script(request: Received, connection: Connection) -> None:
            name = _asked(request, ids)
            sent = request
            if request.body and name is not None:
                body = json.dumps({**request.json, "model": reference.model}).encode()
                sent = Received(request.method, request.path, request.headers, body)
            listed = [{"id": id, "object": "model", "created": 1, "owned_by": "o"} for id in ids]
            if models_list(request):
                connection.answer({"object": "list", "data": listed})
            elif request.method == "GET" and name is not None:
                connection.answer(listed[ids.index(name)])
            else:
                quoted = json.dumps(name or "").encode()[1:-1]
                there = reference.model.encode()
                forward(
                    reference, sent, connection, lambda part: part.replace(there, quoted) if name else part
                )

        with serving(script) as server:
            yield Place(server.base_url, ask=False)

    return on(serve)


def _asked(request: Received, ids: tuple[str, ...]) -> str | None:
    """Which of the names a request is about."""
    try:
        named = (
            request.json.get("model")
            if request.body
            else unquote(request.path.rpartition("/")[2], errors="surrogatepass")
        )
    except (ValueError, AttributeError):
        return None
    return named if named in ids else None


ROWS = (
    *(
        Behaviour(f"inject-{name}", what, stuffed(payload), 1, (), {}, _SELECT)
        for name, (what, payload) in _PAYLOADS.items()
    ),
    *(
        Behaviour(
            f"called-{name}",
            f"The only model is called {id!r}.",
            called(id),
            0,
            (),
            {"models.retrieve": PASS},
            "models.retrieve",
        )
        for name, id in _FOUND.items()
    ),
    Behaviour(
        "called-all-at-once",
        "Models are called by what no file may be called, and differ by what file names cannot hold.",
        called(*_GIVEN),
        0,
        select="chat.object",
        arguments=tuple(f"--llm-model={id}" for id in _GIVEN),
        models=len(_GIVEN),
    ),
)
