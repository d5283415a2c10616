"""Contracts on where routes live, and on what answers where there is no route."""

from __future__ import annotations

from pytest_llmcompat.answer import body, came, error_message
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect, fail, inconclusive

_SDK_404 = "openai-python 3.57 _client.py:652 maps 404 to NotFoundError"


def _missing(exchange: Exchange) -> bool:
    """True when nothing is served under the path, which a 404 for an unknown model does not say."""
    if exchange.status not in (404, 405):
        return False
    model = exchange.sent.get("model") if isinstance(exchange.sent, dict) else None
    return not (isinstance(model, str) and model in error_message(exchange)) and (
        body(exchange).at("/error/code") != "model_not_found"
    )


def _serves(exchange: Exchange) -> bool:
    """True when the operation itself answered, and not a redirect, a gate or a failing server before it."""
    status = exchange.status
    return 200 <= status < 300 or (400 <= status < 500 and status not in (401, 403, 404, 405, 429))


@contract(
    "transport.base-path",
    MUST,
    source="openai-python 3.57 _base_client.py:475-479 appends the operation's path to the base URL",
    breaks="Each call of each client ends in 404: SDKs append /chat/completions and /models to the base URL.",
    fix="Serve all operations directly under one base URL, and state that URL, version segment included.",
    catches=("prefix-elsewhere",),
    cases=("pssah4/vault-operator#73",),
)
def test_operations_live_under_the_base_url(chat_basic: Exchange, models_list: Exchange) -> None:
    """Every operation is served under the configured base URL, by appending its path."""
    came(chat_basic)
    came(models_list)
    expect(
        not (_missing(chat_basic) and _missing(models_list)),
        chat_basic,
        "status",
        "an answer of /chat/completions or /models, neither of which is under this base URL",
    )
    if not (_serves(chat_basic) or _serves(models_list)):
        inconclusive(f"chat-basic was answered {chat_basic.status}, models-list {models_list.status}")


@contract(
    "transport.wrong-base-not-200",
    MUST,
    source="measured with openai-python 3.57: a JSON error in a 200 gives an empty stream and no exception",
    breaks="A user who forgets /v1 sees empty answers in place of an error, and looks for the fault elsewhere.",
    fix="Answer 404 outside the versioned base path, or serve the same operations there.",
    catches=("unversioned-route-200",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#618",),
)
def test_unversioned_base_is_no_success(route_no_v1: Exchange) -> None:
    """A request to the base URL without its version segment is not answered with a success."""
    came(route_no_v1)
    expect(
        not route_no_v1.ok or bool(body(route_no_v1).items("/choices")),
        route_no_v1,
        "status",
        "a 4xx such as 404, or a real completion",
    )


@contract(
    "transport.unknown-route-404",
    MUST,
    source=_SDK_404,
    breaks="Clients take a 2xx for success and read fields that are not there; a 5xx they send three times.",
    fix="Answer 404 for every route that does not exist.",
    catches=("unknown-route-200",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#1323",),
)
def test_unknown_route_is_refused(route_unknown: Exchange) -> None:
    """An unknown route under the base URL is answered 404, not with a success or a server error."""
    _expect_refused(route_unknown, "404")


@contract(
    "transport.unknown-route-json",
    SHOULD,
    source="measured with openai-python 3.57: the error of an HTML or empty body has neither code nor type",
    breaks="SDK users see a page of HTML, or nothing, as the message of NotFoundError.",
    fix='Give the 404 of unknown routes the JSON body of all errors: {"error": {"message": …}}.',
    catches=(
        "unknown-route-html",
        "error-flat",
        "error-array",
        "error-fastapi-detail",
        "error-string",
        "error-empty",
    ),
    cases=("UOR-Foundation/uor-r4#764",),
)
def test_unknown_route_has_json_error(route_unknown: Exchange) -> None:
    """The 404 of an unknown route carries the JSON error envelope."""
    came(route_unknown)
    if route_unknown.status not in (404, 405):
        inconclusive(f"the unknown route was answered {route_unknown.status}, not 404")
    expect(route_unknown.is_json, route_unknown, "body", "JSON with an `error` object")
    expect_conforms(body(route_unknown), "error")


@contract(
    "transport.method-not-allowed",
    SHOULD,
    source="RFC 9110 section 15.5.6; GET on /chat/completions is an operation of its own, hence PUT",
    breaks="A wrong method looks like a success, or like a server failure that the client sends three times.",
    fix="Answer 405 (or 404) for methods that a route does not have.",
    catches=("put-200", "put-500"),
    cases=("lmstudio-ai/lmstudio-bug-tracker#2085",),
)
def test_unsupported_method_is_refused(route_method: Exchange) -> None:
    """A method that a route does not have is answered 405 or 404, not with a success or a server error."""
    _expect_refused(route_method, "405 or 404")


def _expect_refused(exchange: Exchange, expected: str) -> None:
    came(exchange)
    if exchange.status in (429, 502, 503, 504, 529):
        inconclusive(f"{exchange.probe} was answered {exchange.status}")
    if exchange.ok or exchange.status >= 500:
        fail(exchange, "status", expected)
