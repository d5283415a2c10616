"""What a cassette holds, and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.redaction import redact_answer, redact_bytes, redact_headers, redact_text, redact_url
from pytest_llmcompat.wire import Answer

__all__ = ["CassetteError", "Recording", "redacted", "redacted_request"]

_RECORD_AGAIN: Final = "delete it and record it again with --llm-record"


class CassetteError(Exception):
    """A cassette cannot be used: it is cut short, damaged, of another version, or not to be trusted.

    path: the file. problem: what is wrong with it. remedy: what to do.
    """

    def __init__(self, path: Path, problem: str, remedy: str = _RECORD_AGAIN) -> None:
        super().__init__(" ".join(f"cassette {path}: {problem}; {remedy}".split()))
        self.path, self.problem, self.remedy = path, problem, remedy


@dataclass(frozen=True, slots=True)
class Recording:
    """What one probe met at one target.

    probe: id of the probe. recorded_at: ISO 8601 date and time in UTC.
    endpoint: base URL. model: id of the model. versions: name → version of what took part.
    interactions: the requests with their answers, in the order in which they were sent.
    """

    probe: str
    recorded_at: str
    endpoint: str
    model: str
    versions: Mapping[str, str] = field(default_factory=dict)
    interactions: tuple[tuple[Request, Answer], ...] = ()


def redacted_request(request: Request, secrets: tuple[str, ...]) -> Request:
    """A request without secrets in its URL, headers and body."""
    return Request(
        request.method,
        redact_url(request.url, secrets),
        redact_headers(request.headers, secrets),
        redact_bytes(request.body, secrets),
    )


def redacted(recording: Recording, secrets: tuple[str, ...]) -> Recording:
    """A recording without secrets anywhere."""
    return Recording(
        recording.probe,
        recording.recorded_at,
        redact_url(recording.endpoint, secrets),
        redact_text(recording.model, secrets),
        recording.versions,
        tuple(
            (redacted_request(sent, secrets), redact_answer(answer, secrets))
            for sent, answer in recording.interactions
        ),
    )
