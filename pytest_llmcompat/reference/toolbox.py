"""`tools` and `tool_choice`: their checks."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.reference.checks import (
    check_array,
    check_boolean,
    check_choice,
    check_object,
    check_string,
)
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, crash, invalid
from pytest_llmcompat.reference.response_format import NAME
from pytest_llmcompat.reference.schemas import check_schema

__all__ = ["check_tools"]

REFUSED = defect("tools-refused", "Requests with tools are answered 500.", row="D-F01")
AUTO_REFUSED = defect("auto-refused", "Tools without a tool_choice are refused.", row="D-F01")
PARAMETERS_REQUIRED = defect("parameters-required", "Functions without parameters are refused.", row="D-F12")
ABSENT_FUNCTION_200 = defect(
    "tool-choice-absent-function-200", "A tool_choice that names no tool is ignored.", row="D-E08"
)
VALUE_200 = defect("tool-choice-value-200", "An unknown tool_choice is ignored.", row="supplement")
VALUE_500 = defect("tool-choice-value-500", "An unknown tool_choice is answered 500.", row="supplement")
WITHOUT_TOOLS_200 = defect(
    "required-without-tools-200", "tool_choice required without tools is ignored.", row="supplement"
)

EMPTY_500 = defect("tools-empty-500", "An empty list of tools is answered 500.", row="supplement")

_CHOICES: Final = ("none", "auto", "required")


def check_tools(body: dict[str, Any], defects: Defects) -> None:
    """Raises ApiError 400 for tools, or a choice among them, that make no sense."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is not None:
        with checked(defects, crashing=EMPTY_500):
            check_array("tools", tools, least=1)
        for position, tool in enumerate(tools):
            _check_tool(f"tools[{position}]", tool)
    if choice is not None:
        names = [tool["function"]["name"] for tool in tools or ()]
        _check_choice(choice, names, defects)
        if not _makes_sense(choice, names):
            body["tool_choice"] = None
    if tools:
        _refuse_tools(body, defects)


def _check_tool(param: str, tool: Any) -> None:
    check_object(param, tool)
    check_choice(f"{param}.type", tool.get("type"), ("function",))
    function, at = tool.get("function"), f"{param}.function"
    check_object(at, function)
    check_string(f"{at}.name", function.get("name"))
    if not NAME.fullmatch(function["name"]):
        raise invalid(f"Invalid '{at}.name': it must match {NAME.pattern}.", f"{at}.name", "invalid_value")
    if function.get("description") is not None:
        check_string(f"{at}.description", function["description"])
    strict = function.get("strict")
    if strict is not None:
        check_boolean(f"{at}.strict", strict)
    if function.get("parameters") is not None:
        check_object(f"{at}.parameters", function["parameters"])
        whose, code = f"function '{function['name']}'", "invalid_function_parameters"
        check_schema(function["parameters"], f"{at}.parameters", whose, code, strict=strict is True)


def _check_choice(choice: Any, names: list[str], defects: Defects) -> None:
    with checked(defects, silent=WITHOUT_TOOLS_200):
        if not names:
            raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if not isinstance(choice, dict):
        with checked(defects, silent=VALUE_200, crashing=VALUE_500):
            check_choice("tool_choice", choice, _CHOICES)
        return
    check_choice("tool_choice.type", choice.get("type"), ("function",))
    check_object("tool_choice.function", choice.get("function"))
    check_string("tool_choice.function.name", choice["function"].get("name"))
    with checked(defects, silent=ABSENT_FUNCTION_200):
        if choice["function"]["name"] not in names:
            name = choice["function"]["name"]
            raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")


def _makes_sense(choice: Any, names: list[str]) -> bool:
    """False for a choice that only a defect has let pass."""
    return (
        choice["function"]["name"] in names
        if isinstance(choice, dict)
        else choice in _CHOICES and bool(names)
    )


def _refuse_tools(body: dict[str, Any], defects: Defects) -> None:
    """The refusals of good tools, by the defects that are about them."""
    if REFUSED in defects:
        raise crash()
    if AUTO_REFUSED in defects and body.get("tool_choice") is None and body["messages"][-1]["role"] == "user":
        raise invalid("'tool_choice' is required beside 'tools'.", "tool_choice")
    if PARAMETERS_REQUIRED in defects and not all(
        tool["function"].get("parameters") for tool in body["tools"]
    ):
        raise invalid(
            "Missing required parameter: 'tools[0].function.parameters'.", "tools[0].function.parameters"
        )
