"""Answers without secrets, in which lengths and times still describe the body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from pytest_llmcompat.exchange import Headers
from pytest_llmcompat.redaction.credentials import redact_headers
from pytest_llmcompat.redaction.forms import KEY_MARKER, bytes_marker, bytes_pattern, cut_off, redact_text
from pytest_llmcompat.redaction.streams import Edit, split_secrets
from pytest_llmcompat.wire import Answer

__all__ = ["redact_answer"]

# More of a key than any has.
_LONGEST: Final = 16 * 1024


def redact_answer(answer: Answer, secrets: Iterable[str] = ()) -> Answer:
    """An answer without secrets in body, headers and failure; `content-length` and arrivals stay in step."""
    secrets = tuple(secrets)
    whole = _edited(answer, _whole_secrets(answer.body, secrets))
    clean = _edited(whole, split_secrets(whole.body, secrets))
    grown = len(clean.body) - len(answer.body)
    return replace(
        clean,
        headers=_resized(redact_headers(answer.headers, secrets), grown),
        failure=None if answer.failure is None else redact_text(answer.failure, secrets),
    )


def _whole_secrets(body: bytes, secrets: tuple[str, ...]) -> list[Edit]:
    """The edits that replace secrets which stand in one piece, and what is left of one where a body was cut off."""
    found = bytes_pattern(secrets).finditer(body)
    edits = [Edit(match.start(), match.end(), bytes_marker(match)) for match in found]
    left = cut_off(body[-_LONGEST:].decode("latin-1"), secrets)
    if left and not (edits and edits[-1].end > len(body) - left):
        edits.append(Edit(len(body) - left, len(body), KEY_MARKER.encode()))
    return edits


def _edited(answer: Answer, edits: Sequence[Edit]) -> Answer:
    if not edits:
        return answer
    parts, done = [], 0
    for edit in edits:
        parts += [answer.body[done : edit.start], edit.replacement]
        done = edit.end
    parts.append(answer.body[done:])
    return replace(answer, body=b"".join(parts), arrivals=tuple(_shifted(answer.arrivals, edits)))


def _shifted(arrivals: Iterable[tuple[float, int]], edits: Sequence[Edit]) -> Iterator[tuple[float, int]]:
    """The arrivals of the edited body; a placeholder arrives with the end of what it replaces."""
    waiting = list(reversed(edits))
    offset = done = moved = 0
    for seconds, length in arrivals:
        offset += length
        while waiting and waiting[-1].end <= offset:
            edit = waiting.pop()
            moved += len(edit.replacement) - (edit.end - edit.start)
        end = min(offset, waiting[-1].start) if waiting else offset
        yield seconds, end + moved - done
        done = end + moved


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
