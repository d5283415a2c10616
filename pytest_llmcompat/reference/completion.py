"""The plain answer: one `chat.completion` object."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.reference.defect import Faults, defect, spoil
from pytest_llmcompat.reference.finish import finish_reason
from pytest_llmcompat.reference.functions import as_function_call
from pytest_llmcompat.reference.generation import Generation
from pytest_llmcompat.reference.logprobs import logprobs
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.toolcalls import whole_call
from pytest_llmcompat.reference.transport import LEGAL_BARE

__all__ = ["FINGERPRINT", "LEGAL_VENDOR_KEYS", "Answer", "completion"]

OBJECT_PLURAL = defect("object-plural", "object is «chat.completions».", row="D-C01")
OBJECT_MISSING = defect("object-missing", "There is no object.", row="D-C01")
ID_EMPTY = defect("id-empty", "Plain ids are empty.", row="D-C02")
CREATED_ZERO = defect("created-zero", "created is 0.", row="D-C03")
CREATED_MILLISECONDS = defect("created-milliseconds", "created is in milliseconds.", row="D-C03")
CREATED_ISO = defect("created-iso", "created is an ISO date.", row="D-C03")
MODEL_NULL = defect("model-null", "Plain answers have model null.", row="D-C04")
CHOICES_NULL = defect("choices-null", "choices is null.", row="D-C05")
CHOICES_EMPTY = defect("choices-empty", "choices is empty.", row="D-C05")
INDEX_CONSTANT = defect("choice-index-constant", "All choices have index 0.", row="D-C06")
INDEX_MISSING = defect("choice-index-missing", "Choices have no index.", row="D-C06")
ROLE_MODEL = defect("role-model", "The role of plain messages is «model».", row="D-C07")
CONTENT_PARTS = defect("content-parts", "Plain content is a list of parts.", row="D-C08")
TOOL_CONTENT_PARTS = defect(
    "tool-content-parts", "Content beside tool calls is a list of parts.", row="D-C08"
)
TOOL_CONTENT_OMITTED = defect(
    "tool-content-omitted", "Beside tool calls there is no content key.", row="D-C09"
)
OTHER_TYPES = defect("usage-as-list", "system_fingerprint is an object, service_tier a number.", row="D-C23")
ERROR_KEY = defect("completion-with-error-key", "A good plain answer has an error as well.", row="D-E05")
CALLS_EMPTY = defect("tool-calls-empty-array", "Plain answers without calls have tool_calls [].", row="D-F10")
IN_REASONING = defect(
    "json-in-reasoning", "Plain json_schema answers are in reasoning_content.", row="supplement"
)
USAGE_MISSING = defect("usage-missing", "Plain answers have no usage.", row="D-U01")
LEGAL_VENDOR_KEYS = defect(
    "legal-vendor-keys", "Answers and chunks have keys of the vendor's own.", row="G-04", legal=True
)

FINGERPRINT: Final = "fp_5c1d9e70ab"


@dataclass(frozen=True, slots=True)
class Answer:
    """What plain and streamed answers share. created: Unix time."""

    id: str
    created: int
    model: str
    request: ChatRequest
    generations: tuple[Generation, ...]
    usage: dict[str, Any]


_FAULTS: Final[Faults] = {
    OBJECT_PLURAL: lambda answer: answer.update(object="chat.completions"),
    OBJECT_MISSING: lambda answer: answer.pop("object"),
    ID_EMPTY: lambda answer: answer.update(id=""),
    CREATED_ZERO: lambda answer: answer.update(created=0),
    CREATED_MILLISECONDS: lambda answer: answer.update(created=answer["created"] * 1000),
    CREATED_ISO: lambda answer: answer.update(
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer["created"]))
    ),
    MODEL_NULL: lambda answer: answer.update(model=None),
    CHOICES_NULL: lambda answer: answer.update(choices=None),
    CHOICES_EMPTY: lambda answer: answer.update(choices=[]),
    OTHER_TYPES: lambda answer: answer.update(system_fingerprint={"id": FINGERPRINT}, service_tier=1),
    ERROR_KEY: lambda answer: answer.update(error={"message": "None of your concern.", "code": "none"}),
    USAGE_MISSING: lambda answer: answer.pop("usage"),
    LEGAL_BARE: lambda answer: (answer.pop("system_fingerprint"), answer.pop("service_tier")),
    LEGAL_VENDOR_KEYS: lambda answer: answer.update(provider="reference", stats={"tokens_per_second": 50.0}),
}
_CHOICE_FAULTS: Final[Faults] = {
    INDEX_CONSTANT: lambda choice: choice.update(index=0),
    INDEX_MISSING: lambda choice: choice.pop("index"),
}
_MESSAGE_FAULTS: Final[Faults] = {
    ROLE_MODEL: lambda message: message.update(role="model"),
    LEGAL_BARE: lambda message: (message.pop("refusal"), message.pop("annotations")),
    LEGAL_VENDOR_KEYS: lambda message: message.setdefault("reasoning_content", None),
}
_TEXT_FAULTS: Final[Faults] = {
    CONTENT_PARTS: lambda message: message.update(content=[{"type": "text", "text": message["content"]}]),
    CALLS_EMPTY: lambda message: message.update(tool_calls=[]),
}
_CALLING_FAULTS: Final[Faults] = {
    TOOL_CONTENT_PARTS: lambda message: message.update(content=[{"type": "text", "text": "One moment."}]),
    TOOL_CONTENT_OMITTED: lambda message: message.pop("content"),
}


def completion(answer: Answer) -> dict[str, Any]:
    """The answer as OpenAI's CreateChatCompletionResponse."""
    shape = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_choice(generation, answer.request) for generation in answer.generations],
        "usage": answer.usage,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    return spoil(shape, _FAULTS, answer.request.defects)


def _choice(generation: Generation, request: ChatRequest) -> dict[str, Any]:
    choice = {
        "index": generation.index,
        "message": _message(generation, request),
        "logprobs": logprobs(generation.tokens, request),
        "finish_reason": finish_reason(generation.ending, request),
    }
    return spoil(choice, _CHOICE_FAULTS, request.defects)


def _message(generation: Generation, request: ChatRequest) -> dict[str, Any]:
    defects, calls = request.defects, generation.calls
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls else generation.text,
        "refusal": None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = [whole_call(call, defects) for call in calls]
        if request.legacy:
            as_function_call(message, calls[0].name, calls[0].arguments, defects)
    if generation.reasoning:
        message["reasoning_content"] = "".join(generation.reasoning)
    if IN_REASONING in defects and request.format.kind == "json_schema":
        message.update(content="", reasoning_content=generation.text)
    spoil(message, _CALLING_FAULTS if calls else _TEXT_FAULTS, defects)
    return spoil(message, _MESSAGE_FAULTS, defects)
