"""Suite `tools`: function calling, plain and streamed, and the way back of its results."""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_llmcompat.probe import Context, Probe, Unsendable
from pytest_llmcompat.probes.core import chat, user

__all__ = ["BARE_TIME", "GET_TIME", "GET_WEATHER", "NOTE", "PROBES", "SENTINEL", "TOOLS"]

SENTINEL: Final = 31.7
# Makes the tool results of one probe longer: the token counts of it and of its twin show whether the model sees them.
NOTE: Final = (
    "measured at noon by hand at the old station on the hill, in the shade, "
    "two metres above the ground, as on every other day of this month"
)
GET_WEATHER: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
# Strict as well: Cerebras refuses a list in which some tools are strict and some are not, and others enforce
# strict for all tools or none (RooCodeInc/Roo-Code#10334, kekzl/imp#1597).
GET_TIME: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The current time in a time zone.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"zone": {"type": "string"}},
            "required": ["zone"],
            "additionalProperties": False,
        },
    },
}
# Without `parameters` on purpose: only `name` is required (FunctionObject in OpenAI's specification). It goes
# out in a probe of its own, so that a server that asks for the key fails one contract and not all of them.
BARE_TIME: Final[dict[str, Any]] = {
    "type": "function",
    "function": {"name": "get_time", "description": "The current time."},
}
TOOLS: Final = [GET_WEATHER, GET_TIME]

_CITIES: Final = [user("What is the weather in Rome and in Oslo, in celsius? Use the tool for each city.")]
_REQUIRED: Final[dict[str, Any]] = {
    "tools": TOOLS,
    "tool_choice": "required",
    "max_tokens": 200,
    "temperature": 0,
}
# Nine letters and digits, the only form of an id that Mistral's models take (editor-code-assistant/eca#233).
_SYNTHETIC_CALL: Final[dict[str, Any]] = {
    "id": "callRome1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Rome", "unit": "celsius"}'},
}


def _calls(context: Context) -> list[dict[str, Any]]:
    """The tool calls of `tool-required`; a synthetic one when the model made none that can be sent back."""
    try:
        calls = context.exchanges["tool-required"].json["choices"][0]["message"]["tool_calls"]
        ids = {call["id"] for call in calls}
        usable = len(ids) == len(calls) > 0 and all(_returnable(call) for call in calls)
    except (TypeError, KeyError, IndexError):
        return [_SYNTHETIC_CALL]
    return calls if usable else [_SYNTHETIC_CALL]


def _returnable(call: dict[str, Any]) -> bool:
    """True for a sound call: a broken one would be refused for its own fault when it is sent back."""
    known = {tool["function"]["name"] for tool in TOOLS}
    try:
        arguments = json.loads(call["function"]["arguments"])
    except (ValueError, RecursionError):
        return False
    named = call["type"] == "function" and call["function"]["name"] in known
    return named and isinstance(arguments, dict) and isinstance(call["id"], str) and call["id"] != ""


def _history(context: Context, note: dict[str, str], **content: Any) -> dict[str, Any]:
    calls = _calls(context)
    return _conversation(context, [_turn(content, calls), *(_result(call, note) for call in calls)])


def _both_forms(context: Context) -> dict[str, Any]:
    """The calls of the model one after the other, the first beside `content: ""`, the second without the key."""
    calls = _calls(context)
    if len(calls) < 2:
        raise Unsendable("the model made one call only, so each form of content is sent by itself")
    contents: list[dict[str, str]] = [{"content": ""}] + [{}] * (len(calls) - 1)
    turns = [
        (_turn(c, [call]), _result(call, {"note": NOTE})) for c, call in zip(contents, calls, strict=True)
    ]
    return _conversation(context, [message for pair in turns for message in pair])


def _one_form(context: Context, note: dict[str, str], **content: str) -> dict[str, Any]:
    if context.exchanges["tool-result-contents"].ok:
        raise Unsendable("tool-result-contents has shown that both forms of content are accepted")
    return _history(context, note, **content)


def _turn(content: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": "assistant", **content, "tool_calls": calls}


def _result(call: dict[str, Any], note: dict[str, str]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"temp": SENTINEL, **note})}


def _conversation(context: Context, behind: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": context.model, "messages": [*_CITIES, *behind], "tools": TOOLS, "max_tokens": 60}


def _foreign_result(context: Context) -> dict[str, Any]:
    call = {**_SYNTHETIC_CALL, "id": "call_a"}
    return {
        "model": context.model,
        "messages": [
            *_CITIES,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_zzz", "content": "{}"},
        ],
        "tools": TOOLS,
        "max_tokens": 1,
    }


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "tool-required", "tools", body=chat(_CITIES, **_REQUIRED), features=("tool_choice",), headroom=True
    ),
    Probe("err-tool-id", "tools", body=_foreign_result, negative=True),
    Probe(
        "err-tool-choice",
        "tools",
        body=chat(
            _CITIES,
            tools=[GET_TIME],
            tool_choice={"type": "function", "function": {"name": "nope"}},
            max_tokens=1,
        ),
        negative=True,
    ),
    Probe(
        "err-tool-choice-value",
        "tools",
        body=chat(_CITIES, tools=[GET_TIME], tool_choice="llmcompat", max_tokens=1),
        negative=True,
    ),
    Probe(
        "err-required-no-tools",
        "tools",
        body=chat(_CITIES, tool_choice="required", max_tokens=1),
        negative=True,
    ),
    Probe(
        "tool-stream",
        "tools",
        body=chat(_CITIES, **_REQUIRED, stream=True, stream_options={"include_usage": True}),
        parents=("tool-required",),
        requires="tool-required",
        features=("stream_options", "tool_choice"),
        headroom=True,
    ),
    Probe(
        "tool-named",
        "tools",
        body=chat(
            [user("What time is it?")],
            tools=[BARE_TIME],
            tool_choice={"type": "function", "function": {"name": "get_time"}},
            max_tokens=60,
        ),
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-none",
        "tools",
        body=chat([user("Say hi.")], tools=TOOLS, tool_choice="none", max_tokens=20),
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-auto",
        "tools",
        body=chat(_CITIES, tools=TOOLS, parallel_tool_calls=False, max_tokens=120),
        parents=("tool-required",),
        requires="tool-required",
        features=("parallel_tool_calls",),
        headroom=True,
    ),
    Probe(
        "tool-result",
        "tools",
        body=lambda context: _history(context, {}, content=None),
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    # Both at once, and each by itself only where that is refused: a compound probe, split on reject.
    Probe(
        "tool-result-contents",
        "tools",
        body=_both_forms,
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-result-empty",
        "tools",
        body=lambda context: _one_form(context, {"note": NOTE}, content=""),
        parents=("tool-required", "tool-result-contents"),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-result-omitted",
        "tools",
        body=lambda context: _one_form(context, {}),
        parents=("tool-required", "tool-result-contents"),
        requires="tool-required",
        headroom=True,
    ),
)
