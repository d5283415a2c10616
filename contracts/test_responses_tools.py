"""Contracts on function calling over the Responses API."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import came, error_message, error_param, names
from pytest_llmcompat.contract import MUST, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.responses import (
    ResponseStream,
    output_items,
    prompt_size,
    response_stream,
    whole_response,
)
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.turn import TOOL_WORDS
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_INVALID: Final = (400, 422)
# A refusal that misses chat's `function` around the tool.
_NESTED: Final = re.compile(r"tools\W+\d+\W+function\b|missing field `function`|\.function\b")
# The schema of the probe's tool takes more tokens than this with any tokenizer, and its prompt fewer more.
_SCHEMA: Final = 25


@contract(
    "responses.tool-call",
    MUST,
    passive=("responses", "responses-stream"),
    source=_SPEC.format(40661, "FunctionToolCall requires `type`, `call_id`, `name`, `arguments`"),
    breaks="Agents cannot answer the call: without `call_id` the result is refused, an object cannot be parsed.",
    fix='Send {"type": "function_call", "call_id": …, "name": …, "arguments": "{…}"}.',
    catches=("response-call-id-missing", "response-arguments-object"),
    cases=("earendil-works/pi#9057", "router-for-me/CLIProxyAPI#5851"),
)
def test_call_is_an_item(resp_tool: Exchange) -> None:
    """A function call is an item with `call_id`, `name` and its arguments as text."""
    calls = output_items(whole_response(resp_tool, *TOOL_WORDS), "function_call")
    if not calls:
        inconclusive(f"{resp_tool.probe}: no function was called")
    for call in calls:
        expect_conforms(call, "response-function-call")


@contract(
    "responses.tool-flat-schema",
    MUST,
    source="OpenAI's specification: FunctionTool: `type`, `name`, `parameters`, `strict` side by side",
    breaks="Every agent framework that speaks the Responses API is refused, or its tools are never seen.",
    fix="Read tools of /responses in the flat form, without `function` around them.",
    catches=("response-nested-tools-only", "response-flat-tools-ignored"),
)
def test_flat_tools_are_read(resp_tool: Exchange, resp_stream: Exchange) -> None:
    """Tools in the flat form are accepted and reach the model."""
    said = f"{error_param(resp_tool)} {error_message(resp_tool)}"
    if came(resp_tool).status in _INVALID and _NESTED.search(said):
        fail(resp_tool, "status", "200: the tools are in the flat form", f"{resp_tool.status}: {said}")
    final = response_stream(resp_tool, *TOOL_WORDS).final
    if output_items(final, "function_call"):
        return
    counted = prompt_size(final)
    usual = prompt_size(response_stream(resp_stream).final)
    if counted is not None and usual is not None and counted < usual + _SCHEMA:
        fail(
            final,
            "/usage/input_tokens",
            f"at least {usual + _SCHEMA}: the schema of the tool takes that many",
        )
    inconclusive("no function was called, and the counts do not show that the tool was dropped")


@contract(
    "responses.tool-stream",
    MUST,
    passive="responses-stream",
    source=_SPEC.format(58608, "ResponseFunctionCallArgumentsDeltaEvent and its .done"),
    breaks="Clients that gather the deltas call the function with other arguments than those that wait do.",
    fix="Send the arguments in pieces that join to what `.done` and the item have.",
    catches=("response-arguments-deltas-lossy", "response-arguments-done-missing"),
)
def test_streamed_arguments_join_to_the_call(resp_tool: Exchange) -> None:
    """The deltas of the arguments join to those of their `.done` event and of the item."""
    stream = response_stream(resp_tool, *TOOL_WORDS)
    if stream.failed:
        inconclusive(f"{resp_tool.probe}: the stream broke off")
    done = [e for e in stream.of("response.output_item.done") if e.at("/item/type") == "function_call"]
    if not done:
        inconclusive(f"{resp_tool.probe}: no call was finished")
    for event in done:
        _expect_joined(stream, event)


def _expect_joined(stream: ResponseStream, event: Document) -> None:
    arguments = event.at("/item/arguments")
    if not isinstance(arguments, str):
        inconclusive("the arguments are no text (responses.tool-call judges that)")
    deltas = stream.about("response.function_call_arguments.delta", event)
    pieces = [piece for delta in deltas if isinstance(piece := delta.at("/delta"), str)]
    expect("".join(pieces) == arguments, event, "/item/arguments", f"the joined deltas {''.join(pieces)!r}")
    whole = stream.about("response.function_call_arguments.done", event)
    if not whole:
        fail(stream, "body", "a response.function_call_arguments.done for each call")
    expect(
        whole[-1].at("/arguments") == arguments, whole[-1], "/arguments", f"those of the item: {arguments!r}"
    )


@contract(
    "responses.tool-roundtrip",
    MUST,
    source=_SPEC.format(
        36274, "CreateResponse, `input`: FunctionToolCall and FunctionToolCallOutput are items of it"
    ),
    breaks="No agent gets further than its first call.",
    fix="Accept `function_call` and `function_call_output` items in `input`.",
    catches=("response-call-output-refused", "response-call-output-500"),
)
def test_result_of_a_call_is_accepted(resp_tool: Exchange, resp_tool_result: Exchange) -> None:
    """A call and its output are accepted as items of `input`, without any state."""
    if resp_tool.status in _INVALID and any(names(resp_tool, word) for word in TOOL_WORDS):
        unsupported(f"tools are refused: {error_message(resp_tool)}")
    status = came(resp_tool_result).status
    told = f"{status}: {error_message(resp_tool_result)}"
    if status in (404, 405, 501):
        unsupported(told)
    if status in (401, 403, 408, 429, 502, 503, 504, 529):
        inconclusive(told)
    expect(resp_tool_result.ok, resp_tool_result, "status", "200: the output answers the call", told)
