"""One choice of a streamed answer, in pieces: its role, its tokens or calls, its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pytest_llmcompat.reference.completion import LEGAL_VENDOR_KEYS
from pytest_llmcompat.reference.defect import Defect, defect
from pytest_llmcompat.reference.finish import finish_reason
from pytest_llmcompat.reference.generation import Generation
from pytest_llmcompat.reference.logprobs import logprobs
from pytest_llmcompat.reference.reasoning import LATE, late
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.toolcalls import call_fragments
from pytest_llmcompat.reference.transport import LEGAL_BARE

__all__ = ["Piece", "pieces"]

CONTENT_PARTS = defect("delta-content-parts", "Streamed content is a list of parts.", row="D-C08")
NULL_AT_END = defect("delta-null-at-end", "The last delta is null.", row="D-S11")
INDEX_MISSING = defect("chunk-index-missing", "Streamed choices have no index.", row="D-S11")
INDEX_STRING = defect("chunk-index-string", "Streamed indexes are strings.", row="D-S11")
INDEX_FROM_ONE = defect("chunk-index-from-one", "Streamed indexes start at 1.", row="D-S11")
ROLE_MISSING = defect("delta-role-missing", "No delta has a role.", row="D-S12")
ROLE_LATE = defect("delta-role-late", "The second delta has the role.", row="D-S12")
ROLE_REPEATED = defect("delta-role-repeated", "Every delta has the role.", row="D-S12")
ROLE_MODEL = defect("delta-role-model", "The streamed role is «model».", row="D-S12")
CUMULATIVE = defect("deltas-cumulative", "Each delta is the text so far.", row="D-S13")
CONTENT_EMPTY = defect("stream-content-empty", "All deltas are empty.", row="D-S13")
EMOJI_SPLIT = defect("stream-emoji-split", "Emoji come as two deltas of U+FFFD.", row="D-S14")
FINISH_NEVER = defect("stream-finish-never", "No chunk has a finish_reason.", row="D-S15")
FINISH_TWICE = defect("stream-finish-twice", "Two chunks have the finish_reason.", row="D-S15")
FINISH_EMPTY = defect("stream-finish-empty-before", "finish_reason is «» until the end.", row="D-S15")
AFTER_FINISH = defect("stream-content-after-finish", "Text follows the finish_reason.", row="D-S16")
FINISH_WITH_CONTENT = defect(
    "stream-finish-with-content", "The finishing chunk has the last text.", row="D-S16"
)
N_ALL_ZERO = defect("stream-n-all-zero", "All of several streamed choices have index 0.", row="D-S20")
N_ONE_FINISH = defect("stream-n-one-finish", "Only the first of several choices finishes.", row="D-S20")
ONE_CHUNK = defect("stream-one-chunk", "The whole text comes in one delta.", row="D-S21")
CALLS_EMPTY = defect("delta-tool-calls-empty-array", "Deltas of text have tool_calls [].", row="D-F10")
LEGAL_NULLS = defect("legal-null-deltas", "Later deltas have role and content null.", row="G-12", legal=True)
LEGAL_FINISH_ABSENT = defect(
    "legal-finish-key-absent", "Middle chunks have no finish_reason key.", row="G-13", legal=True
)
LEGAL_ROLE_WITH_TEXT = defect(
    "legal-role-with-text", "The first delta has role and text.", row="supplement", legal=True
)
LEGAL_FINISH_ON_TEXT = defect(
    "legal-finish-on-last-text",
    "The last text and finish_reason share a chunk.",
    row="supplement",
    legal=True,
)

Piece = dict[str, Any]
_Change = Callable[[list[Piece]], list[Piece]]
_ASTRAL: Final = re.compile("([\U0001f000-\U0001ffff])")
_THOUGHTS: Final = 64


def pieces(generation: Generation, request: ChatRequest) -> list[Piece]:
    """The choices of the chunks that this choice is sent in."""
    first = {"role": "assistant", "content": None if generation.calls else "", "refusal": None}
    parts = [_piece(generation, first)]
    for start in range(0, len(generation.reasoning), _THOUGHTS):
        thought = "".join(generation.reasoning[start : start + _THOUGHTS])
        parts.append(_piece(generation, {"reasoning_content": thought}))
    for token in generation.tokens:
        parts.append({**_piece(generation, {"content": token}), "logprobs": logprobs([token], request)})
    for index, call in enumerate(generation.calls):
        parts += [
            _piece(generation, {"tool_calls": [f]}) for f in call_fragments(index, call, request.defects)
        ]
    parts.append({**_piece(generation, {}), "finish_reason": finish_reason(generation.ending, request)})
    for fault, change in _FAULTS.items():
        if fault in request.defects:
            parts = change(parts)
    return parts


def _piece(generation: Generation, delta: dict[str, Any]) -> Piece:
    return {"index": generation.index, "delta": delta, "logprobs": None, "finish_reason": None}


def _text(piece: Piece) -> str:
    content = piece["delta"].get("content")
    return content if isinstance(content, str) else ""


def _each(change: Callable[[Piece], object]) -> _Change:
    def changed(parts: list[Piece]) -> list[Piece]:
        for piece in parts:
            change(piece)
        return parts

    return changed


def _first(change: Callable[[dict[str, Any]], object]) -> _Change:
    def changed(parts: list[Piece]) -> list[Piece]:
        change(parts[0]["delta"])
        return parts

    return changed


def _texts(change: Callable[[dict[str, Any]], object]) -> _Change:
    """A change of the deltas that hold text."""
    return _each(lambda piece: change(piece["delta"]) if _text(piece) else None)


def _null_at_end(parts: list[Piece]) -> list[Piece]:
    parts[-1]["delta"] = None
    return parts


def _role_late(parts: list[Piece]) -> list[Piece]:
    parts[1]["delta"]["role"] = parts[0]["delta"].pop("role")
    return parts


def _cumulative(parts: list[Piece]) -> list[Piece]:
    so_far = ""
    for piece in parts:
        if text := _text(piece):
            so_far += text
            piece["delta"]["content"] = so_far
    return parts


def _emoji_split(parts: list[Piece]) -> list[Piece]:
    split: list[Piece] = []
    for piece in parts:
        before, *found = _ASTRAL.split(_text(piece), maxsplit=1)
        if not found:
            split.append(piece)
            continue
        for half in (f"{before}\ufffd", f"\ufffd{found[1]}"):
            split.append({**piece, "delta": {**piece["delta"], "content": half}})
    return split


def _finish_never(parts: list[Piece]) -> list[Piece]:
    parts[-1]["finish_reason"] = None
    return parts


def _finish_twice(parts: list[Piece]) -> list[Piece]:
    return [*parts, {**parts[-1], "delta": {}}]


def _finish_empty(parts: list[Piece]) -> list[Piece]:
    return [*({**piece, "finish_reason": ""} for piece in parts[:-1]), parts[-1]]


def _after_finish(parts: list[Piece]) -> list[Piece]:
    return [*parts, {**parts[-1], "delta": {"content": " And one more thing."}, "finish_reason": None}]


def _finish_with_content(parts: list[Piece]) -> list[Piece]:
    if len(parts) < 3 or not _text(parts[-2]):
        return parts
    return [*parts[:-2], {**parts[-2], "finish_reason": parts[-1]["finish_reason"]}]


def _one_finish(parts: list[Piece]) -> list[Piece]:
    return _finish_never(parts) if parts[0]["index"] else parts


def _one_chunk(parts: list[Piece]) -> list[Piece]:
    texts = [piece for piece in parts if _text(piece)]
    if not texts:
        return parts
    whole = {**texts[0], "delta": {"content": "".join(map(_text, texts))}}
    if whole["logprobs"]:
        whole["logprobs"] = {"content": [e for p in texts for e in p["logprobs"]["content"]], "refusal": None}
    return [parts[0], *(piece for piece in parts[1:-1] if not _text(piece)), whole, parts[-1]]


def _nulls(parts: list[Piece]) -> list[Piece]:
    for piece in parts[1:]:
        piece["delta"] = {"role": None, "content": None, **piece["delta"]}
    return parts


def _finish_absent(parts: list[Piece]) -> list[Piece]:
    for piece in parts[:-1]:
        del piece["finish_reason"]
    return parts


def _role_with_text(parts: list[Piece]) -> list[Piece]:
    if not _text(parts[1]):
        return parts
    together = {**parts[1], "delta": {**parts[0]["delta"], **parts[1]["delta"]}}
    return [together, *parts[2:]]


_FAULTS: Final[Mapping[Defect, _Change]] = {
    CONTENT_PARTS: _texts(lambda delta: delta.update(content=[{"type": "text", "text": delta["content"]}])),
    NULL_AT_END: _null_at_end,
    INDEX_MISSING: _each(lambda piece: piece.pop("index")),
    INDEX_STRING: _each(lambda piece: piece.update(index=str(piece["index"]))),
    INDEX_FROM_ONE: _each(lambda piece: piece.update(index=piece["index"] + 1)),
    ROLE_MISSING: _first(lambda delta: delta.pop("role")),
    ROLE_LATE: _role_late,
    ROLE_REPEATED: _each(lambda piece: piece["delta"].update(role="assistant")),
    ROLE_MODEL: _first(lambda delta: delta.update(role="model")),
    CUMULATIVE: _cumulative,
    CONTENT_EMPTY: _texts(lambda delta: delta.update(content="")),
    EMOJI_SPLIT: _emoji_split,
    FINISH_NEVER: _finish_never,
    FINISH_TWICE: _finish_twice,
    FINISH_EMPTY: _finish_empty,
    AFTER_FINISH: _after_finish,
    FINISH_WITH_CONTENT: _finish_with_content,
    LEGAL_FINISH_ON_TEXT: _finish_with_content,
    N_ALL_ZERO: _each(lambda piece: piece.update(index=0)),
    N_ONE_FINISH: _one_finish,
    ONE_CHUNK: _one_chunk,
    CALLS_EMPTY: _texts(lambda delta: delta.update(tool_calls=[])),
    LATE: late,
    LEGAL_NULLS: _nulls,
    LEGAL_FINISH_ABSENT: _finish_absent,
    LEGAL_ROLE_WITH_TEXT: _role_with_text,
    LEGAL_BARE: _first(lambda delta: delta.pop("refusal")),
    LEGAL_VENDOR_KEYS: _each(lambda piece: piece["delta"].setdefault("reasoning_content", None)),
}
