"""Where in a TOML text a value stands: the parser of the standard library keeps no lines."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

__all__ = ["line_of"]


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, counted from 1, on which the value at a path of keys and positions begins.

    Longer and longer beginnings of the text are parsed: the value begins with the lines that a beginning has
    more than the last one without it. 1 when it is not there.
    """
    lines = text.splitlines(keepends=True)
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            value = tomllib.loads("".join(lines[:end]))
        except (ValueError, RecursionError):
            continue
        if _holds(value, path):
            return start + 1
        start = end
    return 1


def _holds(value: Any, path: Sequence[str | int]) -> bool:
    try:
        for part in path:
            value = value[part] if isinstance(part, int) else _at(value, part)
    except (LookupError, TypeError):
        return False
    return True


def _at(table: Any, key: str) -> Any:
    """The value of a key that may be spelled with dashes."""
    if not isinstance(table, dict):
        raise LookupError(key)
    for name, value in table.items():
        if key in (name, name.replace("-", "_")):
            return value
    raise LookupError(key)
