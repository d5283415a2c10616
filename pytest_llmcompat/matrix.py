"""The matrix: which targets the settings name, endpoints × models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from pytest_llmcompat.cassette import path_of, read, recorded_targets
from pytest_llmcompat.endpoint import REFERENCE, endpoint_of, read_key
from pytest_llmcompat.evidence import shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.preflight import only_model
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.target import Target

__all__ = ["fetch_models", "targets_of"]

# The port of the reference changes from run to run; its cassettes lie under this name.
_REFERENCE_PLACE: Final = "http://reference/v1"
# Stands for the key of the recording run, which no cassette holds; nothing is ever sent with it.
_RECORDED_KEY: Final = "recorded"


def targets_of(settings: Settings, resources: ExitStack, *, sends: bool = True) -> tuple[Target, ...]:
    """The targets of a run, with ids that no two share; the reference, if asked for, runs until `resources` closes.

    sends: False when nothing may be sent; the model that nobody named then stays open.
    Raises WrongUsage when an endpoint, a key, a model or a recording is missing.
    """
    every = _recorded(settings) if settings.replay else _live(settings, resources, sends=sends)
    return tuple(_distinct({(target.endpoint, target.model): target for target in every}.values()))


def fetch_models(target: Target, base_url: str, timeout: float) -> Exchange:
    """The answer to GET /models below a base URL, outside of what is kept of a run."""
    elsewhere = replace(target, endpoint=base_url)
    lab = Lab(elsewhere, LiveSource(elsewhere, timeout))
    try:
        return lab.exchange("models-list")
    finally:
        lab.close()


def _live(settings: Settings, resources: ExitStack, *, sends: bool) -> Iterator[Target]:
    """Every endpoint and key is checked before the first model list is fetched."""
    if not settings.endpoint:
        raise WrongUsage("--llm-record needs --llm-endpoint=URL: say which endpoint to record")
    for target in [_bare(settings, text, resources) for text in settings.endpoint]:
        for model in settings.model or (_default_model(target, settings, sends=sends),):
            yield replace(
                target, id=_id(model, target.id), model=model, embedding_model=settings.embedding_model
            )


def _bare(settings: Settings, text: str, resources: ExitStack) -> Target:
    """A target whose id is that of its endpoint, and whose model is open unless the endpoint is ours."""
    if text != REFERENCE:
        endpoint = endpoint_of(text)
        return Target(
            id=endpoint.name,
            endpoint=endpoint.base_url,
            model="",
            key=read_key(settings, endpoint),
            headers=settings.headers,
            no_auth=settings.no_auth,
        )
    from pytest_llmcompat.reference import serve

    served = resources.enter_context(serve(key=None) if settings.no_auth else serve())
    return Target(
        id=REFERENCE,
        endpoint=served.base_url,
        model=served.model,
        key=served.key,
        headers=settings.headers,
        no_auth=settings.no_auth,
        place=_REFERENCE_PLACE,
    )


def _default_model(target: Target, settings: Settings, *, sends: bool) -> str:
    if target.model or not sends:
        return target.model
    return only_model(target, lambda base_url: fetch_models(target, base_url, settings.timeout))


def _recorded(settings: Settings) -> Iterator[Target]:
    folder = settings.cassette_folder
    known = [(endpoint, model) for endpoint, model, _ in recorded_targets(folder)] if folder.is_dir() else []
    if not known:
        raise WrongUsage(f"--llm-replay: no cassettes below {folder}; record some with --llm-record")
    names = dict(_recorded_name(text) for text in settings.endpoint)
    chosen = [
        (endpoint, model)
        for endpoint, model in known
        if (not names or endpoint in names) and (not settings.model or model in settings.model)
    ]
    absent = names.keys() - {endpoint for endpoint, _ in chosen}
    if not chosen or absent:
        there = ", ".join(f"{model} at {endpoint}" for endpoint, model in known)
        raise WrongUsage(
            f"--llm-replay: no cassettes of {', '.join(sorted(absent)) or 'that model'} below {folder}; "
            f"there are {there}"
        )
    for endpoint, model in chosen:
        name = names.get(endpoint) or _recorded_name(endpoint)[1]
        target = Target(id=_id(model, name), endpoint=endpoint, model=model, key=_RECORDED_KEY)
        target = replace(target, embedding_model=_recorded_embedding_model(settings, target))
        yield replace(target, key=None, no_auth=True) if _without_key(settings, target) else target


def _recorded_name(text: str) -> tuple[str, str]:
    """The base URL under which an endpoint is recorded, and what target ids call it."""
    if text in (REFERENCE, _REFERENCE_PLACE):
        return _REFERENCE_PLACE, REFERENCE
    endpoint = endpoint_of(text)
    return endpoint.base_url, endpoint.name


def _recorded_embedding_model(settings: Settings, target: Target) -> str | None:
    """The embedding model of the recording run, so that a replay need not name it again."""
    path = path_of(settings.cassette_folder, target, "emb-float")
    if settings.embedding_model is not None or not path.is_file():
        return settings.embedding_model
    sent = (json.loads(request.body) for request, _ in read(path).interactions)
    return next((body["model"] for body in sent), None)


def _without_key(settings: Settings, target: Target) -> bool:
    """True when the recording run said `--llm-no-auth`: its requests bore no key."""
    path = path_of(settings.cassette_folder, target, "models-list")
    if settings.no_auth or not path.is_file():
        return settings.no_auth
    return not any(
        name == "authorization" for request, _ in read(path).interactions for name, _ in request.headers
    )


def _id(model: str, place: str) -> str:
    return f"{shown(model)[1:-1]}@{place}" if model else place


def _distinct(targets: Iterable[Target]) -> Iterator[Target]:
    """Targets whose ids clash (two base URLs on one host) get the whole base URL into their id."""
    every = list(targets)
    ids = [target.id for target in every]
    for target in every:
        clash = ids.count(target.id) > 1
        yield replace(target, id=_id(target.model, target.endpoint)) if clash else target
