"""Contracts on what carries an answer: media type, encoding, request headers and request ids."""

from __future__ import annotations

import json

from pytest_llmcompat.answer import answered, came, is_foreign
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import SDK_HEADERS, Exchange
from pytest_llmcompat.json_text import unsafe_json
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_REQUEST_ID = "x-request-id"


@contract(
    "transport.json-content-type",
    SHOULD,
    passive="chat",
    source="openai-python 3.57 _response.py:238-263 looks for a media type that ends in json",
    breaks="Clients that go by the media type hand the user a text in place of an object.",
    fix="Send `Content-Type: application/json` with every answer that is not streamed.",
    catches=("completion-as-text-plain",),
    cases=("decolua/9router#3492",),
)
def test_answers_are_declared_as_json(chat_basic: Exchange) -> None:
    """An answer that is not streamed has a media type that ends in json."""
    answered(chat_basic)
    _require_headers(chat_basic)
    if is_foreign(chat_basic) and not chat_basic.media_type:
        inconclusive(f"no content type was recorded with {chat_basic.probe}")
    if chat_basic.media_type == "text/event-stream":
        inconclusive("the answer came as a stream (transport.stream-default-false judges that)")
    expect(chat_basic.media_type.endswith("json"), chat_basic, "header content-type", "application/json")


@contract(
    "transport.utf8",
    MUST,
    passive="every",
    source="RFC 8259 section 8.1: JSON between systems is UTF-8 and begins with no byte order mark",
    breaks="openai-python ends in UnicodeDecodeError in the middle of a stream; strict parsers refuse the mark.",
    fix="Write UTF-8 without a byte order mark; hold back the bytes of a character until it is complete.",
    catches=("completion-with-bom", "completion-invalid-utf8", "stream-invalid-utf8"),
    cases=("farion1231/cc-switch#1923",),
)
def test_bodies_are_utf8(chat_basic: Exchange, stream_basic: Exchange) -> None:
    """Bodies are valid UTF-8 without a byte order mark."""
    whole = [exchange for exchange in (chat_basic, stream_basic) if exchange.ok]
    if not whole:
        answered(chat_basic)
    for exchange in whole:
        start = exchange.body[:20]
        expect(not start.startswith(_BYTE_ORDER_MARK), exchange, "byte 0", "no byte order mark", start)
        _expect_utf8(exchange)


def _expect_utf8(exchange: Exchange) -> None:
    try:
        exchange.body.decode("utf-8")
    except UnicodeDecodeError as error:
        around = exchange.body[max(0, error.start - 16) : error.end + 16]
        fail(exchange, f"byte {error.start}", f"valid UTF-8 ({error.reason})", around)


@contract(
    "transport.json-safe",
    MUST,
    passive="every",
    source="RFC 8259 sections 4 and 6: names within an object are unique, and NaN and Infinity are no numbers",
    breaks="JSON.parse of every JavaScript client raises SyntaxError; of two values with one name one is lost.",
    fix="Send null for what is no number, and each name of an object once.",
    catches=("completion-with-nan", "completion-name-twice", "stream-with-nan", "stream-name-twice"),
)
def test_json_is_the_same_to_everybody(chat_basic: Exchange, stream_basic: Exchange) -> None:
    """JSON holds no NaN and no Infinity, and no object has a name twice."""
    whole = [exchange for exchange in (chat_basic, stream_basic) if exchange.ok]
    if not whole:
        answered(chat_basic)
    for exchange in whole:
        texts = [("body", exchange.text)]
        if not exchange.is_json:
            texts = [(f"event {number}", event.data) for number, event in enumerate(exchange.events)]
        for where, text in texts:
            unsafe = unsafe_json(text)
            expect(unsafe is None, exchange, where, "JSON that every parser reads in the same way", unsafe)


@contract(
    "transport.stream-default-false",
    MUST,
    passive="chat",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33320): `stream` is false by default",
    breaks="SDKs return a text in place of a completion, or fail on what follows the JSON.",
    fix='Stream only when the request says `"stream": true`; else send one JSON object and nothing behind it.',
    catches=("completion-as-event-stream", "completion-with-done-glued"),
    cases=("decolua/9router#3492",),
)
def test_stream_is_off_by_default(chat_basic: Exchange) -> None:
    """Without `stream` in the request the answer is one JSON value, and no stream."""
    answered(chat_basic)
    if not chat_basic.body and not chat_basic.live:
        inconclusive("no body was recorded with chat-basic")
    expect(
        chat_basic.media_type != "text/event-stream",
        chat_basic,
        "header content-type",
        "application/json, since the request does not ask for a stream",
    )
    try:
        json.loads(chat_basic.body.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        fail(chat_basic, "body", "one JSON value and nothing behind it", _ends(chat_basic.body))


def _ends(body: bytes) -> bytes:
    return body if len(body) <= 120 else body[:60] + b" ... " + body[-60:]


@contract(
    "transport.sdk-headers-tolerated",
    SHOULD,
    source="openai-python 3.57 sends x-stainless-* headers with each request; RFC 9110 section 5.1",
    breaks="Official SDKs cannot call the endpoint at all, though curl can.",
    fix="Ignore request headers that the server does not know.",
    catches=("sdk-headers-refused",),
)
def test_sdk_headers_are_ignored(chat_basic: Exchange) -> None:
    """The headers that SDKs add to a request do not get it refused."""
    refusal = chat_basic.refused.get(SDK_HEADERS)
    if refusal is not None:
        found = f"{refusal.status} with x-stainless-* headers, {chat_basic.status} without: {refusal.message}"
        fail(chat_basic, "status", "the same answer with and without the headers of an SDK", found)
    answered(chat_basic)


@contract(
    "transport.request-id",
    SHOULD,
    source="openai-python 3.57 _response.py:278 and _exceptions.py:103 read `_request_id` from x-request-id",
    breaks="`response._request_id` is None, so users have nothing to quote when they report a fault.",
    fix="Send an `x-request-id` header with each answer, errors included.",
    catches=("request-id-missing",),
)
def test_answers_have_a_request_id(chat_basic: Exchange, err_unknown_model: Exchange) -> None:
    """Each answer, errors included, carries a non-empty `x-request-id`."""
    whole = [e for e in (chat_basic, err_unknown_model) if e.unsent is None and e.failure is None]
    if not whole:
        came(chat_basic)
    for exchange in whole:
        _require_headers(exchange)
        expect(bool(_request_id(exchange)), exchange, f"header {_REQUEST_ID}", _expected_id(exchange))


def _request_id(exchange: Exchange) -> str:
    return (exchange.header(_REQUEST_ID) or "").strip()


def _expected_id(exchange: Exchange) -> str:
    """What is expected, with the names under which other ids came."""
    others = [
        name
        for name, _ in exchange.headers
        if name != _REQUEST_ID
        and (name == "cf-ray" or name.endswith(("-request-id", "-call-id", "trace-id")))
    ]
    return f"a non-empty id; there is {', '.join(others)} instead" if others else "a non-empty id"


@contract(
    "transport.request-id-unique",
    SHOULD,
    source="openai-python 3.57 _response.py:278: one id stands for one request",
    breaks="An id that users quote leads to another request in the logs.",
    fix="Make a new id for each request.",
    catches=("request-id-constant",),
)
def test_request_ids_differ(chat_basic: Exchange, chat_turns: Exchange) -> None:
    """Two requests never share an `x-request-id`."""
    came(chat_basic)
    came(chat_turns)
    if not (_request_id(chat_basic) and _request_id(chat_turns)):
        unsupported(f"the answers have no {_REQUEST_ID}")
    expect(
        _request_id(chat_turns) != _request_id(chat_basic),
        chat_turns,
        f"header {_REQUEST_ID}",
        "an id other than that of chat-basic",
    )


def _require_headers(exchange: Exchange) -> None:
    """Inconclusive for a recording that kept no headers at all; every live answer has some."""
    if not exchange.headers:
        inconclusive(f"no headers were recorded with {exchange.probe}")
