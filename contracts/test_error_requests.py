"""Contracts on invalid requests: that they are refused, and with which status."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import body, came, chunks, decided, error_in_200, error_message, judge_each
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import UNKNOWN_MODEL
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn, warn_unless

_RETRIED: Final = "openai-python 3.57 _base_client.py:958 retries every status of 500 and above"
_SPEC_REQUEST: Final = (
    "OpenAI's specification (openapi.yaml f85dbe2, line 33105): CreateChatCompletionRequest"
)
_THREE_CALLS: Final = "SDKs take a 500 for a passing fault and send the bad request three times."


def _expect_refused(exchange: Exchange, why: str) -> None:
    decided(exchange)
    expect(400 <= exchange.status < 500, exchange, "status", f"400: {why}")


@contract(
    "error.malformed-json-400",
    MUST,
    source=_RETRIED,
    breaks=_THREE_CALLS,
    fix="Answer a body that is no JSON with 400 and the envelope.",
    catches="malformed-json-500",
    cases="sgl-project/sglang#3805",
)
def test_broken_json_is_refused(err_json: Exchange) -> None:
    """A body that is no JSON is refused with 400."""
    _expect_refused(err_json, "the body is cut off in the middle")


@contract(
    "error.missing-messages-400",
    MUST,
    source=f"{_SPEC_REQUEST} requires model and messages; {_RETRIED}",
    breaks=_THREE_CALLS,
    fix="Check that `messages` is there before anything reads it.",
    catches="missing-messages-500",
    cases="vllm-project/vllm#17664",
)
def test_missing_messages_are_refused(err_missing_messages: Exchange) -> None:
    """A request without `messages` is refused with 400."""
    _expect_refused(err_missing_messages, "there are no messages")


@contract(
    "error.missing-model-400",
    SHOULD,
    source=f"{_SPEC_REQUEST} requires model and messages",
    breaks="A program that forgets the model works here and fails everywhere else, or is billed for another model.",
    fix="Refuse a request without `model` with 400.",
    catches=("missing-model-200", "missing-model-500"),
)
def test_missing_model_is_refused(err_missing_model: Exchange) -> None:
    """A request without `model` is refused with 400."""
    if came(err_missing_model).status == 404:
        return
    decided(err_missing_model)
    expect(err_missing_model.status < 500, err_missing_model, "status", "400: there is no model")
    warn_unless(err_missing_model.status >= 400, err_missing_model, "status", "400: there is no model")


@contract(
    "error.wrong-type-400",
    MUST,
    source=f"{_SPEC_REQUEST}: messages is an array; {_RETRIED}",
    breaks=_THREE_CALLS,
    fix="Check the type of `messages` before anything reads it.",
    catches="wrong-type-500",
    cases="vllm-project/vllm#42961",
)
def test_wrong_type_is_refused(err_types: Exchange) -> None:
    """`messages` that are a text are refused with 400."""
    _expect_refused(err_types, "messages is a text, not an array")


@contract(
    "error.non-object-body-400",
    SHOULD,
    source=_RETRIED,
    breaks=_THREE_CALLS,
    fix="Check that the body is a JSON object before anything reads it.",
    catches="non-object-body-500",
    cases="vllm-project/vllm#42961",
)
def test_array_as_body_is_refused(err_array_body: Exchange) -> None:
    """A JSON array as body is refused with 400."""
    _expect_refused(err_array_body, "the body is an array")


@contract(
    "error.empty-messages-400",
    SHOULD,
    source=f"{_SPEC_REQUEST}: messages has at least one item",
    breaks="A program that loses its history gets an answer to nothing, and is billed for it.",
    fix="Refuse `messages: []` with 400.",
    catches="empty-messages-200",
)
def test_empty_messages_are_refused(err_empty_messages: Exchange) -> None:
    """Empty `messages` are refused with 400."""
    _expect_refused(err_empty_messages, "messages is empty")


@contract(
    "error.bad-role-400",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 31819): the roles of messages",
    breaks="A misspelt role turns instructions into something else, and nobody is told.",
    fix="Refuse roles other than developer, system, user, assistant, tool and function with 400.",
    catches="unknown-role-200",
    cases="peonist-ai/halogen-server#3",
)
def test_unknown_role_is_refused(err_role: Exchange) -> None:
    """A message with an unknown role is refused with 400."""
    _expect_refused(err_role, "there is no such role")


@contract(
    "error.temperature-range-400",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 44539): temperature between 0 and 2",
    breaks="A wrong setting is silently clipped, or the answer is noise.",
    fix="Refuse a temperature above 2 with 400 that names it.",
    catches="temperature-out-of-range-200",
)
def test_temperature_out_of_range_is_refused(err_temperature: Exchange) -> None:
    """A temperature of 9.5 is refused with 400."""
    _expect_refused(err_temperature, "temperature is above 2")


@contract(
    "error.unknown-model-404",
    MUST,
    source="BerriAI/litellm#39457: OpenAI answers 404; openai-python maps it to NotFoundError",
    breaks="Users are answered by, and billed for, a model that they did not choose; fallbacks never start.",
    fix="Refuse a model that is not there with 404 and the code model_not_found.",
    catches=("unknown-model-served", "unknown-model-echoed", "unknown-model-500"),
    cases=("ddalcu/mlx-serve#257", "sgl-project/sglang#31419"),
)
def test_unknown_model_is_refused(err_unknown_model: Exchange) -> None:
    """A model that does not exist is refused with 404, and answered by no other."""
    if came(err_unknown_model).status == 404:
        return
    # A gateway's 503 «no channel for this model» is its decision, not a passing fault.
    if err_unknown_model.status >= 500 and UNKNOWN_MODEL in error_message(err_unknown_model):
        fail(err_unknown_model, "status", "404: there is no such model")
    _expect_refused(err_unknown_model, "there is no such model")


@contract(
    "error.unknown-model-code",
    SHOULD,
    source="sgl-project/sglang#31419 and real OpenAI traffic; the specification is silent",
    breaks="Clients that fall back to another model on `model_not_found` do not.",
    fix='Send `"code": "model_not_found"`.',
    catches=("unknown-model-code-other", "unknown-model-code-null"),
    cases="icebear0828/codex-proxy#660",
)
def test_unknown_model_has_its_code(err_unknown_model: Exchange, chat_basic: Exchange) -> None:
    """The refusal of an unknown model has the code `model_not_found`."""
    if chat_basic.status in (404, 405, 501):
        inconclusive(f"the model under test gets {chat_basic.status} as well")
    if came(err_unknown_model).status != 404 and not 400 <= decided(err_unknown_model).status < 500:
        inconclusive("the model was not refused (error.unknown-model-404 judges that)")
    error = body(err_unknown_model)
    code = error.at("/error/code")
    if not isinstance(error.at("/error"), dict) or not (code in (None, MISSING) or isinstance(code, str)):
        inconclusive("there is no code to read (error.envelope and error.code-string-or-null judge that)")
    if code in (None, MISSING):
        warn(error, "/error/code", "model_not_found")
    expect(code == "model_not_found", error, "/error/code", "model_not_found")


@contract(
    "error.validation-not-422-only",
    SHOULD,
    source="openai-python 3.57 _exceptions.py:116,153: 400 is BadRequestError, 422 UnprocessableEntityError",
    breaks="Code that catches BadRequestError does not catch this one.",
    fix="Answer invalid requests with 400, as OpenAI does.",
    catches="validation-422",
    cases="vybestack/llxprt-code#114",
)
def test_validation_gives_400(err_missing_messages: Exchange, err_types: Exchange) -> None:
    """Invalid requests are refused with 400 and not with 422."""
    judge_each(_expect_400, err_missing_messages, err_types)


def _expect_400(exchange: Exchange) -> None:
    if not 400 <= decided(exchange).status < 500:
        inconclusive(
            f"{exchange.probe} was not refused (error.missing-messages-400 and wrong-type-400 judge that)"
        )
    warn_unless(exchange.status != 422, exchange, "status", "400")


@contract(
    "error.stream-error-before-first-byte",
    MUST,
    source="measured with openai-python 3.57: retries and exception classes go by the status alone",
    breaks="SDKs do not retry and raise no NotFoundError; the fault comes up in the middle of reading.",
    fix="Check the request before the status line goes out, and answer a refused one as without `stream`.",
    catches="stream-error-200",
    cases="EricLBuehler/mistral.rs#1874",
)
def test_refused_stream_has_its_status(err_stream: Exchange) -> None:
    """A stream request that is refused gets the status of the fault, not 200."""
    if not came(err_stream).ok:
        return
    if error_in_200(err_stream):
        inconclusive("the error came as JSON with 200 (error.status-not-200 judges that)")
    if err_stream.is_json or _is_served(err_stream):
        inconclusive("the unknown model was served (error.unknown-model-404 judges that)")
    fail(err_stream, "status", "a 4xx: the body is an error", err_stream.status)


def _is_served(exchange: Exchange) -> bool:
    """True when a stream holds chunks with choices: the request was not refused."""
    return any(chunk.items("/choices") for chunk in chunks(exchange))


@contract(
    "error.stream-error-not-sse",
    SHOULD,
    source="openai-python 3.57 _base_client.py:492-505 reads the body of an error as JSON",
    breaks="SDKs cannot read the error: message, type and code are lost.",
    fix="Answer a refused stream request with `application/json`.",
    catches="stream-error-as-sse",
)
def test_refused_stream_is_json(err_stream: Exchange) -> None:
    """The refusal of a stream request is no event stream."""
    if came(err_stream).status < 400:
        inconclusive(f"err-stream was not refused but answered {err_stream.status}")
    found = err_stream.media_type
    expect(found != "text/event-stream", err_stream, "header content-type", "application/json")
