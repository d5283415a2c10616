"""Contracts on what POST /embeddings takes: texts, batches, tokens, dimensions, and what it refuses."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import body, came, decided, require_feature
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.embeddings import TEXTS, TOKENS
from pytest_llmcompat.refusal import error_message
from pytest_llmcompat.tokens import PROMPT, counter
from pytest_llmcompat.turn import sent
from pytest_llmcompat.vectors import Vector, cosine, embedded, entries, vector
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_SPEC_REQUEST: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 34242): CreateEmbeddingRequest"
_SPEC_INDEX: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 38209): index"
_EMBEDDING: Final = "/embedding"
_SAME: Final = 0.999
# One text alone and the same text in a batch may take other paths through the hardware.
_ALIKE: Final = 0.99


@contract(
    "embeddings.batch-count",
    MUST,
    source=f"{_SPEC_REQUEST}: to embed multiple inputs in a single request, pass an array",
    breaks="Clients that pair texts with vectors lose texts, or end in an IndexError.",
    fix="Give one item of `data` for each item of `input`.",
    catches="embeddings-batch-short",
    passive="embeddings",
)
def test_each_input_gets_a_vector(emb_float: Exchange) -> None:
    """A list of inputs gives as many items."""
    inputs = sent(emb_float, "input")
    if not isinstance(inputs, list) or not all(isinstance(text, str) for text in inputs):
        inconclusive(f"{emb_float.probe}: the request holds no list of texts")
    document = embedded(emb_float)
    if not isinstance(document.at("/data"), list):
        inconclusive("there is no `data` array (embeddings.shape judges that)")
    count = len(document.items("/data"))
    expect(count == len(inputs), document, "/data", f"{len(inputs)} items", f"{count} items")


@contract(
    "embeddings.batch-order",
    MUST,
    source=f"{_SPEC_INDEX}: the place in the list; clients zip the inputs with `data`",
    breaks="Vectors are stored under the wrong texts, which no later check can find.",
    fix="Give the items in the order of the inputs, with `index` counting from 0.",
    catches=(
        "embeddings-batch-rotated",
        "embeddings-batch-same",
        "embeddings-index-constant",
        "embeddings-index-reversed",
    ),
)
def test_vectors_follow_the_inputs(emb_float: Exchange) -> None:
    """Items come in the order of the inputs, and `index` says so."""
    batch = _batch(emb_float)
    for place, entry in enumerate(batch):
        if entry.at("/index") is not MISSING:
            expect(entry.at("/index") == place, entry, "/index", str(place))
    first, middle, last = _vectors(batch)
    where = (batch[1], _EMBEDDING)
    expect(middle != first, *where, "another vector than that of another text")
    near = cosine(first, last)
    # Of some models all vectors are close to each other; noise then decides which two are the closest.
    ordered = near > _SAME or near > max(cosine(first, middle), cosine(middle, last))
    expect(
        ordered, *where, "items 0 and 2, which are of the same text, nearer to each other than to this one"
    )


@contract(
    "embeddings.deterministic",
    SHOULD,
    source="own rule: an index is searched with vectors that were made at another time",
    breaks="A search does not find the very text that was stored.",
    fix="Mask padding, and take no random numbers.",
    catches="embeddings-padded",
)
def test_same_text_gets_the_same_vector(emb_float: Exchange) -> None:
    """The same text twice in a batch gets the same vector twice."""
    batch = _batch(emb_float)
    first, middle, last = _vectors(batch)
    if cosine(first, last) <= cosine(first, middle):
        inconclusive("the vectors do not follow the inputs (embeddings.batch-order judges that)")
    near = cosine(first, last)
    expect(near > _SAME, batch[2], _EMBEDDING, "the vector of item 0, the same text", f"cosine {near:.4f}")


def _batch(emb_float: Exchange) -> list[Document]:
    batch = entries(emb_float)
    if len(batch) != len(TEXTS):
        inconclusive("there is not one item for each input (embeddings.batch-count judges that)")
    return batch


def _vectors(batch: list[Document]) -> list[Vector]:
    found = [numbers for entry in batch if (numbers := vector(entry)) is not None]
    if len(found) != len(batch) or len({len(numbers) for numbers in found}) != 1:
        inconclusive("the items are no vectors of one length (embeddings.float-list judges that)")
    return found


@contract(
    "embeddings.single-string",
    MUST,
    source=f"{_SPEC_REQUEST}: input is a string or an array",
    breaks="`embeddings.create(input='…')`, the form of every first example, fails or embeds something else.",
    fix="Take a string as a list of this one text.",
    catches=("embeddings-string-refused", "embeddings-string-split", "embeddings-string-other"),
)
def test_string_is_one_input(emb_single: Exchange, emb_float: Exchange) -> None:
    """A plain string as input gives one item, with the vector that the text has in a list."""
    in_list = vector(entries(emb_float)[0])
    if came(emb_single).status in (400, 422):
        refusal = f"{emb_single.status}: {error_message(emb_single)}"
        fail(emb_single, "status", "a string accepted, as the same text in a list is", refusal)
    items = entries(emb_single)
    document = body(emb_single)
    expect(len(items) == 1, document, "/data", "one item", f"{len(items)} items")
    alone = vector(items[0])
    if alone is None or in_list is None:
        inconclusive("there is nothing to compare (embeddings.float-list judges that)")
    near = cosine(alone, in_list[: len(alone)])
    where, found = (items[0], _EMBEDDING), f"{len(alone)} numbers, cosine {near:.4f}"
    if len(alone) < len(in_list):
        # Models shorten a vector by leaving out its end; one that does it otherwise is allowed to.
        warn_unless(near > _ALIKE, *where, "the beginning of the vector that the text has in a list", found)
    else:
        expect(near > _ALIKE, *where, "the vector that the text has in a list", found)


@contract(
    "embeddings.dimensions",
    SHOULD,
    source=f"{_SPEC_REQUEST}: dimensions is the number of dimensions of the vectors",
    breaks="The vector store refuses the vectors: its index was made for the length that was asked for.",
    fix="Shorten the vectors to `dimensions`, or refuse the parameter with 400.",
    catches="dimensions-ignored",
    cases=("ggml-org/llama.cpp#25210", "langchain-ai/langchain#24378"),
)
def test_dimensions_are_kept(emb_single: Exchange) -> None:
    """`dimensions: k` gives vectors of k numbers."""
    require_feature(emb_single, "dimensions")
    asked = sent(emb_single, "dimensions")
    read = [(entry, v) for entry in entries(emb_single, "dimensions") if (v := vector(entry)) is not None]
    if not read:
        inconclusive("there is no vector (embeddings.float-list judges that)")
    for entry, numbers in read:
        length = len(numbers)
        expect(
            length == asked,
            entry,
            _EMBEDDING,
            f"{asked} numbers, or the parameter refused",
            f"{length} numbers",
        )


@contract(
    "embeddings.token-input",
    SHOULD,
    source=f"{_SPEC_REQUEST}: input may be an array of token arrays; LangChain sends these by default",
    breaks="LangChain's OpenAIEmbeddings gets an error, or vectors of the digits of its tokens.",
    fix="Take arrays of whole numbers for tokens of the model, or refuse them with 400.",
    catches=("token-arrays-500", "token-arrays-as-text", "token-arrays-flattened"),
    cases=("danny-avila/rag_api#115", "huggingface/text-embeddings-inference#273"),
)
def test_token_arrays_are_inputs(emb_tokens: Exchange) -> None:
    """A token array gives one vector, of these tokens."""
    if came(emb_tokens).status == 500:
        fail(emb_tokens, "status", "200, or 400 where token arrays are not supported")
    if emb_tokens.status in (400, 422):
        unsupported(f"token arrays were refused with {emb_tokens.status}: {error_message(emb_tokens)}")
    items = entries(emb_tokens)
    document = body(emb_tokens)
    expect(len(items) == 1, document, "/data", "one item: it is one token array", f"{len(items)} items")
    counted = counter(document, PROMPT)
    if counted is None or counted < 1:
        inconclusive("no tokens are counted (embeddings.usage judges that)")
    # A model may add a few of its own; written out, the numbers are three tokens each.
    expect(
        counted <= 2 * len(TOKENS),
        document,
        PROMPT,
        f"about {len(TOKENS)}, the tokens sent; more means that they were embedded as text",
    )


@contract(
    "embeddings.bad-encoding-400",
    SHOULD,
    source=f"{_SPEC_REQUEST}: float or base64; ollama at fb30760 middleware/openai.go:407 refuses others",
    breaks="A misspelt encoding goes unnoticed until the vectors are read; a 500 is sent three times by the SDKs.",
    fix="Refuse an unknown `encoding_format` with 400.",
    catches=("embeddings-encoding-200", "embeddings-encoding-500"),
    cases="sgl-project/sglang#30434",
)
def test_unknown_encoding_is_refused(err_emb_encoding: Exchange) -> None:
    """An unknown `encoding_format` is refused with 400."""
    decided(err_emb_encoding)
    refused = 400 <= err_emb_encoding.status < 500
    expect(refused, err_emb_encoding, "status", "400: encoding_format is none that there is")


@contract(
    "embeddings.empty-400",
    SHOULD,
    source=f"{_SPEC_REQUEST}: no empty string; measured with openai-python 3.57: no data is a ValueError",
    breaks="openai-python raises «No embedding data received»; others end in an IndexError far from the cause.",
    fix="Refuse an empty text with 400.",
    catches=("embeddings-empty-no-data", "embeddings-empty-500", "embeddings-empty-vector"),
)
def test_empty_text_is_refused(err_emb_empty: Exchange) -> None:
    """An empty text is refused with 400."""
    decided(err_emb_empty)
    expected = "400: the input is empty"
    expect(err_emb_empty.status < 500, err_emb_empty, "status", expected)
    if err_emb_empty.ok:
        expect(body(err_emb_empty).items("/data") != [], err_emb_empty, "status", expected)
    warn_unless(err_emb_empty.status >= 400, err_emb_empty, "status", expected)
