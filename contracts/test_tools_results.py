"""Contracts on the way back: the results of tool calls, and the turn that made them, in the history."""

from __future__ import annotations

import re

from pytest_llmcompat.answer import answered, body, came, decided
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.tools import NOTE, SENTINEL
from pytest_llmcompat.turn import TOOL_WORDS, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_SPEC_ASSISTANT = (
    "OpenAI's specification (openapi.yaml f85dbe2): ChatCompletionRequestAssistantMessage, `content` is "
    "optional beside `tool_calls`"
)
_REFUSALS = (400, 404, 405, 415, 422, 500)
_FEWEST_WORDS = 5


def _accepted(tool_required: Exchange, tool_auto: Exchange) -> None:
    """The results go out with tools and without a choice: both have to be welcome by themselves."""
    answered(tool_required, *TOOL_WORDS)
    if came(tool_auto).status in _REFUSALS:
        inconclusive("tools without a `tool_choice` are refused (tools.auto-default judges that)")


@contract(
    "tools.result-roundtrip",
    MUST,
    source=f"{_SPEC_ASSISTANT}; openai-python and AI SDK send null",
    breaks="Every agent stops after its first tool call: the history with the result is refused.",
    fix="Accept an assistant message with `tool_calls` and `content: null`, and the tool messages behind it.",
    catches=("content-null-refused",),
    cases=(
        "lmstudio-ai/lmstudio-bug-tracker#261",
        "mistralai/mistral-common#324",
        "Kilo-Org/kilocode#12330",
    ),
)
def test_results_are_accepted(tool_required: Exchange, tool_auto: Exchange, tool_result: Exchange) -> None:
    """An assistant message with `tool_calls` and `content: null`, and the results behind it, are accepted."""
    _accepted(tool_required, tool_auto)
    refused = came(tool_result).status in _REFUSALS
    expect(not refused, tool_result, "status", "200: tool calls beside `content: null`, with their results")
    answered(tool_result)


@contract(
    "tools.result-content-empty",
    MUST,
    source=_SPEC_ASSISTANT,
    breaks="Clients that keep `content` a string (LangChain, many in Go and Java) stop after their first call.",
    fix='Treat `content: ""` beside `tool_calls` like null.',
    catches=("content-empty-refused",),
    cases=("odysseus-dev/odysseus#837", "QuantumNous/new-api#3084"),
)
def test_empty_content_beside_calls_is_accepted(
    tool_result: Exchange, tool_result_contents: Exchange, tool_result_empty: Exchange
) -> None:
    """An assistant message with `tool_calls` and `content: ""` is accepted in the history."""
    answered(tool_result, *TOOL_WORDS)
    if tool_result_contents.ok:
        return
    refused = came(tool_result_empty).status in _REFUSALS
    expect(not refused, tool_result_empty, "status", "200, as with `content: null`")
    answered(tool_result_empty)


@contract(
    "tools.result-content-omitted",
    SHOULD,
    source=_SPEC_ASSISTANT,
    breaks="Clients that leave null fields out of JSON stop after their first call.",
    fix="Treat a missing `content` beside `tool_calls` like null.",
    catches=("content-omitted-refused",),
    cases=("deltawi/deltallm#297", "cubist38/mlx-openai-server#205"),
)
def test_missing_content_beside_calls_is_accepted(
    tool_result: Exchange, tool_result_contents: Exchange, tool_result_omitted: Exchange
) -> None:
    """An assistant message with `tool_calls` and no `content` is accepted in the history."""
    answered(tool_result, *TOOL_WORDS)
    if tool_result_contents.ok:
        return
    refused = came(tool_result_omitted).status in _REFUSALS
    warn_unless(not refused, tool_result_omitted, "status", "200, as with `content: null`")
    answered(tool_result_omitted)


@contract(
    "tools.result-used",
    SHOULD,
    source="own rule: what is sent is read, and counted in `prompt_tokens`",
    breaks="The model answers without the result of the tool: it invents one, or calls again without end.",
    fix="Put tool messages into the prompt, also where the model's template has no place for them.",
    catches=("tool-messages-dropped",),
    cases=("cubist38/mlx-openai-server#205",),
)
def test_results_reach_the_model(
    tool_required: Exchange,
    tool_none: Exchange,
    tool_result: Exchange,
    tool_result_contents: Exchange,
    tool_result_empty: Exchange,
) -> None:
    """The answer to a tool result uses it; it fails when the token counts show that the model never saw it.

    The probe `tool-result-contents` (or `tool-result-empty` in its place) sends the same history with longer
    results: an endpoint whose counts tell prompts apart counts more for it, unless it drops the results.
    """
    longer = tool_result_contents if tool_result_contents.ok else tool_result_empty
    if re.search(str(SENTINEL).replace(".", "[.,]"), turn(tool_result, *TOOL_WORDS).text):
        return
    counts = (_prompt_tokens(e) for e in (tool_required, tool_none, tool_result, longer))
    cities, greeting, short, long = counts
    if cities - greeting < _FEWEST_WORDS:
        inconclusive("the answer does not use the result, and the token counts do not tell prompts apart")
    gained = long - short
    if not -_FEWEST_WORDS < gained < len(NOTE.split()) // 2:
        inconclusive("the answer does not use the result, which the model has seen")
    where, expected = "/usage/prompt_tokens", f"more than {short}: the tool results are longer here"
    fail(body(longer), where, expected)


def _prompt_tokens(exchange: Exchange) -> int:
    found = body(answered(exchange, *TOOL_WORDS)).at("/usage/prompt_tokens")
    if not isinstance(found, int) or isinstance(found, bool):
        inconclusive("the answer does not use the result, and there are no token counts to tell why")
    return found


@contract(
    "tools.bad-tool-call-id-400",
    SHOULD,
    source="OpenAI answers 400 to calls without a result (BloomLabsInc/genkit-plugins#225)",
    breaks="A server error is retried and hides the caller's slip; an answer hides it for good.",
    fix="Check that each tool message answers a call before it, and answer 400.",
    catches=("tool-id-mismatch-500", "tool-id-mismatch-200"),
    cases=("can1357/oh-my-pi#2055",),
)
def test_result_of_unknown_call_is_refused(tool_required: Exchange, err_tool_id: Exchange) -> None:
    """A tool message whose id matches no call is refused with 400, not with a server error.

    To answer it is a warning.
    """
    answered(tool_required, *TOOL_WORDS)
    status = decided(err_tool_id).status
    expect(status < 500, err_tool_id, "status", "400, not a server error")
    warn_unless(status >= 400, err_tool_id, "status", "400: no call has this id")
