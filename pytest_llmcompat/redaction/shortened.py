"""Secrets of which only a part is shown, because whoever shows a long value leaves out its middle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytest_llmcompat.redaction.forms import KEY_MARKER, SHORT, redact_text, worthy

__all__ = ["redact_shown"]

_LEFT_OUT: Final = "..."
# Fewer characters of a key tell nothing.
_PART: Final = 4


def redact_shown(text: str, secrets: Iterable[str] = ()) -> str:
    """A text as pytest shows values: `redact_text`, and without beginnings and ends of keys around a `...`."""
    secrets = tuple(secrets)
    text = redact_text(text, secrets)
    if _LEFT_OUT not in text:
        return text
    parts = text.split(_LEFT_OUT)
    for secret in worthy(secrets):
        if len(secret) >= SHORT:
            parts[:-1] = [_without_beginning(part, secret) for part in parts[:-1]]
            parts[1:] = [_without_end(part, secret) for part in parts[1:]]
    return _LEFT_OUT.join(parts)


def _without_beginning(part: str, secret: str) -> str:
    """A text that may end with the beginning of a secret, without it."""
    if secret[:_PART] not in part[-len(secret) :]:
        return part
    lengths = range(len(secret), _PART - 1, -1)
    found = next((n for n in lengths if part.endswith(secret[:n])), None)
    return part if found is None else part[:-found] + KEY_MARKER


def _without_end(part: str, secret: str) -> str:
    """A text that may begin with the end of a secret, without it."""
    if secret[-_PART:] not in part[: len(secret)]:
        return part
    lengths = range(len(secret), _PART - 1, -1)
    found = next((n for n in lengths if part.startswith(secret[-n:])), None)
    return part if found is None else KEY_MARKER + part[found:]
