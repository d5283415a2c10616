"""A Responses request, read: what the model is asked, in the words of chat, and what the answer repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, invalid
from pytest_llmcompat.reference.request import ChatRequest, Format, Message, Tool
from pytest_llmcompat.reference.state import Identifiers, StoredResponse

__all__ = ["ResponsesRequest", "legal_only", "messages_of", "read_responses"]

INSTRUCTIONS_DROPPED = defect(
    "response-instructions-dropped", "instructions do not reach the model.", row="D-X04"
)
CAP_IGNORED = defect("response-cap-ignored", "max_output_tokens is ignored.", row="D-X05")
FLAT_IGNORED = defect("response-flat-tools-ignored", "Flat tools are ignored.", row="D-X12")
PREVIOUS_IGNORED = defect(
    "response-previous-ignored", "previous_response_id is accepted and ignored.", row="D-X14"
)
UNKNOWN_PREVIOUS_IGNORED = defect(
    "response-unknown-previous-ignored", "An unknown previous_response_id is ignored.", row="D-X14"
)
FORMAT_IGNORED = defect("response-format-ignored", "text.format is ignored.", row="D-J01")

_DEFAULT_FORMAT: Final = {"type": "text"}


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """What is asked for, and the defects that it is answered with.

    chat: the conversation, with what `previous_response_id` brings, as the model reads it.
    items: the input as items with ids. turns: the conversation without instructions, which are not carried on.
    echo: what the answer repeats of the request.
    """

    defects: Defects
    chat: ChatRequest
    items: tuple[dict[str, Any], ...]
    turns: tuple[Message, ...]
    stream: bool
    store: bool
    background: bool
    echo: dict[str, Any]


def legal_only(defects: Defects) -> Defects:
    """The variants among the defects: faults of chat are none of this API, which has its own."""
    return frozenset(defect for defect in defects if defect.legal)


def read_responses(
    body: Mapping[str, Any], stored: Mapping[str, StoredResponse], identifiers: Identifiers, defects: Defects
) -> ResponsesRequest:
    """Read a body that `check_responses` has let pass. Raises ApiError 400 for an unknown previous response."""
    items = tuple(_item(item, identifiers) for item in _listed(body["input"]))
    turns = (*_history(body.get("previous_response_id"), stored, defects), *messages_of(items))
    instructions = body.get("instructions")
    if instructions is None or INSTRUCTIONS_DROPPED in defects:
        messages: tuple[Message, ...] = turns
    else:
        messages = (Message("developer", instructions), *turns)
    return ResponsesRequest(
        defects=defects,
        chat=_chat(body, messages, defects),
        items=items,
        turns=turns,
        stream=body.get("stream") is True,
        store=body.get("store") is not False,
        background=body.get("background") is True,
        echo=_echo(body),
    )


def _history(
    previous: str | None, stored: Mapping[str, StoredResponse], defects: Defects
) -> tuple[Message, ...]:
    if previous is None or PREVIOUS_IGNORED in defects:
        return ()
    with checked(defects, silent=UNKNOWN_PREVIOUS_IGNORED):
        if previous not in stored:
            raise invalid(
                f"Previous response with id '{previous}' not found.",
                "previous_response_id",
                "previous_response_not_found",
            )
    return stored[previous].turns if previous in stored else ()


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _item(sent: Mapping[str, Any], identifiers: Identifiers) -> dict[str, Any]:
    """An input item as it is kept: with an id, and with its content as parts."""
    prefix = {"function_call": "fc_", "function_call_output": "fco_", "reasoning": "rs_"}
    kind = sent.get("type", "message")
    id = sent.get("id") or identifiers.next(prefix.get(kind, "msg_"), 48, "0123456789abcdef")
    item: dict[str, Any] = {**sent, "id": id, "type": kind, "status": "completed"}
    if kind == "message" and isinstance(sent["content"], str):
        part = "output_text" if sent["role"] == "assistant" else "input_text"
        item["content"] = [{"type": part, "text": sent["content"]}]
    return item


def messages_of(items: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Items in the words of chat: calls in a row are one turn, their outputs come behind it, reasoning is left out."""
    messages: list[Message] = []
    read = [item for item in items if item["type"] != "reasoning"]
    for calling, group in groupby(
        read, key=lambda item: item["type"] in ("function_call", "function_call_output")
    ):
        run = list(group)
        messages += _calls(run) if calling else [_message(item) for item in run]
    return messages


def _calls(run: list[Mapping[str, Any]]) -> list[Message]:
    made = [item for item in run if item["type"] == "function_call"]
    calls = tuple({"id": item["call_id"], "type": "function", "function": _function(item)} for item in made)
    outputs = [item for item in run if item["type"] == "function_call_output"]
    results = [Message("tool", item["output"], call_id=item["call_id"]) for item in outputs]
    return [Message("assistant", "", calls), *results] if calls else results


def _function(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": item["name"], "arguments": item["arguments"]}


def _message(item: Mapping[str, Any]) -> Message:
    return Message(
        item["role"], "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
    )


def _chat(body: Mapping[str, Any], messages: tuple[Message, ...], defects: Defects) -> ChatRequest:
    tools = () if FLAT_IGNORED in defects else tuple(_tool(tool) for tool in body.get("tools") or ())
    choice, named = _choice(body.get("tool_choice"), tools)
    return ChatRequest(
        defects=legal_only(defects),
        model=body["model"],
        messages=messages,
        tools=tools,
        tools_sent=body.get("tools") if tools else None,
        choice=choice,
        named=named,
        parallel=body.get("parallel_tool_calls") is not False,
        format=_format(body, defects),
        n=1,
        stop=(),
        max_tokens=None,
        max_completion_tokens=None if CAP_IGNORED in defects else body.get("max_output_tokens"),
        logprobs=False,
        top=0,
        stream=body.get("stream") is True,
        include_usage=False,
    )


def _tool(sent: Mapping[str, Any]) -> Tool:
    return Tool(
        name=sent["name"],
        description=sent.get("description") or "",
        parameters=sent.get("parameters"),
        strict=sent.get("strict") is not False,
    )


def _choice(choice: Any, tools: tuple[Tool, ...]) -> tuple[str, str | None]:
    if not tools:
        return "none", None
    return ("named", choice["name"]) if isinstance(choice, Mapping) else (choice or "auto", None)


def _format(body: Mapping[str, Any], defects: Defects) -> Format:
    sent = (body.get("text") or {}).get("format") or _DEFAULT_FORMAT
    return Format() if FORMAT_IGNORED in defects else Format(sent["type"], sent.get("schema"))


def _echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request as every answer repeats it, defaults written out."""
    text = {"verbosity": "medium", **(body.get("text") or {})}
    text.setdefault("format", _DEFAULT_FORMAT)
    return {
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": text,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [{"description": None, "strict": True, **tool} for tool in body.get("tools") or ()],
        "top_logprobs": 0,
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "safety_identifier": body.get("safety_identifier"),
        "prompt_cache_key": body.get("prompt_cache_key"),
    }
