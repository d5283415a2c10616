"""Secrets that the events of a stream bear in pieces: what a client joins must not be one.

Pieces belong together when the same name leads to them: the texts of `content` in a row, of `arguments`, of
`delta`, and the data of events that are no JSON. As several choices or calls may take turns, the texts are also
joined by type and index that their event names, and by their place among the texts of that name in one event.
Nothing here parses JSON: what is cut short or nested too deeply hides no piece.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Final

from pytest_llmcompat.redaction.forms import KEY_MARKER, cut_off, secrets_pattern

__all__ = ["Edit", "split_secrets"]

# A stream of any use has far fewer; beyond that memory and time are saved.
_MOST_LINES: Final = 100_000
_MOST_GROUPS: Final = 5_000
_MOST_PIECES: Final = 1_000_000

_BEGINNING: Final = re.compile(rb"(?:^|[\r\n])(?:data|\{)")
_LINE: Final = re.compile(rb"[^\r\n]+")
_FIELD: Final = re.compile(rb"([a-z]{0,9}): ?")
# A JSON text, also one without its end: nothing is looked at twice. Group 2 is there when it is a name.
_TEXT: Final = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?(\s*+:)?', re.DOTALL)
_INDEX: Final = re.compile(
    rb'"(?:\w{1,20}_)?index"\s{0,9}:\s{0,9}(\d{1,9})|"type"\s{0,9}:\s{0,9}"([^"\\]{1,99})"'
)
_CHARACTER: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A place in a body, from `start` up to `end`, and what is to stand there instead."""

    start: int
    end: int
    replacement: bytes


def split_secrets(body: bytes, secrets: tuple[str, ...]) -> list[Edit]:
    """The edits that take secrets in pieces out of a stream of events, in order and without overlap.

    The first piece of a secret becomes the placeholder, the others go. [] for a body that is no stream.
    """
    pattern = secrets_pattern(secrets)
    if pattern is None or len(list(islice(_BEGINNING.finditer(body), 2))) < 2:
        return []
    groups: dict[Hashable, array[int]] = {}
    for group, start, end in islice(_pieces(body), _MOST_PIECES):
        if group in groups or len(groups) < _MOST_GROUPS:
            groups.setdefault(group, array("I")).extend((start, end))
    return list(_merged(edit for spans in groups.values() for edit in _edits(body, spans, pattern, secrets)))


def _pieces(body: bytes) -> Iterator[tuple[Hashable, int, int]]:
    """(what it belongs to, start, end) of the texts of each line, and of lines as a whole."""
    for line in islice(_LINE.finditer(body), _MOST_LINES):
        start, end = line.span()
        if (field := _FIELD.match(body, start, end)) is not None:
            yield ("line", field[1]), field.end(), end
        indices = tuple(_INDEX.findall(body, start, end))
        name, seen = b"", Counter[bytes]()
        for text in _TEXT.finditer(body, start, end):
            if text[2] is not None:
                name = text[1]
            elif text[1]:
                seen[name] += 1
                yield name, *text.span(1)
                yield (name, indices), *text.span(1)
                yield (name, seen[name]), *text.span(1)


def _edits(
    body: bytes, spans: Sequence[int], pattern: re.Pattern[str], secrets: tuple[str, ...]
) -> Iterator[Edit]:
    """The edits for the pieces of one group, which lie at spans[0]:spans[1], spans[2]:spans[3] and so on."""
    if len(spans) <= 2:
        return
    texts = [_read(body[start:end]) for start, end in zip(spans[::2], spans[1::2], strict=True)]
    begins = array("I", accumulate(map(len, texts), initial=0))
    whole = "".join(texts)
    found = [match.span() for match in pattern.finditer(whole)]
    if left := cut_off(whole, secrets):
        found.append((len(whole) - left, len(whole)))
    for first, last in found:
        replacement = KEY_MARKER.encode()
        for number in range(bisect_right(begins, first) - 1, len(texts)):
            begin, start, end = begins[number], spans[2 * number], spans[2 * number + 1]
            if begin >= last:
                break
            inner = _place(body[start:end], texts[number], slice(max(0, first - begin), last - begin))
            yield Edit(start + inner.start, start + inner.stop, replacement)
            replacement = b""


def _read(raw: bytes) -> str:
    """A piece as a client reads it: escapes of JSON are resolved when there are any."""
    text = raw.decode("utf-8", "surrogateescape")
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _place(raw: bytes, read: str, cut: slice) -> slice:
    """Where some characters of a piece as it is read lie in its bytes."""
    text = raw.decode("utf-8", "surrogateescape")
    characters: Sequence[str] = text if read == text else _CHARACTER.findall(text)
    before, within = "".join(characters[: cut.start]), "".join(characters[cut])
    start = len(before.encode("utf-8", "surrogateescape"))
    return slice(start, start + len(within.encode("utf-8", "surrogateescape")))


def _merged(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Edits in order; those that overlap, because two groups hold the same piece, become one."""
    last: Edit | None = None
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if last is not None and edit.start < last.end:
            last = Edit(last.start, max(last.end, edit.end), last.replacement or edit.replacement)
            continue
        if last is not None:
            yield last
        last = edit
    if last is not None:
        yield last
