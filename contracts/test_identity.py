"""Contracts on which model answers."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import body, chunks, judge_each, settled
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import UNKNOWN_MODEL
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn

# Words of an alias that the dated name of the model has not.
_ALIAS: Final = frozenset({"latest"})
# A router is asked for by a name of its own and answers by that of the model it chose.
_ROUTER: Final = frozenset({"auto", "router"})


@contract(
    "identity.model-echo",
    SHOULD,
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
    listed = _listed(models_list)
    judge_each(lambda exchange: _expect_echo(exchange, listed), chat_basic, stream_basic)


def _expect_echo(exchange: Exchange, listed: frozenset[str]) -> None:
    named = _named(exchange)
    asked = Document(exchange.probe, "request", exchange.sent).at("/model")
    if named is None or not isinstance(asked, str):
        inconclusive(f"{exchange.probe}: the answer names no model (chat.model-present judges that)")
    name = str(named.at("/model"))
    if _ROUTER & set(_words(asked)) or _extends(asked, name, listed):
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


def _listed(models_list: Exchange) -> frozenset[str]:
    entries = body(models_list).items("/data") if models_list.ok else []
    ids = [entry.at("/id") for entry in entries]
    return frozenset(id for id in ids if isinstance(id, str))


def _extends(asked: str, name: str, listed: frozenset[str]) -> bool:
    """True for the same model under a longer or shorter form of its name.

    Such are `gpt-4o-2024-08-06` for gpt-4o, `gpt-4-1106-vision-preview` for gpt-4-vision-preview,
    `openai/gpt-4o` for gpt-4o and the reverse, `llama-3.3-70b` for llama3.3-70b. Another listed model is
    the same one only when nothing but numbers was added (`gpt-4o-mini` is no form of gpt-4o).
    """
    asked, name = asked.casefold(), name.casefold()
    if name.endswith(f"/{asked}") or asked.endswith(f"/{name}") or _letters(asked) == _letters(name):
        return True
    of_asked, of_name = set(_words(asked)) - _ALIAS, set(_words(name)) - _ALIAS
    if name in {id.casefold() for id in listed}:
        return of_asked <= of_name and all(word.isdigit() for word in of_name - of_asked)
    return of_asked <= of_name or of_name <= of_asked


def _letters(name: str) -> str:
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.casefold())
