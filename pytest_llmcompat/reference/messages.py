"""Checks of `messages`: roles, content, and that each tool result answers a call."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.reference.checks import (
    check_array,
    check_choice,
    check_object,
    check_string,
    wrong_type,
)
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, crash, invalid
from pytest_llmcompat.reference.images import check_image

__all__ = ["check_messages"]

WRONG_TYPE_500 = defect("wrong-type-500", "messages of a wrong type are answered 500.", row="D-E06")
EMPTY_200 = defect("empty-messages-200", "An empty list of messages is answered.", row="D-E08")
UNKNOWN_ROLE_200 = defect("unknown-role-200", "A message of an unknown role is answered.", row="D-E08")
SYSTEM_REFUSED = defect("system-role-refused", "The role system is refused.", row="D-C18")
DEVELOPER_REFUSED = defect("developer-role-refused", "The role developer is refused.", row="D-C18")
PARTS_REFUSED = defect("parts-refused", "Content as a list of parts is refused.", row="D-C20")
NULL_REFUSED = defect("content-null-refused", "Content null beside tool calls is refused.", row="D-F13")
EMPTY_REFUSED = defect(
    "content-empty-refused", "Empty content beside tool calls is refused.", row="supplement"
)
OMITTED_REFUSED = defect(
    "content-omitted-refused", "Tool calls without a content key are refused.", row="supplement"
)
ID_MISMATCH_500 = defect("tool-id-mismatch-500", "An unknown tool_call_id is answered 500.", row="D-E08")
ID_FORMAT = defect("tool-id-format", "Ids of tool calls above 32 characters are refused.", row="D-F14")
AUDIO_500 = defect("audio-500", "Audio is answered 500.", row="D-V01")
ID_MISMATCH_200 = defect("tool-id-mismatch-200", "An unknown tool_call_id is answered.", row="D-E08")

_ROLES: Final = ("system", "developer", "user", "assistant", "tool")
_ROLE_REFUSALS: Final = {SYSTEM_REFUSED: "system", DEVELOPER_REFUSED: "developer"}
_PARTS: Final = ("text", "refusal")
_LONGEST_ID: Final = 32


def check_messages(messages: Any, defects: Defects) -> None:
    """Raises ApiError 400 that names the message at fault."""
    with checked(defects, crashing=WRONG_TYPE_500):
        check_array("messages", messages)
    with checked(defects, silent=EMPTY_200):
        check_array("messages", messages, least=1)
    for position, message in enumerate(messages):
        _check_message(f"messages[{position}]", message, defects)
    with checked(defects, silent=ID_MISMATCH_200, crashing=ID_MISMATCH_500):
        _check_results(messages)


def _check_message(name: str, message: Any, defects: Defects) -> None:
    check_object(name, message)
    if "role" not in message:
        raise invalid(
            f"Missing required parameter: '{name}.role'.", f"{name}.role", "missing_required_parameter"
        )
    check_string(f"{name}.role", message["role"])
    with checked(defects, silent=UNKNOWN_ROLE_200):
        refused = [role for fault, role in _ROLE_REFUSALS.items() if fault in defects]
        check_choice(f"{name}.role", message["role"], [role for role in _ROLES if role not in refused])
    if message["role"] == "assistant":
        _check_calls(f"{name}.tool_calls", message.get("tool_calls"), defects)
    if message["role"] == "tool":
        check_string(f"{name}.tool_call_id", message.get("tool_call_id"))
    _check_content(f"{name}.content", message, defects)
    _refuse_content(f"{name}.content", message, defects)


def _check_content(name: str, message: dict[str, Any], defects: Defects) -> None:
    content = message.get("content")
    if content is None:
        if message["role"] != "assistant" or not (message.get("tool_calls") or message.get("refusal")):
            raise wrong_type(name, content, "a string")
    elif isinstance(content, list):
        for position, part in enumerate(content):
            _check_part(f"{name}[{position}]", part, defects)
    elif not isinstance(content, str):
        raise wrong_type(name, content, "a string or an array of content parts")


def _refuse_content(name: str, message: dict[str, Any], defects: Defects) -> None:
    """The refusals of good content, by the defects that are about it."""
    content = message.get("content", ...)
    for fault, refused in (
        (PARTS_REFUSED, isinstance(content, list)),
        (NULL_REFUSED, content is None),
        (EMPTY_REFUSED, content == "" and "tool_calls" in message),
        (OMITTED_REFUSED, content is ...),
    ):
        if refused and fault in defects:
            raise wrong_type(name, message.get("content"), "a string of text")


def _check_part(name: str, part: Any, defects: Defects) -> None:
    check_object(name, part)
    kind = part.get("type")
    if kind == "image_url":
        check_image(name, part, defects)
        return
    if kind == "input_audio" and AUDIO_500 in defects:
        raise crash()
    if kind in ("input_audio", "file"):
        raise invalid(f"Invalid content type. {kind} is only supported by certain models.", f"{name}.type")
    check_choice(f"{name}.type", kind, _PARTS)
    check_string(f"{name}.{kind}", part.get(kind))


def _check_calls(name: str, calls: Any, defects: Defects) -> None:
    if calls is None:
        return
    check_array(name, calls, least=1)
    for position, call in enumerate(calls):
        at = f"{name}[{position}]"
        check_object(at, call)
        check_string(f"{at}.id", call.get("id"))
        if ID_FORMAT in defects and len(call["id"]) > _LONGEST_ID:
            raise invalid(f"Tool call id must have at most {_LONGEST_ID} characters.", f"{at}.id")
        check_choice(f"{at}.type", call.get("type"), ("function",))
        check_object(f"{at}.function", call.get("function"))
        for key in ("name", "arguments"):
            check_string(f"{at}.function.{key}", call["function"].get(key))


def _check_results(messages: list[dict[str, Any]]) -> None:
    """Each result must answer a call of the turn before it, and each call must have its result."""
    waiting: list[str] = []
    known: set[str] = set()
    for position, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in known:
                raise invalid(
                    f"Invalid parameter: 'tool_call_id' of '{message['tool_call_id']}' not found in the "
                    "'tool_calls' of the message before.",
                    f"messages[{position}].tool_call_id",
                )
            waiting = [id for id in waiting if id != message["tool_call_id"]]
            continue
        _check_answered(waiting, position)
        calls = message.get("tool_calls") if message["role"] == "assistant" else None
        waiting = [call["id"] for call in calls or ()]
        known = set(waiting)
    _check_answered(waiting, len(messages))


def _check_answered(waiting: list[str], position: int) -> None:
    if waiting:
        raise invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. These had no response: {', '.join(waiting)}.",
            f"messages[{position - 1}].tool_calls",
        )
