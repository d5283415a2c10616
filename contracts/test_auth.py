"""Contracts on keys: which are refused, with which status, and what the refusal says."""

from __future__ import annotations

from pytest_llmcompat.answer import body, came, error_in_200
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn

_SDK_401 = "openai-python 3.57 _client.py:646 maps 401 to AuthenticationError; OpenAI's guide to error codes"
_SPEC_ERROR = "OpenAI's specification (openapi.yaml f85dbe2), lines 38249 Error and 38286 ErrorResponse"


def _checked(exchange: Exchange, target: Target) -> Exchange:
    """The exchange, when the server decided on the key that it bore."""
    if target.no_auth:
        unsupported("the server is declared to have no keys")
    came(exchange)
    if exchange.status in (429, 502, 503, 504, 529) or error_in_200(exchange):
        inconclusive(f"{exchange.probe} was answered {exchange.status}, which says nothing of the key")
    return exchange


def _require_route(chat_basic: Exchange) -> None:
    """A 404 says nothing of a key when the right key gets it as well."""
    if chat_basic.status in (404, 405, 501):
        unsupported(f"chat-basic was answered {chat_basic.status} with the right key")


@contract(
    "auth.missing-401",
    MUST,
    source=_SDK_401,
    breaks="Clients catch AuthenticationError to ask for a key; any other status they take for another fault.",
    fix="Answer 401 when the Authorization header is absent, before anything else is checked.",
    catches=("auth-none-accepted", "auth-none-403", "auth-none-500"),
)
def test_missing_key_is_401(auth_none: Exchange, chat_basic: Exchange, llm_target: Target) -> None:
    """A request without an Authorization header is answered 401."""
    _checked(auth_none, llm_target)
    _require_route(chat_basic)
    expect(auth_none.status == 401, auth_none, "status", "401")


@contract(
    "auth.wrong-401",
    MUST,
    source=_SDK_401,
    breaks="Clients tell the user «permission denied» or retry, in place of «check your key».",
    fix="Answer 401 for a key that is not known; 403 is for a known key without the right.",
    catches=("auth-any-key-accepted", "auth-wrong-403"),
)
def test_wrong_key_is_401(auth_wrong: Exchange, chat_basic: Exchange, llm_target: Target) -> None:
    """A wrong key is answered 401."""
    _checked(auth_wrong, llm_target)
    _require_route(chat_basic)
    expect(auth_wrong.status == 401, auth_wrong, "status", "401")


@contract(
    "auth.wrong-no-answer",
    MUST,
    source="OpenAI's guide to error codes: 401 «Incorrect API key provided»",
    breaks="Anyone can spend the owner's tokens, and a mistyped key is never noticed.",
    fix="Check the key before the request reaches a model.",
    catches=("auth-any-key-accepted",),
)
def test_wrong_key_gets_no_answer(auth_wrong: Exchange, llm_target: Target) -> None:
    """A wrong key never gets an answer of the model."""
    _checked(auth_wrong, llm_target)
    expect(not auth_wrong.ok, auth_wrong, "status", "401 and no answer")


@contract(
    "auth.scheme",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 86369): the scheme is bearer",
    breaks="A client set up with the wrong scheme gets in unchecked, or sees a server failure and retries.",
    fix="Answer 401 for every Authorization header that is not `Bearer` and a known key.",
    catches=("auth-basic-accepted", "auth-basic-500"),
)
def test_other_schemes_are_refused(auth_scheme: Exchange, llm_target: Target) -> None:
    """Credentials under the scheme `Basic` are refused, without a server error."""
    _checked(auth_scheme, llm_target)
    if auth_scheme.ok or auth_scheme.status >= 500:
        fail(auth_scheme, "status", "401")


@contract(
    "auth.401-envelope",
    MUST,
    passive="error",
    source=f"{_SPEC_ERROR}; measured with openai-python 3.57: an error that is a text loses message, code and type",
    breaks="SDK errors for a bad key have no message, code or type, so users do not learn what is wrong.",
    fix='Give the 401 the body of all errors: {"error": {"message": …, "type": …, "param": null, "code": …}}.',
    catches=(
        "auth-error-string",
        "error-flat",
        "error-array",
        "error-fastapi-detail",
        "error-html",
        "error-empty",
    ),
    cases=("vllm-project/vllm#12886",),
)
def test_refused_key_has_envelope(
    auth_wrong: Exchange, auth_none: Exchange, auth_scheme: Exchange, llm_target: Target
) -> None:
    """The body of a 401 is a JSON object whose `error` is an object."""
    if llm_target.no_auth:
        unsupported("the server is declared to have no keys")
    refusals = [e for e in (auth_wrong, auth_none, auth_scheme) if e.failure is None and e.status == 401]
    if not refusals:
        inconclusive("no request was answered 401")
    for refusal in refusals:
        expect(refusal.is_json, refusal, "body", "JSON with an `error` object")
        expect_conforms(body(refusal), "error")


@contract(
    "auth.401-code",
    SHOULD,
    source="OpenAI's own 401 body, seen in continuedev/continue#9358: code `invalid_api_key`",
    breaks="Programs that tell a mistyped key from other refusals by `error.code` do not recognise it.",
    fix="Set `error.code` to `invalid_api_key` for a key that is not known.",
    catches=("auth-code-other", "auth-code-null"),
)
def test_wrong_key_has_its_code(auth_wrong: Exchange, llm_target: Target) -> None:
    """The `error.code` for a wrong key is `invalid_api_key`."""
    _checked(auth_wrong, llm_target)
    refusal = body(auth_wrong)
    if auth_wrong.status != 401 or not isinstance(refusal.at("/error"), dict):
        inconclusive("the wrong key got no 401 with an error object (other auth.* contracts judge that)")
    code = refusal.at("/error/code")
    if code is None or code is MISSING:
        warn(refusal, "/error/code", "invalid_api_key")
    if not isinstance(code, str):
        inconclusive("`error.code` is no text (error.code-string-or-null judges that)")
    expect(code == "invalid_api_key", refusal, "/error/code", "invalid_api_key")


@contract(
    "auth.key-not-leaked",
    SHOULD,
    source="OpenAI masks long keys in its 401 text, seen in continuedev/continue#9358",
    breaks="Keys end up in logs, error trackers and screenshots of users.",
    fix="Mask the key in messages: the first and last few characters are enough to recognise it.",
    catches=("auth-key-echoed",),
)
def test_key_is_not_echoed(auth_wrong: Exchange) -> None:
    """An answer does not repeat the whole key of its request."""
    came(auth_wrong)
    expect(WRONG_KEY not in auth_wrong.text, auth_wrong, "body", "no key, or a masked one")
    for name, value in auth_wrong.headers:
        expect(WRONG_KEY not in value, auth_wrong, f"header {name}", "no key, or a masked one")
