"""Contracts on what the official Python client makes of recorded answers that are not streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_llmcompat.answer import answered, body, came, judge_each, served, unrouted
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.sdk import arguments, raised, strict_tools, take, take_async
from pytest_llmcompat.turn import TOOL_WORDS, Call, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive

if TYPE_CHECKING:
    from openai import OpenAI

_TYPED: Final = "an answer that create() makes a ChatCompletion of, with `choices[0].message`"


def _utf8(exchange: Exchange) -> Exchange:
    try:
        exchange.body.decode("utf-8")
    except UnicodeDecodeError:
        inconclusive(f"{exchange.probe}: the body is no UTF-8 (transport.utf8 judges that)")
    return exchange


@contract(
    "sdk.sync-create",
    MUST,
    passive="chat",
    source="openai-python 3.57 runs on the recorded bytes",
    breaks="Every program on the official Python client: `completion.choices[0].message` raises.",
    fix="Answer with a JSON object whose `choices` is an array of choices, each with a `message`.",
    catches="choices-null",
    cases="langchain-ai/langchain#32314",
)
def test_create_gives_a_completion(chat_basic: Exchange) -> None:
    """`client.chat.completions.create()` makes the typed object of the answer."""
    document = served(_utf8(chat_basic))
    asked = arguments(chat_basic)
    _expect_typed(document, take(chat_basic, lambda openai: openai.chat.completions.create(**asked), _TYPED))


@contract(
    "sdk.async-create",
    MUST,
    passive="chat",
    source="openai-python 3.57 runs on the recorded bytes",
    breaks="Every program on the asynchronous client: `completion.choices[0].message` raises.",
    fix="Answer with a JSON object whose `choices` is an array of choices, each with a `message`.",
    catches="choices-null",
)
def test_async_create_gives_a_completion(chat_basic: Exchange) -> None:
    """`AsyncOpenAI().chat.completions.create()` makes the typed object of the answer."""
    document = served(_utf8(chat_basic))
    asked = arguments(chat_basic)
    _expect_typed(
        document, take_async(chat_basic, lambda openai: openai.chat.completions.create(**asked), _TYPED)
    )


def _expect_typed(document: Document, completion: object) -> None:
    from openai.types.chat import ChatCompletion, ChatCompletionMessage

    if document.at("/choices") == []:
        inconclusive("the answer has no choice (chat.choices-array judges that)")
    expect(isinstance(completion, ChatCompletion), document, "", _TYPED, type(completion).__name__)
    choices = getattr(completion, "choices", None)
    expect(isinstance(choices, list), document, "/choices", _TYPED)
    message = getattr(choices[0], "message", None) if choices else None
    expect(isinstance(message, ChatCompletionMessage), document, "/choices/0", _TYPED)


@contract(
    "sdk.raw-response",
    SHOULD,
    source="openai-python 3.57 _legacy_response.py:66 and _response.py: headers, request_id and parse()",
    breaks="Programs that read rate limits or log the request id (`_request_id`) get None.",
    fix="Send `x-request-id` with every answer.",
    catches="request-id-missing",
)
def test_raw_response_gives_id_and_completion(chat_basic: Exchange) -> None:
    """`with_raw_response` gives the headers, the request id and, by `.parse()`, the typed object."""
    from openai.types.chat import ChatCompletion

    document = served(_utf8(chat_basic))
    asked = arguments(chat_basic)
    raw, parsed = take(chat_basic, lambda openai: _raw_and_parsed(openai, asked), _TYPED)
    expect(isinstance(parsed, ChatCompletion), document, "", _TYPED, type(parsed).__name__)
    expect(
        bool(raw.request_id), chat_basic, "header x-request-id", "an id, which `request_id` gives the user"
    )


def _raw_and_parsed(openai: OpenAI, asked: dict[str, Any]) -> tuple[Any, Any]:
    raw = openai.chat.completions.with_raw_response.create(**asked)
    return raw, raw.parse()


@contract(
    "sdk.parse-tools",
    MUST,
    source="openai-python 3.57 lib/_parsing/_completions.py: json.loads on the arguments of strict tools",
    breaks="`.parse()` gives a text in place of the arguments, and the user's function is called with it.",
    fix="Send `function.arguments` as JSON of an object, encoded once.",
    catches="tool-arguments-doubly-encoded",
    cases="openai/openai-python#3502",
)
def test_parse_gives_arguments(tool_required: Exchange) -> None:
    """`.parse()` gives the arguments of strict tools as an object."""
    answer = turn(_utf8(tool_required), *TOOL_WORDS)
    if answer.cut:
        inconclusive(f"the answer was cut ({answer.finish}), which .parse() refuses")
    strict = strict_tools(tool_required)
    readable = [number for number, call in enumerate(answer.calls) if _is_readable(call, strict)]
    if not readable or len(readable) < len(answer.calls):
        inconclusive("not every call is of a strict tool and sound (tools.* contracts judge that)")
    asked = {**arguments(tool_required), "tools": strict}
    expected = "calls that .parse() reads the arguments of"
    parsed: Any = take(tool_required, lambda openai: openai.chat.completions.parse(**asked), expected)
    calls = parsed.choices[0].message.tool_calls or []
    expect(len(calls) == len(answer.calls), *answer.text_at, expected, f"{len(calls)} calls")
    for call, given in zip(answer.calls, calls, strict=True):
        found = given.function.parsed_arguments
        expect(isinstance(found, dict), call.place, "/function/arguments", "JSON of an object, encoded once")


def _is_readable(call: Call, strict: list[dict[str, Any]]) -> bool:
    known = any(tool["function"]["name"] == call.name for tool in strict)
    readable = isinstance(call.arguments, str) and read_json(call.arguments) is not MISSING
    return known and readable and call.place.at("/type") == "function"


@contract(
    "sdk.models-list",
    MUST,
    passive="models",
    source="openai-python 3.57 pagination.py: SyncPage reads `data`",
    breaks="Model pickers and start-up checks on the official client end in an error or show nothing.",
    fix='Answer /models with {"object": "list", "data": [...]}.',
    catches=("models-bare-array", "models-key-models"),
    cases="tarasglek/chatcraft.org#515",
)
def test_models_can_be_listed(models_list: Exchange) -> None:
    """`client.models.list()` goes through all listed models."""
    document = body(answered(_utf8(models_list)))
    listed = _listed(document)
    if not listed:
        inconclusive("the answer lists no models (models.* contracts judge that)")
    expected = "a list that client.models.list() goes through"
    models = take(models_list, lambda openai: list(openai.models.list()), expected)
    expect(
        len(models) == len(listed), document, "", f"{expected}: {len(listed)} models", f"{len(models)} models"
    )


def _listed(document: Document) -> list[Document]:
    """The entries of the answer, wherever it keeps them."""
    return next(filter(None, (document.items(pointer) for pointer in ("/data", "/models", ""))), [])


@contract(
    "sdk.error-class",
    MUST,
    passive="error",
    source="openai-python 3.57 _base_client.py:481-508 and _exceptions.py: message, type, code and param of `error`",
    breaks="Programs that look at `error.code` or show `str(error)` get None and a bare status.",
    fix='Answer errors with {"error": {"message", "type", "param", "code"}}.',
    catches=("error-array", "error-fastapi-detail", "error-string", "auth-error-string"),
    cases=("vllm-project/vllm#12886", "huggingface/chat-ui#1343"),
)
def test_errors_reach_the_exception(error_exchanges: tuple[Exchange, ...]) -> None:
    """What an error answer says reaches the exception of the official client: text, type, code and param."""
    # A user of the client meets neither unknown routes nor other methods.
    met = [e for e in error_exchanges if not e.probe.startswith("route-")]
    judge_each(_expect_exception, *met)


def _expect_exception(exchange: Exchange) -> None:
    from openai import APIStatusError

    document = body(exchange)
    if not 400 <= came(exchange).status < 500 or exchange.status == 429 or not exchange.is_json:
        inconclusive(f"{exchange.probe} was not refused in JSON (error.* contracts judge that)")
    if unrouted(exchange):
        inconclusive(f"{exchange.probe} was answered {exchange.status}: perhaps there is no such route")
    error = raised(exchange, lambda openai: openai.chat.completions.create(model="", messages=[]))
    if not isinstance(error, APIStatusError):
        fail(exchange, "status", "an error that openai-python raises an APIStatusError for", repr(error))
    text, place = _said(document)
    expect(text in str(error), document, place, "a text in `/error/message`, where the client looks for it")
    for key in ("type", "code", "param"):
        value = document.at(place.replace("message", key)) if place.endswith("/message") else MISSING
        found = getattr(error, key)
        lost = isinstance(value, str) and found != value
        expect(not lost, document, place.replace("message", key), f"`error.{key}` of the exception", found)


def _said(document: Document) -> tuple[str, str]:
    """The text of an error for people and the pointer to it, in any of the shapes that servers use."""
    pointers = ("/error/message", "/message", "/0/error/message", "/0/message", "/detail", "/error")
    found = [(text, at) for at in pointers if isinstance(text := document.at(at), str) and text]
    if not found:
        inconclusive("the error bears no text (error.message-string judges that)")
    return found[0]
