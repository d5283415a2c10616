"""All rows, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.hostile import excess, injection, leaks, oddities, passing, reaching, wire_faults
from tests.hostile.behaviour import Behaviour

__all__ = ["BY_KIND", "EVERYDAY", "ROWS"]

BY_KIND: Final[Mapping[str, tuple[Behaviour, ...]]] = {
    "faults": (*reaching.ROWS, *wire_faults.ROWS, *passing.ROWS),
    "excess": (*excess.ROWS, *oddities.ROWS),
    "secrets": leaks.ROWS,
    "injection": injection.ROWS,
}
ROWS: Final = tuple(row for rows in BY_KIND.values() for row in rows)

EVERYDAY: Final = frozenset(
    (
        "refused",
        "unresolvable",
        "resolver-flaps",
        "tls-other-name",
        "tls-expired",
        "silence",
        "silence-after-head",
        "byte-a-second",
        "reset-in-body",
        "reset-in-stream",
        "length-too-long",
        "length-too-short",
        "chunk-size-broken",
        "status-line-broken",
        "garbage",
        "empty-200",
        "gzip-cut",
        "redirect-loop",
        "redirect-away",
        "interim-storm",
        "http-1.0",
        "hanging-up",
        "429-with-wait",
        "503-then-fine",
        "stream-for-ever",
        "body-500-mb",
        "gzip-bomb",
        "deflate-bomb",
        "models-100000",
        "header-64-kb",
        "headers-4000",
        "json-deep",
        "number-1-mb",
        "nan",
        "keys-twice",
        "surrogates-lone",
        "utf8-invalid",
        "nuls",
        "key-in-error",
        "key-in-base64",
        "key-url-coded",
        "key-json-escaped",
        "key-in-headers",
        "key-across-deltas",
        "key-across-arguments",
        "key-in-redirect",
        "key-and-workers",
        "key-and-logs",
        "inject-terminal",
        "inject-workflow",
        "inject-markup",
        "inject-tables",
        "called-parent",
        "called-lines",
        "called-all-at-once",
    )
)
"""Ids of the rows that run with all tests; `python -m tests.hostile` runs all, which takes many minutes."""
