"""The `response` object, plain and as the events of a stream carry it: items, status, usage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.reference.completion import LEGAL_VENDOR_KEYS
from pytest_llmcompat.reference.defect import Defects, Faults, defect, spoil
from pytest_llmcompat.reference.finish import Ending
from pytest_llmcompat.reference.generation import Call, Generation
from pytest_llmcompat.reference.responses_request import ResponsesRequest
from pytest_llmcompat.reference.state import Identifiers
from pytest_llmcompat.reference.usage import LEGAL_DETAILS

__all__ = ["Written", "output", "plain", "response", "shown", "usage"]

OBJECT_OTHER = defect("response-object-other", "object is «chat.completion».", row="D-X01")
ID_MISSING = defect("response-id-missing", "Plain responses have no id.", row="D-X01")
CREATED_MISSING = defect("response-created-at-missing", "Plain responses have no created_at.", row="D-X01")
CREATED_MILLISECONDS = defect(
    "response-created-at-milliseconds", "created_at of plain responses is in milliseconds.", row="D-X01"
)
STATUS_MISSING = defect("response-status-missing", "Plain responses have no status.", row="D-X01")
STATUS_OTHER = defect("response-status-stop", "The status of plain responses is «stop».", row="D-X01")
ERROR_SET = defect("response-error-on-success", "Good plain responses have an error.", row="D-X01")
OUTPUT_NULL = defect("response-output-null", "output of plain responses is null.", row="D-X02")
OUTPUT_EMPTY = defect("response-output-empty", "output of plain responses is empty.", row="D-X02")
CONTENT_STRING = defect("response-content-string", "Plain content is a text.", row="D-X02")
PART_TEXT = defect("response-part-type-text", "Plain parts have the type «text».", row="D-X02")
ROLE_OTHER = defect("response-role-model", "The role of plain messages is «model».", row="D-X02")
ITEM_ID_EMPTY = defect("response-item-id-empty", "Items of plain responses have empty ids.", row="D-X03")
ITEM_ID_REPEATED = defect("response-item-id-repeated", "All function calls have one id.", row="D-X03")
ANNOTATIONS_MISSING = defect("response-annotations-missing", "Plain parts have no annotations.", row="D-X03")
ECHO_MISSING = defect("response-echo-missing", "Plain responses repeat no tools.", row="D-X03")
CALL_ID_MISSING = defect("response-call-id-missing", "Function calls have no call_id.", row="D-X12")
ARGUMENTS_OBJECT = defect("response-arguments-object", "Arguments of items are an object.", row="D-X12")
CAP_COMPLETED = defect("response-capped-completed", "A capped response is «completed».", row="D-X05")
REASON_LENGTH = defect("response-reason-length", "The reason of a cap is called «length».", row="D-X05")
FENCED = defect("response-json-fenced", "Answers to text.format are fenced JSON.", row="D-J01")
OTHER_VALUES = defect("response-json-other-values", "Answers break the schema of text.format.", row="D-J01")
USAGE_MISSING = defect("response-usage-missing", "Plain responses have no usage.", row="D-U01")
TOTAL_WRONG = defect("response-total-wrong", "total_tokens of plain responses is no sum.", row="D-U01")
STREAM_TOTAL_WRONG = defect(
    "response-stream-total-wrong", "total_tokens of streamed responses is no sum.", row="D-U01"
)
DETAILS_MISSING = defect("response-usage-details-missing", "Plain usage has no details.", row="D-U01")
SUMMARY_MISSING = defect(
    "response-reasoning-as-text", "Responses have a reasoning item without a summary.", row="supplement"
)

_HEX: Final = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Written:
    """An answer of the model. created: Unix time. items: what it wrote, whole."""

    id: str
    created: int
    model: str
    request: ResponsesRequest
    generation: Generation
    items: tuple[dict[str, Any], ...]
    usage: dict[str, Any]

    @property
    def capped(self) -> bool:
        """True when the cap cut the answer."""
        return self.generation.ending == Ending.CAPPED


_FAULTS: Final[Faults] = {
    OBJECT_OTHER: lambda shape: shape.update(object="chat.completion"),
    ID_MISSING: lambda shape: shape.pop("id"),
    CREATED_MISSING: lambda shape: shape.pop("created_at"),
    CREATED_MILLISECONDS: lambda shape: shape.update(created_at=shape["created_at"] * 1000),
    STATUS_MISSING: lambda shape: shape.pop("status"),
    STATUS_OTHER: lambda shape: shape.update(status="stop"),
    ERROR_SET: lambda shape: shape.update(error={"code": "none", "message": "None of your concern."}),
    OUTPUT_NULL: lambda shape: shape.update(output=None),
    OUTPUT_EMPTY: lambda shape: shape.update(output=[]),
    ECHO_MISSING: lambda shape: (shape.pop("tools"), shape.pop("tool_choice")),
    USAGE_MISSING: lambda shape: shape.pop("usage"),
    TOTAL_WRONG: lambda shape: shape["usage"].update(total_tokens=shape["usage"]["total_tokens"] + 7),
    DETAILS_MISSING: lambda shape: (
        shape["usage"].pop("input_tokens_details"),
        shape["usage"].pop("output_tokens_details"),
    ),
}
_ITEM_FAULTS: Final[Faults] = {ITEM_ID_EMPTY: lambda item: item.update(id="")}
_MESSAGE_FAULTS: Final[Faults] = {
    ROLE_OTHER: lambda item: item.update(role="model"),
    CONTENT_STRING: lambda item: item.update(content="".join(part["text"] for part in item["content"])),
}
_PART_FAULTS: Final[Faults] = {
    PART_TEXT: lambda part: part.update(type="text"),
    ANNOTATIONS_MISSING: lambda part: part.pop("annotations"),
}
_CALL_FAULTS: Final[Faults] = {
    CALL_ID_MISSING: lambda item: item.pop("call_id"),
    ITEM_ID_REPEATED: lambda item: item.update(id="fc_000000000000000000000000"),
    ARGUMENTS_OBJECT: lambda item: item.update(arguments=json.loads(item["arguments"])),
}


def output(
    request: ResponsesRequest, generation: Generation, identifiers: Identifiers
) -> tuple[dict[str, Any], ...]:
    """What the model wrote, as items: its reasoning, then calls or a message."""
    defects, status = request.defects, _status(generation)
    items: list[dict[str, Any]] = []
    if generation.reasoning or SUMMARY_MISSING in defects:
        items.append({"id": identifiers.next("rs_", 48, _HEX), "type": "reasoning", "summary": []})
        if SUMMARY_MISSING in defects:
            items[0]["summary"] = "What is wanted here?"
    items += [_call(call, status, identifiers) for call in generation.calls]
    if generation.tokens:
        items.append(_message(_text(generation, request), status, identifiers))
    return tuple(items)


def _status(generation: Generation) -> str:
    return "incomplete" if generation.ending == Ending.CAPPED else "completed"


def _call(call: Call, status: str, identifiers: Identifiers) -> dict[str, Any]:
    return {
        "id": identifiers.next("fc_", 48, _HEX),
        "type": "function_call",
        "status": status,
        "arguments": call.arguments,
        "call_id": call.id,
        "name": call.name,
    }


def _message(text: str, status: str, identifiers: Identifiers) -> dict[str, Any]:
    return {
        "id": identifiers.next("msg_", 48, _HEX),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
    }


def _text(generation: Generation, request: ResponsesRequest) -> str:
    defects, text = request.defects, generation.text
    if request.chat.format.kind != "json_schema":
        return text
    if OTHER_VALUES in defects:
        return '{"mood": "tired", "extra": true}'
    return f"```json\n{text}\n```" if FENCED in defects else text


def usage(request: ResponsesRequest, prompt: int, generation: Generation) -> dict[str, Any]:
    """The `usage` object (ResponseUsage in OpenAI's specification)."""
    counts: dict[str, Any] = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": generation.spent,
        "output_tokens_details": {"reasoning_tokens": len(generation.reasoning)},
        "total_tokens": prompt + generation.spent,
    }
    if LEGAL_DETAILS in request.defects:
        counts.update(cost_in_ticks=12, num_sources_used=0)
    if STREAM_TOTAL_WRONG in request.defects and request.stream:
        counts["total_tokens"] += 7
    return counts


def response(written: Written, status: str = "completed") -> dict[str, Any]:
    """The answer as OpenAI's Response. status: `queued` and `in_progress` have no output yet."""
    finished, defects = status == "completed", written.request.defects
    if finished and written.capped and CAP_COMPLETED not in defects:
        status = "incomplete"
    reason = "length" if REASON_LENGTH in defects else "max_output_tokens"
    shape = {
        "id": written.id,
        "object": "response",
        "created_at": written.created,
        "completed_at": written.created if status == "completed" else None,
        "status": status,
        "background": written.request.background,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "model": written.model,
        "output": [shown(item, defects) for item in written.items] if finished else [],
        **written.request.echo,
        "usage": written.usage if finished else None,
    }
    if LEGAL_VENDOR_KEYS in defects:
        shape.update(provider="reference", output_text="", cost=None)
    return shape


def shown(item: dict[str, Any], defects: Defects) -> dict[str, Any]:
    """A whole item as answers show it."""
    return spoil(dict(item), _CALL_FAULTS, defects) if item["type"] == "function_call" else item


def plain(written: Written) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    defects = written.request.defects
    shape = response(written)
    shape["usage"] = dict(shape["usage"])
    shape["output"] = [_spoilt(item, defects) for item in shape["output"]]
    return spoil(shape, _FAULTS, defects)


def _spoilt(item: dict[str, Any], defects: Defects) -> dict[str, Any]:
    item = spoil(dict(item), _ITEM_FAULTS, defects)
    if item["type"] == "message":
        item["content"] = [spoil(dict(part), _PART_FAULTS, defects) for part in item["content"]]
        spoil(item, _MESSAGE_FAULTS, defects)
    return item
