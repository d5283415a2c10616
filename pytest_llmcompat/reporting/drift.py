"""Drift in reports: a line for each thing that changed, however many answers show it, and a JSON value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pytest_llmcompat.drift import Change, Comparison, Drift
from pytest_llmcompat.plain import line

__all__ = ["drift_json", "drift_lines"]

_MOST_LINES: Final = 40
_MOST_PROBES: Final = 4
_LONGEST: Final = 160
_ORDER: Final = tuple(Change)
# What stands before the keys of an event that has a type of its own.
_EVENT_TYPE: Final = re.compile(r"^event [^/]+ (?=/)")


def drift_lines(comparison: Comparison) -> Iterator[str]:
    """What a target was compared with, and each drift once with the probes that show it, frequent ones first."""
    recorded = comparison.recorded
    if recorded.recording is None:
        yield _text(f"drift: not compared with any recording: {recorded.reason}")
        return
    yield _text(
        f"drift: {_answers(len(comparison.probes))} compared with the recording of {recorded.recording} "
        f"({recorded.reason})"
    )
    grouped = _grouped(comparison.drifts)
    for group in grouped[:_MOST_LINES]:
        yield _line(group)
    if len(grouped) > _MOST_LINES:
        yield f"drift: and {len(grouped) - _MOST_LINES} more; --llm-report=PATH.json has them all"
    elif not grouped and comparison.probes:
        yield "drift: none; every answer has the recorded shape"


def drift_json(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """The comparisons as a JSON value, one for each target: `drift` in the report."""
    return [
        {
            "target": comparison.recorded.target,
            "recording": _plain(comparison.recorded.recording),
            "reason": line(comparison.recorded.reason),
            "compared": list(comparison.probes),
            "changes": [
                {
                    "probe": drift.probe,
                    "place": line(drift.place),
                    "change": drift.change.value,
                    "was": _plain(drift.was or None),
                    "now": _plain(drift.now or None),
                }
                for drift in comparison.drifts
            ],
        }
        for comparison in comparisons
    ]


def _grouped(drifts: Iterable[Drift]) -> list[list[Drift]]:
    """Drifts that are the same thing in several answers, or in several types of events.

    A key that is new is one thing, whatever its types are.
    """
    groups: dict[tuple[str, ...], list[Drift]] = {}
    for drift in drifts:
        values = (drift.was, drift.now) if drift.change is Change.CHANGED else ()
        place = _EVENT_TYPE.sub("", drift.place)
        groups.setdefault((drift.change, place, *values), []).append(drift)
    return sorted(groups.values(), key=lambda group: (-len(_probes(group)), _ORDER.index(group[0].change)))


def _line(group: list[Drift]) -> str:
    first, probes = group[0], _probes(group)
    place = (
        first.place
        if len({drift.place for drift in group}) == 1
        else _EVENT_TYPE.sub("event * ", first.place)
    )
    sides = ({drift.was for drift in group}, {drift.now for drift in group})
    values = " → ".join(_text(" or ".join(sorted(side))) for side in sides if side != {""})
    more = f" and {len(probes) - _MOST_PROBES} more" if len(probes) > _MOST_PROBES else ""
    return (
        f"drift: {first.change} in {_answers(len(probes))}: {_text(place)}{': ' if values else ''}{values} "
        f"({', '.join(probes[:_MOST_PROBES])}{more})"
    )


def _probes(group: Iterable[Drift]) -> list[str]:
    return list(dict.fromkeys(drift.probe for drift in group))


def _answers(count: int) -> str:
    return f"{count} answer{'' if count == 1 else 's'}"


def _text(text: str) -> str:
    """A text as one line that does not flood the terminal."""
    shown = line(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 2]} …"


def _plain(text: str | None) -> str | None:
    return None if text is None else line(text)
