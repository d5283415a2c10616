"""Getting a probe through a server's dialect, so that a refused carrier decides no other contract.

Newer OpenAI models refuse `max_tokens` by name, reasoning models `temperature` or `stop`, local servers `n`
or `logprobs`. A refused parameter is left out (or swapped), the probe is sent again, and the exchange notes
what was refused, for the contracts that are about that parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.exchange import SDK_HEADERS, Exchange, Refusal
from pytest_llmcompat.refusal import error_message, error_param, names

__all__ = [
    "CARRIERS",
    "HEADROOM",
    "Attempt",
    "dialect_of",
    "headroom_of",
    "negotiate",
    "speak",
    "wants_headroom",
]

CARRIERS: Final = ("max_tokens", "max_completion_tokens", "temperature", "seed")
HEADROOM: Final = 16
# The last is that of the Responses API.
_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_REJECTIONS: Final = frozenset({400, 422})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to send: a JSON body, and whether the probe's extra headers go along."""

    body: Mapping[str, Any]
    extra_headers: bool = True


Send = Callable[[Attempt], Exchange]
Offer = Callable[[Mapping[str, Any]], Exchange]


def dialect_of(basic: Exchange | None) -> dict[str, Refusal]:
    """The carriers that `chat-basic` had to do without; all later probes do without them as well."""
    return {} if basic is None else {name: r for name, r in basic.refused.items() if name in CARRIERS}


def headroom_of(basic: Exchange | None, ordinary: Mapping[str, Any]) -> int:
    """The factor on the caps of text-reading probes: 16 once `chat-basic` was answered with more room.

    ordinary: the body of `chat-basic` as the probe has it.
    """
    sent = None if basic is None else basic.sent
    if not isinstance(sent, dict):
        return 1
    grown = any(sent.get(cap, 0) > ordinary["max_tokens"] for cap in _CAPS)
    return HEADROOM if grown else 1


def wants_headroom(basic: Exchange) -> bool:
    """True when a model spent its cap, or a part of it, on reasoning."""
    return basic.ok and isinstance(basic.json, dict) and _reasons(basic.json)


def _reasons(completion: Mapping[str, Any]) -> bool:
    try:
        choice = completion["choices"][0]
        if choice["finish_reason"] == "length" and not choice["message"].get("content"):
            return True
    except (LookupError, TypeError, AttributeError):
        pass
    try:
        spent = completion["usage"]["completion_tokens_details"]["reasoning_tokens"]
    except (LookupError, TypeError):
        return False
    return isinstance(spent, int) and not isinstance(spent, bool) and spent > 0


def speak(body: Mapping[str, Any], refused: Mapping[str, Refusal], factor: int) -> dict[str, Any]:
    """A body in the dialect of the server: refused carriers left out or swapped, caps grown by `factor`."""
    spoken = dict(body)
    for parameter in refused:
        spoken = _without(spoken, parameter)
    for cap in _CAPS:
        if cap in spoken:
            spoken[cap] *= factor
    return spoken


def _without(body: Mapping[str, Any], parameter: str) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name != parameter}
    if parameter == "max_tokens" and parameter in body:
        kept["max_completion_tokens"] = body[parameter]
    return kept


def negotiate(
    body: Mapping[str, Any],
    features: tuple[str, ...],
    refused: Mapping[str, Refusal],
    send: Send,
    *,
    extra_headers: bool,
) -> tuple[Exchange, dict[str, Refusal]]:
    """Send a body, leaving out what the server refuses; gives the exchange that counts and everything refused.

    When nothing helps, no parameter was to blame: the first exchange counts, and nothing more is refused.
    The number of requests is bounded by the number of carriers and features, whatever the server answers.
    """
    first = exchange = send(Attempt(body, extra_headers))
    noted = dict(refused)

    def offer(offered: Mapping[str, Any]) -> Exchange:
        return send(Attempt(offered, extra_headers and SDK_HEADERS not in noted))

    exchange, body = _leave_out_named(exchange, body, features, noted, offer)
    if extra_headers and 400 <= exchange.status < 500 and exchange.status not in (401, 403, 429):
        bare = send(Attempt(body, extra_headers=False))
        if bare.ok:
            noted[SDK_HEADERS] = _refusal(exchange)
            return bare, noted
    if exchange.status in _REJECTIONS:
        exchange = _split(exchange, body, features, noted, offer)
    return (first, dict(refused)) if exchange.status in _REJECTIONS else (exchange, noted)


def _leave_out_named(
    exchange: Exchange,
    body: Mapping[str, Any],
    features: tuple[str, ...],
    noted: dict[str, Refusal],
    offer: Offer,
) -> tuple[Exchange, Mapping[str, Any]]:
    """Leave out what refusals name, one after the other, until there is none or it does not help."""
    innocent: set[str] = set()
    while exchange.status in _REJECTIONS:
        named = _named(exchange, body, features, innocent)
        if named is None:
            break
        plainer = _without(body, named)
        answer = offer(plainer)
        if answer.status in _REJECTIONS and names(answer, named):
            # The message only mentions it, as one that lists all parameters does: it stays.
            innocent.add(named)
            continue
        noted[named] = _refusal(exchange)
        exchange, body = answer, plainer
    return exchange, body


def _named(
    exchange: Exchange, body: Mapping[str, Any], features: tuple[str, ...], innocent: set[str]
) -> str | None:
    """The carrier or feature of the body that the refusal names; `error.param` goes before the message."""
    present = [n for n in dict.fromkeys((*CARRIERS, *features)) if n in body and n not in innocent]
    param = error_param(exchange)
    if param in present:
        return param
    named = [name for name in present if names(exchange, name)]
    message = error_message(exchange)
    return min(named, key=lambda name: message.find(name) % (len(message) + 1), default=None)


def _refusal(exchange: Exchange) -> Refusal:
    return Refusal(exchange.status, error_message(exchange))


class _Unsettled(Exception):
    """An offer was neither accepted nor rejected but met a fault of the server."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.status)
        self.exchange = exchange


def _split(
    exchange: Exchange,
    body: Mapping[str, Any],
    features: tuple[str, ...],
    noted: dict[str, Refusal],
    offer: Offer,
) -> Exchange:
    """Find the features that an unnamed refusal is about, halves first; gives the exchange with all others.

    Of 9 features, one that is refused takes up to 10 requests to find, and all of them 18.
    """
    present = tuple(name for name in features if name in body)
    plain = {name: value for name, value in body.items() if name not in present}
    if not present or not (best := offer(plain)).ok:
        return exchange
    accepted: list[str] = []

    def add(group: tuple[str, ...], *, guilty: bool) -> bool:
        """Add a group of features to those accepted so far; True when it is accepted as a whole."""
        nonlocal best
        if not guilty or len(group) == 1:
            answer = offer(plain | {name: body[name] for name in (*accepted, *group)})
            if answer.ok:
                accepted.extend(group)
                best = answer
                return True
            if answer.status not in _REJECTIONS:
                raise _Unsettled(answer)
            if len(group) == 1:
                noted[group[0]] = _refusal(answer)
                return False
        middle = (len(group) + 1) // 2
        whole = add(group[:middle], guilty=False)
        add(group[middle:], guilty=whole)
        return False

    try:
        add(present, guilty=True)
    except _Unsettled as fault:
        return fault.exchange
    return best
