"""Keeping keys, cookies and account ids out of everything that is kept or shown.

A secret is found as it stands and in the forms in which servers echo it (see `redaction.forms`), also when the
events of a stream bear it in pieces (see `redaction.streams`).
"""

from __future__ import annotations

from pytest_llmcompat.redaction.answers import redact_answer
from pytest_llmcompat.redaction.credentials import is_credential, redact_headers, redact_url, secrets_of
from pytest_llmcompat.redaction.forms import (
    COOKIE_MARKER,
    KEY_MARKER,
    ORGANIZATION_MARKER,
    PROJECT_MARKER,
    redact_bytes,
    redact_text,
)
from pytest_llmcompat.redaction.shortened import redact_shown

__all__ = [
    "COOKIE_MARKER",
    "KEY_MARKER",
    "ORGANIZATION_MARKER",
    "PROJECT_MARKER",
    "is_credential",
    "redact_answer",
    "redact_bytes",
    "redact_headers",
    "redact_shown",
    "redact_text",
    "redact_url",
    "secrets_of",
]
