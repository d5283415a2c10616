"""Contracts on `tool_choice` and `parallel_tool_calls`: whether the model calls, what, and how often."""

from __future__ import annotations

from pytest_llmcompat.answer import answered, decided, require_feature, settled
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import joined_objects
from pytest_llmcompat.turn import TOOL_WORDS, Turn, distorted, every_call, sent, turn, turns
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn, warn_unless

_SPEC = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_CHOICE = _SPEC.format(31938, "ChatCompletionToolChoiceOption")
_SPEC_PARALLEL = _SPEC.format(45358, "ParallelToolCalls")


def _expect_no_text(answer: Turn, expected: str) -> None:
    """Break on plain text that ended with `stop`; a turn without a call that ended otherwise settles nothing."""
    if answer.wrote_and_stopped and not answer.refusal:
        fail(*answer.text_at, expected, answer.text)


@contract(
    "tools.required-calls",
    MUST,
    source=f"{_SPEC_CHOICE}, `required`: the model must call one or more tools",
    breaks="Agents that force a call, and libraries that read typed data out of one, get text and raise.",
    fix='Constrain the model to a call under `tool_choice: "required"`, or refuse the value by name.',
    catches=("tools-dropped", "tool-choice-required-ignored", "tool-call-as-text"),
    cases=("lmstudio-ai/lmstudio-bug-tracker#2115",),
)
def test_required_gives_a_call(tool_required: Exchange, tool_stream: Exchange) -> None:
    """With `tool_choice: "required"` the model calls at least one tool, plain and streamed."""
    require_feature(tool_required, "tool_choice")
    require_feature(tool_stream, "tool_choice")
    answers = [a for a in turns(tool_required, tool_stream) if sent(a.exchange, "tool_choice") == "required"]
    for answer in answers:
        _expect_no_text(answer, "at least one tool call, since one was required")
    if not any(answer.calls for answer in answers):
        inconclusive("neither a call nor a whole text came")


@contract(
    "tools.named",
    MUST,
    source=_SPEC.format(31170, "ChatCompletionNamedToolChoice"),
    breaks="Libraries that read typed data out of one named call get text, or the arguments of another tool.",
    fix="Constrain the model to the named function, or refuse a named `tool_choice` with an error.",
    catches=("tools-dropped", "tool-choice-named-ignored", "tool-call-as-text"),
    cases=("MiaAI-Lab/GLM-5.3-Flash-EXL3-2x-DGX-Sparks#177",),
)
def test_named_choice_calls_that_function(tool_named: Exchange) -> None:
    """With a function named in `tool_choice` the model calls that function."""
    answer = turn(tool_named, *TOOL_WORDS)
    named = sent(tool_named, "tool_choice/function/name")
    if not isinstance(named, str):
        inconclusive("no function was named in the request")
    _expect_no_text(answer, f"a call of {named}")
    for call in every_call(tool_named):
        if isinstance(call.name, str) and not distorted(call.name, [named]):
            expect(call.name == named, call.place, "/function/name", named)
        else:
            inconclusive("the name is not sent whole (tools.name-known judges that)")


@contract(
    "tools.none",
    MUST,
    source=f"{_SPEC_CHOICE}, `none`: the model calls no tool",
    breaks="Programs that ask for a closing text get another call, and loop.",
    fix='Keep the model from calls under `tool_choice: "none"`.',
    catches=("tool-choice-none-ignored",),
    cases=("ROCm/FastFlowLM#728",),
)
def test_none_gives_no_call(tool_none: Exchange) -> None:
    """With `tool_choice: "none"` the model calls no tool."""
    answer = turn(tool_none, *TOOL_WORDS)
    if sent(tool_none, "tool_choice") != "none":
        inconclusive("the request did not keep the model from calls")
    for call in answer.calls:
        fail(call.place, "", "no tool call, since none was allowed")


@contract(
    "tools.auto-default",
    SHOULD,
    source=f"{_SPEC_CHOICE}: `auto` is the default when there are tools",
    breaks="Most agents send no `tool_choice`; they are refused, or their model never calls.",
    fix="Take a missing `tool_choice` for `auto` when there are tools.",
    catches=("auto-refused",),
)
def test_tools_without_choice_mean_auto(tool_required: Exchange, tool_auto: Exchange) -> None:
    """Tools without a `tool_choice` are accepted, and the model may call them."""
    answered(tool_required, *TOOL_WORDS)
    refused = settled(tool_auto).status in (400, 404, 405, 422)
    expect(not refused, tool_auto, "status", "200: `tool_choice` may be left out")
    every_call(tool_auto)


@contract(
    "tools.parallel",
    SHOULD,
    source=f"{_SPEC_PARALLEL}, true by default",
    breaks="The arguments of two calls in one are no JSON: the program raises, and neither call is made.",
    fix="Send each call as an entry of its own in `tool_calls`.",
    catches=("tool-calls-merged",),
    cases=("BerriAI/litellm#6470",),
)
def test_two_calls_come_apart(tool_required: Exchange, tool_stream: Exchange) -> None:
    """Two calls in one turn are two entries, not one with both arguments.

    A model that makes only one call settles nothing.
    """
    calls = every_call(tool_required, tool_stream)
    for call in calls:
        objects = joined_objects(call.arguments) if isinstance(call.arguments, str) else []
        merged = any(one != objects[0] for one in objects)
        expect(not merged, call.place, "/function/arguments", "the arguments of one call", call.arguments)
    if not any(len(answer.calls) > 1 for answer in turns(tool_required, tool_stream)):
        inconclusive("the model made only one call")


@contract(
    "tools.parallel-false",
    SHOULD,
    source=_SPEC_PARALLEL,
    breaks="Programs that run one tool at a time drop the second call, and the next request is refused.",
    fix="Stop the model after one call under `parallel_tool_calls: false`, or refuse the parameter by name.",
    catches=("parallel-false-ignored",),
    cases=("sgl-project/sglang#9696", "vllm-project/vllm#9451"),
)
def test_parallel_false_gives_one_call(tool_auto: Exchange) -> None:
    """With `parallel_tool_calls: false` the model makes at most one call."""
    require_feature(tool_auto, "parallel_tool_calls")
    calls = every_call(tool_auto)
    if sent(tool_auto, "parallel_tool_calls") is not False:
        inconclusive("the request did not keep the model to one call")
    if len(calls) > 1:
        fail(calls[1].place, "", "at most one tool call")


@contract(
    "tools.bad-choice-400",
    SHOULD,
    source="own rule: the choice cannot be kept, and a wrong name is a slip of the caller's",
    breaks="A misspelt function goes unnoticed: the program waits for a call that cannot come.",
    fix="Check the name in `tool_choice` against the tools, and answer 400.",
    catches=("tool-choice-absent-function-200",),
)
def test_choice_of_absent_function_is_refused(tool_required: Exchange, err_tool_choice: Exchange) -> None:
    """A `tool_choice` that names a function which is not among the tools is refused with 400."""
    answered(tool_required, *TOOL_WORDS)
    status = decided(err_tool_choice).status
    expect(400 <= status < 500, err_tool_choice, "status", "400: there is no such function")


@contract(
    "tools.choice-invalid-value-400",
    SHOULD,
    source=f"{_SPEC_CHOICE}: none, auto, required or an object",
    breaks="A misspelt choice goes unnoticed, and the model answers as if there were none.",
    fix="Answer 400 to a `tool_choice` that is no known value.",
    catches=("tool-choice-value-200", "tool-choice-value-500"),
)
def test_unknown_choice_is_refused(tool_required: Exchange, err_tool_choice_value: Exchange) -> None:
    """An unknown string as `tool_choice` is refused with 400; to ignore it is a warning."""
    answered(tool_required, *TOOL_WORDS)
    status = decided(err_tool_choice_value).status
    expect(status < 500, err_tool_choice_value, "status", "400, not a server error")
    warn_unless(status >= 400, err_tool_choice_value, "status", "400: there is no such choice")


@contract(
    "tools.required-without-tools-400",
    SHOULD,
    source=f"{_SPEC_CHOICE}: a call is required, and there is nothing to call",
    breaks="A program that lost its tools on the way waits for a call that cannot come.",
    fix='Answer 400 to `tool_choice: "required"` without `tools`.',
    catches=("required-without-tools-200",),
    cases=("raullenchai/Rapid-MLX#744", "kekzl/imp#1265"),
)
def test_required_without_tools_is_refused(tool_required: Exchange, err_required_no_tools: Exchange) -> None:
    """`tool_choice: "required"` without tools is refused with 400; to answer it is a warning."""
    answered(tool_required, *TOOL_WORDS)
    status = decided(err_required_no_tools).status
    expect(status < 500, err_required_no_tools, "status", "400, not a server error")
    if status < 400:
        warn(err_required_no_tools, "status", "400: there is nothing to call")
