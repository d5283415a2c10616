"""Suite `tools`: function calling, plain and streamed, and the way back of its results."""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_llmcompat.probe import Context, Probe
from pytest_llmcompat.probes.core import chat, user

__all__ = ["GET_TIME", "GET_WEATHER", "PROBES", "SENTINEL", "TOOLS"]

SENTINEL: Final = 31.7
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
# Without `parameters` on purpose: only `name` is required (FunctionObject in OpenAI's specification).
GET_TIME: Final[dict[str, Any]] = {
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
_UNREACHED_CALL: Final[list[dict[str, Any]]] = [
    {
        "id": "call_llmcompat_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Rome", "unit": "celsius"}'},
    }
]


def _calls(context: Context) -> list[dict[str, Any]]:
    """The tool calls of `tool-required`; synthetic ones when the model made none that can be sent back."""
    try:
        calls = context.exchanges["tool-required"].json["choices"][0]["message"]["tool_calls"]
        usable = all(
            isinstance(call["id"], str) and call["id"] and isinstance(call["function"]["arguments"], str)
            for call in calls
        )
    except (TypeError, KeyError, IndexError):
        return _UNREACHED_CALL
    return calls if calls and usable else _UNREACHED_CALL


def _history(context: Context, **content: Any) -> dict[str, Any]:
    calls = _calls(context)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"temp": SENTINEL})}
        for call in calls
    ]
    return {
        "model": context.model,
        "messages": [*_CITIES, {"role": "assistant", **content, "tool_calls": calls}, *results],
        "tools": TOOLS,
        "max_tokens": 60,
    }


def _foreign_result(context: Context) -> dict[str, Any]:
    call = {**_UNREACHED_CALL[0], "id": "call_a"}
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
            tools=[GET_TIME],
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
        body=lambda context: _history(context, content=None),
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-result-empty",
        "tools",
        body=lambda context: _history(context, content=""),
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
)
