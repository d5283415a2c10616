"""Contracts on the outer shape of a chat completion: what stands around the model's text."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import body, served
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect, inconclusive

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 33507)"
_DAY: Final = 86_400
# For recordings that do not say when they were made: from the start of 2020 to the end of 2099.
_EPOCH: Final = (1_577_836_800, 4_102_444_800)


@contract(
    "chat.object",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}: `object` is always chat.completion",
    breaks="Typed clients take the answer for another kind of object and refuse it.",
    fix='Send `"object": "chat.completion"` with each answer that is not streamed.',
    catches=("object-plural", "object-missing"),
)
def test_object_is_chat_completion(chat_basic: Exchange) -> None:
    """The `object` of an answer is `chat.completion`."""
    answer = served(chat_basic)
    expect(answer.at("/object") == "chat.completion", answer, "/object", '"chat.completion"')


@contract(
    "chat.id",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}: `id` is required",
    breaks="Typed clients fail to decode an answer without it; logs and feedback tools use it as their key.",
    fix="Give each answer an id such as `chatcmpl-` and random letters.",
    catches=("id-empty",),
    cases=("kevinhermawan/swift-llm-chat-openai#18", "huggingface/text-generation-inference#1724"),
)
def test_id_is_a_nonempty_string(chat_basic: Exchange) -> None:
    """The `id` of an answer is a non-empty string."""
    answer = served(chat_basic)
    expect(_is_text(answer.at("/id")), answer, "/id", "a non-empty string")


@contract(
    "chat.id-unique",
    SHOULD,
    source=f"{_SPECIFICATION}: `id` is a unique identifier; ollama drew it from 0 to 998 (middleware at fb30760)",
    breaks="Stores that use the id as their key overwrite one answer by another.",
    fix="Draw ids from a space so large that none comes twice (128 random bits).",
    catches=("id-repeats",),
)
def test_ids_differ(chat_exchanges: tuple[Exchange, ...]) -> None:
    """No two answers have the same `id`."""
    seen: dict[str, str] = {}
    for answer in (body(exchange) for exchange in chat_exchanges if exchange.ok):
        id = answer.at("/id")
        if _is_text(id):
            expect(id not in seen, answer, "/id", f"another id than that of {seen.get(id)}")
            seen[id] = answer.probe
    if len(seen) < 2:
        inconclusive("fewer than two answers have an id to compare (chat.id judges that)")


@contract(
    "chat.created-unix-seconds",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}: `created` is a Unix timestamp in seconds",
    breaks="Typed clients fail on a string; others show 1970, or a year beyond 50000.",
    fix="Send the Unix time in whole seconds at which the answer was made.",
    catches=("created-zero", "created-milliseconds", "created-iso"),
    cases=("router-for-me/CLIProxyAPI#866",),
)
def test_created_is_now(chat_basic: Exchange) -> None:
    """`created` is the time of the answer in whole Unix seconds, give or take a day."""
    answer = served(chat_basic)
    created, sent = answer.at("/created"), chat_basic.started
    earliest, latest = (sent - _DAY, sent + _DAY) if sent > 0 else _EPOCH
    whole = isinstance(created, int) and not isinstance(created, bool)
    expect(
        whole and earliest <= created <= latest,
        answer,
        "/created",
        f"whole Unix seconds, about {sent:.0f}" if sent > 0 else "whole Unix seconds",
    )


@contract(
    "chat.model-present",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}: `model` is required",
    breaks="Clients that look up prices or capabilities by the model of the answer fail on null.",
    fix="Name the model that answered in `model`.",
    catches=("model-null",),
    cases=("pydantic/pydantic-ai#6885",),
)
def test_model_is_named(chat_basic: Exchange) -> None:
    """The `model` of an answer is a non-empty string."""
    answer = served(chat_basic)
    expect(_is_text(answer.at("/model")), answer, "/model", "a non-empty string")


@contract(
    "chat.message-role",
    MUST,
    passive="chat",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 31629); "
    "@ai-sdk/openai-compatible at ed857f5, line 776, takes only the literal assistant",
    breaks="The AI SDK refuses the answer; agents that append the message to the history send a bad role back.",
    fix='Send `"role": "assistant"` in the message of each choice.',
    catches=("role-model",),
)
def test_role_is_assistant(chat_basic: Exchange) -> None:
    """The message of an answer has the role `assistant`."""
    choice = _first_choice(chat_basic)
    expect(choice.at("/message/role") == "assistant", choice, "/message/role", '"assistant"')


@contract(
    "chat.extra-fields-harmless",
    SHOULD,
    passive="chat",
    source=f"{_SPECIFICATION}; what clients decode is in schemas/completion.json",
    breaks="Typed clients fail to decode an answer over a field that they do not even use.",
    fix="Put vendor data under names of your own, and keep documented names to their documented types.",
    catches=("usage-as-list",),
    cases=("open-webui/open-webui#24697",),
)
def test_documented_names_keep_their_types(chat_basic: Exchange) -> None:
    """Optional documented fields have their documented types when they are there."""
    expect_conforms(served(chat_basic), "completion")


def _first_choice(exchange: Exchange) -> Document:
    choices = served(exchange).items("/choices")
    if not choices:
        inconclusive(f"{exchange.probe}: the answer holds no choice (chat.choices-array judges that)")
    return choices[0]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
