"""HTTP traffic that other tools recorded, read as exchanges; a module a format."""

from __future__ import annotations

from pytest_llmcompat.recordings.files import Recordings, read_recordings
from pytest_llmcompat.recordings.record import RecordingError
from pytest_llmcompat.recordings.shelf import Shelf
from pytest_llmcompat.recordings.shelving import shelves_of

__all__ = ["RecordingError", "Recordings", "Shelf", "read_recordings", "shelves_of"]
