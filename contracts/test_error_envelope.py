"""Contracts on what a refusal says: the envelope and its fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from pytest_llmcompat.answer import answered, body, came, decided, error_in_200, judge_each, unrouted
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn

_SPEC_ERROR: Final = (
    "OpenAI's specification (openapi.yaml f85dbe2), lines 38249 Error and 38286 ErrorResponse"
)


def _of_requests(exchanges: tuple[Exchange, ...]) -> list[Exchange]:
    """The exchanges without those about routes, which have their own contracts."""
    return [exchange for exchange in exchanges if not exchange.probe.startswith("route-")]


def _refusal(exchange: Exchange) -> Exchange:
    """The exchange, when the server refused the request; a 5xx is judged by the contract on its status."""
    came(exchange)
    if not 400 <= exchange.status < 500 or exchange.status == 429:
        inconclusive(f"{exchange.probe} was not refused but answered {exchange.status}")
    if unrouted(exchange):
        inconclusive(f"{exchange.probe} was answered {exchange.status}: perhaps there is no such route")
    return exchange


def _error(exchange: Exchange) -> Document:
    """The body of a refusal that has the envelope."""
    document = body(_refusal(exchange))
    if not isinstance(document.at("/error"), dict):
        inconclusive(f"{exchange.probe}: there is no envelope (error.envelope judges that)")
    return document


def _judge_refusals(exchanges: tuple[Exchange, ...], judgement: Callable[[Exchange], None]) -> None:
    judge_each(judgement, *_of_requests(exchanges))


@contract(
    "error.envelope",
    MUST,
    passive="error",
    source=f"{_SPEC_ERROR}; measured with openai-python 3.57: of a flat error message, type and code are lost",
    breaks="SDKs give the user an exception without message, type and code; retry rules that go by code fail.",
    fix='Answer every refusal with {"error": {"message": …, "type": …, "param": …, "code": …}}.',
    catches=("error-flat", "error-array", "error-fastapi-detail", "error-string", "error-empty"),
    cases=("vllm-project/vllm#12886", "FuzzAnything/PromptFuzz#42"),
)
def test_refusals_come_in_the_envelope(error_exchanges: tuple[Exchange, ...]) -> None:
    """The body of every refused request is an object whose `error` is an object."""
    _judge_refusals(error_exchanges, _expect_envelope)


def _expect_envelope(exchange: Exchange) -> None:
    if _refusal(exchange).status == 401:
        inconclusive(f"{exchange.probe} was answered 401 (auth.401-envelope judges that)")
    if exchange.body.strip() and not exchange.is_json:
        inconclusive(f"{exchange.probe}: the body is no JSON (error.content-type judges that)")
    expect(exchange.is_json, exchange, "body", "a JSON object with `error`", exchange.body)
    expect_conforms(body(exchange), "error")


@contract(
    "error.message-string",
    MUST,
    passive="error",
    source=f"{_SPEC_ERROR}; openai-node core/error.ts:37-56 shows it",
    breaks="Users see `[object Object]` or nothing where the reason should stand.",
    fix="Put a sentence for people into `error.message`.",
    catches=("error-message-object", "error-message-missing"),
    cases="openai/openai-agents-python#442",
)
def test_message_is_text(error_exchanges: tuple[Exchange, ...]) -> None:
    """`error.message` is a text, and not an empty one."""
    _judge_refusals(error_exchanges, _expect_message)


def _expect_message(exchange: Exchange) -> None:
    error = _error(exchange)
    message = error.at("/error/message")
    expect(isinstance(message, str) and message != "", error, "/error/message", "a text")


@contract(
    "error.type-string",
    SHOULD,
    passive="error",
    source=f"{_SPEC_ERROR}: `type` is required",
    breaks="Clients that tell invalid requests from server faults by type cannot.",
    fix='Name the kind of fault in `error.type`, such as "invalid_request_error".',
    catches=("error-type-missing", "error-type-null"),
    cases="vllm-project/vllm#12886",
)
def test_type_is_text(error_exchanges: tuple[Exchange, ...]) -> None:
    """`error.type` is a text."""
    _judge_refusals(error_exchanges, _expect_type)


def _expect_type(exchange: Exchange) -> None:
    error = _error(exchange)
    expect(isinstance(error.at("/error/type"), str), error, "/error/type", "a text")


@contract(
    "error.code-string-or-null",
    SHOULD,
    passive="error",
    source=f"{_SPEC_ERROR}: `code` is a string or null; openai-python hands on what comes",
    breaks="Code that compares `code` with texts never matches a number; typed clients end in a parse error.",
    fix='Send a word such as "model_not_found", or null; the status has a place of its own.',
    catches="error-code-number",
    cases=("foundation-model-stack/fms-guardrails-orchestrator#511", "ggml-org/llama.cpp#5961"),
)
def test_code_is_a_word_or_null(error_exchanges: tuple[Exchange, ...]) -> None:
    """`error.code` is a text or null, and no number."""
    _judge_refusals(error_exchanges, _expect_code)


def _expect_code(exchange: Exchange) -> None:
    error = _error(exchange)
    code = error.at("/error/code")
    expect(code is None or code is MISSING or isinstance(code, str), error, "/error/code", "a text or null")


@contract(
    "error.param-present",
    SHOULD,
    passive="error",
    source=f"{_SPEC_ERROR}: `param` is required, and may be null",
    breaks="Typed clients that require the key end in a parse error instead of showing the fault.",
    fix="Send `param`, null where the fault is about no parameter.",
    catches="error-param-missing",
    cases=("vercel/ai#1578", "ggml-org/llama.cpp#5961"),
)
def test_param_is_there(error_exchanges: tuple[Exchange, ...]) -> None:
    """`error.param` is a text or null, and always there."""
    _judge_refusals(error_exchanges, _expect_param)


def _expect_param(exchange: Exchange) -> None:
    error = _error(exchange)
    param = error.at("/error/param")
    expect(param is None or isinstance(param, str), error, "/error/param", "a text or null")


@contract(
    "error.param-names-field",
    SHOULD,
    source='devnullvoid/dms-ai-assistant#12: OpenAI answers `param: "max_tokens"`; the spec is silent',
    breaks="Clients that leave out a refused parameter and try again leave out the wrong one.",
    fix="Name the parameter at fault in `error.param`.",
    catches=("error-param-null", "error-param-other"),
)
def test_param_names_what_is_at_fault(err_temperature: Exchange, err_missing_messages: Exchange) -> None:
    """For a bad parameter `error.param` names it."""
    fields = {err_temperature.probe: "temperature", err_missing_messages.probe: "messages"}
    judge_each(lambda e: _expect_named(e, fields[e.probe]), err_temperature, err_missing_messages)


def _expect_named(exchange: Exchange, field: str) -> None:
    error = _error(decided(exchange))
    param = error.at("/error/param")
    if param is MISSING or not (param is None or isinstance(param, str)):
        inconclusive(f"{exchange.probe}: there is no param (error.param-present judges that)")
    if not param:
        warn(error, "/error/param", f"{field!r}, which is at fault")
    expect(field in param, error, "/error/param", f"{field!r}, which is at fault")


@contract(
    "error.content-type",
    SHOULD,
    passive="error",
    source="measured with openai-python 3.57: of an HTML page message, type and code are lost",
    breaks="SDKs cannot read the error; the user sees a page of HTML or nothing.",
    fix="Send errors as `application/json`, also those that a proxy or framework makes.",
    catches=("error-html", "error-as-text-plain"),
    cases="sgl-project/sglang#3805",
)
def test_refusals_are_declared_as_json(error_exchanges: tuple[Exchange, ...]) -> None:
    """Refusals have a media type that ends in json."""
    _judge_refusals(error_exchanges, _expect_json_type)


def _expect_json_type(exchange: Exchange) -> None:
    if not _refusal(exchange).headers:
        inconclusive(f"no headers were recorded with {exchange.probe}")
    if not exchange.body.strip():
        inconclusive(f"{exchange.probe}: the body is empty (error.envelope judges that)")
    if exchange.media_type == "text/event-stream":
        inconclusive(f"{exchange.probe}: the refusal is a stream (error.stream-error-not-sse judges that)")
    expect(exchange.media_type.endswith("json"), exchange, "header content-type", "application/json")
    expect(exchange.is_json, exchange, "body", "one JSON value")


@contract(
    "error.status-not-200",
    MUST,
    passive="chat",
    source="measured with openai-python 3.57: a 200 with an error becomes a completion whose choices are None",
    breaks="SDKs raise nothing and do not retry; the user's code ends in a TypeError on `choices[0]`.",
    fix="Send the status of the fault (4xx, 5xx), not 200.",
    catches=("error-in-200", "throttled-200"),
    cases="UKGovernmentBEIS/inspect_ai#1534",
)
def test_errors_do_not_come_as_success(error_exchanges: tuple[Exchange, ...], chat_basic: Exchange) -> None:
    """A request that failed is never answered with status 200."""
    judge_each(_expect_no_error_in_200, chat_basic, *_of_requests(error_exchanges))


def _expect_no_error_in_200(exchange: Exchange) -> None:
    came(exchange)
    if error_in_200(exchange):
        fail(exchange, "status", "a 4xx or 5xx: the body is an error", exchange.status)


@contract(
    "error.no-error-key-on-success",
    MUST,
    passive=("chat", "chat-stream"),
    source="openai-python 3.57 _streaming.py:96-108 raises on any chunk with a truthy `error`",
    breaks="openai-python and openai-node end in an APIError in the middle of a good answer.",
    fix="Leave `error` out of answers that succeed.",
    catches=("completion-with-error-key", "stream-with-error-key", "stream-error-after-finish"),
    cases="Calcium-Ion/new-api-horizon#9",
)
def test_success_bears_no_error(chat_basic: Exchange, stream_basic: Exchange) -> None:
    """A good answer bears no `error`, nor does any of its chunks."""
    judge_each(_expect_no_error_key, chat_basic, stream_basic)


def _expect_no_error_key(exchange: Exchange) -> None:
    answered(exchange)
    if error_in_200(exchange):
        inconclusive(f"{exchange.probe} failed (error.status-not-200 judges that)")
    documents = [body(exchange)] if exchange.is_json else list(_events(exchange))
    with_error = [document for document in documents if document.at("/error")]
    broke_off = with_error and with_error[0] is documents[-1] and not any(map(_finishes, documents))
    if broke_off and not exchange.is_json:
        inconclusive(f"{exchange.probe}: the answer broke off with an error")
    for document in with_error:
        fail(document, "/error", "no error in an answer that succeeds")


def _finishes(document: Document) -> bool:
    return any(choice.at("/finish_reason") in ("stop", "length") for choice in document.items("/choices"))


def _events(exchange: Exchange) -> Iterator[Document]:
    for number, event in enumerate(exchange.events):
        try:
            yield Document(exchange.probe, f"event {number}", json.loads(event.data))
        except (ValueError, RecursionError):
            continue
