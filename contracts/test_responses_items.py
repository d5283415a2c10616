"""Contracts on the items of a response: its message, their ids, and what the official client reads of them."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.answer import judge_each
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.responses import (
    message_text,
    output_items,
    reported_tokens,
    response,
    whole_response,
)
from pytest_llmcompat.sdk import take
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_MESSAGE: Final = _SPEC.format(45301, "OutputMessage")
# Items of these types carry ids in every answer; those of hosted tools differ from one to the other.
_IDENTIFIED: Final = ("message", "function_call", "reasoning")


@contract(
    "responses.message-item",
    MUST,
    passive="responses",
    source=f"{_SPEC_MESSAGE}; measured with openai-python 3.57: content as a text is an AttributeError",
    breaks="`response.output_text` is empty or raises although the model has written something.",
    fix='Put the text into an item {"type": "message", "role": "assistant", "content": [{"type": "output_text"}]}.',
    catches=(
        "response-output-empty",
        "response-content-string",
        "response-part-type-text",
        "response-role-model",
        "response-retrieve-empty",
    ),
    cases="firecrawl/firecrawl#4252",
)
def test_text_is_in_a_message(resp_basic: Exchange) -> None:
    """The text stands in a message of the assistant, as `output_text` parts of its content."""
    document = response(resp_basic)
    messages = output_items(document, "message")
    if not messages:
        _expect_text(document)
    for message in messages:
        expect(message.at("/role") == "assistant", message, "/role", "assistant")
        expect(isinstance(message.at("/content"), list), message, "/content", "an array of parts")
        for part in message.items("/content"):
            known = part.at("/type") in ("output_text", "refusal")
            expect(known, part, "/type", "output_text, or refusal")
            if part.at("/type") == "output_text":
                expect(isinstance(part.at("/text"), str), part, "/text", "a text")
    for message in messages:
        warn_unless(isinstance(message.at("/status"), str), message, "/status", "the status of the item")


def _expect_text(document: Document) -> None:
    """Nothing that was written may be lost; what was called or thought is another matter."""
    written, thought = reported_tokens(document, "output_tokens"), _thought(document)
    lost = document.at("/output") == [] and document.at("/status") == "completed"
    if lost and (written or 0) > thought + 2:
        fail(document, "/output", f"a message: the usage counts {written} tokens of output")
    inconclusive(f"{document.probe}: there is no message")


def _thought(document: Document) -> int:
    return reported_tokens(document, "output_tokens_details/reasoning_tokens") or 0


@contract(
    "responses.text-part",
    SHOULD,
    passive="responses",
    source=_SPEC.format(
        45301,
        "OutputMessage; its OutputTextContent requires `annotations`; OpenAI's answers of 2025 lack `logprobs`",
    ),
    breaks="Typed clients that require the key end in a parse error; loops over it raise.",
    fix="Send `annotations: []` beside the text.",
    catches="response-annotations-missing",
)
def test_text_has_annotations(resp_basic: Exchange) -> None:
    """Text parts have `annotations`, a list; `logprobs` is a list where it is sent."""
    document = response(resp_basic)
    messages = output_items(document, "message")
    parts = [p for m in messages for p in m.items("/content") if p.at("/type") == "output_text"]
    if not parts:
        inconclusive(f"{resp_basic.probe}: there is no text (responses.message-item judges that)")
    for part in parts:
        warn_unless(isinstance(part.at("/annotations"), list), part, "/annotations", "a list")
        logprobs = part.at("/logprobs")
        absent = logprobs is MISSING or logprobs is None
        warn_unless(absent or isinstance(logprobs, list), part, "/logprobs", "a list")


@contract(
    "responses.item-ids",
    SHOULD,
    passive=("responses", "responses-stream"),
    source=f"{_SPEC_MESSAGE}: `id`",
    breaks="Clients that keep items by id overwrite one with the other, or send back one that is refused.",
    fix="Give each item an id of its own.",
    catches=("response-item-id-empty", "response-item-id-repeated"),
    cases="earendil-works/pi#9057",
)
def test_items_have_ids_of_their_own(resp_basic: Exchange, resp_tool: Exchange) -> None:
    """Every item has an id, and no two of a response have the same."""
    judge_each(_expect_ids, resp_basic, resp_tool)


def _expect_ids(exchange: Exchange) -> None:
    items = output_items(whole_response(exchange))
    if not items:
        inconclusive(f"{exchange.probe}: there is no item")
    seen: list[Any] = []
    for item in items:
        id = item.at("/id")
        if item.at("/type") in _IDENTIFIED:
            expect(isinstance(id, str) and id != "", item, "/id", "an id")
        expect(not isinstance(id, str) or id not in seen, item, "/id", "an id that no other item has")
        seen.append(id)


@contract(
    "responses.reasoning-item",
    MAY,
    passive=("responses", "responses-stream"),
    source="OpenAI's specification (openapi.yaml f85dbe2): ReasoningItem requires `id`, `summary` and `type`",
    breaks="Clients that send the items back are refused; those that show summaries raise.",
    fix='Send reasoning as {"type": "reasoning", "id": …, "summary": […]}.',
    catches="response-reasoning-as-text",
)
def test_reasoning_is_an_item(resp_basic: Exchange, resp_stream: Exchange) -> None:
    """Reasoning comes as an item of the type «reasoning» with a list of summaries."""
    judge_each(_expect_reasoning_item, resp_basic, resp_stream)


def _expect_reasoning_item(exchange: Exchange) -> None:
    items = output_items(whole_response(exchange), "reasoning")
    if not items:
        inconclusive(f"{exchange.probe}: no reasoning came")
    for item in items:
        expect(isinstance(item.at("/summary"), list), item, "/summary", "a list of summaries")


@contract(
    "sdk.responses-output-text",
    MUST,
    passive="responses",
    source="openai-python 3.57 types/responses/response.py, `output_text`, on the recorded bytes",
    breaks="`response.output_text` is empty or raises: the user gets nothing for what was paid.",
    fix="See responses.output-array and responses.message-item.",
    catches=("response-output-null", "response-content-string", "response-part-type-text"),
    cases="firecrawl/firecrawl#4252",
)
def test_official_client_gives_the_text(resp_basic: Exchange) -> None:
    """`response.output_text` of the official client is the text of the answer."""
    document = response(resp_basic)
    expected = "a response whose `output_text` is its text"
    text = take(resp_basic, lambda openai: openai.responses.create(model="", input="").output_text, expected)
    written = message_text(document) or _written_otherwise(document)
    if not written:
        inconclusive(f"{resp_basic.probe}: there is no text")
    expect(text == written, document, "/output", f"{expected}: {written!r}", text)


def _written_otherwise(document: Document) -> str:
    """The text of parts that the client does not take for text."""
    parts = [part for item in output_items(document, "message") for part in item.items("/content")]
    texts = [part.at("/text") for part in parts if part.at("/type") != "refusal"]
    return "".join(text for text in texts if isinstance(text, str))
