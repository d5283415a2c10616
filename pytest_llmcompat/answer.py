"""Readings of an exchange with the pre-conditions that contracts share.

A contract about the content of an answer is not broken when there was no answer: 429, 5xx, time-outs and
lost connections make it inconclusive; 404, 405, 501 and a 400 that names the feature make it unsupported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_llmcompat.evidence import MISSING, Document, Evidence, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import inconclusive, unsupported

__all__ = [
    "DONE",
    "Stream",
    "accepts",
    "answered",
    "body",
    "completion",
    "error_message",
    "error_param",
    "names",
    "refused",
    "require_feature",
    "stream",
    "tool_calls",
]

DONE = "[DONE]"
_EVERYDAY_WORDS = frozenset({"n", "user", "store", "stop", "seed"})


def body(exchange: Exchange) -> Document:
    """The JSON body as a document; its value is MISSING when the body is not JSON."""
    return Document(exchange.probe, "body", exchange.json if exchange.is_json else MISSING)


def error_message(exchange: Exchange) -> str:
    """The human text of an error answer, from whatever shape it has; the raw body when there is none."""
    document = body(exchange)
    for pointer in ("/error/message", "/message", "/error", "/detail"):
        value = document.at(pointer)
        if value:
            return value if isinstance(value, str) else json.dumps(value)
    return exchange.text[:500]


def error_param(exchange: Exchange) -> str | None:
    """`error.param` when it is a non-empty string."""
    param = body(exchange).at("/error/param")
    return param if isinstance(param, str) and param else None


def names(exchange: Exchange, parameter: str) -> bool:
    """True when an error answer names a parameter, in `error.param` or as a word of its message.

    Parameters that are everyday words (`user`, `stop`, `n`) count in the message only when quoted.
    """
    param = error_param(exchange)
    if param is not None and re.split(r"[.\[]", param)[0] == parameter:
        return True
    word = rf"(?<![\w-]){re.escape(parameter)}(?![\w-])"
    if parameter in _EVERYDAY_WORDS:
        word = rf"([\"'`]){re.escape(parameter)}\1"
    return re.search(word, error_message(exchange)) is not None


def came(exchange: Exchange) -> Exchange:
    """The exchange, when an answer of any status came; unsupported or inconclusive when none did."""
    if exchange.unsent is not None:
        (unsupported if exchange.unsupported else inconclusive)(exchange.unsent)
    if exchange.failure is not None:
        inconclusive(f"{exchange.probe}: no whole answer came ({exchange.failure})")
    return exchange


def settled(exchange: Exchange) -> Exchange:
    """The exchange, when its status is a decision about the request: not 429 and not a server's failure."""
    came(exchange)
    if exchange.status == 429 or exchange.status >= 500 and exchange.status != 501:
        inconclusive(f"{exchange.probe} was answered {exchange.status}: {shown(error_message(exchange))}")
    return exchange


def answered(exchange: Exchange, *features: str) -> Exchange:
    """The exchange, when it was answered 2xx; unsupported when it was refused for one of `features`."""
    settled(exchange)
    if exchange.ok:
        return exchange
    refusal = f"{exchange.probe} was refused with {exchange.status}: {shown(error_message(exchange))}"
    if exchange.status in (404, 405, 501):
        unsupported(refusal)
    if exchange.status in (400, 422) and any(names(exchange, feature) for feature in features):
        unsupported(refusal)
    inconclusive(refusal)


def accepts(exchange: Exchange) -> Exchange:
    """The exchange, when the server decided on it, whatever it decided; for contracts that judge the status."""
    return settled(exchange)


def refused(exchange: Exchange) -> Document:
    """The body of a refusal (any status but 2xx and 3xx); inconclusive when nothing was refused."""
    came(exchange)
    if exchange.status < 400:
        inconclusive(f"{exchange.probe} was not refused but answered {exchange.status}")
    return body(exchange)


def require_feature(exchange: Exchange, *parameters: str) -> None:
    """Unsupported when the server refused one of the parameters of a shared probe by name."""
    for parameter in parameters:
        if (refusal := exchange.refused.get(parameter)) is not None:
            unsupported(f"{parameter} was refused with {refusal.status}: {shown(refusal.message)}")


def completion(exchange: Exchange, *features: str) -> Document:
    """The body of a 2xx answer, a JSON object; inconclusive when the body is something else."""
    document = body(answered(exchange, *features))
    if not isinstance(document.value, dict):
        inconclusive(f"{exchange.probe}: the body is not one JSON object (transport.* contracts judge that)")
    return document


def tool_calls(document: Document) -> list[Document]:
    """The tool calls of the first choice of a completion; [] when there are none."""
    return document.items("/choices/0/message/tool_calls")


@dataclass(frozen=True)
class Stream:
    """A streamed answer: its events, and its chunks parsed.

    chunks: documents (`event 7`) of the events whose data is a JSON object without an `error`.
    """

    exchange: Exchange
    chunks: tuple[Document, ...]

    @cached_property
    def indexes(self) -> list[int]:
        """The choice indexes that occur, in order of first appearance."""
        seen = [entry.at("/index") for chunk in self.chunks for entry in chunk.items("/choices")]
        return list(dict.fromkeys(i for i in seen if isinstance(i, int)))

    def choices(self, index: int | None = 0) -> list[Document]:
        """The chunk choices with an index, in order; all choices for None."""
        every = [entry for chunk in self.chunks for entry in chunk.items("/choices")]
        return every if index is None else [entry for entry in every if entry.at("/index") == index]

    def text(self, index: int = 0) -> str:
        """The joined content deltas of a choice."""
        parts = (entry.at("/delta/content") for entry in self.choices(index))
        return "".join(part for part in parts if isinstance(part, str))

    def finish_reasons(self, index: int = 0) -> list[Any]:
        """The non-null finish reasons of a choice, in order."""
        reasons = (entry.at("/finish_reason") for entry in self.choices(index))
        return [reason for reason in reasons if reason is not MISSING and reason is not None]

    def tool_deltas(self, index: int = 0) -> list[Document]:
        """The tool-call fragments of a choice, in order."""
        return [part for entry in self.choices(index) for part in entry.items("/delta/tool_calls")]

    @property
    def usage_chunks(self) -> list[Document]:
        """The chunks whose `usage` is an object."""
        return [chunk for chunk in self.chunks if isinstance(chunk.at("/usage"), dict)]

    @property
    def usage(self) -> Document | None:
        """The last chunk with usage, None when there is none."""
        return self.usage_chunks[-1] if self.usage_chunks else None

    def evidence(self, where: str, expected: str, found: object = MISSING) -> Evidence:
        """Evidence about the stream as a whole."""
        return self.exchange.evidence(where, expected, found)


def chunks(exchange: Exchange) -> Iterable[Document]:
    """The documents of the events whose data is a JSON object without a truthy `error`."""
    for number, event in enumerate(exchange.events):
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and not value.get("error"):
            yield Document(exchange.probe, f"event {number}", value)


def stream(exchange: Exchange, *features: str) -> Stream:
    """A 2xx answer read as a stream; inconclusive when it holds no chunk at all."""
    answered(exchange, *features)
    found = tuple(chunks(exchange))
    if not found:
        inconclusive(f"{exchange.probe}: the body holds no chunk (chat.stream.is-sse judges that)")
    return Stream(exchange, found)
