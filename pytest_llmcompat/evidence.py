"""What a verdict rests on: a place in an exchange, what stood there, and what should have."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

__all__ = ["MISSING", "Document", "Evidence", "Place", "beginning", "shown"]

_LONGEST_SHOWN = 200
# RFC 6901 section 4; more digits than any array needs, and fewer than Python refuses to read.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")


class _Missing:
    """The value of a pointer that leads nowhere; unlike None it is no JSON value."""

    def __repr__(self) -> str:
        return "(absent)"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One place where an answer broke a contract.

    probe: id of the probe. where: `status`, `header x-request-id`, `body /choices/0`, `event 7 /choices/0/delta`.
    found: what stood there, shortened. expected: what the contract asks for.
    """

    probe: str
    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.probe}, {self.where}: found {self.found}; expected {self.expected}"


class Place(Protocol):
    """Something that evidence can point into: a document or a whole exchange."""

    def evidence(self, where: str, expected: str, found: object) -> Evidence:
        """Evidence about the spot `where` of this place."""


def shown(value: object) -> str:
    """A value as it is shown in evidence: JSON where possible, control characters escaped, shortened."""
    if value is MISSING:
        return "(absent)"
    if isinstance(value, bytes):
        text = repr(value[:_LONGEST_SHOWN])[1:]
    else:
        try:
            text = beginning(value, _LONGEST_SHOWN)
        except (TypeError, ValueError):
            text = repr(value)
        except RecursionError:
            text = "(nested too deeply to show)"
    long = len(text) > _LONGEST_SHOWN or (isinstance(value, bytes) and len(value) > _LONGEST_SHOWN)
    text = "".join(_visible(character) for character in text[:_LONGEST_SHOWN])
    return f"{text[: _LONGEST_SHOWN - 2]} …" if long or len(text) > _LONGEST_SHOWN else text


def beginning(value: object, most: int) -> str:
    """The JSON of a value, which ends soon after `most` characters: a value of megabytes is not written out.

    Raises what `json.dumps` does.
    """
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += part
        if len(text) > most:
            break
    return text


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed JSON value with the place that it came from: a body, or the data of one event.

    probe: id of the probe. where: `body` or `event 7` (counted from 0). value: any JSON value.
    """

    probe: str
    where: str
    value: Any

    def at(self, pointer: str) -> Any:
        """The value at a JSON Pointer (RFC 6901, without ~ escapes); MISSING where it leads nowhere."""
        value = self.value
        for step in pointer.split("/")[1:]:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
                value = value[int(step)]
            else:
                return MISSING
        return value

    def has(self, pointer: str) -> bool:
        """True when the pointer leads to a value, null included."""
        return self.at(pointer) is not MISSING

    def items(self, pointer: str) -> list[Document]:
        """The entries of the array at a pointer as documents of their own; [] when there is no array."""
        value = self.at(pointer)
        if not isinstance(value, list):
            return []
        return [Document(self.probe, f"{self.where} {pointer}/{i}", entry) for i, entry in enumerate(value)]

    def evidence(self, where: str, expected: str, found: object) -> Evidence:
        """Evidence about the value at the pointer `where` of this document."""
        value = self.at(where) if found is MISSING else found
        separator = "" if "/" in self.where and where.startswith("/") else " "
        return Evidence(self.probe, f"{self.where}{separator}{where}".strip(), shown(value), expected)
