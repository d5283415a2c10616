"""Contracts on requests that are not quite as documented, and on lists that are not quite whole."""

from __future__ import annotations

from pytest_llmcompat.answer import answered, body, came, names
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.extra import UNKNOWN_PARAMETER
from pytest_llmcompat.verdict import expect, inconclusive, unsupported, warn_unless


@contract(
    "chat.unknown-param",
    MAY,
    source="own rule: what a server does not know it ignores, or refuses by name",
    breaks="A new parameter of a client looks like a failing server, and the request is sent three times.",
    fix="Ignore parameters that you do not know, or refuse them with a 400 that names them.",
    catches=("unknown-param-500",),
    cases="github/app#3299",
)
def test_unknown_parameter_is_ignored_or_refused(chat_unknown_param: Exchange, chat_basic: Exchange) -> None:
    """A parameter that does not exist is ignored, or refused by name; it is no failure of the server."""
    answered(chat_basic)
    status = came(chat_unknown_param).status
    if status in (401, 403, 429, 502, 503, 504, 529):
        inconclusive(f"chat-unknown-param was answered {status}")
    expect(status < 500, chat_unknown_param, "status", "200, or 400 that names the parameter")
    named = status < 400 or names(chat_unknown_param, UNKNOWN_PARAMETER)
    warn_unless(named, chat_unknown_param, "body", f"an error that names {UNKNOWN_PARAMETER}")


@contract(
    "chat.tools-empty-list",
    MAY,
    source="OpenAI refuses an empty list (evalstate/fast-agent#781); others take it for none",
    breaks="Frameworks that always send a list meet a failing server, and try again.",
    fix="Take `tools: []` for no tools, or refuse it with 400.",
    catches=("tools-empty-500",),
    cases=("vllm-project/vllm#39741", "evalstate/fast-agent#781"),
)
def test_empty_list_of_tools_is_handled(err_tools_empty: Exchange, chat_basic: Exchange) -> None:
    """`tools: []` is taken for no tools, or refused with 400; it is no failure of the server."""
    answered(chat_basic)
    status = came(err_tools_empty).status
    if status in (401, 403, 429, 502, 503, 504, 529):
        inconclusive(f"err-tools-empty was answered {status}")
    expect(status < 500, err_tools_empty, "status", "200 or 400")


@contract(
    "models.list-stable",
    MAY,
    source="openai-python 3.57 pagination.py:27-46: SyncPage has no next page",
    breaks="The official clients show the first page as the whole list, and models are missing.",
    fix="Send the whole list, and no `has_more: true`.",
    catches=("models-has-more",),
    passive="models",
)
def test_list_of_models_is_one_page(models_list: Exchange) -> None:
    """The list of models is whole: it does not say that there is more; else it is a warning."""
    document = body(answered(models_list))
    if not document.items("/data"):
        unsupported("GET /models lists nothing (models.* contracts judge that)")
    warn_unless(document.at("/has_more") is not True, document, "/has_more", "false, or absent")
