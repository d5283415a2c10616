"""Log probabilities: made up, but consistent: never positive, sorted, the chosen token on top."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.request import ChatRequest

__all__ = ["legacy_logprobs", "logprobs"]

LEGACY = defect("logprobs-legacy", "Plain logprobs have the shape of legacy completions.", row="D-C13")
UNASKED = defect("logprobs-unasked", "Plain answers always have logprobs.", row="D-C13")
STREAM_NEVER = defect("stream-logprobs-never", "Streamed logprobs are always empty.", row="D-C13")
OTHER_TEXT = defect("logprobs-other-text", "The tokens of logprobs do not join to the text.", row="D-C14")
TOO_MANY_TOP = defect("logprobs-too-many-top", "Two more top_logprobs than asked for.", row="D-C14")
POSITIVE = defect("logprobs-positive", "top_logprobs are positive.", row="D-C14")


def logprobs(tokens: Sequence[str], request: ChatRequest) -> dict[str, Any] | None:
    """The `logprobs` object for tokens of a choice; None when it was not asked for."""
    defects = request.defects
    if not request.logprobs and not (UNASKED in defects and not request.stream):
        return None
    if request.stream and STREAM_NEVER in defects:
        return {"content": [], "refusal": None}
    if not request.stream and LEGACY in defects:
        return legacy_logprobs(tokens)
    if OTHER_TEXT in defects:
        tokens = [f"▁{token.strip()}" for token in tokens]
    top = request.top + 2 if TOO_MANY_TOP in defects and request.top else request.top
    return {"content": [_entry(token, top, defects) for token in tokens], "refusal": None}


def _entry(token: str, top: int, defects: Defects) -> dict[str, Any]:
    likelihood = -(zlib.crc32(token.encode()) % 1000) / 2000
    candidates = [_candidate(token, likelihood)]
    candidates += [_candidate(f" other{rank}", likelihood - rank * 1.5) for rank in range(1, top)]
    if POSITIVE in defects:
        candidates = [{**candidate, "logprob": 0.5} for candidate in candidates]
    return {**_candidate(token, likelihood), "top_logprobs": candidates[:top]}


def _candidate(token: str, likelihood: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(likelihood, 6), "bytes": list(token.encode())}


def legacy_logprobs(tokens: Sequence[str]) -> dict[str, Any]:
    """The `logprobs` object of legacy completions, with one candidate for each token."""
    offsets = [len("".join(tokens[:position])) for position in range(len(tokens))]
    return {
        "tokens": list(tokens),
        "token_logprobs": [-0.25] * len(tokens),
        "top_logprobs": [{token: -0.25} for token in tokens],
        "text_offset": offsets,
    }
