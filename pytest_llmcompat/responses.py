"""Readings of the Responses API: the `response` object, its items, and the events of a streamed one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pytest_llmcompat.answer import answered, body, error_in_200
from pytest_llmcompat.evidence import MISSING, Document, Evidence
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import inconclusive

__all__ = [
    "ENDS",
    "ResponseStream",
    "message_text",
    "output_items",
    "prompt_size",
    "reported_tokens",
    "response",
    "response_stream",
    "whole_response",
]

ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
"""The types of the last event of a stream that came to an end."""

_FAILURES: Final = ("error", "response.failed")


def response(exchange: Exchange, *features: str) -> Document:
    """The body of a 2xx answer that is a response; inconclusive for an error or another body in its place."""
    document = body(answered(exchange, *features))
    if not isinstance(document.value, dict) or (error_in_200(exchange) and not document.has("/output")):
        inconclusive(f"{exchange.probe}: the body is no response (responses.object judges that)")
    return document


def output_items(document: Document, type: str | None = None) -> list[Document]:
    """The items of a response, in order; those of one type only when it is given."""
    items = document.items("/output")
    return items if type is None else [item for item in items if item.at("/type") == type]


def message_text(document: Document) -> str:
    """The text of a response, as the official clients put it together for `output_text`."""
    messages = output_items(document, "message")
    parts = [part for message in messages for part in message.items("/content")]
    texts = [part.at("/text") for part in parts if part.at("/type") == "output_text"]
    return "".join(text for text in texts if isinstance(text, str))


def reported_tokens(document: Document, pointer: str) -> int | None:
    """A count of `usage`; None where it is no whole number above 0."""
    count = document.at(f"/usage/{pointer}")
    whole = isinstance(count, int) and not isinstance(count, bool)
    return count if whole and count > 0 else None


def prompt_size(document: Document) -> int | None:
    """The input tokens, when they can be compared with those of another request.

    None where a cache was met: some gateways leave cached tokens out of the count.
    """
    cached = reported_tokens(document, "input_tokens_details/cached_tokens")
    return None if cached else reported_tokens(document, "input_tokens")


@dataclass(frozen=True)
class ResponseStream:
    """A streamed response: its events whose data is a JSON object with a `type`, in order.

    failed: the stream broke off with an error, in whatever form; what is missing behind it proves nothing.
    """

    exchange: Exchange
    events: tuple[Document, ...]
    failed: bool

    def of(self, *types: str) -> list[Document]:
        """The events of some types, in order."""
        return [event for event in self.events if event.at("/type") in types]

    def about(self, type: str, item: Document) -> list[Document]:
        """The events of a type that are about the item of an event: by its `output_index`."""
        return [event for event in self.of(type) if event.at("/output_index") == item.at("/output_index")]

    @cached_property
    def ends(self) -> list[Document]:
        """The events that end the response."""
        return self.of(*ENDS)

    @property
    def final(self) -> Document:
        """The whole response, of the last event that ends it; inconclusive without one."""
        value = self.ends[-1].at("/response") if self.ends else None
        if not isinstance(value, dict):
            inconclusive(
                f"{self.exchange.probe}: no whole response came (responses.stream.completed-last judges that)"
            )
        return Document(self.exchange.probe, f"{self.ends[-1].where} /response", value)

    def evidence(self, where: str, expected: str, found: object = MISSING) -> Evidence:
        """Evidence about the stream as a whole."""
        return self.exchange.evidence(where, expected, found)


def response_stream(exchange: Exchange, *features: str) -> ResponseStream:
    """A 2xx answer read as a streamed response; inconclusive when it holds no typed event."""
    answered(exchange, *features)
    values = list(_values(exchange))
    typed = tuple(document for document in values if isinstance(document.at("/type"), str))
    if not typed:
        inconclusive(f"{exchange.probe}: no event with a type came (responses.stream.sse judges that)")
    return ResponseStream(exchange, typed, any(map(_is_failure, values)))


def whole_response(exchange: Exchange, *features: str) -> Document:
    """The response of a plain answer, or the whole one that the last event of a stream holds."""
    if _streams(exchange):
        return response_stream(exchange, *features).final
    return response(exchange, *features)


def _streams(exchange: Exchange) -> bool:
    """True when a stream was asked for; where the request was not kept, when one came."""
    if isinstance(exchange.sent, dict):
        return exchange.sent.get("stream") is True
    return exchange.media_type == "text/event-stream"


def _values(exchange: Exchange) -> Iterable[Document]:
    for number, event in enumerate(exchange.events):
        try:
            value: Any = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield Document(exchange.probe, f"event {number}", value)


def _is_failure(document: Document) -> bool:
    return document.at("/type") in _FAILURES or (bool(document.at("/error")) and not document.has("/type"))
