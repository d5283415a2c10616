"""Every probe that the suite knows, by id; a module a suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pytest_llmcompat.probe import Probe, fixture_name
from pytest_llmcompat.probes import (
    core,
    embeddings,
    extra,
    legacy,
    media,
    optional,
    other,
    reasoning,
    responses,
    structured_output,
    tools,
    vision,
)

__all__ = ["BY_FIXTURE", "FAMILIES", "OPT_IN", "PROBES", "SUITES", "chosen", "family"]

# Costly or disputed probes, which are sent only when this suite is named.
OPT_IN: Final = "opt-in"

PROBES: Final[dict[str, Probe]] = {
    probe.id: probe
    for probe in (
        *core.PROBES,
        *tools.PROBES,
        *structured_output.PROBES,
        *embeddings.PROBES,
        *legacy.PROBES,
        *other.PROBES,
        *reasoning.PROBES,
        *vision.PROBES,
        *responses.PROBES,
        *extra.PROBES,
        *optional.PROBES,
        *media.PROBES,
    )
}
BY_FIXTURE: Final[dict[str, str]] = {fixture_name(id): id for id in PROBES}
SUITES: Final[tuple[str, ...]] = tuple(dict.fromkeys(probe.suite for probe in PROBES.values()))

# Contracts may read a whole family of exchanges at once, by these parameter names.
FAMILIES: Final[dict[str, Callable[[Probe], bool]]] = {
    "every_exchange": lambda _: True,
    "error_exchanges": lambda probe: probe.negative,
    "chat_exchanges": lambda probe: probe.id.startswith(("chat-", "tool-", "json-")) and not _streams(probe),
    "stream_exchanges": lambda probe: _streams(probe),
}


def _streams(probe: Probe) -> bool:
    return (
        not probe.negative
        and probe.abort_after is None
        and not probe.id.startswith(("resp-", "completions-"))
        and (probe.id.startswith("stream-") or probe.id.endswith("-stream"))
    )


def chosen(named: tuple[str, ...]) -> tuple[str, ...]:
    """The suites that are sent when the user names some, or none."""
    return named or tuple(suite for suite in SUITES if suite != OPT_IN)


def family(name: str, suites: tuple[str, ...] = ()) -> tuple[Probe, ...]:
    """The probes of a family, of the selected suites only."""
    return tuple(p for p in PROBES.values() if FAMILIES[name](p) and p.suite in chosen(suites))
