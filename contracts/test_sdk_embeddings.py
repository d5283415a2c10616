"""Contracts on what the official Python client makes of recorded embeddings."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import came
from pytest_llmcompat.contract import MUST, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.refusal import error_message
from pytest_llmcompat.sdk import take
from pytest_llmcompat.vectors import cosine, entries, is_finite, vector
from pytest_llmcompat.verdict import expect, fail, inconclusive

_EXPECTED: Final = "floats from embeddings.create(), which asks for base64 by itself"
_SAME: Final = 0.999


@contract(
    "sdk.embeddings-default",
    MUST,
    source="openai-python 3.57 runs on the recorded bytes",
    breaks="Every program on the official Python client: its vectors are wrong, or the call raises.",
    fix="Take encoding_format base64 and answer with the base64 of little-endian float32.",
    catches=("base64-refused", "base64-url-alphabet", "base64-float64", "base64-big-endian"),
    cases="runpod-workers/worker-infinity-embedding#30",
)
def test_create_gives_the_floats(emb_base64: Exchange, emb_float: Exchange) -> None:
    """`client.embeddings.create()` gives the floats of the answer that asked for floats."""
    floats = [vector(entry) for entry in entries(emb_float)]
    if came(emb_base64).status in (400, 422):
        refusal = f"{emb_base64.status}: {error_message(emb_base64)}"
        fail(emb_base64, "status", f"{_EXPECTED}, not a refusal", refusal)
    items = entries(emb_base64)
    if not all(isinstance(item.value, dict) for item in items):
        inconclusive("the items of `data` are no objects (embeddings.shape judges that)")
    made = take(emb_base64, lambda openai: openai.embeddings.create(model="", input=""), _EXPECTED)
    pairs = [each for each in zip(items, made.data, floats, strict=False) if each[2] is not None]
    if not pairs:
        inconclusive("there are no floats to compare with (embeddings.float-list judges that)")
    for item, embedding, numbers in pairs:
        given = embedding.embedding
        expect(isinstance(given, list) and all(map(is_finite, given)), item, "/embedding", _EXPECTED)
        near = cosine(given, numbers or ())
        found = f"{len(given)} numbers, cosine {near:.4f}"
        expect(near > _SAME, item, "/embedding", f"{_EXPECTED}: the {len(numbers or ())} of emb-float", found)
