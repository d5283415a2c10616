"""Cassettes: exchanges on disk as ordinary vcrpy files, redacted, written whole or not at all.

What vcrpy has no place for stands in keys that it ignores: provenance and failures of the transport in
`llmcompat` at the top of the file, times in `llmcompat` of each interaction. HTTP answers come as decoded
bodies, so the headers that described the coded ones stand in `llmcompat` too (`coded`).
"""

from __future__ import annotations

from pytest_llmcompat.cassette.claim import claimed
from pytest_llmcompat.cassette.files import read, recorded_targets, write
from pytest_llmcompat.cassette.paths import path_of
from pytest_llmcompat.cassette.recording import CassetteError, Recording
from pytest_llmcompat.cassette.replay import Replay

__all__ = ["CassetteError", "Recording", "Replay", "claimed", "path_of", "read", "recorded_targets", "write"]
