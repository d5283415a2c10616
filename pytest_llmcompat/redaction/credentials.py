"""Where credentials stand by right: headers and URLs; there they are hidden whatever their value is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.redaction.forms import (
    COOKIE_MARKER,
    KEY_MARKER,
    ORGANIZATION_MARKER,
    PROJECT_MARKER,
    redact_text,
)
from pytest_llmcompat.target import Target

__all__ = ["is_credential", "redact_headers", "redact_url", "secrets_of"]

_ACCOUNT_HEADERS: Final = {
    "openai-organization": ORGANIZATION_MARKER,
    "openai-project": PROJECT_MARKER,
    "x-goog-user-project": PROJECT_MARKER,
    "cookie": COOKIE_MARKER,
    "set-cookie": COOKIE_MARKER,
    "set-cookie2": COOKIE_MARKER,
}
_CREDENTIAL_HEADER: Final = re.compile(
    r"(?:^|-)(?:authorization|auth|api-?key|(?:subscription|access|auth|functions|secret)-key|token|secret|password)$"
)
_CREDENTIAL_PARAMETER: Final = re.compile(
    r"(?:api[-_]?key|key|(?:access[-_]?)?token|subscription-key|sig|signature|secret|password)$",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\s*(bearer|basic|digest|token|apikey|api-key|negotiate)(?=\s)", re.IGNORECASE)


def secrets_of(target: Target) -> tuple[str, ...]:
    """What must not be kept of a target: its key, and further headers that are credentials."""
    further = (value for name, value in target.headers.items() if is_credential(name))
    return tuple(secret for secret in (target.key, *further) if secret)


def is_credential(header: str) -> bool:
    """True for the name of a header that bears a key, a password or a session, such as `api-key`."""
    return bool(_CREDENTIAL_HEADER.search(header.lower())) or header.lower() == "cookie"


def redact_url(url: str, secrets: Iterable[str] = ()) -> str:
    """A URL without user information, with secrets and parameters such as `api-key=…` replaced."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return redact_text(url, secrets)
    query = parts.query
    for name, value in parse_qsl(query):
        if _CREDENTIAL_PARAMETER.search(name):
            pattern = rf"(?<![^&]){re.escape(quote(name))}=[^&]*" if value else r"(?!)"
            query = re.sub(pattern, f"{quote(name)}={KEY_MARKER}", query)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query)
    return redact_text(urlunsplit(bare) if bare != parts else url, secrets)


def redact_headers(headers: Headers, secrets: Iterable[str] = ()) -> Headers:
    """Headers with credentials, cookies and account names replaced; the suite's own wrong key stays.

    A name that bears a secret is replaced too; names come in lower case, so it is found in lower case as well.
    """
    secrets = tuple(secrets)
    in_names = (*secrets, *(secret.lower() for secret in secrets))
    return tuple(
        (redact_text(name, in_names), _header(name.lower(), value, secrets)) for name, value in headers
    )


def _header(name: str, value: str, secrets: tuple[str, ...]) -> str:
    if name in _ACCOUNT_HEADERS:
        return _ACCOUNT_HEADERS[name]
    if not _CREDENTIAL_HEADER.search(name):
        return redact_text(value, secrets)
    if not value.strip() or (WRONG_KEY in value and WRONG_KEY not in secrets):
        return redact_text(value, secrets)
    scheme = _SCHEME.match(value)
    return f"{scheme[1]} {KEY_MARKER}" if scheme else KEY_MARKER
