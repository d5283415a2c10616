"""Contracts on the answer of POST /embeddings: its shape, and how its vectors are written."""

from __future__ import annotations

import math
from typing import Final

from pytest_llmcompat.answer import came, judge_each
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.naming import listed_ids, same_model
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.tokens import PROMPT, counter
from pytest_llmcompat.turn import sent
from pytest_llmcompat.vectors import (
    Vector,
    cosine,
    decoded,
    embedded,
    entries,
    is_finite,
    unpacked,
    vector,
)
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn

_SPEC_ANSWER: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 34325): CreateEmbeddingResponse"
_SPEC_VECTOR: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 38209): Embedding"
_TOTAL: Final = "/usage/total_tokens"
_EMBEDDING: Final = "/embedding"
# What rounding, lower precision and another batch on the same hardware may cost.
_SAME: Final = 0.999
_UNIT: Final = 0.01
_MISTAKES: Final = ((">f", "big-endian float32"), ("<d", "float64"), (">d", "big-endian float64"))


@contract(
    "embeddings.shape",
    MUST,
    source=_SPEC_ANSWER,
    breaks="SDKs look for `data[i].embedding`; vector stores file vectors under the wrong text without `index`.",
    fix='Answer {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": …}], "model": …}.',
    catches=(
        "embeddings-bare-list",
        "embeddings-object-missing",
        "embeddings-model-missing",
        "embeddings-item-object-missing",
        "embeddings-index-missing",
    ),
    passive="embeddings",
)
def test_embeddings_come_as_list_object(emb_float: Exchange) -> None:
    """POST /embeddings gives a list object whose items bear an index and an embedding."""
    document = embedded(emb_float)
    expect(emb_float.is_json, emb_float, "body", "a JSON object")
    expect_conforms(document, "embedding-list")


@contract(
    "embeddings.float-list",
    MUST,
    source=f"{_SPEC_VECTOR}; measured with openai-python 3.57: what is asked for as float is handed on as it comes",
    breaks="Code that asks for floats stores texts or lists of lists, and the vector store refuses them.",
    fix="Send each vector as one flat array of finite numbers.",
    catches=("embeddings-float-as-base64", "embeddings-nested", "embeddings-with-null"),
    cases="vllm-project/vllm#5935",
    passive="embeddings",
)
def test_floats_come_as_flat_list(emb_float: Exchange) -> None:
    """`encoding_format: "float"` gives flat lists of finite numbers."""
    came(emb_float)
    if sent(emb_float, "encoding_format") != "float":
        unsupported("no floats were asked for: encoding_format was refused, or is another")
    for entry in entries(emb_float, "encoding_format"):
        _expect_numbers(entry)


def _expect_numbers(entry: Document) -> None:
    numbers = entry.at(_EMBEDDING)
    expect(isinstance(numbers, list) and numbers != [], entry, _EMBEDDING, "an array of numbers")
    for place, number in enumerate(numbers):
        expect(is_finite(number), entry, f"{_EMBEDDING}/{place}", "a finite number")


@contract(
    "embeddings.default-float",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 34242): encoding_format is `float` by default",
    breaks="Clients that name no encoding, as most that are not the official SDKs, get a text for a vector.",
    fix="Send base64 only when it was asked for.",
    catches="embeddings-default-base64",
    cases="openai/openai-python#1490",
)
def test_floats_are_the_default(emb_single: Exchange) -> None:
    """Without `encoding_format` the vector is a list of numbers."""
    for entry in entries(emb_single):
        expect(isinstance(entry.at(_EMBEDDING), list), entry, _EMBEDDING, "an array of numbers")


@contract(
    "embeddings.base64",
    MUST,
    source="openai-python 3.57 lib/_parsing/_embeddings.py:53 and openai-node src/lib/embeddings.ts:25 ask for it",
    breaks="openai-node reads a list of n numbers as base64: the vector becomes n/4 zeros, without an error.",
    fix='Answer `encoding_format: "base64"` with the base64 (RFC 4648, section 4) of little-endian float32.',
    catches=("base64-ignored", "base64-url-alphabet", "base64-float64", "base64-big-endian"),
    cases=(
        "sgl-project/sglang#28803",
        "huggingface/text-embeddings-inference#288",
        "michaelfeil/infinity#349",
    ),
    passive="embeddings",
)
def test_base64_comes_when_asked_for(emb_base64: Exchange) -> None:
    """`encoding_format: "base64"` gives base64 text of little-endian float32 numbers."""
    came(emb_base64)
    if sent(emb_base64, "encoding_format") != "base64":
        unsupported("base64 was not asked for")
    for entry in entries(emb_base64, "encoding_format"):
        octets = decoded(entry.at(_EMBEDDING))
        if octets is None:
            fail(entry, _EMBEDDING, "a text in base64, with the alphabet of RFC 4648 section 4")
        whole = octets != b"" and len(octets) % 4 == 0
        expect(whole, entry, _EMBEDDING, "base64 of four bytes for each number", f"{len(octets)} bytes")
        mistake = _form_of_unit(octets)
        expect(
            mistake is None, entry, _EMBEDDING, "little-endian float32", f"a vector of length 1 as {mistake}"
        )


def _form_of_unit(octets: bytes) -> str | None:
    """The form in which bytes are a vector of length 1, when they are none as float32; None for no other."""
    if _is_unit(unpacked(octets, "<f")):
        return None
    return next((name for form, name in _MISTAKES if _is_unit(unpacked(octets, form))), None)


def _is_unit(numbers: Vector | None) -> bool:
    sound = numbers is not None and all(map(is_finite, numbers))
    return sound and abs(math.hypot(*(numbers or ())) - 1) <= _UNIT


@contract(
    "embeddings.base64-equals-float",
    MUST,
    source="openai-python 3.57 lib/_parsing/_embeddings.py:53 reads float32 as the machine has it: little-endian",
    breaks="The official SDKs ask for base64 by themselves: they hand on vectors of noise or of double length.",
    fix="Pack the numbers as little-endian float32 before the base64.",
    catches=("base64-float64", "base64-big-endian"),
    cases="ai-forever/gpt2giga#108",
)
def test_base64_holds_the_same_vector(emb_base64: Exchange, emb_float: Exchange) -> None:
    """The vectors in base64 are those of the answer in floats."""
    floats = [vector(entry) for entry in entries(emb_float)]
    compared = [
        (entry, octets, numbers)
        for entry, numbers in zip(entries(emb_base64, "encoding_format"), floats, strict=False)
        if numbers is not None and (octets := decoded(entry.at(_EMBEDDING)))
    ]
    if not compared:
        inconclusive("there is nothing to compare (embeddings.base64 and embeddings.float-list judge that)")
    for entry, octets, numbers in compared:
        read = unpacked(octets, "<f") or ()
        expect(
            cosine(read, numbers) > _SAME,
            entry,
            _EMBEDDING,
            f"{len(numbers)} numbers, as in {emb_float.probe}, as little-endian float32",
            f"{len(octets)} bytes{_recognised(octets, numbers)}",
        )


def _recognised(octets: bytes, numbers: Vector) -> str:
    """What the bytes are instead, if they are the same vector in another form."""
    for form, name in _MISTAKES:
        if cosine(unpacked(octets, form) or (), numbers) > _SAME:
            return f", which are the vector as {name}"
    return ""


@contract(
    "embeddings.usage",
    SHOULD,
    source=f"{_SPEC_ANSWER}: usage with prompt_tokens and total_tokens is required",
    breaks="Cost reports and budgets count nothing; typed clients refuse the answer.",
    fix="Send `usage` with `prompt_tokens` and the same number as `total_tokens`.",
    catches=("embeddings-usage-missing", "embeddings-total-wrong", "embeddings-usage-zero"),
    passive="embeddings",
)
def test_tokens_are_counted(emb_float: Exchange) -> None:
    """`usage` counts the prompt, and the total is the same."""
    document = embedded(emb_float)
    if not isinstance(document.value, dict):
        inconclusive("the answer is no object (embeddings.shape judges that)")
    prompt = counter(document, PROMPT)
    if prompt is None or prompt < 1:
        fail(document, PROMPT, "a whole number above 0")
    expect(counter(document, _TOTAL) == prompt, document, _TOTAL, f"{prompt}, as prompt_tokens")


@contract(
    "embeddings.norm",
    MAY,
    source="OpenAI's guide to embeddings: they are normalised to length 1",
    breaks="Code that takes the dot product for the cosine, as OpenAI's guide does, ranks long vectors first.",
    fix="Divide each vector by its length, also after `dimensions` has shortened it.",
    catches="embeddings-not-unit",
)
def test_vectors_have_length_one(emb_float: Exchange, emb_single: Exchange) -> None:
    """Vectors have length 1, shortened ones too."""
    judge_each(_expect_unit, emb_float, emb_single)


def _expect_unit(exchange: Exchange) -> None:
    read = [(entry, numbers) for entry in entries(exchange) if (numbers := vector(entry)) is not None]
    if not read:
        inconclusive(f"{exchange.probe}: there is no vector (embeddings.float-list judges that)")
    for entry, numbers in read:
        length = math.hypot(*numbers)
        expect(abs(length - 1) <= _UNIT, entry, _EMBEDDING, "a vector of length 1", f"length {length:.4g}")


@contract(
    "embeddings.model-echo",
    SHOULD,
    source=_SPEC_ANSWER,
    breaks="Vectors of different models do not mix: an index that is filed under the wrong name is worthless.",
    fix="Answer with the id that was asked for, or with the dated id that it stands for.",
    catches=("model-other-listed", "model-unrelated"),
    cases="icebear0828/codex-proxy#660",
)
def test_model_is_the_one_asked_for(emb_float: Exchange, models_list: Exchange) -> None:
    """`model` is the id asked for, with a date or a provider's prefix at most."""
    document, asked = embedded(emb_float), sent(emb_float, "model")
    name, listed = document.at("/model"), listed_ids(models_list)
    if not isinstance(name, str) or not name:
        inconclusive("the answer names no model (embeddings.shape judges that)")
    if same_model(asked, name, listed):
        return
    expected = f"«{asked}», with a date or a prefix at most"
    if name in listed:
        fail(document, "/model", f"{expected}; this is another model of the list")
    warn(document, "/model", expected)
