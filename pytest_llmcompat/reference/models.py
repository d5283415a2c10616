"""GET /models and /models/{id}, and the model's name in answers."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.defect import Defects, Faults, defect, spoil
from pytest_llmcompat.reference.errors import ApiError, crash
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.transport import answer_json, state_of

__all__ = [
    "CHAT_MODELS",
    "CONTEXT",
    "DEFAULT_MODEL",
    "EMBEDDING_MODEL",
    "IMAGE_MODEL",
    "MODELS",
    "SLASHED_MODEL",
    "SPEECH_MODEL",
    "TRANSCRIPTION_MODEL",
    "list_models",
    "name_in_answers",
    "retrieve_model",
    "unknown_model",
]

BARE_ARRAY = defect("models-bare-array", "/models is a bare array.", row="D-M02")
KEY_MODELS = defect("models-key-models", "/models is {'models': […]}.", row="D-M02")
OBJECT_MISSING = defect("models-object-missing", "/models has no key object.", row="D-M02")
EMPTY = defect("models-empty", "/models lists nothing.", row="D-M03")
DUPLICATE_ID = defect("models-duplicate-id", "/models lists one id twice.", row="D-M03")
ID_NUMBER = defect("models-id-number", "/models lists an entry whose id is a number.", row="D-M03")
WITHOUT_SERVED = defect(
    "models-without-served", "/models does not list the model that is served.", row="D-M03"
)
WITHOUT_REQUIRED = defect(
    "models-without-required", "/models does not list the model for transcriptions.", row="own"
)
ENTRY_BARE = defect("models-entry-bare", "Entries of /models lack object and owned_by.", row="D-M04")
CREATED_MISSING = defect("models-created-missing", "Entries of /models lack created.", row="D-M04")
CREATED_MILLISECONDS = defect("models-created-milliseconds", "created is in milliseconds.", row="D-M04")
RETRIEVE_LIST = defect("retrieve-list", "/models/{id} gives the list.", row="D-M05")
SLASH_404 = defect("retrieve-slash-404", "/models/{id} is 404 for ids with a slash.", row="D-M05")
UNKNOWN_200 = defect("retrieve-unknown-200", "/models/{id} makes up a model for an unknown id.", row="D-M06")
UNKNOWN_500 = defect("retrieve-unknown-500", "/models/{id} is 500 for an unknown id.", row="D-M06")
OTHER_LISTED = defect("model-other-listed", "Answers name another listed model.", row="D-M07")
UNRELATED = defect("model-unrelated", "Answers name a model that is not listed.", row="D-M07")
CHANGES = defect("model-changes", "Answers name one dated model, then another.", row="D-M07")
HAS_MORE = defect("models-has-more", "/models says has_more, but has no further page.", row="supplement")
WITHOUT_KEY = defect("models-without-key", "/models needs no key.", row="D-A01")
LEGAL_DATED = defect("legal-dated-model", "Answers name the model with a date.", row="G-06", legal=True)
LEGAL_PREFIXED = defect(
    "legal-prefixed-model", "Answers name the model with its provider.", row="G-06", legal=True
)

# How many tokens the models read and write.
CONTEXT: Final = 8192
DEFAULT_MODEL: Final = "reference-small"
SLASHED_MODEL: Final = "reference-lab/reference-large"
EMBEDDING_MODEL: Final = "reference-embed"
CHAT_MODELS: Final = (DEFAULT_MODEL, SLASHED_MODEL)
IMAGE_MODEL: Final = "reference-image"
SPEECH_MODEL: Final = "reference-tts"
TRANSCRIPTION_MODEL: Final = "reference-whisper"
MODELS: Final = (*CHAT_MODELS, EMBEDDING_MODEL, IMAGE_MODEL, SPEECH_MODEL, TRANSCRIPTION_MODEL)

_ENTRY_FAULTS: Final[Faults] = {
    ENTRY_BARE: lambda entry: (entry.pop("object"), entry.pop("owned_by")),
    CREATED_MISSING: lambda entry: entry.pop("created"),
    CREATED_MILLISECONDS: lambda entry: entry.update(created=entry["created"] * 1000),
}
_LIST_FAULTS: Final[Faults] = {
    OBJECT_MISSING: lambda listing: listing.pop("object"),
    EMPTY: lambda listing: listing["data"].clear(),
    DUPLICATE_ID: lambda listing: listing["data"].append(dict(listing["data"][0])),
    ID_NUMBER: lambda listing: listing["data"].append({**listing["data"][0], "id": 7}),
    WITHOUT_SERVED: lambda listing: listing["data"].pop(0),
    WITHOUT_REQUIRED: lambda listing: listing["data"].pop(),
    HAS_MORE: lambda listing: listing.update(has_more=True),
}


async def list_models(request: Request) -> Response:
    """GET /models."""
    if WITHOUT_KEY not in state_of(request).defects:
        authorise(request)
    return answer_json(_listing(state_of(request)))


async def retrieve_model(request: Request) -> Response:
    """GET /models/{id}; an id with a slash comes percent-encoded or as it is."""
    authorise(request)
    state, wanted = state_of(request), request.path_params["id"]
    known = wanted in MODELS and not (SLASH_404 in state.defects and "/" in wanted)
    if not known and UNKNOWN_500 in state.defects:
        raise crash()
    if not known and UNKNOWN_200 not in state.defects:
        raise ApiError(404, f"The model '{wanted}' does not exist.", param="model", code="model_not_found")
    return answer_json(_listing(state) if RETRIEVE_LIST in state.defects else _entry(wanted, state))


def _listing(state: State) -> Any:
    listing = {"object": "list", "data": [_entry(id, state) for id in MODELS]}
    spoil(listing, _LIST_FAULTS, state.defects)
    if BARE_ARRAY in state.defects:
        return listing["data"]
    return {"models": listing["data"]} if KEY_MODELS in state.defects else listing


def _entry(id: str, state: State) -> dict[str, Any]:
    entry = {"id": id, "object": "model", "created": state.started, "owned_by": "reference"}
    if id in CHAT_MODELS:
        entry["context_window"] = CONTEXT
    return spoil(entry, _ENTRY_FAULTS, state.defects)


def unknown_model(model: str, code: str | None = "model_not_found") -> ApiError:
    """The refusal of a model that is not served, or not by this route: 404."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, message, code=code)


def name_in_answers(model: str, answers: int, defects: Defects) -> str:
    """The `model` of an answer, when `answers` were given before it: the one asked for."""
    if OTHER_LISTED in defects:
        return SLASHED_MODEL if model == DEFAULT_MODEL else DEFAULT_MODEL
    if UNRELATED in defects:
        return "engine-7"
    if CHANGES in defects:
        return f"{model}-2026-02-02" if answers % 2 else f"{model}-2026-01-01"
    if LEGAL_DATED in defects:
        return f"{model}-2026-01-01"
    return f"reference/{model}" if LEGAL_PREFIXED in defects else model
