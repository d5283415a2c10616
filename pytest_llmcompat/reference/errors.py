"""Refusals, and the envelope that they are answered with: {"error": {message, type, param, code}}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defect, Defects, Faults, defect, spoil

__all__ = ["ApiError", "checked", "crash", "envelope", "invalid", "status"]

MESSAGE_OBJECT = defect("error-message-object", "error.message is an object.", row="D-E03")
MESSAGE_MISSING = defect("error-message-missing", "Errors have no message.", row="D-E03")
TYPE_MISSING = defect("error-type-missing", "Errors have no type.", row="D-E03")
TYPE_NULL = defect("error-type-null", "error.type is null.", row="D-E03")
CODE_NUMBER = defect("error-code-number", "error.code is the number of the status.", row="D-E04")
PARAM_MISSING = defect("error-param-missing", "Errors have no key param.", row="D-E04")
PARAM_NULL = defect("error-param-null", "error.param is null also where a field is at fault.", row="D-E04")
PARAM_OTHER = defect(
    "error-param-other", "error.param names another field than the one at fault.", row="D-E04"
)
FLAT = defect("error-flat", "Errors are flat objects without the envelope.", row="D-E01")
ARRAY = defect("error-array", "Errors are arrays of one envelope.", row="D-E01")
FASTAPI_DETAIL = defect("error-fastapi-detail", "Errors are FastAPI's {'detail': …}.", row="D-E01")
STRING = defect("error-string", "error is a string, but for refused keys.", row="D-E01")
UNAUTHORISED_STRING = defect("auth-error-string", "The 401 body is {'error': 'Unauthorized'}.", row="D-A03")
INTERNAL = defect("error-with-traceback", "Error messages hold a stack trace.", row="supplement")
VALIDATION_422 = defect("validation-422", "Invalid requests are refused with 422.", row="D-E09")

_TRACEBACK: Final = (
    "Traceback (most recent call last):\n"
    '  File "/app/server/routes.py", line 212, in create\n    check(body)\n'
)
_INVALID_REQUEST: Final = "invalid_request_error"


class ApiError(Exception):
    """A request that is not served.

    status: of the response. param: the request's field at fault. code: for programs. headers: further ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = _INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.type = status, message, type
        self.param, self.code, self.headers = param, code, dict(headers or {})


def invalid(message: str, param: str | None, code: str | None = None) -> ApiError:
    """A request that breaks a rule of the API: 400."""
    return ApiError(400, message, param=param, code=code)


def crash() -> ApiError:
    """The answer to a fault of the server itself: 500."""
    return ApiError(500, "The server had an error while processing your request.", type="server_error")


@dataclass(slots=True)
class Check:
    """How checks went. failed: they refused the request, and a defect let it pass all the same."""

    failed: bool = False


@contextmanager
def checked(
    defects: Defects, *, silent: Defect | None = None, crashing: Defect | None = None
) -> Iterator[Check]:
    """Checks whose refusal one defect suppresses and another turns into a crash."""
    check = Check()
    try:
        yield check
    except ApiError:
        if crashing in defects:
            raise crash() from None
        if silent not in defects:
            raise
        check.failed = True


_ERROR_FAULTS: Final[Faults] = {
    INTERNAL: lambda error: error.update(message=f"{_TRACEBACK}ValueError: {error['message']}"),
    MESSAGE_OBJECT: lambda error: error.update(message={"detail": [error["message"]]}),
    MESSAGE_MISSING: lambda error: error.pop("message"),
    TYPE_MISSING: lambda error: error.pop("type"),
    TYPE_NULL: lambda error: error.update(type=None),
    PARAM_MISSING: lambda error: error.pop("param"),
    PARAM_NULL: lambda error: error.update(param=None),
    PARAM_OTHER: lambda error: error.update(param=error["param"] and "model"),
}


def status(error: ApiError, defects: Defects) -> int:
    """The status that an error is answered with."""
    return 422 if error.status == 400 and VALIDATION_422 in defects else error.status


def envelope(error: ApiError, defects: Defects) -> Any:
    """The body of an error answer, with OpenAI's four keys (ErrorResponse in its specification)."""
    inner: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    spoil(inner, _ERROR_FAULTS, defects)
    if CODE_NUMBER in defects:
        inner["code"] = error.status
    if FLAT in defects:
        return {"object": "error", **inner}
    if ARRAY in defects:
        return [{"error": inner}]
    if FASTAPI_DETAIL in defects:
        return {"detail": error.message}
    if error.status == 401 and UNAUTHORISED_STRING in defects:
        return {"error": "Unauthorized"}
    if error.status != 401 and STRING in defects:
        return {"error": error.message}
    return {"error": inner}
