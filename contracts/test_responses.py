"""Contracts on the `response` object of the Responses API: its fields and its usage."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import answered, body, judge_each
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.responses import (
    output_items,
    response,
    whole_response,
)
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect, inconclusive, warn_unless

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_RESPONSE: Final = _SPEC.format(57280, "Response")
_STATUSES: Final = ("completed", "incomplete", "failed", "in_progress", "queued", "cancelled")
_UNDER_WAY: Final = ("in_progress", "queued")
_ECHOED: Final = (
    "parallel_tool_calls",
    "tool_choice",
    "tools",
    "temperature",
    "top_p",
    "metadata",
    "instructions",
)


@contract(
    "responses.supported",
    MAY,
    source="OpenAI's specification: POST /responses; a 404, 405 or 501 says that there is none",
    breaks="Clients take a page of a web server for an answer of the API.",
    fix="Serve the Responses API, or answer 404 with the envelope.",
    catches="responses-route-html",
)
def test_there_is_a_responses_api(resp_basic: Exchange) -> None:
    """POST /responses is answered with JSON."""
    expect(isinstance(body(answered(resp_basic)).value, dict), resp_basic, "body", "a JSON object")


@contract(
    "responses.object",
    MUST,
    passive="responses",
    source=f"{_SPEC_RESPONSE}; measured with openai-python 3.57: None stands in the place of what is missing",
    breaks="Clients cannot tell a response from another object, store it under no id and date it nowhere.",
    fix='Send `id`, `object: "response"`, `created_at` in Unix seconds and `model`.',
    catches=(
        "response-object-other",
        "response-id-missing",
        "response-created-at-missing",
        "response-created-at-milliseconds",
    ),
)
def test_response_says_what_it_is(resp_basic: Exchange) -> None:
    """A response has an id, `object` «response», a time in Unix seconds and the model."""
    document = body(answered(resp_basic))
    if not isinstance(document.value, dict):
        inconclusive("the body is no JSON object (responses.supported judges that)")
    expect_conforms(document, "response")


@contract(
    "responses.status",
    MUST,
    passive="responses",
    source=f"{_SPEC_RESPONSE}: `status`, `error`, `incomplete_details`",
    breaks="Agents that wait for `completed` poll on for ever, or take a good answer for a failed one.",
    fix='Send `status: "completed"` with `error` and `incomplete_details` null when the answer is whole.',
    catches=("response-status-missing", "response-status-stop", "response-error-on-success"),
    cases="sgl-project/sglang#9624",
)
def test_finished_response_is_completed(resp_basic: Exchange) -> None:
    """A finished answer has the status «completed», no error and nothing that is incomplete."""
    document = response(resp_basic)
    status = document.at("/status")
    expect(status in _STATUSES, document, "/status", f"one of {', '.join(_STATUSES)}")
    if status in _UNDER_WAY:
        expect(document.at("/background") is True, document, "/status", "completed: nobody asked to wait")
    if status != "completed":
        inconclusive(f"{resp_basic.probe}: the response is {status}")
    expect(not document.at("/error"), document, "/error", "null beside the status completed")
    expect(
        not document.at("/incomplete_details"),
        document,
        "/incomplete_details",
        "null beside the status completed",
    )


@contract(
    "responses.output-array",
    MUST,
    passive="responses",
    source=f"{_SPEC_RESPONSE}; measured: `output_text` of openai-python 3.57 is a TypeError on null",
    breaks="`response.output_text` raises, and so does every loop over the output.",
    fix="Send `output` as an array of items with a `type` each, [] when there is none.",
    catches="response-output-null",
    cases="firecrawl/firecrawl#4252",
)
def test_output_is_a_list_of_items(resp_basic: Exchange) -> None:
    """`output` is an array of objects that have a type each, and never null."""
    document = response(resp_basic)
    expect(isinstance(document.at("/output"), list), document, "/output", "an array")
    for item in output_items(document):
        expect(isinstance(item.at("/type"), str), item, "/type", "the type of the item")


@contract(
    "responses.usage",
    SHOULD,
    passive=("responses", "responses-stream"),
    source=_SPEC.format(60307, "ResponseUsage; OpenAI's own older answers lack `cache_write_tokens`"),
    breaks="Cost reports and budgets count nothing; bills by the total and by the parts differ.",
    fix="Send `input_tokens`, `output_tokens`, their sum as `total_tokens`, and both details objects.",
    catches=(
        "response-usage-missing",
        "response-total-wrong",
        "response-stream-total-wrong",
        "response-usage-details-missing",
    ),
    cases="BerriAI/litellm#28899",
)
def test_usage_adds_up(resp_basic: Exchange, resp_stream: Exchange) -> None:
    """A finished response has `usage`, whose total is the sum of input and output, with details of both."""
    judge_each(_expect_usage, resp_basic, resp_stream)


def _expect_usage(exchange: Exchange) -> None:
    document = whole_response(exchange)
    if document.at("/status") in (*_UNDER_WAY, "failed", "cancelled"):
        inconclusive(f"{exchange.probe}: the response is {document.at('/status')}")
    expect(isinstance(document.at("/usage"), dict), document, "/usage", "the counts of tokens")
    expect_conforms(document, "response-usage", at="/usage")
    counts = document.at("/usage")
    total = counts["input_tokens"] + counts["output_tokens"]
    expect(counts["total_tokens"] == total, document, "/usage/total_tokens", f"{total}, the sum of both")
    for details in ("input_tokens_details", "output_tokens_details"):
        pointer = f"/usage/{details}"
        warn_unless(isinstance(document.at(pointer), dict), document, pointer, "an object")


@contract(
    "responses.echo-fields",
    SHOULD,
    passive="responses",
    source=f"{_SPEC_RESPONSE} requires them",
    breaks="Typed clients that require the keys end in a parse error.",
    fix="Repeat the parameters of the request in the answer, defaults written out.",
    catches="response-echo-missing",
    cases="sgl-project/sglang#9624",
)
def test_answer_repeats_the_parameters(resp_basic: Exchange) -> None:
    """The answer repeats tools, tool_choice, temperature and the other parameters of the request."""
    document = response(resp_basic)
    absent = [name for name in _ECHOED if not document.has(f"/{name}")]
    warn_unless(not absent, document, "", f"also {', '.join(absent)}", sorted(document.value))
