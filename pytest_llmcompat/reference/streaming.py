"""The streamed answer: its `chat.completion.chunk` objects, in order."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

from pytest_llmcompat.reference.completion import FINGERPRINT, LEGAL_VENDOR_KEYS, Answer
from pytest_llmcompat.reference.defect import Faults, defect, spoil
from pytest_llmcompat.reference.deltas import Piece, pieces
from pytest_llmcompat.reference.transport import LEGAL_BARE

__all__ = ["chunks"]

OBJECT_COMPLETION = defect("chunk-object-completion", "Chunks have object «chat.completion».", row="D-S08")
OBJECT_MISSING = defect("chunk-object-missing", "Chunks have no object.", row="D-S08")
ID_MISSING = defect("chunk-id-missing", "Chunks have no id.", row="D-S09")
CREATED_MISSING = defect("chunk-created-missing", "Chunks have no created.", row="D-S09")
CHOICES_MISSING = defect("chunk-choices-missing", "The usage chunk has no choices key.", row="D-S09")
ID_CHANGES = defect("chunk-id-changes", "Each chunk has a new id.", row="D-S10")
CREATED_CHANGES = defect("chunk-created-changes", "created grows from chunk to chunk.", row="D-S10")
MODEL_CHANGES = defect("chunk-model-changes", "model alternates from chunk to chunk.", row="D-S10")
FINGERPRINT_CHANGES = defect(
    "chunk-fingerprint-changes", "system_fingerprint changes from chunk to chunk.", row="D-S10"
)
USAGE_IGNORED = defect("include-usage-ignored", "include_usage is ignored.", row="D-S17")
USAGE_WITH_CHOICE = defect("usage-chunk-with-choice", "The usage chunk has a choice.", row="D-S17")
USAGE_ON_FINISH = defect("usage-on-finish-chunk", "The finishing chunk has the usage.", row="D-S17")
USAGE_NOT_LAST = defect("usage-not-last", "A chunk follows the usage chunk.", row="D-S17")
USAGE_RUNNING = defect("usage-on-every-chunk", "Each chunk has the usage so far.", row="D-S18")
USAGE_UNASKED = defect("usage-unasked", "A usage chunk comes unasked.", row="D-S18")
FIRST_EMPTY = defect("first-chunk-without-choices", "The first chunk has no choices.", row="D-S18")
SECOND_FIRST = defect("stream-n-second-first", "The second choice starts before the first.", row="D-S20")
ERROR_KEY = defect("stream-with-error-key", "A good stream has an error on one chunk.", row="D-E05")

_FAULTS: Final[Faults] = {
    OBJECT_COMPLETION: lambda chunk: chunk.update(object="chat.completion"),
    OBJECT_MISSING: lambda chunk: chunk.pop("object"),
    ID_MISSING: lambda chunk: chunk.pop("id"),
    CREATED_MISSING: lambda chunk: chunk.pop("created"),
    LEGAL_BARE: lambda chunk: (chunk.pop("system_fingerprint"), chunk.pop("service_tier")),
    LEGAL_VENDOR_KEYS: lambda chunk: chunk.update(provider="reference", obfuscation="kx7"),
}


def chunks(answer: Answer) -> list[dict[str, Any]]:
    """The chunks; several choices take turns, the first one first."""
    defects = answer.request.defects
    sent = [_chunk(answer, [piece]) for piece in _in_turns(answer)]
    if FIRST_EMPTY in defects:
        sent.insert(0, _chunk(answer, []))
    if _usage_asked(answer):
        sent = _with_usage(answer, sent)
    elif USAGE_UNASKED in defects:
        sent.append({**_chunk(answer, []), "usage": answer.usage})
    if ERROR_KEY in defects:
        empty = {**sent[0]["choices"][0], "delta": {}}
        sent.insert(
            1, {**_chunk(answer, [empty]), "error": {"message": "None of your concern.", "code": "none"}}
        )
    return [_numbered(spoil(chunk, _FAULTS, defects), number, answer) for number, chunk in enumerate(sent)]


def _in_turns(answer: Answer) -> list[Piece]:
    turns = list(zip_longest(*(pieces(generation, answer.request) for generation in answer.generations)))
    if SECOND_FIRST in answer.request.defects:
        turns[0] = tuple(reversed(turns[0]))
    return [piece for turn in turns for piece in turn if piece is not None]


def _usage_asked(answer: Answer) -> bool:
    return answer.request.include_usage and USAGE_IGNORED not in answer.request.defects


def _chunk(answer: Answer, choices: list[Piece]) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    }
    if _usage_asked(answer):
        chunk["usage"] = None
    return chunk


def _with_usage(answer: Answer, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chunks and behind them the usage chunk, which has no choices."""
    defects = answer.request.defects
    if USAGE_RUNNING in defects:
        sent = [{**chunk, "usage": _usage_so_far(answer, number)} for number, chunk in enumerate(sent)]
    if USAGE_ON_FINISH in defects:
        return [*sent[:-1], {**sent[-1], "usage": answer.usage}]
    last = {**_chunk(answer, []), "usage": answer.usage}
    if USAGE_WITH_CHOICE in defects:
        delta = {"role": "assistant", "content": ""}
        last["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]
    if CHOICES_MISSING in defects:
        del last["choices"]
    return [*sent, last, _chunk(answer, [])] if USAGE_NOT_LAST in defects else [*sent, last]


def _usage_so_far(answer: Answer, written: int) -> dict[str, Any]:
    prompt = answer.usage["prompt_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _numbered(chunk: dict[str, Any], number: int, answer: Answer) -> dict[str, Any]:
    """What all chunks share, unless a defect makes it change from one to the next."""
    defects = answer.request.defects
    if ID_CHANGES in defects:
        chunk["id"] = f"{answer.id}-{number}"
    if CREATED_CHANGES in defects:
        chunk["created"] = answer.created + number
    if FINGERPRINT_CHANGES in defects:
        chunk["system_fingerprint"] = f"{FINGERPRINT}{number}"
    if MODEL_CHANGES in defects and number % 2:
        chunk["model"] = f"{answer.model}-2026-01-01"
    return chunk
