"""Cassettes of vcrpy, YAML or JSON, and of its relatives that keep parsed bodies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from pytest_llmcompat.recordings.record import Record, headers_of, keys_of, octets

__all__ = ["records_of_vcrpy"]


def records_of_vcrpy(interactions: list[Any]) -> Iterator[Record]:
    """The records of a cassette's `interactions`. Raises ValueError, TypeError or LookupError."""
    for interaction in interactions:
        request, response = interaction["request"], interaction["response"]
        status = response["status"]
        yield Record(
            method=str(request["method"]),
            url=str(request["uri"]),
            sent=_body(request),
            status=int(status["code"] if isinstance(status, dict) else status),
            headers=headers_of(response.get("headers") or {}),
            body=_body(response),
            keys=keys_of(headers_of(request.get("headers") or {})),
        )


def _body(part: dict[str, Any]) -> bytes:
    """A body: a text, bytes, below `string` or `base64_string`; or parsed, as pydantic-ai's tests keep it."""
    if part.get("parsed_body") is not None:
        return json.dumps(part["parsed_body"], ensure_ascii=False).encode("utf-8", errors="surrogatepass")
    body = part.get("body")
    if isinstance(body, dict):
        if "base64_string" in body:
            return base64.b64decode(body["base64_string"])
        body = body.get("string")
    return octets(body)
