"""Tool calls as answers show them: whole in plain ones, in fragments in streamed ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defect, Defects, Faults, defect, spoil
from pytest_llmcompat.reference.generation import Call

__all__ = ["call_fragments", "whole_call"]

TYPE_MISSING = defect("tool-type-missing", "Plain tool calls have no type.", row="D-F04")
FUNCTION_MISSING = defect("tool-function-missing", "Plain tool calls have no function object.", row="D-F04")
ARGUMENTS_OBJECT = defect("tool-arguments-object", "Plain arguments are an object.", row="D-F06")
DOUBLY_ENCODED = defect("tool-arguments-doubly-encoded", "Plain arguments are encoded twice.", row="D-F06")
BROKEN = defect("tool-arguments-broken", "Plain arguments are cut.", row="D-F06")
NO_ARGUMENTS_NULL = defect("no-args-null", "Without parameters, plain arguments are null.", row="D-F12")
NO_ARGUMENTS_EMPTY = defect("no-args-empty", "Without parameters, plain arguments are «».", row="D-F12")
CUMULATIVE = defect("tool-arguments-cumulative", "Streamed arguments repeat the text so far.", row="D-F06")
NAME_REPEATED = defect("tool-name-repeated", "Each fragment of a call has its name.", row="D-F09")
ARGUMENTS_NULL = defect("delta-arguments-null-only", "Streamed arguments are always null.", row="D-F12")
INDEX_MISSING = defect("tool-delta-index-missing", "Fragments of calls have no index.", row="D-F15")
INDEX_CONSTANT = defect("tool-delta-index-constant", "Fragments of all calls have index 0.", row="D-F15")
INDEX_FROM_ONE = defect("tool-delta-index-from-one", "The indexes of calls start at 1.", row="D-F15")
FUNCTION_NULL = defect("tool-delta-function-null", "Later fragments have function null.", row="D-F15")
ID_MISSING = defect("tool-delta-id-missing", "Fragments of calls have no id.", row="D-F16")
ID_CHANGES = defect("tool-delta-id-changes", "Each fragment of a call has a new id.", row="D-F16")
ID_REPEATED = defect("tool-delta-id-repeated", "Each fragment of a call has its id.", row="D-F16")
DELTA_TYPE_MISSING = defect("tool-delta-type-missing", "Fragments of calls have no type.", row="D-F16")
LEGAL_ONE_CHUNK = defect("legal-tool-one-chunk", "A streamed call comes whole.", row="G-07", legal=True)


def whole_call(call: Call, defects: Defects) -> dict[str, Any]:
    """A call of a plain answer (ChatCompletionMessageToolCall in OpenAI's specification)."""
    function = {"name": call.name, "arguments": _arguments(call.arguments, defects)}
    shape = {"id": call.id, "type": "function", "function": function}
    return spoil(shape, _WHOLE_FAULTS, defects)


_WHOLE_FAULTS: Final[Faults] = {
    TYPE_MISSING: lambda call: call.pop("type"),
    FUNCTION_MISSING: lambda call: call.update(call.pop("function")),
}


def _arguments(arguments: str, defects: Defects) -> Any:
    if ARGUMENTS_OBJECT in defects:
        return json.loads(arguments)
    if arguments == "{}":
        if NO_ARGUMENTS_NULL in defects:
            return None
        return "" if NO_ARGUMENTS_EMPTY in defects else arguments
    if DOUBLY_ENCODED in defects:
        return json.dumps(arguments)
    return arguments[:-3] if BROKEN in defects else arguments


def call_fragments(index: int, call: Call, defects: Defects) -> list[dict[str, Any]]:
    """The deltas of a streamed call: id, type and name first, then its arguments."""
    function = {"name": call.name, "arguments": ""}
    deltas: list[dict[str, Any]] = [{"index": index, "id": call.id, "type": "function", "function": function}]
    deltas += [{"index": index, "function": {"arguments": fragment}} for fragment in call.fragments]
    for fault, change in _FRAGMENT_FAULTS.items():
        if fault in defects:
            deltas = change(deltas)
    return deltas


def _each(
    change: Callable[[dict[str, Any]], object],
) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    def changed(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for delta in deltas:
            change(delta)
        return deltas

    return changed


def _cumulative(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    so_far = ""
    for delta in deltas:
        so_far += delta["function"]["arguments"]
        delta["function"]["arguments"] = so_far
    return deltas


def _named_again(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    name = deltas[0]["function"]["name"]
    return _each(lambda delta: delta["function"].update(name=name))(deltas)


def _identified_again(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**delta, "id": deltas[0]["id"]} for delta in deltas]


def _identified_anew(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**delta, "id": f"{deltas[0]['id']}{position}"} for position, delta in enumerate(deltas)]


def _without_later_functions(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [deltas[0], *({**delta, "function": None} for delta in deltas[1:])]


def _in_one(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    deltas[0]["function"]["arguments"] = "".join(delta["function"]["arguments"] for delta in deltas)
    return deltas[:1]


_FRAGMENT_FAULTS: Final[Mapping[Defect, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]]] = {
    CUMULATIVE: _cumulative,
    NAME_REPEATED: _named_again,
    ARGUMENTS_NULL: _each(lambda delta: delta["function"].update(arguments=None)),
    INDEX_MISSING: _each(lambda delta: delta.pop("index")),
    INDEX_CONSTANT: _each(lambda delta: delta.update(index=0)),
    INDEX_FROM_ONE: _each(lambda delta: delta.update(index=delta["index"] + 1)),
    FUNCTION_NULL: _without_later_functions,
    ID_MISSING: _each(lambda delta: delta.pop("id", None)),
    ID_CHANGES: _identified_anew,
    ID_REPEATED: _identified_again,
    DELTA_TYPE_MISSING: _each(lambda delta: delta.pop("type", None)),
    LEGAL_ONE_CHUNK: _in_one,
}
