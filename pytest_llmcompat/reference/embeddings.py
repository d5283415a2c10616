"""POST /embeddings: vectors as numbers, or as base64 of little-endian float32."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.checks import check_choice, check_integer, check_object, check_string
from pytest_llmcompat.reference.completion import LEGAL_VENDOR_KEYS
from pytest_llmcompat.reference.defect import Defects, Faults, defect, spoil
from pytest_llmcompat.reference.errors import checked, invalid
from pytest_llmcompat.reference.inputs import read_input
from pytest_llmcompat.reference.models import CHAT_MODELS, EMBEDDING_MODEL, name_in_answers, unknown_model
from pytest_llmcompat.reference.transport import answer_json, read_body, state_of
from pytest_llmcompat.reference.vectors import DIMENSIONS, Tokens, Vector, embed

__all__ = ["create_embeddings"]

BARE_LIST = defect("embeddings-bare-list", "Embeddings are a bare array.", row="D-B01")
OBJECT_MISSING = defect("embeddings-object-missing", "The answer has no object.", row="D-B01")
MODEL_MISSING = defect("embeddings-model-missing", "The answer names no model.", row="D-B01")
ITEM_BARE = defect("embeddings-item-object-missing", "Items of data have no object.", row="D-B01")
INDEX_MISSING = defect("embeddings-index-missing", "Items of data have no index.", row="D-B01")
FLOAT_AS_BASE64 = defect("embeddings-float-as-base64", "Floats asked for come as base64.", row="D-B02")
NESTED = defect("embeddings-nested", "Floats asked for come as a list in a list.", row="D-B02")
WITH_NULL = defect("embeddings-with-null", "Floats asked for come with a null.", row="D-B02")
DEFAULT_BASE64 = defect("embeddings-default-base64", "Without an encoding, base64 comes.", row="D-B02")
BAD_ENCODING_200 = defect("embeddings-encoding-200", "An unknown encoding_format is ignored.", row="D-B02")
BAD_ENCODING_500 = defect(
    "embeddings-encoding-500", "An unknown encoding_format is answered 500.", row="D-B02"
)
BASE64_IGNORED = defect("base64-ignored", "Base64 asked for comes as floats.", row="D-B03")
BASE64_REFUSED = defect("base64-refused", "encoding_format base64 is refused.", row="D-B03")
BASE64_URL = defect("base64-url-alphabet", "Base64 comes in the alphabet for URLs.", row="D-B03")
BASE64_FLOAT64 = defect("base64-float64", "Base64 holds float64 values.", row="D-B03")
BASE64_BIG = defect("base64-big-endian", "Base64 holds float32 with the high byte first.", row="D-B03")
BATCH_SHORT = defect("embeddings-batch-short", "Of several inputs only the first is embedded.", row="D-B04")
BATCH_ROTATED = defect("embeddings-batch-rotated", "The vectors of a batch are one place off.", row="D-B04")
BATCH_SAME = defect("embeddings-batch-same", "All inputs of a batch get one vector.", row="D-B04")
PADDED = defect("embeddings-padded", "In a batch, padding is embedded with the text.", row="D-B04")
INDEX_CONSTANT = defect("embeddings-index-constant", "index is always 0.", row="D-B04")
INDEX_REVERSED = defect("embeddings-index-reversed", "index counts down.", row="D-B04")
DIMENSIONS_IGNORED = defect("dimensions-ignored", "dimensions is ignored.", row="D-B05")
USAGE_MISSING = defect("embeddings-usage-missing", "Embeddings have no usage.", row="D-U01")
USAGE_TOTAL = defect("embeddings-total-wrong", "total_tokens is not prompt_tokens.", row="D-U01")
USAGE_ZERO = defect("embeddings-usage-zero", "Embeddings count no tokens.", row="D-U01")
NOT_UNIT = defect("embeddings-not-unit", "Vectors are not of length 1.", row="supplement")
LEGAL_NO_DIMENSIONS = defect(
    "legal-dimensions-refused", "dimensions is refused by name.", row="G-09", legal=True
)
LEGAL_ROUNDED = defect(
    "legal-embeddings-rounded", "Floats are printed with six decimals.", row="supplement", legal=True
)

_ENCODINGS: Final = ("float", "base64")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for. encoding: None when the request does not say."""

    model: str
    inputs: list[Tokens]
    encoding: str | None
    dimensions: int


async def create_embeddings(request: Request) -> Response:
    """POST /embeddings."""
    authorise(request)
    state = state_of(request)
    asked = _read(await read_body(request), state.defects)
    listing = {
        "object": "list",
        "data": _items(asked, state.defects),
        "model": name_in_answers(asked.model, state.answers, state.defects),
        "usage": _usage(asked.inputs, state.defects),
    }
    spoil(listing, _FAULTS, state.defects)
    return answer_json(listing["data"] if BARE_LIST in state.defects else listing)


def _read(body: Any, defects: Defects) -> _Asked:
    check_object("body", body)
    for name in ("model", "input"):
        if body.get(name) is None:
            raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    check_string("model", body["model"])
    if body["model"] in CHAT_MODELS:
        raise invalid(f"The model '{body['model']}' does not support embeddings.", "model")
    if body["model"] != EMBEDDING_MODEL:
        raise unknown_model(body["model"])
    inputs = read_input(body["input"], defects)
    return _Asked(body["model"], inputs, _encoding(body, defects), _dimensions(body, defects))


def _encoding(body: dict[str, Any], defects: Defects) -> str | None:
    encoding: Any = body.get("encoding_format")
    if encoding is None:
        return None
    with checked(defects, silent=BAD_ENCODING_200, crashing=BAD_ENCODING_500):
        check_choice("encoding_format", encoding, _ENCODINGS)
    if encoding == "base64" and BASE64_REFUSED in defects:
        raise invalid("encoding_format 'base64' is not supported.", "encoding_format", "invalid_value")
    return str(encoding)


def _dimensions(body: dict[str, Any], defects: Defects) -> int:
    dimensions: Any = body.get("dimensions")
    if dimensions is None:
        return DIMENSIONS
    if LEGAL_NO_DIMENSIONS in defects:
        raise invalid("This model does not support specifying dimensions.", "dimensions")
    check_integer("dimensions", dimensions, 1, DIMENSIONS)
    return DIMENSIONS if DIMENSIONS_IGNORED in defects else int(dimensions)


def _items(asked: _Asked, defects: Defects) -> list[dict[str, Any]]:
    vectors = _vectors(asked, defects)
    items = [
        {"object": "embedding", "index": place, "embedding": _encoded(vector, asked.encoding, defects)}
        for place, vector in enumerate(vectors)
    ]
    if INDEX_REVERSED in defects:
        for item, place in zip(items, reversed(range(len(items))), strict=True):
            item["index"] = place
    return [spoil(item, _ITEM_FAULTS, defects) for item in items]


def _vectors(asked: _Asked, defects: Defects) -> list[Vector]:
    inputs = asked.inputs
    if PADDED in defects:
        inputs = [tokens + (0,) * place for place, tokens in enumerate(inputs)]
    vectors = [embed(tokens, asked.dimensions) for tokens in inputs]
    if BATCH_SHORT in defects:
        vectors = vectors[:1]
    if BATCH_ROTATED in defects:
        vectors = vectors[-1:] + vectors[:-1]
    if BATCH_SAME in defects:
        vectors = vectors[:1] * len(vectors)
    return [tuple(4 * number for number in v) for v in vectors] if NOT_UNIT in defects else vectors


def _encoded(vector: Vector, encoding: str | None, defects: Defects) -> Any:
    numbers: list[Any] = [round(n, 6) for n in vector] if LEGAL_ROUNDED in defects else list(vector)
    if encoding is None:
        return _base64(vector, defects) if DEFAULT_BASE64 in defects else numbers
    if encoding == "base64":
        return numbers if BASE64_IGNORED in defects else _base64(vector, defects)
    if FLOAT_AS_BASE64 in defects:
        return _base64(vector, defects)
    if WITH_NULL in defects:
        numbers[-1] = None
    return [numbers] if NESTED in defects else numbers


def _base64(vector: Vector, defects: Defects) -> str:
    order, size = ">" if BASE64_BIG in defects else "<", "d" if BASE64_FLOAT64 in defects else "f"
    octets = struct.pack(f"{order}{len(vector)}{size}", *vector)
    encode = base64.urlsafe_b64encode if BASE64_URL in defects else base64.b64encode
    return encode(octets).decode()


def _usage(inputs: list[Tokens], defects: Defects) -> dict[str, Any]:
    spent = sum(map(len, inputs))
    return spoil({"prompt_tokens": spent, "total_tokens": spent}, _USAGE_FAULTS, defects)


_ITEM_FAULTS: Final[Faults] = {
    ITEM_BARE: lambda item: item.pop("object"),
    INDEX_MISSING: lambda item: item.pop("index"),
    INDEX_CONSTANT: lambda item: item.update(index=0),
}
_USAGE_FAULTS: Final[Faults] = {
    USAGE_TOTAL: lambda usage: usage.update(total_tokens=usage["prompt_tokens"] + 7),
    USAGE_ZERO: lambda usage: usage.update(prompt_tokens=0, total_tokens=0),
    LEGAL_VENDOR_KEYS: lambda usage: usage.update(completion_tokens=0),
}
_FAULTS: Final[Faults] = {
    OBJECT_MISSING: lambda listing: listing.pop("object"),
    MODEL_MISSING: lambda listing: listing.pop("model"),
    USAGE_MISSING: lambda listing: listing.pop("usage"),
    LEGAL_VENDOR_KEYS: lambda listing: listing.update(id="embd-1", provider="reference"),
}
