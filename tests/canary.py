"""Looking for a key in bytes that a run has produced, in every form in which somebody could read it there."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from pytest_llmcompat.sse import parse

__all__ = ["CANARY", "joined", "traces"]

CANARY: Final = "sk-canary-5f1e+8c07/d2b94a63=~ZqX>?"
"""Has characters that URLs code, and of which base64 makes a `-` or `_` in its other alphabet."""

_JSON_ESCAPE: Final = re.compile(rb"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'/]))")
_NO_BASE64: Final = bytes(
    c for c in range(256) if not chr(c).isascii() or not (chr(c).isalnum() or c in b"+/_=-")
)


def traces(key: str, data: bytes) -> list[str]:
    """The forms in which bytes hold a key: plain, URL-, JSON- or HTML-coded, UTF-16, base64, hexadecimal, SHA-256.

    Codings are taken off again and again until nothing changes, so any mixture of them is read too.
    """
    found = []
    for name, reading in _readings(data):
        if key.encode() in reading:
            found.append(name)
        lower = reading.lower()
        if key.encode().hex().encode() in lower:
            found.append(f"{name}, hexadecimal")
        if hashlib.sha256(key.encode()).hexdigest().encode() in lower:
            found.append(f"{name}, sha256")
        pressed = reading.replace(rb"\n", b"").translate(None, _NO_BASE64)
        if any(core in pressed for core in _base64_cores(key.encode())):
            found.append(f"{name}, base64")
    return list(dict.fromkeys(found))


def joined(body: bytes) -> Iterator[tuple[str, str]]:
    """What clients put together from a stream of events: (where, text) for the data and each path of JSON texts."""
    texts: dict[str, list[str]] = {}
    for block in parse(body):
        texts.setdefault("data", []).append(block.data)
        texts.setdefault("comments", []).extend(block.comments)
        try:
            value = json.loads(block.data)
        except (ValueError, RecursionError):
            continue
        for where, text in _texts(value, ""):
            texts.setdefault(where, []).append(text)
    return ((where, "".join(pieces)) for where, pieces in texts.items())


def _readings(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", data
    if b"\0" in data:
        yield "UTF-16", data.replace(b"\0", b"")
    codings = {"URL-coded": unquote_to_bytes, "escaped": _unescaped, "HTML-coded": _without_entities}
    for name, decode in codings.items():
        if (reading := decode(data)) != data:
            yield name, reading
    every, seen = data, set[bytes]()
    while every not in seen and len(seen) < 5:
        seen.add(every)
        for decode in codings.values():
            every = decode(every)
    if len(seen) > 1:
        yield "coded several times", every


def _unescaped(data: bytes) -> bytes:
    return _JSON_ESCAPE.sub(
        lambda match: (
            chr(int(match[1] or match[2], 16)).encode("utf-8", "surrogatepass")
            if match[1] or match[2]
            else match[3]
        ),
        data,
    )


def _without_entities(data: bytes) -> bytes:
    if b"&" not in data:
        return data
    return html.unescape(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogatepass")


def _base64_cores(key: bytes) -> Iterator[bytes]:
    """Base64 of a key without what its neighbours decide, at each of three alignments, in both alphabets."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + key).rstrip(b"=")
        core = coded[(0, 2, 3)[before] : len(coded) - bool((before + len(key)) % 3)]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """The texts of a JSON value by the names that lead to them."""
    pending = [(where, value)]
    while pending:
        path, inner = pending.pop()
        if isinstance(inner, str):
            yield path, inner
        elif isinstance(inner, dict):
            pending += [(f"{path}.{name}", entry) for name, entry in inner.items()]
        elif isinstance(inner, list):
            pending += [(path, entry) for entry in inner]
