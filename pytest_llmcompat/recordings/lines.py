"""JSON Lines: one record a line, with `method`, `host` and `path` or `url`, `request`, `status`, `headers`, `body`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pytest_llmcompat.recordings.record import Record, headers_of, octets

__all__ = ["records_of_lines"]


def records_of_lines(text: str) -> Iterator[Record]:
    """The records of a text. Raises ValueError, TypeError or LookupError, all of which name the line."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield _record(json.loads(line))
            except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
                raise ValueError(f"line {number}: {type(error).__name__}: {error}") from error


def _record(value: dict[str, Any]) -> Record:
    request = value.get("request")
    return Record(
        method=str(value.get("method") or "POST"),
        url=str(value.get("url") or f"https://{value['host']}{value['path']}"),
        sent=b"" if request is None else request.encode() if isinstance(request, str) else _json(request),
        status=int(value["status"]),
        headers=headers_of(value.get("headers") or {}),
        body=octets(value["body"]),
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
