"""Embeddings: unit vectors that depend on the tokens alone, the same in every encoding."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import httpx
import openai
import pytest

from pytest_llmcompat.reference.models import DEFAULT_MODEL, EMBEDDING_MODEL
from pytest_llmcompat.reference.vectors import DIMENSIONS, embed, token_ids

TEXTS = ["alpha", "the quick brown fox", "alpha"]


def embedded(http: httpx.Client, **parameters: Any) -> dict[str, Any]:
    """The answer to a good request."""
    answer = http.post("/embeddings", json={"model": EMBEDDING_MODEL, **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def vectors(http: httpx.Client, **parameters: Any) -> list[list[float]]:
    """The vectors of the answer."""
    return [item["embedding"] for item in embedded(http, **parameters)["data"]]


def test_answer_has_the_documented_shape(http: httpx.Client) -> None:
    """A list object with one item for each input, in order, and the tokens counted."""
    answer = embedded(http, input=TEXTS)
    assert (answer["object"], answer["model"]) == ("list", EMBEDDING_MODEL)
    assert [(item["object"], item["index"]) for item in answer["data"]] == [
        ("embedding", n) for n in range(3)
    ]
    spent = sum(len(token_ids(text)) for text in TEXTS)
    assert answer["usage"] == {"prompt_tokens": spent, "total_tokens": spent}


@pytest.mark.parametrize("dimensions", [None, DIMENSIONS, 7, 1])
def test_base64_and_floats_are_equal_to_the_bit(http: httpx.Client, dimensions: int | None) -> None:
    """Base64 holds little-endian float32, and the floats are exactly these numbers."""
    asked = {"input": TEXTS, "dimensions": dimensions}
    floats = vectors(http, **asked, encoding_format="float")
    coded = [item["embedding"] for item in embedded(http, **asked, encoding_format="base64")["data"]]
    assert [base64.b64decode(text) for text in coded] == [struct.pack(f"<{len(v)}f", *v) for v in floats]
    assert floats == [list(struct.unpack(f"<{len(v)}f", struct.pack(f"<{len(v)}f", *v))) for v in floats]


def test_floats_are_the_default(http: httpx.Client) -> None:
    """Without an encoding, and with null for it, the vector is a list of numbers."""
    assert vectors(http, input="alpha") == vectors(http, input="alpha", encoding_format=None)
    assert all(isinstance(number, float) for number in vectors(http, input="alpha")[0])


@pytest.mark.parametrize("dimensions", [DIMENSIONS, 32, 2, 1])
def test_vectors_have_the_asked_length_and_length_one(http: httpx.Client, dimensions: int) -> None:
    """A shortened vector points where the beginning of the long one does."""
    (short,), (long,) = vectors(http, input="fox", dimensions=dimensions), vectors(http, input="fox")
    assert len(short) == dimensions
    assert math.hypot(*short) == pytest.approx(1, abs=1e-6)
    scale = math.hypot(*long[:dimensions])
    assert short == pytest.approx([number / scale for number in long[:dimensions]], abs=1e-6)


def test_vector_depends_on_the_tokens_alone(http: httpx.Client) -> None:
    """A text alone, in a batch or as its tokens gets one vector, and another text another one."""
    first, middle, last = vectors(http, input=TEXTS)
    assert first == last != middle
    assert vectors(http, input="alpha") == vectors(http, input=["alpha"]) == [first]
    tokens = list(token_ids(TEXTS[1]))
    assert vectors(http, input=tokens) == vectors(http, input=[tokens]) == [middle]


def test_order_of_the_words_matters() -> None:
    """Two texts of the same words are no duplicates."""
    assert embed(token_ids("dog bites man"), 8) != embed(token_ids("man bites dog"), 8)


def test_official_client_gets_the_floats(client: openai.OpenAI, http: httpx.Client) -> None:
    """It asks for base64 by itself and reads the same numbers."""
    made = client.embeddings.create(model=EMBEDDING_MODEL, input=TEXTS)
    assert [item.embedding for item in made.data] == vectors(http, input=TEXTS)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": None, "input": "a"}, 400, "model"),
        ({"input": None}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["a", ""]}, 400, "input"),
        ({"input": [[]]}, 400, "input"),
        ({"input": [1, "a"]}, 400, "input"),
        ({"input": [-1]}, 400, "input"),
        ({"input": [True]}, 400, "input"),
        ({"input": 7}, 400, "input"),
        ({"input": ["a"] * 2049}, 400, "input"),
        ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"input": "a", "encoding_format": 1}, 400, "encoding_format"),
        ({"input": "a", "dimensions": 0}, 400, "dimensions"),
        ({"input": "a", "dimensions": DIMENSIONS + 1}, 400, "dimensions"),
        ({"input": "a", "model": DEFAULT_MODEL}, 400, "model"),
        ({"input": "a", "model": "nobody"}, 404, None),
    ],
)
def test_bad_request_is_refused_with_its_field(
    http: httpx.Client, body: dict[str, Any], status: int, param: str | None
) -> None:
    """What cannot be embedded is refused in the envelope."""
    answer = http.post("/embeddings", json={"model": EMBEDDING_MODEL, **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_embedding_model_does_not_chat(http: httpx.Client) -> None:
    """Each model is served by its own route."""
    body = {"model": EMBEDDING_MODEL, "messages": [{"role": "user", "content": "hi"}]}
    assert http.post("/chat/completions", json=body).json()["error"]["code"] == "model_not_found"
