"""One recorded request with its answer, in whatever format it was kept."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.exchange import Exchange, Headers, Request
from pytest_llmcompat.redaction import is_credential, redact_answer, redact_bytes, redact_url
from pytest_llmcompat.wire import Answer

__all__ = ["Record", "RecordingError", "exchange_of", "headers_of", "keys_of", "octets"]

_CODING: Final = "content-encoding"
# Three digits (RFC 9110 section 15).
_LARGEST_STATUS: Final = 999
# What one body may unpack to; as much as a live answer may have.
_LARGEST: Final = 64 * 2**20
# OpenAI's own header; recordings that were edited by hand keep that of another answer.
_MODEL: Final = "openai-model"
_NAMED: Final = re.compile(rb'"model"\s*:\s*"([^"]+)"')
# Ids such as `msg_test_previous`: servers draw theirs at random.
_MADE_UP: Final = re.compile(rb'"id"\s*:\s*"([a-z]+[-_](?:\w+_)?(?:test|mock|fake|dummy)_\w*)"')
# Placeholders that recorders put in the place of keys are shorter words, and secret to nobody.
_SHORTEST: Final = 16
_KEY: Final = ("authorization", "Bearer $OPENAI_API_KEY")


class RecordingError(Exception):
    """A file cannot be linted: it is missing, damaged, of no known format, or holds nothing of the API.

    Its text is one line that says which file and what to do.
    """


@dataclass(frozen=True, slots=True)
class Record:
    """One request with its answer, as it was kept.

    sent: body of the request. headers: of the answer. keys: what the request's headers bear as credentials.
    body: of the answer; empty also when the recorder did not keep it.
    """

    method: str
    url: str
    sent: bytes
    status: int
    headers: Headers
    body: bytes
    keys: tuple[str, ...] = ()


def exchange_of(record: Record, name: str, target: str) -> Exchange:
    """A record as an exchange, without keys and account names; `name` stands in the place of a probe id.

    Headers of the request are not kept: the API knows no more than two, and the others may be secrets. Raises
    ValueError for a body that its content coding does not fit, and for a status that no answer can have.
    """
    headers = (_KEY, ("content-type", "application/json"))
    if not 0 <= record.status <= _LARGEST_STATUS:
        raise ValueError(f"{record.status} is no status")
    url, sent = redact_url(record.url, record.keys), redact_bytes(record.sent, record.keys)
    answer = redact_answer(Answer(record.status, record.headers, _decoded(record)), record.keys)
    return Exchange(
        probe=name,
        target=target,
        request=Request(record.method.upper(), url, headers if sent else headers[:1], sent),
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        failure=_flaw(answer),
        live=False,
    )


def headers_of(given: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Headers:
    """Headers from a mapping to texts or lists of texts, or from pairs."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple(
        (str(name).lower(), _text(value))
        for name, values in pairs
        for value in (values if isinstance(values, list) else [values])
    )


def keys_of(headers: Headers) -> tuple[str, ...]:
    """The credentials in the headers of a request, which its answer may repeat."""
    return tuple(
        value.rpartition(" ")[2] for name, value in headers if is_credential(name) and len(value) > _SHORTEST
    )


def octets(value: Any) -> bytes:
    """A body that was kept as a text, as bytes, or not at all. Raises TypeError for anything else."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8", errors="surrogatepass")
    if isinstance(value, bytes):
        return value
    raise TypeError("a body is neither text nor bytes")


def _flaw(answer: Answer) -> str | None:
    """Why a recording is no evidence of how the server answers; None when nothing speaks against it."""
    if not answer.body:
        return "no body was recorded"
    named = next((value for name, value in answer.headers if name == _MODEL), None)
    models = [found.decode(errors="replace") for found in _NAMED.findall(answer.body)]
    if named and models and not any(m.startswith(named) or named.startswith(m) for m in models):
        return f"headers and body are of two answers: {_MODEL} is {named}, the body names {models[0]}"
    if (made_up := _MADE_UP.search(answer.body)) is not None:
        return f"the answer was written by hand: it has the id {made_up[1].decode(errors='replace')}"
    return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _decoded(record: Record) -> bytes:
    """The body without its content coding, which some recorders keep and some remove."""
    coding = next((value.strip().lower() for name, value in record.headers if name == _CODING), "")
    body = record.body
    packed = (coding in ("gzip", "x-gzip") and body[:2] == b"\x1f\x8b") or (
        coding == "deflate" and body[:1] == b"\x78"
    )
    if not packed:
        return body
    unpacker = zlib.decompressobj(wbits=47)
    try:
        unpacked = unpacker.decompress(body, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"a body is no {coding} ({error})") from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"a body unpacks to more than {_LARGEST // 2**20} MB")
    return unpacked
