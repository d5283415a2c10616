"""Contracts on how a turn with tool calls ends, and on calls of functions without parameters."""

from __future__ import annotations

import re

from pytest_llmcompat.answer import answered, came, error_message, error_param, settled
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.turn import FINISH_REASONS, TOOL_WORDS, Turn, every_call, sent, turn, turns
from pytest_llmcompat.verdict import expect, inconclusive, warn

_SPEC_FINISH = "OpenAI's specification (openapi.yaml f85dbe2, line 33507): finish_reason"
_SPEC_FUNCTION = "OpenAI's specification (openapi.yaml f85dbe2, line 40623): FunctionObject"
_ABOUT_PARAMETERS = re.compile(
    r"function\.parameters|['\"`]parameters['\"`]|\bparameters\b.{0,40}\b(?:required|missing|not found)"
    r"|\b(?:requires?|missing|without|needs?)\b.{0,40}\bparameters\b",
    re.IGNORECASE | re.DOTALL,
)


@contract(
    "tools.finish-tool-calls",
    MUST,
    passive="chat",
    source=f"{_SPEC_FINISH}; vllm-project/vllm#25054 has a table of what OpenAI answers",
    breaks="Agent loops end when they read `stop`: the calls are never made.",
    fix="End a turn with tool calls with `tool_calls`, unless the cap has cut it.",
    catches=("tool-finish-stop", "functions-answered-as-tools"),
    cases=("sgl-project/sglang#2877", "Blaizzy/mlx-vlm#990", "googleapis/python-genai#2868"),
)
def test_calls_end_with_tool_calls(tool_required: Exchange, tool_auto: Exchange) -> None:
    """A turn with tool calls that the model chose or was required to make ends with `tool_calls`."""
    called = [a for a in turns(tool_required, tool_auto) if a.calls and not a.cut and not _is_named(a)]
    # Undocumented reasons are for chat.finish-reason-enum to judge.
    judged = [a for a in called if isinstance(a.finish, str) and a.finish in FINISH_REASONS]
    if not judged:
        inconclusive("no whole turn with tool calls and a documented finish reason came")
    for answer in judged:
        expect(answer.finish == "tool_calls", *answer.finish_at, "tool_calls, since there are calls")


def _is_named(answer: Turn) -> bool:
    """True when one function was named in the request: such a call may end with `stop`."""
    return isinstance(sent(answer.exchange, "tool_choice"), dict)


@contract(
    "tools.finish-named",
    SHOULD,
    source="vllm-project/vllm#25054: OpenAI itself ends a named call with `stop`",
    breaks="Agent loops that switch on the finish reason fall through, and the call is never made.",
    fix="End a named call with `stop`, as OpenAI does, or with `tool_calls`.",
    catches=("tool-named-finish-null", "finish-null"),
    cases=("vllm-project/vllm#25054", "vllm-project/vllm#49496"),
)
def test_named_call_ends_with_known_reason(tool_named: Exchange) -> None:
    """A call of a function named in `tool_choice` ends with `stop` or `tool_calls`."""
    every_call(tool_named)
    answer = turn(tool_named, *TOOL_WORDS)
    if answer.cut:
        inconclusive("the call was cut")
    known = answer.finish in ("stop", "tool_calls")
    expect(known, *answer.finish_at, "stop or tool_calls")


@contract(
    "tools.finish-only-with-calls",
    MUST,
    passive=("chat", "chat-stream"),
    source=_SPEC_FINISH,
    breaks="Agent loops look for calls that are not there, and crash or ask again without end.",
    fix="Send `tool_calls` as finish reason only with calls.",
    catches=("tool-finish-without-calls",),
    cases=("vllm-project/vllm#53255",),
)
def test_tool_calls_reason_only_with_calls(
    tool_required: Exchange,
    tool_stream: Exchange,
    tool_named: Exchange,
    tool_none: Exchange,
    tool_auto: Exchange,
    tool_result: Exchange,
    chat_basic: Exchange,
) -> None:
    """The finish reason `tool_calls` comes only with tool calls."""
    for answer in turns(
        tool_required, tool_stream, tool_named, tool_none, tool_auto, tool_result, chat_basic
    ):
        without = not any(p.at("/message/tool_calls") or p.at("/delta/tool_calls") for p in answer.parts)
        ends_for_calls = answer.finish == "tool_calls"
        expect(not (without and ends_for_calls), *answer.finish_at, "stop, since there is no tool call")
    answered(tool_required, *TOOL_WORDS)


@contract(
    "tools.no-args",
    MUST,
    source='measured with openai-python 3.57: parsing raises on null; openai/openai-python#3502 on ""',
    breaks="Parsing the arguments raises: TypeError on null, JSONDecodeError on an empty string.",
    fix="Send `{}` as the arguments of a function that takes none.",
    catches=("no-args-null", "no-args-empty", "tool-arguments-object"),
    cases=("vercel/ai#10283", "cheshire-cat-ai/core#1140"),
)
def test_call_without_arguments_has_empty_object(tool_named: Exchange) -> None:
    """The arguments of a function without parameters are `{}` in a string; an empty string is a warning."""
    calls = [call for call in every_call(tool_named) if call.arguments is not MISSING]
    if not calls:
        inconclusive("no call has arguments (tools.shape judges that)")
    for call in calls:
        place, where = call.place, "/function/arguments"
        expect(isinstance(call.arguments, str), place, where, "{} in a string")
        if call.arguments.strip() == "":
            warn(place, where, "{} in a string")
        value = read_json(call.arguments)
        expect(value is not None, place, where, "{} in a string")
        if value != {}:
            inconclusive("the model made up arguments, or broke off (tools.arguments-json judges JSON)")


@contract(
    "tools.no-parameters-key",
    SHOULD,
    source=f"{_SPEC_FUNCTION}: only `name` is required",
    breaks="Tools without parameters, as many MCP servers have them, make the whole request fail.",
    fix="Take a function without `parameters` for one with an empty list of them.",
    catches=("parameters-required",),
)
def test_parameters_may_be_left_out(tool_required: Exchange, tool_named: Exchange) -> None:
    """A function without `parameters` is accepted."""
    answered(tool_required, *TOOL_WORDS)
    told = f"{error_param(came(tool_named)) or ''} {error_message(tool_named)}"
    blamed = tool_named.status >= 400 and _ABOUT_PARAMETERS.search(told) is not None
    expect(not blamed, tool_named, "status", "200: `parameters` may be left out")
    answered(settled(tool_named), "tool_choice")
