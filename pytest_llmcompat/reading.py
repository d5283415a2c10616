"""What a judgement reads: its parameters by name, looked up in the lab of a target."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.probes import BY_FIXTURE, FAMILIES, OPT_IN, PROBES, chosen, family
from pytest_llmcompat.target import Target

__all__ = ["Source", "is_chosen", "read"]


class Source(Protocol):
    """Where exchanges of one target come from: a lab, or the recordings of others."""

    target: Target

    def exchange(self, probe_id: str) -> Exchange:
        """The exchange of a probe."""


def is_chosen(probe_id: str, suites: tuple[str, ...]) -> bool:
    """True when a probe belongs to the chosen suites; no names mean all that are sent unasked."""
    return PROBES[probe_id].suite in chosen(suites)


def read(lab: Source, name: str, suites: tuple[str, ...] = (), sent: Collection[str] | None = None) -> object:
    """The target, the exchange of a probe, or those of a family, by the name of the parameter.

    sent: the probes that a shard sends, to which a family is then limited; None for no limit.

    A probe of a suite that was not chosen is not sent, and its exchange says so. Raises KeyError for another
    name, MissingExchange when a replay does not hold the probe.
    """
    if name == "llm_target":
        return lab.target
    if name in FAMILIES:
        members = [probe.id for probe in family(name, suites)]
        return tuple(lab.exchange(id) for id in members if sent is None or id in sent)
    probe_id = BY_FIXTURE[name]
    if is_chosen(probe_id, suites):
        return lab.exchange(probe_id)
    unsent = f"{probe_id} was not sent: {_left_out(PROBES[probe_id].suite)}"
    request = Request("", lab.target.endpoint, (), b"")
    return Exchange(probe_id, lab.target.id, request, unsent=unsent, requests=0)


def _left_out(suite: str) -> str:
    return f"only --llm-suite={OPT_IN} sends it" if suite == OPT_IN else f"--llm-suite leaves {suite} out"
