"""Contracts on function calling at its edges (opt-in): foreign ids, cut calls, the deprecated form."""

from __future__ import annotations

from pytest_llmcompat.answer import answered, came
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.turn import TOOL_WORDS, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive


@contract(
    "tools.foreign-id-roundtrip",
    SHOULD,
    source="OpenAI's specification: the id of a call is a text, of no further form",
    breaks="A conversation that began with another provider cannot be continued here.",
    fix="Accept any text as the id of a call; map it where the engine wants another form.",
    catches=("tool-id-format",),
    cases="editor-code-assistant/eca#233",
)
def test_ids_of_other_servers_are_accepted(tool_result: Exchange, tool_result_foreign: Exchange) -> None:
    """A history with a tool call whose id another server has made is accepted."""
    answered(tool_result, *TOOL_WORDS)
    refused = came(tool_result_foreign).status in (400, 422, 500)
    expect(not refused, tool_result_foreign, "status", "200: an id is any text")
    answered(tool_result_foreign)


@contract(
    "tools.stream.length-truncation",
    SHOULD,
    source="measured with openai-python 3.57: a call cut by the cap is told by `length` alone",
    breaks="Agents run a tool with half of its arguments, or raise a parse error.",
    fix="End with `length` when the cap cuts a call.",
    catches=("stream-cut-call-finish-tool-calls", "stream-cap-finish-stop"),
    cases=("14790897/MiqroForge-Desktop#1100", "router-for-me/CLIProxyAPI#5851"),
)
def test_cut_call_ends_with_length(tool_truncated_stream: Exchange) -> None:
    """A streamed call that the cap has cut ends with `length`."""
    answer = turn(tool_truncated_stream, *TOOL_WORDS)
    cut = [call for call in answer.calls if isinstance(call.arguments, str)]
    cut = [call for call in cut if read_json(call.arguments) is MISSING]
    if not cut:
        inconclusive("no call was cut by the cap")
    if not isinstance(answer.finish, str):
        inconclusive("there is no finish_reason (chat.stream.finish-once judges that)")
    expect(answer.finish == "length", *answer.finish_at, "length, since the arguments are cut")


@contract(
    "tools.legacy-functions",
    MAY,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33105): `functions`, deprecated; "
    "openai-node ChatCompletionRunFunctions reads `message.function_call`",
    breaks="Programs from before 2024 get prose where they wait for a call.",
    fix="Answer `functions` with `message.function_call`, or refuse them with a 400 that names them.",
    catches=(
        "functions-ignored",
        "functions-answered-as-tools",
        "tool-call-as-text",
        "tool-choice-named-ignored",
        "tools-dropped",
        "tool-name-prefixed",
    ),
)
def test_functions_are_answered_in_kind(functions_legacy: Exchange) -> None:
    """`functions` with a forced `function_call` are answered with `message.function_call`, or refused."""
    answer = turn(functions_legacy, "functions", "function_call")
    choice = answer.parts[0]
    if answer.cut:
        inconclusive(f"the answer was cut ({answer.finish})")
    call = choice.at("/message/function_call")
    if isinstance(call, dict):
        named = call.get("name") == "get_weather" and isinstance(call.get("arguments"), str)
        expect(
            named, choice, "/message/function_call", "the name of the function and its arguments as a text"
        )
        return
    if not answer.calls and not answer.wrote_and_stopped:
        inconclusive("the model neither called the function nor wrote a text")
    fail(choice, "/message/function_call", "a call of get_weather, or a 400 that names `functions`")
