"""The forms in which a secret may stand in a text, as patterns, and what stands there instead.

A secret is found as it stands and in the forms in which servers echo it: URL-coded, JSON-escaped, as HTML
entities, any mixture of these, in base64 at any alignment (`Basic` credentials), wrapped into lines or not, in
hexadecimal, in UTF-16, and as a SHA-256 digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

__all__ = [
    "COOKIE_MARKER",
    "KEY_MARKER",
    "ORGANIZATION_MARKER",
    "PROJECT_MARKER",
    "SHORT",
    "bytes_marker",
    "bytes_pattern",
    "cut_off",
    "redact_bytes",
    "redact_text",
    "secrets_pattern",
    "worthy",
]

KEY_MARKER: Final = "[REDACTED-API-KEY]"
COOKIE_MARKER: Final = "[REDACTED-COOKIE]"
ORGANIZATION_MARKER: Final = "org-REDACTED"
PROJECT_MARKER: Final = "proj_REDACTED"

SHORT: Final = 8
"""A secret of fewer characters is only replaced where it is a whole word, and in no form but the plain ones."""

# Each alternative starts with a plain character, for then `re` skips at once to where one may begin. No
# repetition without a bound but the last: a hostile body must not make the search quadratic.
_ORGANIZATION: Final = r"org-(?<![A-Za-z0-9_-]org-)(?:(?=[A-Za-z]*[0-9])[A-Za-z0-9]{6,}|[A-Za-z]{20,})"
_PROJECT: Final = r"proj_(?<![A-Za-z0-9_-]proj_)(?:(?=[A-Za-z]*[0-9])[A-Za-z0-9]{6,}|[A-Za-z]{20,})"

# Keys that people give to servers without keys; replacing these words would garble answers and hide nothing.
_DUMMY_KEYS: Final = re.compile(
    "auto|dummy|empty|fake|false|key|model|none|null|ollama|test|text|true|user", re.IGNORECASE
)
_ENTITIES: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# Base64 is wrapped every 64 or 76 characters, wherever the secret begins; in JSON the line end is an escape.
_LINE_END: Final = r"(?:\r|\n|\\r|\\n){0,2}"


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A text with every secret and account id replaced by a placeholder."""
    return _text_pattern(tuple(secrets)).sub(lambda match: _marker(match[0]), text)


def redact_bytes(body: bytes, secrets: Iterable[str] = ()) -> bytes:
    """A body with every secret and account id replaced by a placeholder; its length may change."""
    return bytes_pattern(tuple(secrets)).sub(bytes_marker, body)


def worthy(secrets: Iterable[str]) -> list[str]:
    """The secrets that hide something, without the white space around them, the longest first."""
    stripped = {secret.strip() for secret in secrets}
    kept = (secret for secret in stripped if len(secret) > 1 and not _DUMMY_KEYS.fullmatch(secret))
    return sorted(kept, key=lambda secret: (-len(secret), secret))


@lru_cache(maxsize=64)
def bytes_pattern(secrets: tuple[str, ...]) -> re.Pattern[bytes]:
    """Matches every form of some secrets, and account ids, in bytes."""
    return re.compile("|".join([*_forms_of(secrets), _ORGANIZATION, _PROJECT]).encode())


@lru_cache(maxsize=64)
def secrets_pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches every form of some secrets in a text; None when there is nothing to hide."""
    forms = _forms_of(secrets)
    return re.compile("|".join(forms)) if forms else None


def cut_off(text: str, secrets: tuple[str, ...]) -> int:
    """How many characters at the end of a text are the beginning of a secret that was cut off there, else 0.

    Of the forms only the usual ones are looked for; fewer than `SHORT` characters tell nothing.
    """
    for form in _literal_forms(secrets):
        tail = text[-len(form) :]
        if form[:SHORT] in tail:
            for length in range(len(form), SHORT - 1, -1):
                if tail.endswith(form[:length]):
                    return length
    return 0


@lru_cache(maxsize=64)
def _literal_forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    long = [secret for secret in worthy(secrets) if len(secret) >= SHORT]
    coded = (form for secret in long for form in (*_base64_forms(secret.encode()), secret.encode().hex()))
    return tuple(dict.fromkeys([*long, *coded]))


def bytes_marker(match: re.Match[bytes]) -> bytes:
    """What takes the place of a match of `bytes_pattern`."""
    return _marker(match[0].decode("utf-8", errors="replace")).encode()


@lru_cache(maxsize=64)
def _text_pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join([*_forms_of(secrets), _ORGANIZATION, _PROJECT]))


def _marker(found: str) -> str:
    if found.startswith("org-"):
        return ORGANIZATION_MARKER
    return PROJECT_MARKER if found.startswith("proj_") else KEY_MARKER


def _forms_of(secrets: tuple[str, ...]) -> list[str]:
    """Patterns for all forms of all secrets: the longest first, so that no tail of one stays."""
    return list(dict.fromkeys(form for secret in worthy(secrets) for form in _forms(secret)))


def _forms(secret: str) -> Iterator[str]:
    """Patterns for the forms of one secret; a short one is only replaced where it is a whole word."""
    short = len(secret) < SHORT
    yield from _coded(secret, whole_word=short)
    if short:
        return
    for text in dict.fromkeys(_base64_forms(secret.encode())):
        yield _LINE_END.join(c if c.isalnum() else f"(?:{'|'.join(_ways(c))})" for c in text)
    # UTF-16, in either order of its bytes.
    yield r"\x00".join(map(re.escape, secret))
    yield _hex(secret.encode().hex())
    yield _hex(hashlib.sha256(secret.encode()).hexdigest())


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
