"""Defects: the ways in which the reference can be told to break. Each is declared beside the behaviour it breaks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

__all__ = ["DEFECTS", "Defect", "Defects", "Faults", "UnknownDefect", "defect", "find", "spoil"]


@dataclass(frozen=True, slots=True)
class Defect:
    """One way to break the reference, and nothing else about it.

    name: what users and contracts call it. summary: the misbehaviour in one line.
    row: the row of the catalogue of defects that it comes from (`D-S06`, `G-01`, `supplement`), or `own`.
    legal: True for a variant that keeps every contract and must not be reported: a guard against false alarms.
    """

    name: str
    summary: str
    row: str
    legal: bool = False


Defects = frozenset[Defect]
Faults = Mapping[Defect, Callable[[dict[str, Any]], object]]

_REGISTRY: Final[dict[str, Defect]] = {}
# Complete once the whole package is imported, which importing any of its modules does.
DEFECTS: Final[Mapping[str, Defect]] = MappingProxyType(_REGISTRY)


class UnknownDefect(ValueError):
    """The reference knows no defect of this name; the message lists close ones."""


def defect(name: str, summary: str, *, row: str, legal: bool = False) -> Defect:
    """Declare a defect. Raises ValueError when the name is taken."""
    if name in _REGISTRY:
        raise ValueError(f"two defects are called {name!r}")
    _REGISTRY[name] = Defect(name, summary, row, legal)
    return _REGISTRY[name]


def find(names: Iterable[str]) -> Defects:
    """The defects of these names. Raises UnknownDefect."""
    chosen = list(names)
    for name in chosen:
        if name not in _REGISTRY:
            close = difflib.get_close_matches(name, _REGISTRY, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else "see --list-defects"
            raise UnknownDefect(f"the reference has no defect {name!r}; {hint}")
    return frozenset(_REGISTRY[name] for name in chosen)


def spoil(shape: dict[str, Any], faults: Faults, defects: Defects) -> dict[str, Any]:
    """Change a part of an answer in place by those of its faults that are switched on; gives it back."""
    for fault, change in faults.items():
        if fault in defects:
            change(shape)
    return shape
