"""`functions` and `function_call`: the deprecated way to ask for calls, and to answer with one."""

from __future__ import annotations

from typing import Any

from pytest_llmcompat.reference.checks import check_array, check_object
from pytest_llmcompat.reference.defect import Defects, defect

__all__ = ["as_function_call", "modernise"]

IGNORED = defect("functions-ignored", "functions and function_call are ignored.", row="supplement")
AS_TOOLS = defect("functions-answered-as-tools", "functions are answered with tool_calls.", row="supplement")


def modernise(body: dict[str, Any], defects: Defects) -> None:
    """Write `functions` as `tools`, and `function_call` as `tool_choice`. Raises ApiError 400."""
    if body.get("functions") is None or IGNORED in defects:
        return
    check_array("functions", body["functions"], least=1)
    for position, function in enumerate(body["functions"]):
        check_object(f"functions[{position}]", function)
    body["tools"] = [{"type": "function", "function": function} for function in body["functions"]]
    choice = body.get("function_call")
    body["tool_choice"] = (
        {"type": "function", "function": choice} if isinstance(choice, dict) else choice or "auto"
    )


def as_function_call(message: dict[str, Any], name: str, arguments: str, defects: Defects) -> None:
    """Put a call where those who asked with `functions` look for it, in place of `tool_calls`."""
    if AS_TOOLS not in defects:
        del message["tool_calls"]
        message["function_call"] = {"name": name, "arguments": arguments}
