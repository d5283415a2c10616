"""Cassettes of VCR for Ruby, YAML or JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from pytest_llmcompat.recordings.record import Record, headers_of, keys_of, octets

__all__ = ["records_of_ruby_vcr"]


def records_of_ruby_vcr(interactions: list[Any]) -> Iterator[Record]:
    """The records of a cassette's `http_interactions`. Raises ValueError, TypeError or LookupError."""
    for interaction in interactions:
        request, response = interaction["request"], interaction["response"]
        yield Record(
            method=str(request["method"]).upper(),
            url=str(request["uri"]),
            sent=_body(request),
            status=int(response["status"]["code"]),
            headers=headers_of(response.get("headers") or {}),
            body=_body(response),
            keys=keys_of(headers_of(request.get("headers") or {})),
        )


def _body(part: dict[str, Any]) -> bytes:
    body = part.get("body") or {}
    if "base64_string" in body:
        return base64.b64decode(body["base64_string"])
    return octets(body.get("string"))
