"""Drift: how the shape of an answer differs from that of the recorded one.

What the model or the moment decides is no drift: text or tool call or refusal, where an answer ended, that the
server was busy. docs/drift.md says where the line runs, and why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from pytest_llmcompat.answer import broke_off, error_in_200
from pytest_llmcompat.cassette import CassetteError, path_of, read, recorded_targets
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import ReplayingSource
from pytest_llmcompat.probes import PROBES, SUITES
from pytest_llmcompat.shape import Form, Shape, Spot, place_of, shape
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange

__all__ = ["Change", "Comparison", "Drift", "Recorded", "compare", "drifts", "recorded_for"]

# How an answer ends when all is well; which of these it is depends on where the model stopped.
_ENDS: Final = frozenset({"stop", "length", "completed", "incomplete", "queued", "in_progress"})
_END_EVENTS: Final = {"response.incomplete": "response.completed"}
_FAILURES: Final = frozenset({"error", "response.failed"})
_OF_THE_MANNER: Final = frozenset({"content", "tool_calls", "function_call", "refusal"})
# Which of null and an object stands there depends on whether the prompt was in the server's cache.
_CACHE_COUNTS: Final = frozenset({"prompt_tokens_details", "input_tokens_details"})
# A replay asks for a key; nothing is ever sent with it.
_KEY: Final = "recorded"

_Known = tuple[str, str, Path]


class Change(StrEnum):
    """What became of a part of the shape."""

    APPEARED = "appeared"
    DISAPPEARED = "disappeared"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between the recorded and the live answer to a probe.

    target, probe: their ids. place: `status`, `body`, `header NAME`, `parameter NAME`, `events`,
    `body /choices/*/message/content`, `event /choices/*/delta/role`, `event TYPE /response/usage`.
    was, now: the recorded and the live part of the shape as texts; "" where there is none.
    """

    target: str
    probe: str
    place: str
    change: Change
    was: str
    now: str


def drifts(recorded: Exchange, live: Exchange) -> tuple[Drift, ...]:
    """How the shape of a live answer differs from the recorded one; none when they cannot be compared."""
    return tuple(_drifts(recorded, live) or ())


def _drifts(recorded: Exchange, live: Exchange) -> list[Drift] | None:
    """The drifts of an answer, None when it cannot be compared."""
    if not (_settled(recorded) and _settled(live)):
        return None
    was, now = shape(recorded), shape(live)
    if any(_failed(e, found) for e, found in ((recorded, was), (live, now))):
        return None
    found = [*_refusals(recorded, live), *_differences(was, now)]
    return [Drift(live.target, live.probe, *difference) for difference in found]


def _settled(exchange: Exchange) -> bool:
    """True for a whole answer that is a decision, and not of the moment."""
    probe = PROBES.get(exchange.probe)
    # How much came before the suite closed the connection is a matter of time.
    left_early = probe is not None and probe.abort_after is not None
    of_the_moment = exchange.status in (408, 429) or exchange.status > 501
    return exchange.failure is None and exchange.status > 0 and not left_early and not of_the_moment


def _failed(exchange: Exchange, found: Shape) -> bool:
    """True when the server failed on a request that it should have served, and may not the next time."""
    probe = PROBES.get(exchange.probe)
    if probe is not None and probe.negative:
        return False  # an error is what it asks for, whatever its status and form
    if not exchange.ok:
        return exchange.status == 500 and not any(earlier.status == 500 for earlier in exchange.retried)
    kinds = {kind for sequence in found.sequences for kind in sequence}
    return bool(kinds & _FAILURES) or broke_off(exchange) or error_in_200(exchange)


_Difference = tuple[str, Change, str, str]


def _differences(was: Shape, now: Shape) -> Iterator[_Difference]:
    if was.status != now.status:
        yield "status", Change.CHANGED, str(was.status), str(now.status)
        if min(was.status, now.status) >= 400 and was.form is now.form is Form.JSON:
            yield from _in_bodies(was, now)
        return
    if was.form is not now.form:
        yield "body", Change.CHANGED, _described(was), _described(now)
        return  # a stream has headers of its own
    for name in sorted(was.headers ^ now.headers):
        yield f"header {name}", Change.APPEARED if name in now.headers else Change.DISAPPEARED, "", ""
    if was.media_type != now.media_type and was.media_type and now.media_type:
        yield "header content-type", Change.CHANGED, was.media_type, now.media_type
    yield from _in_bodies(was, now)


def _refusals(recorded: Exchange, live: Exchange) -> Iterator[_Difference]:
    """Parameters that were left out of one of the requests, since the server had refused them."""
    for name in sorted(recorded.refused.keys() ^ live.refused.keys()):
        was, now = ("accepted", "refused") if name in live.refused else ("refused", "accepted")
        yield f"parameter {name}", Change.CHANGED, was, now


def _described(found: Shape) -> str:
    return f"{found.form} ({found.media_type})" if found.media_type else str(found.form)


def _in_bodies(was: Shape, now: Shape) -> Iterator[_Difference]:
    manner = was.manner != now.manner and bool(was.manner and now.manner)
    # Of answers of one length to one request, both were capped or neither.
    end = was.spent is None or was.spent != now.spent
    for spot in sorted(was.types.keys() | now.types.keys()):
        if not (manner and _is_of_the_manner(spot)) and not (end and "incomplete_details" in spot):
            yield from _in_types(spot, was.types, now.types)
    for spot in sorted(was.words.keys() & now.words.keys()):
        if was.types.get(spot) != now.types.get(spot):
            continue  # the change of type says it
        of_the_end = end and was.words[spot] ^ now.words[spot] <= _ENDS
        if not (manner and _is_of_the_manner(spot)) and not of_the_end:
            yield from _in_sets(spot, was.words[spot], now.words[spot])
    if not manner:
        yield from _in_sequences(_sequences(was, end=end), _sequences(now, end=end))


def _in_types(
    spot: Spot, was: Mapping[Spot, frozenset[str]], now: Mapping[Spot, frozenset[str]]
) -> Iterator[_Difference]:
    """One difference for the topmost part that is new or gone; most empty arrays say nothing of their elements."""
    if spot in was and spot in now:
        hit_or_miss = spot[-1] in _CACHE_COUNTS and was[spot] | now[spot] <= {"null", "object"}
        if was[spot] != now[spot] and not hit_or_miss:
            yield place_of(spot), Change.CHANGED, _listed(was[spot]), _listed(now[spot])
        return
    there, elsewhere = (now, was) if spot in now else (was, now)
    if not _would_hold(elsewhere.get(spot[:-1], frozenset()), spot):
        return
    types = _listed(there[spot])
    if there is now:
        yield place_of(spot), Change.APPEARED, "", types
    else:
        yield place_of(spot), Change.DISAPPEARED, types, ""


def _would_hold(holder: frozenset[str], spot: Spot) -> bool:
    """True when what has these types would have something at a spot of its own, if it were as it was."""
    if spot[-1] == "*":
        # No completion is without choices; any other array may be empty today.
        return "array" in holder and spot[-2] == "choices"
    # Which kinds of elements there are is a word, compared by itself.
    return "object" in holder and not spot[-1].startswith(("*:", "item:", "part:"))


def _in_sets(spot: Spot, was: frozenset[str], now: frozenset[str]) -> Iterator[_Difference]:
    gone, new = was - now, now - was
    if gone or new:
        change = Change.CHANGED if gone and new else Change.APPEARED if new else Change.DISAPPEARED
        yield place_of(spot), change, _listed(gone), _listed(new)


def _in_sequences(was: frozenset[tuple[str, ...]], now: frozenset[tuple[str, ...]]) -> Iterator[_Difference]:
    """Kinds of events that are new or gone; when there are none, the order is another one."""
    kinds_was, kinds_now = ({kind for kinds in sequences for kind in kinds} for sequences in (was, now))
    for kind in sorted(kinds_was ^ kinds_now):
        yield f"event {kind}", Change.APPEARED if kind in kinds_now else Change.DISAPPEARED, "", ""
    if was != now and kinds_was == kinds_now:
        gone, new = min(was - now or was), min(now - was or now)
        yield "events", Change.CHANGED, ", ".join(gone), ", ".join(new)


def _sequences(found: Shape, *, end: bool) -> frozenset[tuple[str, ...]]:
    """The sequences of events, as if each answer had been completed when its end does not count."""
    ends = _END_EVENTS if end else {}
    return frozenset(tuple(ends.get(label, label) for label in labels) for labels in found.sequences)


def _is_of_the_manner(spot: Spot) -> bool:
    """True for what an answer has or has not by the manner in which the model chose to answer."""
    if "choices" in spot:
        inside = spot[spot.index("choices") + 2 :]
        return inside[:1] in (("logprobs",), ("finish_reason",)) or (
            len(inside) > 1 and inside[0] in ("message", "delta") and inside[1] in _OF_THE_MANNER
        )
    return spot[-1] == "type" and spot[-2] in ("*", "item", "part")


def _listed(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a target is compared with.

    target: id of the live target. recording: `MODEL at BASE-URL`, None when none was chosen.
    reason: why this one, or why none. exchanges: the recorded ones by probe.
    """

    target: str
    recording: str | None
    reason: str
    exchanges: Mapping[str, Exchange]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing a live target. probes: those whose answers could be compared."""

    recorded: Recorded
    probes: tuple[str, ...]
    drifts: tuple[Drift, ...]


def recorded_for(folder: Path, targets: Iterable[Target]) -> tuple[Recorded, ...]:
    """The recordings to compare targets with, read whole before anything is sent; () when the folder has none.

    A target's own recording is taken; else the only one of its model, for a server that takes another's place has
    another base URL; else the only one of its endpoint, for an upgrade may have another model.
    Raises CassetteError for a cassette that cannot be used.
    """
    known = recorded_targets(folder) if folder.is_dir() else []
    return tuple(_recorded(folder, target, known) for target in targets) if known else ()


def compare(recorded: Iterable[Recorded], live: Iterable[Exchange]) -> tuple[Comparison, ...]:
    """Each target's live exchanges beside the recorded ones; probes without a recording are passed over."""
    every = list(live)
    return tuple(_compared(one, [e for e in every if e.target == one.target]) for one in recorded)


def _compared(recorded: Recorded, live: Iterable[Exchange]) -> Comparison:
    found = {e.probe: _drifts(recorded.exchanges[e.probe], e) for e in live if e.probe in recorded.exchanges}
    compared = {probe: drifts for probe, drifts in found.items() if drifts is not None}
    return Comparison(
        recorded, tuple(compared), tuple(drift for drifts in compared.values() for drift in drifts)
    )


def _recorded(folder: Path, target: Target, known: list[_Known]) -> Recorded:
    chosen, reason = _chosen(folder, target, known)
    if chosen is None:
        return Recorded(target.id, None, reason, {})
    endpoint, model, _ = chosen
    return Recorded(target.id, f"{model} at {endpoint}", reason, _replayed(folder, endpoint, model))


def _chosen(folder: Path, target: Target, known: list[_Known]) -> tuple[_Known | None, str]:
    own = path_of(folder, target, "chat-basic").parent
    of_model = [one for one in known if one[1] == target.model]
    of_endpoint = [one for one in known if one[2].parent == own.parent]
    for candidates, reason in (
        ([one for one in known if one[2] == own], "the same endpoint and model"),
        (of_model, "the only recording of this model"),
        (of_endpoint, "the only recording of this endpoint"),
    ):
        if len(candidates) == 1:
            return candidates[0], reason
    several = ", ".join(f"{model} at {endpoint}" for endpoint, model, _ in of_model or of_endpoint or known)
    place = target.place or target.endpoint
    return None, f"{target.model} at {place} is not recorded; there are {several}"


def _replayed(folder: Path, endpoint: str, model: str) -> Mapping[str, Exchange]:
    """The recorded exchanges of all probes that are still sent as they were, by retry and negotiation as live."""
    target = Target(f"{model}@{endpoint}", endpoint, model, key=_KEY)
    embeddings = _embedding_model(path_of(folder, target, "emb-float"))
    target = replace(target, embedding_model=embeddings)
    lab = Lab(target, ReplayingSource(target, folder), named=SUITES)
    found = {}
    for probe_id in PROBES:
        try:
            exchange = lab.exchange(probe_id)
        except MissingExchange:
            continue
        if exchange.unsent is None:
            found[probe_id] = exchange
    return found


def _embedding_model(path: Path) -> str | None:
    """The model that a recording asked for embeddings, None when it asked for none."""
    if not path.is_file():
        return None
    try:
        sent = [json.loads(request.body) for request, _ in read(path).interactions]
        return next((str(body["model"]) for body in sent), None)
    except (ValueError, LookupError, TypeError) as error:
        raise CassetteError(path, "its request names no model") from error
