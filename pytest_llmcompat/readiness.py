"""Readiness: whether a client can be pointed at a target, by the verdicts on the contracts that it relies on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from pytest_llmcompat.client_profile import ClientProfile, Reliance
from pytest_llmcompat.contract import Level
from pytest_llmcompat.verdict import Outcome

__all__ = ["Finding", "Readiness", "is_broken", "readiness"]


class Readiness(StrEnum):
    """The four answers; see docs/clients.md for when each is given."""

    READY = "READY"
    LIMITS = "READY WITH LIMITS"
    NOT_READY = "NOT READY"
    UNKNOWN = "NOT KNOWN"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the verdicts on one target mean for one client.

    client: its id. reasons: one line for each thing that the client does and that is in question, the strongest
    first; () when it is ready.
    """

    client: str
    readiness: Readiness
    reasons: tuple[str, ...] = ()


class _State(Enum):
    """How it stands with a contract; the value is how a reason says so, the strongest first."""

    BROKEN = "is broken"
    UNSUPPORTED = "is not supported"
    NOT_JUDGED = "was not judged"
    DOUBTFUL = "is broken or kept in a weaker form"
    UNSETTLED = "is not settled"
    KEPT = "holds"


_MISSING: Final = (_State.BROKEN, _State.UNSUPPORTED)
_OPEN: Final = (_State.NOT_JUDGED, _State.UNSETTLED)


@dataclass(frozen=True, slots=True)
class _Group:
    """What the verdicts say of one thing that a client does: contract ids by state."""

    reliance: Reliance
    by_state: Mapping[_State, list[str]]

    @property
    def is_open(self) -> bool:
        """True when some of it was left out, or nothing at all is settled."""
        return _State.NOT_JUDGED in self.by_state or not set(self.by_state) - set(_OPEN)


def readiness(profile: ClientProfile, results: Iterable[Mapping[str, Any]]) -> Finding:
    """Whether a client can be used with the target that the results are about.

    results: those of one target, as in the JSON report. A contract that is needed and has no result was not
    judged; one that is used and has none is passed over.
    """
    states = {result["contract"]: _state(result) for result in results}
    needs = [_group(reliance, states, needed=True) for reliance in profile.needs]
    uses = [_group(reliance, states, needed=False) for reliance in profile.uses]
    reasons = (
        *_reasons(needs, *_State),
        *_reasons(uses, _State.BROKEN, _State.UNSUPPORTED, _State.DOUBTFUL),
    )
    if any(state in group.by_state for group in needs for state in _MISSING):
        return Finding(profile.id, Readiness.NOT_READY, reasons)
    if any(group.is_open for group in needs):
        return Finding(profile.id, Readiness.UNKNOWN, reasons)
    return Finding(profile.id, Readiness.LIMITS if reasons else Readiness.READY, reasons)


def is_broken(result: Mapping[str, Any]) -> bool | None:
    """Whether the claim of a contract does not hold; None when the result leaves that open.

    A warning is given for a claim that is broken below the level of the run, and for one that is kept in a form
    which clients survive; `broken` tells them apart. Without it, a MUST is never the former.
    """
    verdict = result["verdict"]
    if verdict == Outcome.WARN:
        known: bool | None = result.get("broken")
        return False if known is None and result["level"] == Level.MUST else known
    # To waive a failure is to accept it: the client meets it all the same.
    return verdict in (Outcome.FAIL, Outcome.WAIVED)


def _state(result: Mapping[str, Any]) -> _State:
    if result["verdict"] == Outcome.UNSUPPORTED:
        return _State.UNSUPPORTED
    if result["verdict"] == Outcome.INCONCLUSIVE:
        return _State.UNSETTLED
    broken = is_broken(result)
    if broken is None:
        return _State.DOUBTFUL
    return _State.BROKEN if broken else _State.KEPT


def _group(reliance: Reliance, states: Mapping[str, _State], *, needed: bool) -> _Group:
    by_state: dict[_State, list[str]] = {}
    for pattern in reliance.contracts:
        found = [id for id in states if fnmatchcase(id, pattern)]
        for id in found:
            by_state.setdefault(states[id], []).append(id)
        if needed and not found:
            by_state.setdefault(_State.NOT_JUDGED, []).append(pattern)
    return _Group(reliance, by_state)


def _reasons(groups: Iterable[_Group], *states: _State) -> Iterator[str]:
    every = list(groups)
    for state in states:
        for group in every:
            ids = group.by_state.get(state, [])
            if ids and state is not _State.KEPT:
                more = f" (and {len(ids) - 1} more)" if len(ids) > 1 else ""
                yield f"{ids[0]}{more} {state.value}: {group.reliance.why}"
