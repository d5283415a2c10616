"""The routes, and what is answered where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pytest_llmcompat.reference.auth import Answered, authorise
from pytest_llmcompat.reference.chat import create_completion
from pytest_llmcompat.reference.completions import create_text_completion
from pytest_llmcompat.reference.defect import Defect, defect
from pytest_llmcompat.reference.embeddings import create_embeddings
from pytest_llmcompat.reference.errors import ApiError, crash
from pytest_llmcompat.reference.lists import list_batches, list_files
from pytest_llmcompat.reference.media import create_image, create_speech, create_transcription
from pytest_llmcompat.reference.models import list_models, retrieve_model
from pytest_llmcompat.reference.moderations import create_moderation
from pytest_llmcompat.reference.responses import responses_routes
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.transport import HeaderMiddleware, answer_error, answer_json, state_of

__all__ = ["PREFIX", "application"]

PREFIX_ELSEWHERE = defect("prefix-elsewhere", "All routes live under /api/v1 instead of /v1.", row="D-T01")
UNKNOWN_ROUTE_200 = defect(
    "unknown-route-200", "An unknown route is answered 200 with an error.", row="D-T02"
)
UNKNOWN_ROUTE_HTML = defect(
    "unknown-route-html", "An unknown route is answered with an HTML page.", row="D-E02"
)
UNVERSIONED_200 = defect(
    "unversioned-route-200", "Routes without /v1 are answered 200 with an error.", row="D-T02"
)
PUT_200 = defect("put-200", "PUT /chat/completions is answered 200.", row="D-T03")
PUT_500 = defect("put-500", "PUT /chat/completions is answered 500.", row="D-T03")
SLASH_301 = defect("trailing-slash-301", "/chat/completions/ redirects with 301.", row="D-T04")
SLASH_OTHER_HOST = defect(
    "trailing-slash-other-host", "/chat/completions/ redirects to another host.", row="D-T04"
)
SLASH_500 = defect("trailing-slash-500", "/chat/completions/ is answered 500.", row="D-T04")
LEGAL_CHAT_ONLY = defect(
    "legal-chat-only",
    "No embeddings, text completions, moderations, lists or media.",
    row="supplement",
    legal=True,
)

DOUBLE_SLASH_500 = defect("double-slash-500", "//chat/completions is answered 500.", row="D-T03")
PREFLIGHT_401 = defect("cors-needs-key", "A browser's preflight is asked for a key.", row="supplement")
PREFLIGHT_BARE = defect(
    "cors-without-headers",
    "A browser's preflight is answered 200 without what it asks for.",
    row="supplement",
)

PREFIX: Final = "/v1"
_CHAT: Final = f"{PREFIX}/chat/completions"


async def _empty(_: Request) -> Response:
    return answer_json({})


async def _guarded(request: Request) -> Response:
    authorise(request)
    return answer_json({})


async def _unexpected(_: Request) -> Response:
    return answer_json({"error": "Unexpected endpoint or method."})


async def _crash(_: Request) -> Response:
    raise crash()


async def _moved(_: Request) -> Response:
    return RedirectResponse(_CHAT, 301)


async def _moved_away(_: Request) -> Response:
    return RedirectResponse(f"http://other.example{_CHAT}", 307)


_FAULTY_ROUTES: Final[Mapping[Defect, Route]] = {
    UNVERSIONED_200: Route("/chat/completions", _unexpected, methods=["POST"]),
    PUT_200: Route(_CHAT, _empty, methods=["PUT"]),
    PUT_500: Route(_CHAT, _crash, methods=["PUT"]),
    SLASH_301: Route(f"{_CHAT}/", _moved, methods=["POST"]),
    SLASH_OTHER_HOST: Route(f"{_CHAT}/", _moved_away, methods=["POST"]),
    SLASH_500: Route(f"{_CHAT}/", _crash, methods=["POST"]),
    DOUBLE_SLASH_500: Route(f"{PREFIX}//chat/completions", _crash, methods=["POST"]),
    PREFLIGHT_401: Route(_CHAT, _guarded, methods=["OPTIONS"]),
    PREFLIGHT_BARE: Route(_CHAT, _empty, methods=["OPTIONS"]),
}


def _beside_chat(prefix: str) -> list[Route]:
    """The routes that many servers do without."""
    return [
        Route(f"{prefix}/embeddings", create_embeddings, methods=["POST"]),
        Route(f"{prefix}/completions", create_text_completion, methods=["POST"]),
        Route(f"{prefix}/moderations", create_moderation, methods=["POST"]),
        Route(f"{prefix}/files", list_files, methods=["GET"]),
        Route(f"{prefix}/batches", list_batches, methods=["GET"]),
        Route(f"{prefix}/images/generations", create_image, methods=["POST"]),
        Route(f"{prefix}/audio/speech", create_speech, methods=["POST"]),
        Route(f"{prefix}/audio/transcriptions", create_transcription, methods=["POST"]),
    ]


_FOR_BROWSERS: Final = Middleware(
    CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"]
)


def application(state: State) -> Starlette:
    """The reference as an ASGI application."""
    prefix = f"/api{PREFIX}" if PREFIX_ELSEWHERE in state.defects else PREFIX
    routes = [
        Route(f"{prefix}/models", list_models, methods=["GET"]),
        Route(f"{prefix}/models/{{id:path}}", retrieve_model, methods=["GET"]),
        Route(f"{prefix}/chat/completions", create_completion, methods=["POST"]),
        *([] if LEGAL_CHAT_ONLY in state.defects else _beside_chat(prefix)),
        *responses_routes(prefix, state.defects),
        *(route for fault, route in _FAULTY_ROUTES.items() if fault in state.defects),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(HeaderMiddleware, state=state),
            *([] if {PREFLIGHT_401, PREFLIGHT_BARE} & state.defects else [_FOR_BROWSERS]),
        ],
        exception_handlers={
            ApiError: _refuse,
            Answered: _give,
            HTTPException: _unrouted,
            Exception: _crashed,
        },
    )
    app.router.redirect_slashes = False
    app.state.reference = state
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer_error(error, state_of(request).defects)


async def _give(_: Request, error: Exception) -> Response:
    assert isinstance(error, Answered)
    return error.response


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    defects, path = state_of(request).defects, request.url.path
    if error.status_code == 404 and path.startswith(PREFIX) and path.rstrip("/") != _CHAT:
        if UNKNOWN_ROUTE_200 in defects:
            return await _unexpected(request)
        if UNKNOWN_ROUTE_HTML in defects:
            return HTMLResponse("<html><body><h1>404 Not Found</h1></body></html>", 404)
    message = "Not allowed" if error.status_code == 405 else "Invalid URL"
    refusal = ApiError(error.status_code, f"{message} ({request.method} {path})", headers=error.headers)
    return answer_error(refusal, defects, routed=False)


async def _crashed(request: Request, _: Exception) -> Response:
    return answer_error(crash(), state_of(request).defects)
