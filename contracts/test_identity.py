"""Contracts on which model answers."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import body, chunks, judge_each, settled
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.naming import listed_ids, same_model, words_of
from pytest_llmcompat.probes.core import UNKNOWN_MODEL
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn

# A router is asked for by a name of its own and answers by that of the model it chose.
_ROUTER: Final = frozenset({"auto", "router"})


@contract(
    "identity.model-echo",
    SHOULD,
    passive=("chat", "chat-stream"),
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33507): `model` is the model used",
    breaks="Users pay for one model and get the answers of another; evaluations are filed under the wrong name.",
    fix="Answer with the id that was asked for, or with the dated id that it stands for.",
    catches=("model-other-listed", "model-unrelated"),
    cases=("icebear0828/codex-proxy#660",),
)
def test_model_is_the_one_asked_for(
    chat_basic: Exchange, stream_basic: Exchange, models_list: Exchange
) -> None:
    """The answer names the model asked for, with a date or a provider's prefix at most."""
    listed = listed_ids(models_list)
    judge_each(lambda exchange: _expect_echo(exchange, listed), chat_basic, stream_basic)


def _expect_echo(exchange: Exchange, listed: frozenset[str]) -> None:
    named = _named(exchange)
    asked = Document(exchange.probe, "request", exchange.sent).at("/model")
    if named is None or not isinstance(asked, str):
        inconclusive(f"{exchange.probe}: the answer names no model (chat.model-present judges that)")
    name = str(named.at("/model"))
    if _ROUTER & set(words_of(asked)) or same_model(asked, name, listed):
        return
    expected = f"«{asked}», with a date or a prefix at most"
    if name in listed:
        fail(named, "/model", f"{expected}; this is another model of the list")
    warn(named, "/model", expected)


@contract(
    "identity.consistent",
    SHOULD,
    source="own rule: one model was asked for throughout the run",
    breaks="Results cannot be repeated, since another model answers from one request to the next.",
    fix="Route requests for one id to one model.",
    catches=("model-changes",),
)
def test_every_answer_names_the_same_model(
    chat_exchanges: tuple[Exchange, ...], stream_exchanges: tuple[Exchange, ...]
) -> None:
    """Every answer of the run names the same model."""
    named = [found for e in (*chat_exchanges, *stream_exchanges) if e.ok and (found := _named(e)) is not None]
    if len(named) < 2:
        inconclusive("fewer than two answers name a model")
    first = named[0]
    for answer in named:
        same = answer.at("/model") == first.at("/model")
        expect(same, answer, "/model", f"«{first.at('/model')}», as in {first.probe}")


@contract(
    "identity.no-impersonation",
    MUST,
    source="own rule: a name that no model has is answered by none",
    breaks="A typing mistake in a model id goes unnoticed: another model answers under the wrong name.",
    fix="Refuse an unknown model with 404 and model_not_found.",
    catches=("unknown-model-echoed",),
    cases=("ddalcu/mlx-serve#257",),
)
def test_no_model_answers_under_an_unknown_name(err_unknown_model: Exchange) -> None:
    """No answer bears the name of a model that does not exist."""
    settled(err_unknown_model)
    answer = body(err_unknown_model)
    answered = err_unknown_model.ok and answer.items("/choices") != []
    expect(
        not (answered and answer.at("/model") == UNKNOWN_MODEL),
        answer,
        "/model",
        "no answer, or the id of the model that gave it",
    )


def _named(exchange: Exchange) -> Document | None:
    """The completion, or the first chunk, that names a model; None without one, or when chunks disagree."""
    sent = exchange.sent
    streamed = isinstance(sent, dict) and sent.get("stream") is True
    named = [d for d in (chunks(exchange) if streamed else [body(exchange)]) if _is_name(d.at("/model"))]
    return named[0] if len({str(d.at("/model")) for d in named}) == 1 else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""
