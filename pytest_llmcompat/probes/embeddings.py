"""Suite `embeddings`: vectors of texts and of tokens."""

from __future__ import annotations

import re
from typing import Any, Final

from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probe import Body, Context, Probe, Unsendable
from pytest_llmcompat.refusal import error_message

__all__ = ["PROBES", "TEXTS", "TOKENS", "lacks_embeddings"]

# The first text comes again at the end: the same text must get the same vector, and the middle one another.
TEXTS: Final = ("alpha", "the quick brown fox", "alpha")
# «hello world» six times in OpenAI's cl100k_base, ids that smaller vocabularies have too. As a text they would be
# three times as many tokens.
TOKENS: Final = (15339, 1917) * 6

_PATH: Final = "/embeddings"
_USUAL_LENGTH: Final = 512
_MOST_DIMENSIONS: Final = 256


def _model(context: Context) -> str:
    """The embedding model asked for; else the first one listed that is called so, else the model under test."""
    if context.target.embedding_model is not None:
        return context.target.embedding_model
    listing = Document("models-list", "body", context.exchanges["models-list"].json)
    ids = (entry.at("/id") for entry in listing.items("/data"))
    return next((id for id in ids if isinstance(id, str) and "embed" in id.lower()), context.model)


def lacks_embeddings(exchange: Exchange) -> bool:
    """True for a refusal that says that there are none, of this model or at all.

    Servers say it with many statuses: OpenAI with 403, vLLM with 400, llama.cpp with 501.
    """
    if exchange.status in (404, 405, 501):
        return True
    said = error_message(exchange) if exchange.status in (400, 403, 422) else ""
    return re.search("embed", said, re.IGNORECASE) is not None


def _embed(given: Any, **parameters: Any) -> Body:
    return lambda context: {"model": _model(context), "input": given, **parameters}


def _after_first(given: Any, **parameters: Any) -> Body:
    """As `_embed`, once the first probe has found embeddings."""

    def build(context: Context) -> dict[str, Any]:
        first = context.exchanges["emb-float"]
        if not first.ok:
            came = "no answer" if first.failure else str(first.status)
            reason = f"{came} came to emb-float, so nothing else was asked about embeddings"
            raise Unsendable(reason, unsupported=lacks_embeddings(first))
        return {"model": _model(context), "input": given, **parameters}

    return build


def _single(context: Context) -> Any:
    """One text, in half as many dimensions as the model has (256 at the most, which every model can do)."""
    answer = Document("emb-float", "body", context.exchanges["emb-float"].json)
    vector = answer.at("/data/0/embedding")
    length = len(vector) if isinstance(vector, list) and len(vector) > 1 else _USUAL_LENGTH
    return _after_first(TEXTS[0], dimensions=min(_MOST_DIMENSIONS, length // 2))(context)


def _further(id: str, body: Body, *, features: tuple[str, ...] = (), negative: bool = False) -> Probe:
    return Probe(
        id,
        "embeddings",
        path=_PATH,
        body=body,
        parents=("models-list", "emb-float"),
        features=features,
        negative=negative,
    )


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "emb-float",
        "embeddings",
        path=_PATH,
        body=_embed(list(TEXTS), encoding_format="float"),
        parents=("models-list",),
        features=("encoding_format",),
    ),
    _further("err-emb-encoding", _after_first(TEXTS[0], encoding_format="hex"), negative=True),
    _further("err-emb-empty", _after_first(""), negative=True),
    _further("emb-base64", _after_first(list(TEXTS), encoding_format="base64")),
    _further("emb-single", _single, features=("dimensions",)),
    _further("emb-tokens", _after_first([list(TOKENS)])),
)
