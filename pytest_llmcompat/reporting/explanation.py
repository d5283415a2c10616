"""A failure explains itself: the claim, the evidence, who breaks, how to reproduce."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from pytest_llmcompat.answer import error_message
from pytest_llmcompat.evidence import Evidence, shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.plain import plain
from pytest_llmcompat.verdict import Verdict

__all__ = ["explain"]

_WIDTH = 110
_LONGEST_SENT = 300
# A fault of many recorded exchanges is understood from a few.
_MOST_PLACES = 3


def explain(verdict: Verdict, exchanges: Iterable[Exchange]) -> str:
    """The four parts, for a broken contract; plain text, no control characters."""
    contract = verdict.contract
    shown_places = verdict.evidence[:_MOST_PLACES]
    about = list(_about(shown_places, exchanges))
    more = len(verdict.evidence) - len(shown_places)
    parts = [
        f"{contract.level.name} {contract.id} is broken by {verdict.target}",
        _part("Claim", f"{contract.claim} [{contract.source}]"),
        *(_part("Evidence", str(evidence)) for evidence in shown_places),
        _part("Evidence", f"and in {more} more places, all in the report" if more > 0 else ""),
        *([] if verdict.evidence else [_part("Evidence", verdict.reason)]),
        *(_part("Sent", _sent(exchange)) for exchange in about),
        *(_part("Came", _came(exchange)) for exchange in about),
        _part("Breaks", contract.breaks),
        _part("Fix", contract.fix),
        _part("Seen in", ", ".join(contract.cases)),
        *(f"Reproduce: {exchange.request.curl()}" for exchange in about),
    ]
    return plain("\n".join(part for part in parts if part))


def _part(title: str, text: str) -> str:
    if not text:
        return ""
    return textwrap.fill(
        text, _WIDTH, initial_indent=f"{title + ':':<11}", subsequent_indent=" " * 11, break_on_hyphens=False
    )


def _about(places: Iterable[Evidence], exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """The exchanges that the evidence is about; the first one read when it names none."""
    read = {exchange.probe: exchange for exchange in exchanges if exchange.requests}
    named = dict.fromkeys(e.probe for e in places if e.probe in read)
    yield from [read[probe] for probe in named] or list(read.values())[:1]


def _sent(exchange: Exchange) -> str:
    request = exchange.request
    body = request.body.decode("utf-8", errors="replace")
    short = body if len(body) <= _LONGEST_SENT else f"{body[: _LONGEST_SENT - 2]} …"
    return f"{request.method} {request.url} {short}".strip()


def _came(exchange: Exchange) -> str:
    if exchange.failure is not None:
        return exchange.failure
    said = "" if exchange.status < 400 else f": {shown(error_message(exchange))}"
    return (
        f"{exchange.status} {exchange.media_type or 'without content type'}, {len(exchange.body)} bytes{said}"
    )
