"""The calls that the model makes: which tool, how often, with what arguments."""

from __future__ import annotations

import json
from typing import Any

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.filling import fill
from pytest_llmcompat.reference.hints import Hints, words
from pytest_llmcompat.reference.language import LEGAL_WRONG_ANSWERS
from pytest_llmcompat.reference.request import ChatRequest, Tool

__all__ = ["plan"]

DROPPED = defect("tools-dropped", "Tools are dropped: the answer is always text.", row="D-F01")
REQUIRED_IGNORED = defect("tool-choice-required-ignored", "tool_choice required gives text.", row="D-F02")
NAMED_IGNORED = defect("tool-choice-named-ignored", "A named tool_choice gives text.", row="D-F02")
NONE_IGNORED = defect("tool-choice-none-ignored", "tool_choice none gives a call.", row="D-F02")
PARALLEL_FALSE_IGNORED = defect(
    "parallel-false-ignored", "parallel_tool_calls false is ignored.", row="D-F11"
)
MERGED = defect("tool-calls-merged", "Two plain calls are merged into one.", row="D-F11")
NOT_ENFORCED = defect("tool-schema-not-enforced", "Arguments break a strict schema.", row="D-F08")
NAME_PREFIXED = defect("tool-name-prefixed", "Calls name functions.NAME.", row="D-F09")


def plan(request: ChatRequest) -> list[tuple[str, str]]:
    """The calls to make, each (function, arguments as JSON); none when the answer is to be text."""
    defects, tool = request.defects, _chosen(request)
    if tool is None:
        return []
    arguments = _arguments(tool, Hints(request.prompt), defects)
    single = not request.parallel and PARALLEL_FALSE_IGNORED not in defects
    if single or LEGAL_WRONG_ANSWERS in defects:
        arguments = arguments[:1]
    texts = [json.dumps(part, ensure_ascii=False) for part in arguments]
    if MERGED in defects and not request.stream:
        texts = ["".join(texts)]
    name = f"functions.{tool.name}" if NAME_PREFIXED in defects else tool.name
    return [(name, text) for text in texts]


def _chosen(request: ChatRequest) -> Tool | None:
    """The tool to call: the named one, else the one whose name and description fit the prompt best."""
    choice, defects = request.choice, request.defects
    if choice == "none" and request.tools and NONE_IGNORED in defects:
        choice = "required"
    ignored = {"required": REQUIRED_IGNORED, "named": NAMED_IGNORED}.get(choice)
    if choice == "none" or DROPPED in defects or ignored in defects:
        return None
    if choice == "named":
        return next(tool for tool in request.tools if tool.name == request.named)
    asked = words(request.prompt)

    def fit(tool: Tool) -> int:
        return 2 * len(words(tool.name) & asked) + len(words(tool.description) & asked)

    best = max(request.tools, key=fit)
    if choice == "required":
        return best
    return best if fit(best) and request.messages[-1].role == "user" else None


def _arguments(tool: Tool, hints: Hints, defects: Defects) -> list[dict[str, Any]]:
    """The arguments of each call: one call for each name that the prompt gives for a free text."""
    if not tool.parameters:
        return [{}]
    filled = fill(tool.parameters, hints)
    properties = tool.parameters.get("properties", {})
    if NOT_ENFORCED in defects and tool.strict:
        wrong = {
            name: "kelvin" for name, part in properties.items() if isinstance(part, dict) and "enum" in part
        }
        filled = {**filled, **wrong, "extra": True}
    free = next((name for name, part in properties.items() if _is_free(part)), None)
    if free is None or free not in filled or free in hints.pairs or len(hints.names) < 2:
        return [filled]
    return [{**filled, free: name} for name in hints.names]


def _is_free(schema: Any) -> bool:
    if not isinstance(schema, dict) or schema.get("type") != "string":
        return False
    return not {"enum", "const", "format"} & set(schema)
