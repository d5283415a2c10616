"""Readings of an exchange with the pre-conditions that contracts share.

A contract about the content of an answer is not broken when there was no answer: 429, 5xx, time-outs and
lost connections make it inconclusive; 404, 405, 501 and a 400 that names the feature make it unsupported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_llmcompat.evidence import MISSING, Document, Evidence, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.refusal import error_message, error_param, names
from pytest_llmcompat.verdict import Doubtful, Inconclusive, Unsupported, inconclusive, unsupported

__all__ = [
    "DONE",
    "Stream",
    "accepts",
    "answered",
    "body",
    "broke_off",
    "came",
    "chunks",
    "completion",
    "decided",
    "distinct",
    "error_in_200",
    "error_message",
    "error_param",
    "is_foreign",
    "judge_each",
    "names",
    "refused",
    "require_feature",
    "served",
    "stream",
    "tool_calls",
    "unrouted",
]

DONE = "[DONE]"


def body(exchange: Exchange) -> Document:
    """The JSON body as a document; its value is MISSING when the body is not JSON."""
    return Document(exchange.probe, "body", exchange.json if exchange.is_json else MISSING)


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
    if exchange.status == 429 or (exchange.status >= 500 and exchange.status != 501):
        inconclusive(f"{exchange.probe} was answered {exchange.status}: {shown(error_message(exchange))}")
    return exchange


def answered(exchange: Exchange, *features: str) -> Exchange:  # noqa: RET503 - the last line never returns
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


def error_in_200(exchange: Exchange) -> bool:
    """True for a 2xx answer with an error in the place of choices (error.status-not-200 judges that)."""
    document = body(exchange)
    return exchange.ok and bool(document.at("/error")) and not document.items("/choices")


def decided(exchange: Exchange) -> Exchange:
    """The exchange, when its status is the server's decision on the fault of an invalid request.

    Unsupported when there is no such route; inconclusive when the server was down, when it never came to the
    fault (the key, the rate or the cap on tokens was refused first), and for an error in a 200.
    """
    came(exchange)
    answer = f"{exchange.probe} was answered {exchange.status}: {shown(error_message(exchange))}"
    if exchange.status in (404, 405, 501):
        unsupported(answer)
    elsewhere = exchange.status < 200 or 300 <= exchange.status < 400
    if elsewhere or exchange.status in (401, 403, 408, 429, 502, 503, 504, 529) or error_in_200(exchange):
        inconclusive(answer)
    capped = isinstance(exchange.sent, dict) and "max_tokens" in exchange.sent
    if capped and exchange.status in (400, 422) and names(exchange, "max_tokens"):
        inconclusive(answer)
    return exchange


def unrouted(exchange: Exchange) -> bool:
    """True for a 404 or 405 that may only say that there is no such route: any but chat and the list of models.

    It then comes from the web framework and not from the API (transport.unknown-route-json judges that).
    """
    path = exchange.request.url.partition("?")[0]
    return exchange.status in (404, 405) and not path.endswith(("/chat/completions", "/models"))


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


def served(exchange: Exchange, *features: str) -> Document:
    """A completion; inconclusive for an error or another object in its place."""
    document = completion(exchange, *features)
    if error_in_200(exchange):
        inconclusive(
            f"{exchange.probe}: an error came with {exchange.status} (error.status-not-200 judges that)"
        )
    if not any(document.has(pointer) for pointer in ("/choices", "/object", "/id")):
        inconclusive(f"{exchange.probe}: the answer is no completion (chat.choices-array judges that)")
    return document


def judge_each(judgement: Callable[[Exchange], None], *exchanges: Exchange) -> None:
    """Judge each exchange by itself, so that one that settles nothing hides no other; a fail before a warning.

    Raises why the first one settles nothing when none of them does.
    """
    unsettled: list[Unsupported | Inconclusive] = []
    doubts: list[Doubtful] = []
    each = distinct(exchanges)
    for exchange in each:
        try:
            judgement(exchange)
        except (Unsupported, Inconclusive) as reason:
            # Without its traceback, which would keep alive all that was parsed for the judgement.
            unsettled.append(reason.with_traceback(None))
        except Doubtful as doubt:
            doubts.append(doubt.with_traceback(None))
    if doubts:
        raise doubts[0]
    if len(unsettled) == len(each):
        raise next(iter(unsettled), Inconclusive("none of the requests that this is about was sent"))


def is_foreign(exchange: Exchange) -> bool:
    """True for a recording of another tool, which may lack headers; cassettes of the suite have times."""
    return not exchange.live and exchange.started == 0 and not exchange.arrivals


def distinct(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """The exchanges without repetition: a passive contract is given the same one for each of its parameters."""
    return list({id(exchange): exchange for exchange in exchanges}.values())


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


def broke_off(exchange: Exchange) -> bool:
    """True for a stream whose last event but `[DONE]` is an error: the server failed, and says so."""
    data = [event.data for event in exchange.events if event.data != DONE]
    try:
        last = json.loads(data[-1]) if data else None
    except (ValueError, RecursionError):
        return False
    return isinstance(last, dict) and bool(last.get("error"))


def stream(exchange: Exchange, *features: str) -> Stream:
    """A 2xx answer read as a stream; inconclusive when it holds no chunk at all."""
    answered(exchange, *features)
    found = tuple(chunks(exchange))
    if not found:
        inconclusive(f"{exchange.probe}: the body holds no chunk (chat.stream.is-sse judges that)")
    return Stream(exchange, found)
