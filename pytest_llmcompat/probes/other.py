"""Suite `other`: what else the API has. Nothing here is billed, and nothing is changed."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.probe import Probe

__all__ = ["PROBES"]

PROBES: Final[tuple[Probe, ...]] = (
    # Without a model, as the specification allows: few servers have one that moderates.
    Probe("moderation", "other", path="/moderations", body=lambda _: {"input": "hello"}),
    Probe("files-list", "other", method="GET", path="/files?limit=1"),
    Probe("batches-list", "other", method="GET", path="/batches?limit=1"),
)
