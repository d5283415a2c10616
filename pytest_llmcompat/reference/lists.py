"""GET /files and /batches: lists, as of an account that has none of either."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.defect import Defect, Defects, defect
from pytest_llmcompat.reference.transport import answer_json, state_of

__all__ = ["list_batches", "list_files"]

FILES_BARE = defect("files-bare-array", "GET /files gives a bare array.", row="D-Z01")
FILES_OBJECT_MISSING = defect("files-object-missing", "GET /files gives no object.", row="D-Z01")
BATCHES_BARE = defect("batches-bare-array", "GET /batches gives a bare array.", row="D-Z01")
BATCHES_NULL = defect("batches-data-null", "GET /batches gives null for no batches.", row="D-Z01")

_EMPTY: Final[dict[str, Any]] = {
    "object": "list",
    "data": [],
    "first_id": None,
    "last_id": None,
    "has_more": False,
}


async def list_files(request: Request) -> Response:
    """GET /files."""
    authorise(request)
    listing = dict(_EMPTY)
    if FILES_OBJECT_MISSING in state_of(request).defects:
        del listing["object"]
    return answer_json(_perhaps_bare(listing, FILES_BARE, state_of(request).defects))


async def list_batches(request: Request) -> Response:
    """GET /batches."""
    authorise(request)
    listing = dict(_EMPTY)
    if BATCHES_NULL in state_of(request).defects:
        listing["data"] = None
    return answer_json(_perhaps_bare(listing, BATCHES_BARE, state_of(request).defects))


def _perhaps_bare(listing: dict[str, Any], bare: Defect, defects: Defects) -> Any:
    return listing["data"] if bare in defects else listing
