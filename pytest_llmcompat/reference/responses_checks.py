"""Checks of a Responses request, as OpenAI refuses it: 400 with the parameter's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pytest_llmcompat.reference.checks import (
    check_array,
    check_boolean,
    check_choice,
    check_integer,
    check_number,
    check_object,
    check_string,
    wrong_type,
)
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, crash, invalid
from pytest_llmcompat.reference.models import DEFAULT_MODEL, MODELS
from pytest_llmcompat.reference.response_format import NAME
from pytest_llmcompat.reference.schemas import check_schema

__all__ = ["check_responses"]

LIST_REFUSED = defect("response-list-input-refused", "input as a list is refused.", row="D-X04")
STRING_REFUSED = defect("response-string-input-refused", "input as a text is refused.", row="D-X04")
INSTRUCTIONS_REFUSED = defect("response-instructions-refused", "instructions are refused.", row="D-X04")
NESTED_ONLY = defect("response-nested-tools-only", "Only chat's nested tools are accepted.", row="D-X12")
RESULT_REFUSED = defect("response-call-output-refused", "function_call_output is refused.", row="D-X13")
RESULT_500 = defect("response-call-output-500", "function_call_output is answered 500.", row="D-X13")
MODEL_SERVED = defect(
    "response-unknown-model-served", "The default model answers /responses for an unknown one.", row="D-M01"
)
MODEL_500 = defect(
    "response-unknown-model-500", "An unknown model on /responses is answered 500.", row="D-M01"
)
CHAT_PARAMETERS_500 = defect(
    "response-chat-params-500", "messages on /responses are answered 500.", row="supplement"
)

# The specification's minimum (CreateResponse, line 36274 of openapi.yaml f85dbe2).
_LEAST_OUTPUT: Final = 16
_MOST: Final = 2**31
_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXT_PARTS: Final = ("input_text", "output_text", "text", "refusal")
_CHOICES: Final = ("none", "auto", "required")
_MOVED: Final = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}

# Null means absent for each of these. Parameters that stand nowhere here are ignored.
_RULES: Final[dict[str, Callable[[str, Any], None]]] = {
    "instructions": check_string,
    "max_output_tokens": partial(check_integer, low=_LEAST_OUTPUT, high=_MOST),
    "previous_response_id": check_string,
    "store": check_boolean,
    "stream": check_boolean,
    "background": check_boolean,
    "parallel_tool_calls": check_boolean,
    "temperature": partial(check_number, low=0, high=2),
    "top_p": partial(check_number, low=0, high=1),
    "metadata": check_object,
    "reasoning": check_object,
    "text": check_object,
    "user": check_string,
    "truncation": partial(check_choice, allowed=("auto", "disabled")),
}


def check_responses(body: Any, defects: Defects) -> None:
    """Raises ApiError 400; where a defect lets an unknown model pass, the body names the default one."""
    check_object("body", body)
    _refuse_chat_parameters(body, defects)
    for name in ("model", "input"):
        if body.get(name) is None:
            raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    check_string("model", body["model"])
    for name, check in _RULES.items():
        if body.get(name) is not None:
            check(name, body[name])
    if body.get("instructions") is not None and INSTRUCTIONS_REFUSED in defects:
        raise invalid("Unsupported parameter: 'instructions'.", "instructions", "unsupported_parameter")
    _check_input(body["input"], defects)
    _check_tools(body, defects)
    _check_format((body.get("text") or {}).get("format"))
    _check_model(body, defects)


def _refuse_chat_parameters(body: Mapping[str, Any], defects: Defects) -> None:
    for name, successor in _MOVED.items():
        if name in body:
            if CHAT_PARAMETERS_500 in defects:
                raise crash()
            raise invalid(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to "
                f"'{successor}'.",
                name,
                "unsupported_parameter",
            )


def _check_input(value: Any, defects: Defects) -> None:
    if isinstance(value, str):
        if STRING_REFUSED in defects:
            raise wrong_type("input", value, "an array")
        return
    check_array("input", value, least=1)
    if LIST_REFUSED in defects and all("role" in item for item in value if isinstance(item, dict)):
        raise wrong_type("input", value, "a string")
    calls: set[str] = set()
    for position, item in enumerate(value):
        _check_item(f"input[{position}]", item, calls, defects)


def _check_item(at: str, item: Any, calls: set[str], defects: Defects) -> None:
    check_object(at, item)
    match item.get("type", "message"):
        case "message":
            check_choice(f"{at}.role", item.get("role"), _ROLES)
            _check_content(f"{at}.content", item.get("content"))
        case "function_call":
            for name in ("call_id", "name", "arguments"):
                check_string(f"{at}.{name}", item.get(name))
            calls.add(item["call_id"])
        case "function_call_output":
            _check_result(at, item, calls, defects)
        case "reasoning":
            check_array(f"{at}.summary", item.get("summary"))
        case other:
            raise invalid(f"Invalid value: '{other}'.", f"{at}.type", "invalid_value")


def _check_result(at: str, item: Mapping[str, Any], calls: set[str], defects: Defects) -> None:
    if RESULT_500 in defects:
        raise crash()
    if RESULT_REFUSED in defects:
        raise invalid("Invalid value: 'function_call_output'.", f"{at}.type", "invalid_value")
    check_string(f"{at}.call_id", item.get("call_id"))
    check_string(f"{at}.output", item.get("output"))
    if item["call_id"] not in calls:
        raise invalid(f"No tool call found for function call output with call_id {item['call_id']}.", "input")


def _check_content(at: str, content: Any) -> None:
    if isinstance(content, str):
        return
    check_array(at, content, least=1)
    for position, part in enumerate(content):
        check_object(f"{at}[{position}]", part)
        check_choice(f"{at}[{position}].type", part.get("type"), _TEXT_PARTS)
        name = "refusal" if part["type"] == "refusal" else "text"
        check_string(f"{at}[{position}].{name}", part.get(name))


def _check_tools(body: Mapping[str, Any], defects: Defects) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is not None:
        check_array("tools", tools)
        for position, tool in enumerate(tools):
            _check_tool(f"tools[{position}]", tool, defects)
    if choice is None:
        return
    if not isinstance(choice, dict):
        check_choice("tool_choice", choice, _CHOICES)
        if choice == "required" and not tools:
            raise invalid("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
        return
    check_choice("tool_choice.type", choice.get("type"), ("function",))
    if choice.get("name") not in {tool["name"] for tool in tools or ()}:
        raise invalid(f"Tool choice '{choice.get('name')}' not found in 'tools' parameter.", "tool_choice")


def _check_tool(at: str, tool: Any, defects: Defects) -> None:
    check_object(at, tool)
    if NESTED_ONLY in defects and "function" not in tool:
        raise invalid(f"Missing required parameter: '{at}.function'.", f"{at}.function")
    check_choice(f"{at}.type", tool.get("type"), ("function",))
    if tool.get("name") is None:
        raise invalid(f"Missing required parameter: '{at}.name'.", f"{at}.name", "missing_required_parameter")
    _check_name(f"{at}.name", tool["name"])
    if tool.get("description") is not None:
        check_string(f"{at}.description", tool["description"])
    if tool.get("parameters") is not None:
        check_object(f"{at}.parameters", tool["parameters"])
        whose, code = f"function '{tool['name']}'", "invalid_function_parameters"
        check_schema(tool["parameters"], f"{at}.parameters", whose, code, strict=tool.get("strict") is True)


def _check_format(sent: Any) -> None:
    if sent is None:
        return
    check_object("text.format", sent)
    check_choice("text.format.type", sent.get("type"), ("text", "json_object", "json_schema"))
    if sent["type"] == "json_schema":
        _check_name("text.format.name", sent.get("name"))
        check_object("text.format.schema", sent.get("schema"))
        whose = f"response_format '{sent['name']}'"
        check_schema(sent["schema"], "text.format.schema", whose, None, strict=sent.get("strict") is True)


def _check_name(at: str, name: Any) -> None:
    check_string(at, name)
    if not NAME.fullmatch(name):
        raise invalid(f"Invalid '{at}': it must match {NAME.pattern}.", at, "invalid_value")


def _check_model(body: dict[str, Any], defects: Defects) -> None:
    with checked(defects, silent=MODEL_SERVED, crashing=MODEL_500) as check:
        if body["model"] not in MODELS:
            # 400 and not 404: so OpenAI answers on this route.
            message = f"The requested model '{body['model']}' does not exist."
            raise invalid(message, "model", "model_not_found")
    if check.failed:
        body["model"] = DEFAULT_MODEL
