"""Getting a probe through a server's dialect, so that a refused carrier decides no other contract.

Newer OpenAI models refuse `max_tokens` by name, reasoning models `temperature` or `stop`, local servers `n`
or `logprobs`. A refused parameter is left out (or swapped), the probe is sent again, and the exchange notes
what was refused, for the contracts that are about that parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.answer import error_message, error_param, names
from pytest_llmcompat.exchange import Exchange, Refusal

__all__ = ["CARRIERS", "HEADROOM", "SDK_HEADERS", "Attempt", "dialect_of", "headroom_of", "negotiate", "speak"]

CARRIERS: Final = ("max_tokens", "max_completion_tokens", "temperature", "seed")
SDK_HEADERS: Final = "sdk-headers"
HEADROOM: Final = 16
_REJECTIONS: Final = frozenset({400, 422})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to send: a JSON body, and whether the probe's extra headers go along."""

    body: Mapping[str, Any]
    extra_headers: bool = True


Send = Callable[[Attempt], Exchange]


def dialect_of(basic: Exchange | None) -> dict[str, Refusal]:
    """The carriers that `chat-basic` had to do without; all later probes do without them as well."""
    return {} if basic is None else {name: r for name, r in basic.refused.items() if name in CARRIERS}


def headroom_of(basic: Exchange | None) -> int:
    """The factor on the caps of text-reading probes: 16 for a model that spends tokens on reasoning."""
    if basic is None or not basic.ok or not isinstance(basic.json, dict):
        return 1
    return HEADROOM if _reasons(basic.json) else 1


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
    return isinstance(spent, int) and spent > 0


def speak(body: Mapping[str, Any], refused: Mapping[str, Refusal], factor: int) -> dict[str, Any]:
    """A body in the dialect of the server: refused carriers left out or swapped, caps grown by `factor`."""
    spoken = dict(body)
    for parameter in refused:
        spoken = _without(spoken, parameter)
    for cap in ("max_tokens", "max_completion_tokens"):
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
    """Send a body, leaving out what the server refuses; gives the last exchange and everything refused."""
    noted = dict(refused)
    attempt = Attempt(body, extra_headers)
    exchange = send(attempt)
    while exchange.status in _REJECTIONS:
        named = _named(exchange, attempt.body, features)
        if named is None:
            break
        noted[named] = _refusal(exchange)
        attempt = Attempt(_without(attempt.body, named), extra_headers)
        exchange = send(attempt)
    if extra_headers and 400 <= exchange.status < 500 and exchange.status not in (401, 403, 429):
        bare = send(Attempt(attempt.body, extra_headers=False))
        if bare.ok:
            noted[SDK_HEADERS] = _refusal(exchange)
            return bare, noted
    if exchange.status in _REJECTIONS:
        return _split(exchange, attempt.body, features, noted, send)
    return exchange, noted


def _named(exchange: Exchange, body: Mapping[str, Any], features: tuple[str, ...]) -> str | None:
    """The carrier or feature of the body that the refusal names; `error.param` goes before the message."""
    present = [name for name in dict.fromkeys((*CARRIERS, *features)) if name in body]
    param = error_param(exchange)
    if param in present:
        return param
    named = [name for name in present if names(exchange, name)]
    message = error_message(exchange)
    return min(named, key=lambda name: message.find(name) % (len(message) + 1), default=None)


def _refusal(exchange: Exchange) -> Refusal:
    return Refusal(exchange.status, error_message(exchange))


def _split(
    exchange: Exchange,
    body: Mapping[str, Any],
    features: tuple[str, ...],
    noted: dict[str, Refusal],
    send: Send,
) -> tuple[Exchange, dict[str, Refusal]]:
    """Find the features that an unnamed refusal is about, halves first, and send all the others."""
    present = [name for name in features if name in body]
    if not present:
        return exchange, noted
    plain = {name: value for name, value in body.items() if name not in present}
    if not (bare := send(Attempt(plain))).ok:
        return exchange, noted
    tried: dict[tuple[str, ...], Exchange] = {(): bare}

    def offer(group: tuple[str, ...]) -> tuple[str, ...]:
        """The features of the group that the server accepts."""
        if not group:
            return ()
        tried[group] = send(Attempt(plain | {name: body[name] for name in group}))
        if tried[group].status not in _REJECTIONS:
            return group
        if len(group) == 1:
            noted[group[0]] = _refusal(tried[group])
            return ()
        middle = len(group) // 2
        return offer(group[:middle]) + offer(group[middle:])

    middle = (len(present) + 1) // 2
    accepted = offer(tuple(present[:middle])) + offer(tuple(present[middle:]))
    if accepted not in tried:
        tried[accepted] = send(Attempt(plain | {name: body[name] for name in accepted}))
    return tried[accepted], noted
