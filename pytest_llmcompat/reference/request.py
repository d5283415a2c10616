"""A chat request, checked and read: what the rest of the reference works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.images import DROPPED, colour_of
from pytest_llmcompat.reference.tokens import tokenize

__all__ = ["ChatRequest", "Format", "Message", "Tool", "read_chat"]

HISTORY_DROPPED = defect(
    "history-dropped", "Of several turns only the last user message reaches the model.", row="D-C19"
)
FIRST_PART_ONLY = defect(
    "first-part-only", "Only the first part of a message's content reaches the model.", row="D-C20"
)
LONG_TRUNCATED = defect("long-prompt-truncated", "Messages are cut silently after 1000 tokens.", row="D-E11")
TOOL_MESSAGES_DROPPED = defect("tool-messages-dropped", "Tool results do not reach the model.", row="D-F13")

_TRUNCATED_TO: Final = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    text: of all its text parts. calls: tool calls as sent. call_id: what a tool answers. images: their colours.
    """

    role: str
    text: str
    calls: tuple[dict[str, Any], ...] = ()
    call_id: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. parameters: its JSON Schema; None when it takes none."""

    name: str
    description: str
    parameters: Mapping[str, Any] | None
    strict: bool


@dataclass(frozen=True, slots=True)
class Format:
    """The response format. kind: `text`, `json_object` or `json_schema`; schema: of the last."""

    kind: str = "text"
    schema: Any = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked for, and the defects that it is answered with.

    choice: `auto`, `none`, `required`, or `named` with the function's name in `named`.
    max_tokens, max_completion_tokens: caps for each choice; None for no cap. top: how many `top_logprobs`.
    effort: of reasoning; None when nothing was said of it. legacy: tools came as `functions`.
    """

    defects: Defects
    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    tools_sent: Any
    choice: str
    named: str | None
    parallel: bool
    format: Format
    n: int
    stop: tuple[str, ...]
    max_tokens: int | None
    max_completion_tokens: int | None
    logprobs: bool
    top: int
    stream: bool
    include_usage: bool
    effort: str | None = None
    legacy: bool = False

    @property
    def prompt(self) -> str:
        """The text of the last user message."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def read_chat(body: Mapping[str, Any], defects: Defects) -> ChatRequest:
    """Read a body that `validation.check_chat` has let pass."""
    stop = body.get("stop") or ()
    choice, named = _choice(body)
    return ChatRequest(
        defects=defects,
        model=body["model"],
        messages=_messages(body["messages"], defects),
        tools=tuple(_tool(tool) for tool in body.get("tools") or ()),
        tools_sent=body.get("tools"),
        choice=choice,
        named=named,
        parallel=body.get("parallel_tool_calls") is not False,
        format=_format(body.get("response_format") or {}),
        n=body.get("n") or 1,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        max_tokens=body.get("max_tokens"),
        max_completion_tokens=body.get("max_completion_tokens"),
        logprobs=bool(body.get("logprobs")),
        top=body.get("top_logprobs") or 0,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        effort=body.get("reasoning_effort"),
        legacy=bool(body.get("functions")),
    )


def _messages(sent: list[Mapping[str, Any]], defects: Defects) -> tuple[Message, ...]:
    if TOOL_MESSAGES_DROPPED in defects:
        sent = [message for message in sent if message["role"] != "tool"]
    several_turns = any(message["role"] == "assistant" for message in sent)
    if HISTORY_DROPPED in defects and several_turns and sent[-1]["role"] == "user":
        sent = sent[-1:]
    return tuple(_message(message, defects) for message in sent)


def _message(sent: Mapping[str, Any], defects: Defects) -> Message:
    text = _text(sent.get("content"), defects)
    if LONG_TRUNCATED in defects:
        text = "".join(tokenize(text)[:_TRUNCATED_TO])
    images = () if DROPPED in defects else _images(sent.get("content"))
    return Message(sent["role"], text, tuple(sent.get("tool_calls") or ()), sent.get("tool_call_id"), images)


def _images(content: Any) -> tuple[str, ...]:
    parts = content if isinstance(content, list) else []
    return tuple(colour_of(part["image_url"]["url"]) for part in parts if part["type"] == "image_url")


def _text(content: Any, defects: Defects) -> str:
    if isinstance(content, list):
        parts = content[:1] if FIRST_PART_ONLY in defects else content
        return "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    return content or ""


def _tool(sent: Mapping[str, Any]) -> Tool:
    function = sent["function"]
    return Tool(
        name=function["name"],
        description=function.get("description") or "",
        parameters=function.get("parameters"),
        strict=function.get("strict") is True,
    )


def _choice(body: Mapping[str, Any]) -> tuple[str, str | None]:
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        return "named", choice["function"]["name"]
    return choice or ("auto" if body.get("tools") else "none"), None


def _format(sent: Mapping[str, Any]) -> Format:
    kind = sent.get("type", "text")
    return Format(kind, sent["json_schema"].get("schema") or {} if kind == "json_schema" else None)
