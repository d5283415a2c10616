"""Contracts on what a Responses request may say: input, instructions, caps, formats, and what is refused."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import body, came, error_message, names
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json, violation, without_thinking
from pytest_llmcompat.responses import (
    ResponseStream,
    message_text,
    output_items,
    prompt_size,
    reported_tokens,
    response,
    response_stream,
)
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.tokens import SLACK, outgrew
from pytest_llmcompat.turn import sent
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_CREATE: Final = _SPEC.format(36274, "CreateResponse")
# About the key, the rate or the state of the server, not about what was asked.
_ELSEWHERE: Final = (401, 403, 408, 429, 502, 503, 504, 529)
_INVALID: Final = (400, 422)
_FORMAT_WORDS: Final = ("text", "format", "json_schema", "structured output", "structured outputs")


def _decided(exchange: Exchange) -> Exchange:
    """The exchange, when its status is about the request; a 404 is here, for the route is known to exist."""
    if came(exchange).status in _ELSEWHERE or 300 <= exchange.status < 400:
        inconclusive(f"{exchange.probe} was answered {exchange.status}: {error_message(exchange)}")
    return exchange


@contract(
    "responses.instructions",
    SHOULD,
    source=f"{_SPEC_CREATE}, `instructions`: a system message in front of the context",
    breaks="The system prompt of an application is refused, or paid for and never read.",
    fix="Put `instructions` in front of the conversation as a system message.",
    catches=("response-instructions-refused", "response-instructions-dropped"),
)
def test_instructions_reach_the_model(resp_basic: Exchange, resp_stream: Exchange) -> None:
    """`instructions` are accepted, and either followed or at least counted as input."""
    refusal = came(resp_basic).refused.get("instructions")
    if refusal is not None:
        fail(resp_basic, "status", "200", f"{refusal.status}: {refusal.message}")
    document = response(resp_basic)
    text = message_text(document)
    if text.isupper():
        return
    # The same words without instructions were streamed.
    with_them = prompt_size(document)
    without = prompt_size(response_stream(resp_stream).final)
    if with_them is not None and with_them == without:
        expected = f"more than {without}, which the same request takes without instructions"
        fail(document, "/usage/input_tokens", expected)
    inconclusive("the model does not follow them, and the counts do not show that they were dropped")


@contract(
    "responses.input-items",
    MUST,
    source=_SPEC.format(36274, "CreateResponse, `input`: a text or a list of items"),
    breaks="Programs that use the other form, as every agent framework does, are refused.",
    fix='Accept `input` as a text and as messages with parts {"type": "input_text", "text": …}.',
    catches=("response-list-input-refused", "response-string-input-refused"),
)
def test_input_is_a_text_or_messages(resp_basic: Exchange, resp_stream: Exchange) -> None:
    """`input` may be a text, and a list of messages with `input_text` parts."""
    if came(resp_basic).status in _INVALID and names(resp_basic, "input"):
        fail(resp_basic, "status", "200: input is a text", resp_basic.status)
    response(resp_basic)
    refused = came(resp_stream).status in _INVALID
    if refused and names(resp_stream, "stream"):
        unsupported(f"streams are refused: {error_message(resp_stream)}")
    expect(not refused, resp_stream, "status", "200: input is a list of messages")
    response_stream(resp_stream)


@contract(
    "responses.max-output",
    SHOULD,
    source=f"{_SPEC_CREATE}, `max_output_tokens`, minimum 16; line 57280: `incomplete_details.reason`",
    breaks="Costs have no bound, or an answer that was cut passes for a whole one.",
    fix='Stop at the cap; send `status: "incomplete"` and the reason «max_output_tokens».',
    catches=("response-cap-ignored", "response-capped-completed", "response-reason-length"),
    cases="earendil-works/pi#7817",
)
def test_cap_is_kept_and_told(resp_length: Exchange) -> None:
    """`max_output_tokens` bounds the answer, which is then «incomplete» for the reason «max_output_tokens»."""
    stream = response_stream(resp_length, "max_output_tokens")
    final, cap = _whole(stream), _cap(resp_length)
    spent, text = reported_tokens(final, "output_tokens"), message_text(final)
    if spent is not None and spent > cap + SLACK:
        fail(final, "/usage/output_tokens", f"at most {cap}, the cap")
    expect(not outgrew(text, cap), final, "/output", f"a text of at most {cap} tokens", text)
    if final.at("/status") == "incomplete":
        reason = final.at("/incomplete_details/reason")
        if reason == "content_filter":
            inconclusive("a filter cut the answer")
        expect(reason == "max_output_tokens", final, "/incomplete_details/reason", "max_output_tokens")
        return
    _require_full(final, cap)
    fail(final, "/status", f"incomplete: the cap of {cap} tokens was met")


@contract(
    "responses.stream.incomplete-event",
    SHOULD,
    source=_SPEC.format(58889, "ResponseIncompleteEvent"),
    breaks="Clients show an answer that was cut as a whole one and never offer to go on.",
    fix="End a stream that the cap cut with `response.incomplete`.",
    catches=("response-capped-completed", "response-capped-event-completed"),
)
def test_capped_stream_ends_with_incomplete(resp_length: Exchange) -> None:
    """A stream that the cap cut ends with `response.incomplete`."""
    stream = response_stream(resp_length, "max_output_tokens")
    final, cap = _whole(stream), _cap(resp_length)
    if final.at("/status") != "incomplete":
        _require_full(final, cap)
    expect(
        stream.ends[-1].at("/type") == "response.incomplete", stream.ends[-1], "/type", "response.incomplete"
    )


def _whole(stream: ResponseStream) -> Document:
    final = stream.final
    if final.at("/status") not in ("completed", "incomplete"):
        inconclusive(f"{stream.exchange.probe}: the response is {final.at('/status')}")
    return final


def _cap(exchange: Exchange) -> int:
    cap = sent(exchange, "max_output_tokens")
    if not isinstance(cap, int):
        inconclusive(f"{exchange.probe} was sent without a cap")
    return cap


def _require_full(final: Document, cap: int) -> None:
    """Inconclusive unless the answer says that it spent the whole cap, and no more."""
    spent = reported_tokens(final, "output_tokens")
    if spent is None or spent < cap:
        inconclusive(f"the model ended by itself, as far as the usage tells ({spent} of {cap} tokens)")
    if spent > cap + SLACK:
        inconclusive("the cap was not kept (responses.max-output judges that)")


@contract(
    "responses.error-envelope",
    MUST,
    source=_SPEC.format(38286, "ErrorResponse"),
    breaks="SDKs give the user an exception without message, type and code.",
    fix='Answer refusals of /responses with {"error": {"message", "type", "param", "code"}}, as those of chat.',
    catches=(
        "error-flat",
        "error-array",
        "error-fastapi-detail",
        "error-string",
        "error-empty",
        "error-html",
    ),
    cases="sgl-project/sglang#9624",
)
def test_refusal_has_the_envelope(resp_err: Exchange) -> None:
    """A refused request is answered with the envelope that chat uses."""
    if not 400 <= _decided(resp_err).status < 500:
        inconclusive(f"the request was not refused but answered {resp_err.status}")
    expect(resp_err.is_json, resp_err, "body", "a JSON object with `error`")
    expect_conforms(body(resp_err), "error")


@contract(
    "responses.unknown-model-404",
    SHOULD,
    source="BerriAI/litellm#39457; OpenAI answers 400 with the code model_not_found",
    breaks="A misspelt model gets answers of another one, or three tries and a server error.",
    fix="Answer an unknown model with 404, or with 400 as OpenAI does.",
    catches=("response-unknown-model-served", "response-unknown-model-500"),
    cases="sgl-project/sglang#31419",
)
def test_unknown_model_is_refused(resp_err: Exchange) -> None:
    """A model that does not exist is refused with 404 or 400."""
    status = _decided(resp_err).status
    expect(400 <= status < 500, resp_err, "status", "404, or 400: there is no such model")


@contract(
    "responses.structured",
    SHOULD,
    source=_SPEC.format(36274, "CreateResponse, `text`: `format` of the type json_schema"),
    breaks="`responses.parse()` raises; programs without checks store values they never allowed.",
    fix="Constrain the model by the schema of `text.format`, or refuse it by name.",
    catches=("response-format-ignored", "response-json-fenced", "response-json-other-values"),
    cases="firecrawl/firecrawl#4252",
)
def test_text_format_is_enforced(resp_json: Exchange) -> None:
    """With a strict schema in `text.format` the text is bare JSON that conforms to it."""
    document = response(resp_json, *_FORMAT_WORDS)
    text = message_text(document)
    if document.at("/status") != "completed" or not text.strip() or _refuses(document):
        inconclusive("the model wrote nothing to its end")
    value = read_json(without_thinking(text))
    expect(value is not MISSING, document, "/output", "bare JSON, by the schema sent", text)
    if (broken := violation(value, sent(resp_json, "text/format/schema"))) is not None:
        pointer, message = broken
        fail(document, "/output", f"what the schema asks for at «{pointer}»: {message}", text)


def _refuses(document: Document) -> bool:
    messages = output_items(document, "message")
    return any(part.at("/type") == "refusal" for item in messages for part in item.items("/content"))


@contract(
    "responses.no-chat-params",
    MAY,
    source="own rule; OpenAI refuses `messages` with 400 and names `input`",
    breaks="SDKs take a 500 for a passing fault and send the bad request three times.",
    fix="Refuse `messages` and `max_tokens` on /responses with 400, or ignore them.",
    catches="response-chat-params-500",
    cases="tailcallhq/forgecode#3377",
)
def test_parameters_of_chat_do_no_harm(resp_chat_params: Exchange) -> None:
    """`messages` and `max_tokens` on /responses are refused or ignored, and no server error."""
    expect(_decided(resp_chat_params).status < 500, resp_chat_params, "status", "400")
