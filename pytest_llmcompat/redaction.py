"""Keeping keys, cookies and account ids out of everything that is kept or shown.

A secret is found as it stands and in the forms in which servers echo it: URL-coded, JSON-escaped, as HTML
entities, any mixture of these, in base64 at any alignment (`Basic` credentials), and as a SHA-256 digest.
A secret that is cut in two by the chunks of a stream is not found.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer

__all__ = [
    "COOKIE_MARKER",
    "KEY_MARKER",
    "ORGANIZATION_MARKER",
    "PROJECT_MARKER",
    "is_credential",
    "redact_answer",
    "redact_bytes",
    "redact_headers",
    "redact_text",
    "redact_url",
    "secrets_of",
]

KEY_MARKER: Final = "[REDACTED-API-KEY]"
COOKIE_MARKER: Final = "[REDACTED-COOKIE]"
ORGANIZATION_MARKER: Final = "org-REDACTED"
PROJECT_MARKER: Final = "proj_REDACTED"

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

# Each alternative starts with a plain character, for then `re` skips at once to where one may begin. No
# repetition without a bound but the last: a hostile body must not make the search quadratic.
_ORGANIZATION: Final = r"org-(?<![A-Za-z0-9_-]org-)(?:(?=[A-Za-z]*[0-9])[A-Za-z0-9]{6,}|[A-Za-z]{20,})"
_PROJECT: Final = r"proj_(?<![A-Za-z0-9_-]proj_)(?:(?=[A-Za-z]*[0-9])[A-Za-z0-9]{6,}|[A-Za-z]{20,})"

# Keys that people give to servers without keys; replacing these words would garble answers and hide nothing.
_DUMMY_KEYS: Final = re.compile(
    "auto|dummy|empty|fake|false|key|model|none|null|ollama|test|text|true|user", re.IGNORECASE
)
_SHORT: Final = 8
_ENTITIES: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


def secrets_of(target: Target) -> tuple[str, ...]:
    """What must not be kept of a target: its key, and further headers that are credentials."""
    further = (value for name, value in target.headers.items() if is_credential(name))
    return tuple(secret for secret in (target.key, *further) if secret)


def is_credential(header: str) -> bool:
    """True for the name of a header that bears a key, a password or a session, such as `api-key`."""
    return bool(_CREDENTIAL_HEADER.search(header.lower())) or header.lower() == "cookie"


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A text with every secret and account id replaced by a placeholder."""
    return _text_pattern(tuple(secrets)).sub(lambda match: _marker(match[0]), text)


def redact_bytes(body: bytes, secrets: Iterable[str] = ()) -> bytes:
    """A body with every secret and account id replaced by a placeholder; its length may change."""
    return _bytes_pattern(tuple(secrets)).sub(_bytes_marker, body)


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
    """Headers with credentials, cookies and account names replaced; the suite's own wrong key stays."""
    secrets = tuple(secrets)
    return tuple((name, _header(name.lower(), value, secrets)) for name, value in headers)


def redact_answer(answer: Answer, secrets: Iterable[str] = ()) -> Answer:
    """An answer without secrets in body, headers and failure; `content-length` and arrivals stay in step."""
    secrets = tuple(secrets)
    body = redact_bytes(answer.body, secrets)
    return replace(
        answer,
        headers=_resized(redact_headers(answer.headers, secrets), len(body) - len(answer.body)),
        body=body,
        arrivals=answer.arrivals if body == answer.body else tuple(_shifted(answer, secrets)),
        failure=None if answer.failure is None else redact_text(answer.failure, secrets),
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


def _resized(headers: Headers, difference: int) -> Headers:
    """Headers with the content-length of a body that has grown; of a coded body it says nothing."""
    if not difference or any(name == "content-encoding" for name, _ in headers):
        return headers
    return tuple(
        (name, str(int(value) + difference))
        if name == "content-length" and value.isdecimal()
        else (name, value)
        for name, value in headers
    )


def _shifted(answer: Answer, secrets: tuple[str, ...]) -> Iterator[tuple[float, int]]:
    """The arrivals of the redacted body; a placeholder arrives with the end of the secret."""
    edits = [
        (match.end(), len(_bytes_marker(match)) - len(match[0]), match.start())
        for match in _bytes_pattern(secrets).finditer(answer.body)
    ]
    offset = done = moved = 0
    for seconds, length in answer.arrivals:
        offset += length
        while edits and edits[0][0] <= offset:
            moved += edits.pop(0)[1]
        end = min(offset, edits[0][2]) if edits else offset
        yield seconds, end + moved - done
        done = end + moved


def _marker(found: str) -> str:
    if found.startswith("org-"):
        return ORGANIZATION_MARKER
    return PROJECT_MARKER if found.startswith("proj_") else KEY_MARKER


def _bytes_marker(match: re.Match[bytes]) -> bytes:
    return _marker(match[0].decode("utf-8", errors="replace")).encode()


@lru_cache(maxsize=64)
def _text_pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_pattern(secrets))


@lru_cache(maxsize=64)
def _bytes_pattern(secrets: tuple[str, ...]) -> re.Pattern[bytes]:
    return re.compile(_pattern(secrets).encode())


def _pattern(secrets: tuple[str, ...]) -> str:
    """One pattern for all forms of all secrets, the longest first, and for account ids."""
    worthy = {secret.strip() for secret in secrets if not _DUMMY_KEYS.fullmatch(secret.strip())}
    longest_first = sorted(worthy, key=lambda secret: (-len(secret), secret))
    forms = [form for secret in longest_first if len(secret) > 1 for form in _forms(secret)]
    return "|".join([*dict.fromkeys(forms), _ORGANIZATION, _PROJECT])


def _forms(secret: str) -> Iterator[str]:
    """Patterns for the forms of one secret; a short one is only replaced where it is a whole word."""
    short = len(secret) < _SHORT
    yield from _coded(secret, whole_word=short)
    if short:
        return
    for text in dict.fromkeys(_base64_forms(secret.encode())):
        yield "".join(c if c.isalnum() else f"(?:{'|'.join(_ways(c))})" for c in text)
    yield hashlib.sha256(secret.encode()).hexdigest()


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Base64 of a secret: alone, and the part that is the same whatever stands around the secret."""
    whole = base64.b64encode(secret).decode()
    forms = [whole, whole.rstrip("=")]
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        forms.append(text[(0, 2, 3)[before] : len(text) - bool((before + len(secret)) % 3)])
    for form in forms:
        yield form
        yield form.replace("+", "-").replace("/", "_")


def _coded(text: str, *, whole_word: bool = False) -> Iterator[str]:
    """Patterns for a text each of whose characters may be coded; they differ in how the first one is."""
    rest = "".join(f"(?:{'|'.join(_ways(character))})" for character in text[1:])
    if whole_word:
        rest += "(?![A-Za-z0-9])"
    plain, *coded = _ways(text[0])
    yield plain + (f"(?<![A-Za-z0-9]{plain})" if whole_word else "") + rest
    for way in coded:
        yield way + rest


def _ways(character: str) -> list[str]:
    """Patterns for one character: plain, %XX (also twice coded), a JSON escape, an HTML entity."""
    percent = "".join(rf"%(?:25){{0,3}}{_hex(f'{byte:02x}')}" for byte in character.encode())
    units = character.encode("utf-16-be").hex()
    escape = "".join(rf"\\\\{{0,7}}u{_hex(units[i : i + 4])}" for i in range(0, len(units), 4))
    code = ord(character)
    ways = [re.escape(character), percent, escape, rf"&#(?:0{{0,4}}{code}|[xX]0{{0,4}}{_hex(f'{code:x}')});"]
    if character in '"\\/':
        ways.append(rf"\\\\{{0,7}}{re.escape(character)}")
    if character in _ENTITIES:
        ways.append(f"&{_ENTITIES[character]};")
    if character == " ":
        ways.append(r"\+")
    return ways


def _hex(digits: str) -> str:
    """A pattern for hexadecimal digits in either case."""
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)
