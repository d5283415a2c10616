"""Contracts on the list of models and on the look-up of one."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from pytest_llmcompat.answer import answered, body, came, error_message
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.target import Target
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_SPEC_LIST = "OpenAI's specification (openapi.yaml f85dbe2, line 42971): ListModelsResponse"
_SPEC_MODEL = "OpenAI's specification (openapi.yaml f85dbe2, line 44370): Model"
# Unix seconds reach this in the year 5138; unix milliseconds passed it in 1973.
_TOO_MANY_SECONDS = 100_000_000_000


def _entries(models_list: Exchange) -> list[Document]:
    """The listed models; inconclusive when there is no list, or none in it."""
    document = body(answered(models_list))
    if not isinstance(document.at("/data"), list):
        inconclusive("GET /models gave no `data` array (models.list-object judges that)")
    entries = document.items("/data")
    if not entries:
        inconclusive("GET /models lists nothing (models.data-nonempty judges that)")
    return entries


@contract(
    "models.list-object",
    MUST,
    passive="models",
    source=f"{_SPEC_LIST}; measured with openai-python 3.57: a bare array is an AttributeError",
    breaks="openai-python raises AttributeError on an array and finds no models under another key.",
    fix='Answer GET /models with {"object": "list", "data": […]}.',
    catches=("models-bare-array", "models-key-models", "models-object-missing"),
    cases=("tarasglek/chatcraft.org#515",),
)
def test_models_come_as_list_object(models_list: Exchange) -> None:
    """GET /models gives an object with `object` «list» and an array `data`."""
    answered(models_list)
    expect(models_list.is_json, models_list, "body", "a JSON object")
    expect_conforms(body(models_list), "model-list")


@contract(
    "models.data-nonempty",
    SHOULD,
    passive="models",
    source=_SPEC_LIST,
    breaks="Programs that let users choose from the list offer nothing, and some refuse to start.",
    fix="List the models that the key may use.",
    catches=("models-empty",),
    cases=("Laisky/one-api#53",),
)
def test_some_model_is_listed(models_list: Exchange) -> None:
    """The list of models holds at least one."""
    document = body(answered(models_list))
    if not isinstance(document.at("/data"), list):
        inconclusive("GET /models gave no `data` array (models.list-object judges that)")
    warn_unless(bool(document.at("/data")), document, "/data", "at least one model")


@contract(
    "models.id-string-unique",
    MUST,
    passive="models",
    source=_SPEC_MODEL,
    breaks="The id is what goes into `model`: without one, or with one twice, a choice cannot be made.",
    fix="Give each entry of the list a text of its own as `id`.",
    catches=("models-duplicate-id", "models-id-number"),
)
def test_ids_are_unique_texts(models_list: Exchange) -> None:
    """Each listed model has a non-empty text as `id`, which no other one has."""
    seen: set[str] = set()
    for entry in _entries(models_list):
        id = entry.at("/id")
        if not isinstance(id, str) or not id:
            fail(entry, "/id", "a non-empty text")
        expect(id not in seen, entry, "/id", "an id that no other entry has")
        seen.add(id)


@contract(
    "models.entry-object",
    SHOULD,
    passive="models",
    source=_SPEC_MODEL,
    breaks="Typed clients refuse the whole list when a required field of one entry is missing.",
    fix='Give each entry `"object": "model"` and a text as `owned_by`.',
    catches=("models-entry-bare",),
)
def test_entries_are_models(models_list: Exchange) -> None:
    """Each listed model says `object` «model» and who owns it."""
    for entry in _objects(models_list):
        expect_conforms(entry, "model")


@contract(
    "models.created-unix",
    SHOULD,
    passive="models",
    source=_SPEC_MODEL,
    breaks="Typed clients (Kotlin, Swift) fail to parse the list; others show dates in the far future.",
    fix="Give each entry `created` as a whole number of seconds since 1970.",
    catches=("models-created-missing", "models-created-milliseconds"),
    cases=("lmstudio-ai/lmstudio-bug-tracker#1988", "JetBrains/koog#139"),
)
def test_created_is_unix_seconds(models_list: Exchange) -> None:
    """Each listed model has its time of creation as a whole number of unix seconds."""
    for entry in _objects(models_list):
        created = entry.at("/created")
        whole = isinstance(created, int) and not isinstance(created, bool)
        expect(
            whole and 0 <= created < _TOO_MANY_SECONDS, entry, "/created", "a whole number of unix seconds"
        )


def _objects(models_list: Exchange) -> list[Document]:
    objects = [entry for entry in _entries(models_list) if isinstance(entry.value, dict)]
    if not objects:
        inconclusive("no entry of the list is an object (models.id-string-unique judges that)")
    return objects


@contract(
    "models.contains-tested",
    SHOULD,
    source="what programs rely on that check the model against the list before they ask it",
    breaks="Programs that choose from the list, or check against it, refuse a model that would work.",
    fix="List every id that is accepted as `model`, aliases included.",
    catches=("models-without-served",),
    cases=("Laisky/one-api#53",),
)
def test_tested_model_is_listed(models_list: Exchange, llm_target: Target) -> None:
    """The model under test is in the list of models."""
    ids = [entry.at("/id") for entry in _entries(models_list)]
    document = body(models_list)
    warn_unless(llm_target.model in ids, document, "/data", f"an entry with the id {llm_target.model}", ids)


@contract(
    "models.required",
    MUST,
    source="own rule: `require_models` of the target in llmcompat.toml",
    breaks="Programs that are configured for one of these models get 404 on their first request.",
    fix="Serve the missing model under this id, or take it off `require_models`.",
    catches=("models-without-required",),
)
def test_required_models_are_listed(models_list: Exchange, llm_target: Target) -> None:
    """Each model that the user requires of the target is in the list of models."""
    if not llm_target.require_models:
        inconclusive("no model is required of this target (require_models in llmcompat.toml)")
    ids = [entry.at("/id") for entry in _entries(models_list)]
    for required in llm_target.require_models:
        expect(required in ids, body(models_list), "/data", f"an entry with the id {required}", ids)


def _asked_id(models_retrieve: Exchange) -> str:
    return unquote(urlsplit(models_retrieve.request.url).path.rpartition("/")[2], errors="surrogatepass")


@contract(
    "models.retrieve",
    SHOULD,
    source="OpenAI's specification: GET /models/{model}, operation retrieveModel, gives a Model",
    breaks="`client.models.retrieve()` returns an object without the id that was asked for.",
    fix="Answer GET /models/{id} with that one entry of the list.",
    catches=("retrieve-list",),
    cases=("ogx-ai/ogx#1038",),
)
def test_one_model_is_retrieved(models_retrieve: Exchange) -> None:
    """GET /models/{id} gives that one model."""
    answered(models_retrieve)
    expect(models_retrieve.is_json, models_retrieve, "body", "a model as a JSON object")
    asked = _asked_id(models_retrieve)
    document = body(models_retrieve)
    expect(document.at("/id") == asked, document, "/id", f"the id asked for, {asked}")


@contract(
    "models.retrieve-encoded-slash",
    SHOULD,
    source="measured with openai-python 3.57: it asks for /models/meta-llama%2FLlama-3",
    breaks="`client.models.retrieve()` finds no model whose id has a slash, as on most gateways and hubs.",
    fix="Match the rest of the path in the route /models/{id}, and decode %2F.",
    catches=("retrieve-slash-404",),
    cases=("ollama/ollama#10139", "BerriAI/litellm#37271"),
)
def test_slash_in_id_is_decoded(
    models_retrieve: Exchange, models_list: Exchange, models_404: Exchange, route_unknown: Exchange
) -> None:
    """A listed model whose id has a slash is found when the slash is sent as %2F."""
    came(models_retrieve)
    asked = _asked_id(models_retrieve)
    if "/" not in asked:
        unsupported("no listed id has a slash")
    if asked not in [entry.at("/id") for entry in _entries(models_list)]:
        inconclusive(f"{asked} is not in the list of models")
    if models_404.status in (404, 405, 501) and _looks(models_404) == _looks(route_unknown):
        unsupported("the endpoint seems to have no route /models/{id}")
    expect(models_retrieve.status != 404, models_retrieve, "status", "200, since the list has this id")
    answered(models_retrieve)


def _looks(exchange: Exchange) -> tuple[int, object, str]:
    """Status, code and message of a 404, without the words that name what was asked for."""
    message = re.sub(r"\S*(?:/|llmcompat)\S*|GET|POST", "", error_message(exchange))
    return exchange.status, body(exchange).at("/error/code"), message


@contract(
    "models.retrieve-404",
    SHOULD,
    source="openai-python 3.57 maps 404 to NotFoundError",
    breaks="A mistyped model is taken for one that exists, or its look-up is retried as a server failure.",
    fix="Answer GET /models/{id} with 404 and the body of all errors for an id that is not listed.",
    catches=("retrieve-unknown-200", "retrieve-unknown-500", "error-html"),
    cases=("BerriAI/litellm#37271",),
)
def test_unknown_model_is_not_found(models_404: Exchange, route_unknown: Exchange) -> None:
    """The look-up of an unknown model is refused with 404 and the JSON error envelope."""
    came(models_404)
    if models_404.status in (401, 403, 429, 502, 503, 504, 529):
        inconclusive(f"models-404 was answered {models_404.status}")
    if models_404.status in (405, 501):
        unsupported(f"models-404 was answered {models_404.status}")
    if models_404.ok or models_404.status >= 500:
        fail(models_404, "status", "404")
    if isinstance(body(route_unknown).at("/error"), dict):
        expect(models_404.is_json, models_404, "body", "JSON with an `error` object")
        expect_conforms(body(models_404), "error")
