"""POST /moderations: a few words that are flagged, all others not."""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.checks import check_array, check_object, check_string
from pytest_llmcompat.reference.defect import Faults, defect, spoil
from pytest_llmcompat.reference.errors import invalid
from pytest_llmcompat.reference.transport import answer_json, read_body, state_of

__all__ = ["create_moderation"]

BARE_ARRAY = defect("moderations-bare-array", "Moderations are a bare array of results.", row="D-Z01")
FLAGGED_MISSING = defect("moderations-flagged-missing", "A result does not say flagged.", row="D-Z01")
SCORES_MISSING = defect("moderations-scores-missing", "A result has no category_scores.", row="D-Z01")

_MODEL: Final = "reference-moderation"
_CATEGORIES: Final[dict[str, re.Pattern[str]]] = {
    "harassment": re.compile(r"\b(?:insult|bully)\w*", re.IGNORECASE),
    "hate": re.compile(r"\bhate\w*", re.IGNORECASE),
    "self-harm": re.compile(r"\bsuicid\w*", re.IGNORECASE),
    "sexual": re.compile(r"\bsexual\w*", re.IGNORECASE),
    "violence": re.compile(r"\bkill\w*", re.IGNORECASE),
}
_RESULT_FAULTS: Final[Faults] = {
    FLAGGED_MISSING: lambda result: result.pop("flagged"),
    SCORES_MISSING: lambda result: result.pop("category_scores"),
}


async def create_moderation(request: Request) -> Response:
    """POST /moderations."""
    authorise(request)
    state = state_of(request)
    body = await read_body(request)
    check_object("body", body)
    if body.get("input") is None:
        raise invalid("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    results = [spoil(_result(text), _RESULT_FAULTS, state.defects) for text in _texts(body["input"])]
    id = state.identifiers.next("modr-", 29)
    answer = {"id": id, "model": body.get("model") or _MODEL, "results": results}
    return answer_json(results if BARE_ARRAY in state.defects else answer)


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    check_array("input", given, least=1)
    for number, text in enumerate(given):
        check_string(f"input[{number}]", text)
    return list(given)


def _result(text: str) -> dict[str, Any]:
    found = {category: bool(word.search(text)) for category, word in _CATEGORIES.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {category: 0.98 if hit else 0.0001 for category, hit in found.items()},
        "category_applied_input_types": {category: ["text"] for category in found},
    }
