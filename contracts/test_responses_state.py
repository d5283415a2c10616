"""Contracts on responses that are kept: continued, fetched, listed, cancelled, deleted."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import answered, body, came, error_message, require_feature, settled
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.responses import SECRET
from pytest_llmcompat.responses import (
    message_text,
    prompt_size,
    reported_tokens,
    response,
    response_stream,
)
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_SPEC: Final = "OpenAI's specification (openapi.yaml f85dbe2): {}"
_ABSENT: Final = (404, 405, 501)
_ELSEWHERE: Final = (401, 403, 408, 429, 502, 503, 504, 529)
_UNDER_WAY: Final = ("queued", "in_progress")


@contract(
    "responses.previous-id",
    SHOULD,
    source=_SPEC.format("line 36274, `previous_response_id`"),
    breaks="Chats forget everything after each turn, without any error.",
    fix="Put the earlier turns in front of the input, or refuse the parameter by name.",
    catches="response-previous-ignored",
    cases=(
        "Blaizzy/mlx-vlm#1046",
        "digitalocean/gradient-python#96",
        "lmstudio-ai/lmstudio-bug-tracker#1188",
    ),
)
def test_previous_response_is_continued(resp_prev: Exchange, resp_stream: Exchange) -> None:
    """`previous_response_id` brings the earlier turns to the model, or is refused."""
    if came(resp_prev).status in (400, 404, 405, 422, 501):
        unsupported(f"{resp_prev.status}: {error_message(resp_prev)}")
    document = response(resp_prev)
    if SECRET in message_text(document).lower():
        return
    # The first turn without its instructions, which are not carried on, was streamed.
    first = prompt_size(response_stream(resp_stream).final)
    counted = prompt_size(document)
    if counted is not None and first is not None and counted <= first:
        fail(document, "/usage/input_tokens", f"more than {first}, which the first turn alone takes")
    inconclusive("the model does not remember, and the counts do not show that the first turn was dropped")


@contract(
    "responses.previous-id-unknown",
    SHOULD,
    source="lmstudio-ai/lmstudio-bug-tracker#1188: OpenAI answers 400 previous_response_not_found",
    breaks="A conversation that is lost goes on as if it had never been, and nobody notices.",
    fix="Answer an unknown `previous_response_id` with 400 or 404.",
    catches=("response-unknown-previous-ignored", "response-previous-ignored"),
    cases="Blaizzy/mlx-vlm#1046",
)
def test_unknown_previous_response_is_refused(err_resp_prev: Exchange) -> None:
    """A `previous_response_id` that does not exist is refused with 400 or 404."""
    status = settled(err_resp_prev).status
    if status in _ELSEWHERE or 300 <= status < 400:
        inconclusive(f"{err_resp_prev.probe} was answered {status}")
    expect(status >= 400, err_resp_prev, "status", "400 or 404: there is no such response")


@contract(
    "responses.store-echo",
    SHOULD,
    source="own rule: what is promised to be kept is there, or the answer says that it is not",
    breaks="Programs keep ids of responses that are gone when they come back for them.",
    fix="Keep the response, refuse `store: true`, or answer with `store: false`.",
    catches="response-store-ignored",
    cases=("digitalocean/gradient-python#96", "vllm-project/vllm#22137"),
)
def test_stored_response_can_be_fetched(resp_basic: Exchange, resp_get: Exchange) -> None:
    """A response that was asked to be stored can be fetched, or says that it is not stored."""
    require_feature(resp_basic, "store")
    document = response(resp_basic)
    if document.at("/store") is False:
        return
    status = settled(resp_get).status
    if status in _ELSEWHERE or 300 <= status < 400:
        inconclusive(f"{resp_get.probe} was answered {status}")
    kept = "a response that can be fetched, or `store: false`"
    expect(resp_get.ok, document, "/store", kept, f"{document.at('/store')}, and GET is {status}")


@contract(
    "responses.retrieve",
    SHOULD,
    source=_SPEC.format("GET /responses/{response_id}"),
    breaks="Programs that fetch a response get another one, or a page of HTML.",
    fix="Answer GET /responses/{id} with the response of that id.",
    catches=("response-retrieve-other", "response-retrieve-empty", "response-retrieve-html"),
    cases="BerriAI/litellm#17204",
)
def test_fetched_response_is_the_same(resp_basic: Exchange, resp_get: Exchange) -> None:
    """GET /responses/{id} gives the response of that id with the same text."""
    made = response(resp_basic)
    document = body(answered(resp_get))
    expect(isinstance(document.value, dict), resp_get, "body", "the response as JSON")
    expect(document.at("/id") == made.at("/id"), document, "/id", f"{made.at('/id')}")
    text = message_text(made)
    if text:
        fetched = message_text(document)
        expect(fetched == text, document, "/output", f"the text of the response: {text!r}", fetched)


@contract(
    "responses.retrieve-404",
    SHOULD,
    source=_SPEC.format("404 of /responses/{response_id}; openai-python 3.57 raises NotFoundError"),
    breaks="Clients parse a page of HTML, try three times, or take a made-up response for a kept one.",
    fix="Answer GET of an unknown id with 404 and the envelope.",
    catches=("response-unknown-200", "response-unknown-500", "response-unknown-html"),
    cases="digitalocean/gradient-python#96",
)
def test_unknown_response_is_not_found(
    resp_get: Exchange, resp_err: Exchange, err_resp_get: Exchange
) -> None:
    """GET of an id that does not exist is answered 404, with JSON."""
    if came(resp_get).status in _ABSENT:
        unsupported(f"responses cannot be fetched: GET is answered {resp_get.status}")
    status = came(err_resp_get).status
    if status in _ELSEWHERE or 300 <= status < 400:
        inconclusive(f"{err_resp_get.probe} was answered {status}")
    expect(400 <= status < 500, err_resp_get, "status", "404: there is no such response")
    if resp_err.status >= 400 and not resp_err.is_json:
        inconclusive("no refusal is JSON here (responses.error-envelope judges that)")
    expect(err_resp_get.is_json, err_resp_get, "body", "a JSON object with `error`")
    warn_unless(status in (404, 410), err_resp_get, "status", "404: there is no such response")


@contract(
    "responses.delete",
    MAY,
    source=_SPEC.format("DELETE /responses/{response_id}"),
    breaks="What users were told is deleted is still there.",
    fix="Delete the response, or answer 405.",
    catches=("response-delete-ignored", "response-unknown-200"),
)
def test_deleted_response_is_gone(resp_delete: Exchange, resp_gone: Exchange) -> None:
    """After DELETE has been answered with success, GET of the response is not."""
    answered(resp_delete)
    status = settled(resp_gone).status
    if status in _ELSEWHERE:
        inconclusive(f"{resp_gone.probe} was answered {status}")
    expect(status >= 400, resp_gone, "status", "404: the response was deleted")


@contract(
    "responses.list-input-items",
    MAY,
    source=_SPEC.format("line 58951, ResponseItemList"),
    breaks="`client.responses.input_items.list()` raises or yields nothing.",
    fix='Answer {"object": "list", "data": […], "first_id", "last_id", "has_more"}.',
    catches="response-items-array",
)
def test_input_items_are_a_list(resp_items: Exchange) -> None:
    """GET /responses/{id}/input_items is a list object with the items of the input."""
    document = body(answered(resp_items))
    expect(document.at("/object") == "list", document, "", "a list object", document.value)
    expect(isinstance(document.at("/data"), list), document, "/data", "the items")
    for item in document.items("/data"):
        expect(isinstance(item.at("/type"), str), item, "/type", "the type of the item")


@contract(
    "responses.input-tokens",
    MAY,
    source=_SPEC.format("POST /responses/input_tokens, TokenCountsResource"),
    breaks="Programs that count before they ask cut too much, or too little.",
    fix="Count as for the answer; without the feature answer 404.",
    catches="response-count-wrong",
)
def test_counted_input_is_the_input_used(resp_count: Exchange, resp_basic: Exchange) -> None:
    """POST /responses/input_tokens counts what the answer to the same request reports as input."""
    document = body(answered(resp_count))
    count = document.at("/input_tokens")
    whole = isinstance(count, int) and not isinstance(count, bool)
    expect(whole, document, "/input_tokens", "a whole number")
    used = reported_tokens(response(resp_basic), "input_tokens")
    if used is None:
        inconclusive("the answer reports no input tokens (responses.usage judges that)")
    expect(count == used, document, "/input_tokens", f"{used}, which the answer reports")


@contract(
    "responses.background",
    MAY,
    source=_SPEC.format("`background`: the answer comes at once, and the response is made later"),
    breaks="Programs that send long tasks to the background wait for them all the same, and time out.",
    fix="Answer at once with the status «queued» or «in_progress», or refuse `background` by name.",
    catches="response-background-ignored",
    cases="vllm-project/vllm#22137",
)
def test_background_response_is_under_way(resp_background: Exchange) -> None:
    """A response in the background is answered before it is finished, or refused."""
    document = response(resp_background, "background", "store")
    if document.at("/background") is False:
        return
    warn_unless(document.at("/status") in _UNDER_WAY, document, "/status", "queued or in_progress")


@contract(
    "cancel.responses",
    MAY,
    source=_SPEC.format("POST /responses/{response_id}/cancel"),
    breaks="What users have stopped goes on and is billed.",
    fix="Stop the response and answer with the status «cancelled».",
    catches="response-cancel-ignored",
)
def test_background_response_can_be_cancelled(resp_background: Exchange, resp_cancel: Exchange) -> None:
    """POST /responses/{id}/cancel stops a response in the background."""
    if response(resp_background).at("/status") not in _UNDER_WAY:
        inconclusive("the response was finished before it could be cancelled")
    document = body(answered(resp_cancel))
    if document.at("/status") == "completed":
        inconclusive("the response was finished before it could be cancelled")
    expect(document.at("/status") == "cancelled", document, "/status", "cancelled")
