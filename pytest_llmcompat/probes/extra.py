"""Suite `extra`: what clients meet at the edges; free requests, and one of a single token."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.probe import Authorization, Probe
from pytest_llmcompat.probes.core import chat, user

__all__ = ["ORIGIN", "PROBES", "UNKNOWN_PARAMETER"]

ORIGIN: Final = "https://llmcompat.example"
UNKNOWN_PARAMETER: Final = "llmcompat_unknown"

PROBES: Final[tuple[Probe, ...]] = (
    # What a browser asks by itself before it sends a chat request; it never bears the key.
    Probe(
        "cors",
        "extra",
        method="OPTIONS",
        authorization=Authorization.NONE,
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    ),
    Probe(
        "chat-unknown-param",
        "extra",
        body=chat([user("hi")], max_tokens=1, **{UNKNOWN_PARAMETER: True}),
    ),
)
