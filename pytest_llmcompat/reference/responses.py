"""The Responses API: POST /responses, what became of one, and the state that they share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import ApiError, crash, invalid
from pytest_llmcompat.reference.generation import generate
from pytest_llmcompat.reference.models import name_in_answers
from pytest_llmcompat.reference.responses_checks import check_responses
from pytest_llmcompat.reference.responses_events import answer_events, events
from pytest_llmcompat.reference.responses_output import Written, output, plain, response, usage
from pytest_llmcompat.reference.responses_request import (
    ResponsesRequest,
    legal_only,
    messages_of,
    read_responses,
)
from pytest_llmcompat.reference.state import State, StoredResponse
from pytest_llmcompat.reference.transport import answer_json, read_body, state_of
from pytest_llmcompat.reference.usage import CONTEXT, check_length, count_prompt

__all__ = ["responses_routes"]

ROUTE_HTML = defect("responses-route-html", "POST /responses is answered 200 with HTML.", row="supplement")
STREAM_IGNORED = defect("response-stream-ignored", "stream is ignored on /responses.", row="D-S02")
STORE_IGNORED = defect("response-store-ignored", "store true is echoed and ignored.", row="D-X14")
RETRIEVE_OTHER = defect("response-retrieve-other", "GET gives the response another id.", row="D-X15")
RETRIEVE_EMPTY = defect("response-retrieve-empty", "GET gives the response no output.", row="D-X15")
RETRIEVE_HTML = defect("response-retrieve-html", "GET of a response is a page of HTML.", row="D-X15")
UNKNOWN_200 = defect("response-unknown-200", "GET of an unknown id makes up a response.", row="D-X15")
UNKNOWN_500 = defect("response-unknown-500", "GET of an unknown id is 500.", row="D-X15")
UNKNOWN_HTML = defect("response-unknown-html", "GET of an unknown id is a page of HTML.", row="D-X15")
DELETE_IGNORED = defect("response-delete-ignored", "DELETE is answered 200 and ignored.", row="D-X15")
ITEMS_ARRAY = defect("response-items-array", "input_items is a bare array.", row="supplement")
COUNT_WRONG = defect("response-count-wrong", "/responses/input_tokens counts twice.", row="supplement")
BACKGROUND_IGNORED = defect(
    "response-background-ignored", "background is echoed and ignored.", row="supplement"
)
CANCEL_IGNORED = defect("response-cancel-ignored", "A cancelled response stays queued.", row="supplement")
LEGAL_ABSENT = defect("legal-responses-absent", "There is no Responses API.", row="G-09", legal=True)

_HEX: Final = "0123456789abcdef"
_PAGE: Final = "<html><body><h1>Welcome</h1></body></html>"


def responses_routes(prefix: str, defects: Defects) -> list[Route]:
    """The routes of this API."""
    if LEGAL_ABSENT in defects:
        return []
    at = f"{prefix}/responses"
    return [
        Route(at, create_response, methods=["POST"]),
        Route(f"{at}/input_tokens", count_input, methods=["POST"]),
        Route(f"{at}/{{id}}", retrieve_response, methods=["GET"]),
        Route(f"{at}/{{id}}", delete_response, methods=["DELETE"]),
        Route(f"{at}/{{id}}/input_items", list_input_items, methods=["GET"]),
        Route(f"{at}/{{id}}/cancel", cancel_response, methods=["POST"]),
    ]


async def create_response(request: Request) -> Response:
    """POST /responses."""
    authorise(request)
    state = state_of(request)
    if ROUTE_HTML in state.defects:
        return HTMLResponse(_PAGE)
    asked = await _read(request, state)
    written = _write(asked, state)
    headers = state.ratelimit.take(written.usage["total_tokens"], state.defects)
    if asked.store and STORE_IGNORED not in state.defects:
        state.stored[written.id] = _kept(written)
    if asked.background and BACKGROUND_IGNORED not in state.defects:
        return answer_json(response(written, "queued"), headers)
    if asked.stream and STREAM_IGNORED not in state.defects:
        return answer_events(events(written), state, headers)
    return answer_json(plain(written), headers)


async def _read(request: Request, state: State) -> ResponsesRequest:
    body = await read_body(request)
    check_responses(body, state.defects)
    if body.get("background") and body.get("store") is False:
        raise invalid("Background mode requires store to be true.", "background")
    return read_responses(body, state.stored, state.identifiers, state.defects)


def _write(asked: ResponsesRequest, state: State) -> Written:
    prompt = count_prompt(asked.chat)
    check_length(prompt)
    [generation] = generate(asked.chat, state.identifiers, CONTEXT - prompt)
    return Written(
        id=state.identifiers.next("resp_", 48, _HEX),
        created=int(time.time()),
        model=name_in_answers(asked.chat.model, state.answers, legal_only(asked.defects)),
        request=asked,
        generation=generation,
        items=output(asked, generation, state.identifiers),
        usage=usage(asked, prompt, generation),
    )


def _kept(written: Written) -> StoredResponse:
    """The response as it is kept; one in the background is never finished here, so that it can be cancelled."""
    asked = written.request
    shape = response(written, "queued" if asked.background else "completed")
    return StoredResponse(shape, asked.items, (*asked.turns, *messages_of(written.items)))


async def retrieve_response(request: Request) -> Response:
    """GET /responses/{id}."""
    authorise(request)
    state, id = state_of(request), request.path_params["id"]
    if id not in state.stored:
        return _unknown(id, state.defects)
    if RETRIEVE_HTML in state.defects:
        return HTMLResponse(_PAGE)
    shape = state.stored[id].shape
    if RETRIEVE_OTHER in state.defects:
        shape = {**shape, "id": state.identifiers.next("resp_", 48, _HEX)}
    return answer_json({**shape, "output": []} if RETRIEVE_EMPTY in state.defects else shape)


def _unknown(id: str, defects: Defects) -> Response:
    """A defective answer to an unknown id; a healthy one is raised. Raises ApiError 404."""
    if UNKNOWN_500 in defects:
        raise crash()
    if UNKNOWN_HTML in defects:
        return HTMLResponse(_PAGE, 404)
    if UNKNOWN_200 in defects:
        return answer_json({"id": id, "object": "response", "status": "completed", "output": []})
    raise _absent(id)


def _absent(id: str) -> ApiError:
    return ApiError(404, f"Response with id '{id}' not found.")


def _stored(id: str, stored: Mapping[str, StoredResponse]) -> StoredResponse:
    """Raises ApiError 404."""
    if id not in stored:
        raise _absent(id)
    return stored[id]


async def delete_response(request: Request) -> Response:
    """DELETE /responses/{id}."""
    authorise(request)
    state, id = state_of(request), request.path_params["id"]
    _stored(id, state.stored)
    if DELETE_IGNORED not in state.defects:
        del state.stored[id]
    return answer_json({"id": id, "object": "response.deleted", "deleted": True})


async def list_input_items(request: Request) -> Response:
    """GET /responses/{id}/input_items; the last item first, as OpenAI lists them."""
    authorise(request)
    state = state_of(request)
    items: list[dict[str, Any]] = [*reversed(_stored(request.path_params["id"], state.stored).items)]
    if ITEMS_ARRAY in state.defects:
        return answer_json(items)
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]}
    return answer_json({"object": "list", "data": items, **ends, "has_more": False})


async def count_input(request: Request) -> Response:
    """POST /responses/input_tokens."""
    authorise(request)
    state = state_of(request)
    prompt = count_prompt((await _read(request, state)).chat)
    if COUNT_WRONG in state.defects:
        prompt *= 2
    return answer_json({"object": "response.input_tokens", "input_tokens": prompt})


async def cancel_response(request: Request) -> Response:
    """POST /responses/{id}/cancel."""
    authorise(request)
    state, id = state_of(request), request.path_params["id"]
    kept = _stored(id, state.stored)
    if not kept.shape["background"]:
        raise invalid("Cannot cancel a response that was not created in the background.", None)
    if CANCEL_IGNORED in state.defects:
        return answer_json(kept.shape)
    cancelled = {**kept.shape, "status": "cancelled"}
    state.stored[id] = StoredResponse(cancelled, kept.items, kept.turns)
    return answer_json(cancelled)
