"""HTTP archives (HAR 1.2), as browsers and proxies export them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.recordings.record import Record, headers_of, keys_of, octets

__all__ = ["records_of_har"]


def records_of_har(entries: list[Any]) -> Iterator[Record]:
    """The records of an archive's `log.entries`. Raises ValueError, TypeError or LookupError."""
    for entry in entries:
        request, response = entry["request"], entry["response"]
        yield Record(
            method=str(request["method"]),
            url=str(request["url"]),
            sent=octets((request.get("postData") or {}).get("text")),
            status=int(response["status"]),
            headers=_headers(response),
            body=_content(response.get("content") or {}),
            keys=keys_of(_headers(request)),
        )


def _headers(part: dict[str, Any]) -> Headers:
    listed: Iterable[dict[str, Any]] = part.get("headers") or ()
    # The archive has the decoded body.
    return tuple(
        (name, value)
        for name, value in headers_of((header["name"], header["value"]) for header in listed)
        if name != "content-encoding"
    )


def _content(content: dict[str, Any]) -> bytes:
    text = content.get("text")
    return base64.b64decode(text) if content.get("encoding") == "base64" and text else octets(text)
