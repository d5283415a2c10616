"""Bearer keys."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import ApiError, crash
from pytest_llmcompat.reference.transport import state_of

__all__ = ["DEFAULT_KEY", "LEGAL_KEYLESS", "Answered", "authorise"]

NONE_ACCEPTED = defect("auth-none-accepted", "A request without a key is served.", row="D-A01")
NONE_403 = defect("auth-none-403", "A request without a key is answered 403.", row="D-A01")
NONE_500 = defect("auth-none-500", "A request without a key is answered 500 in plain text.", row="D-A01")
ANY_ACCEPTED = defect("auth-any-key-accepted", "Any bearer key is accepted.", row="D-A01")
WRONG_403 = defect("auth-wrong-403", "A wrong key is answered 403.", row="D-A01")
BASIC_ACCEPTED = defect("auth-basic-accepted", "Basic credentials are accepted.", row="D-A02")
BASIC_500 = defect("auth-basic-500", "Basic credentials are answered 500.", row="D-A02")
CODE_OTHER = defect("auth-code-other", "A wrong key gets the code «unauthorized».", row="D-A03")
CODE_NULL = defect("auth-code-null", "A wrong key gets no code.", row="D-A03")
KEY_ECHOED = defect("auth-key-echoed", "The 401 message holds the whole key that was sent.", row="D-A04")
CHALLENGE_MISSING = defect("www-authenticate-missing", "A 401 has no WWW-Authenticate.", row="D-A03")
LEGAL_KEYLESS = defect("legal-keyless", "The server needs no key.", row="G-10", legal=True)
LEGAL_SHORT_ECHOED = defect(
    "legal-short-key-masked",
    "The 401 message shows a short wrong key and masks a long one.",
    row="G-19",
    legal=True,
)

DEFAULT_KEY: Final = "sk-reference-4b8d1f6a2c9e7053b8d1f6a2c9e70534"
_SHORT: Final = 20


class Answered(Exception):
    """A request that has its answer already."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def authorise(request: Request) -> None:
    """Let the request pass if it bears the key. Raises ApiError 401."""
    state = state_of(request)
    if state.key is None:
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        _refuse_missing(state.defects)
    elif scheme.lower() != "bearer" or not key.strip():
        _refuse_scheme(state.defects)
    elif key.strip() != state.key:
        _refuse_wrong(key.strip(), state.defects)


def _refuse_missing(defects: Defects) -> None:
    if NONE_ACCEPTED in defects:
        return
    if NONE_500 in defects:
        raise Answered(PlainTextResponse("Internal Server Error", 500))
    raise _missing(403 if NONE_403 in defects else 401, defects)


def _refuse_scheme(defects: Defects) -> None:
    if BASIC_ACCEPTED in defects:
        return
    raise crash() if BASIC_500 in defects else _missing(401, defects)


def _missing(status: int, defects: Defects) -> ApiError:
    message = "You didn't provide an API key. Send it in the Authorization header, as Bearer YOUR_KEY."
    return ApiError(status, message, headers=_challenge(defects))


def _challenge(defects: Defects) -> dict[str, str]:
    return {} if CHALLENGE_MISSING in defects else {"www-authenticate": "Bearer"}


def _refuse_wrong(key: str, defects: Defects) -> None:
    if ANY_ACCEPTED in defects:
        return
    code: str | None = "invalid_api_key"
    if CODE_OTHER in defects:
        code = "unauthorized"
    if CODE_NULL in defects:
        code = None
    message = f"Incorrect API key provided: {key if KEY_ECHOED in defects else _masked(key, defects)}."
    status = 403 if WRONG_403 in defects else 401
    raise ApiError(status, message, code=code, headers=_challenge(defects))


def _masked(key: str, defects: Defects) -> str:
    """A key as a message may show it: enough to recognise it by, too little to use it."""
    if len(key) < _SHORT:
        return key if LEGAL_SHORT_ECHOED in defects else "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
