"""The matrix: which targets the settings name, endpoints × models, and the settings that go with each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from pytest_llmcompat.cassette import path_of, read, recorded_targets
from pytest_llmcompat.endpoint import REFERENCE, endpoint_of, is_reference, read_key
from pytest_llmcompat.evidence import shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.logs import clean_logs
from pytest_llmcompat.naming import is_glob, matching
from pytest_llmcompat.plain import plain
from pytest_llmcompat.preflight import listing, model_list, only_model
from pytest_llmcompat.proxies import proxy_fault
from pytest_llmcompat.redaction import secrets_of
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.target import Target

__all__ = ["fetch_models", "targets_of"]

# The port of the reference changes from run to run; its cassettes lie under this name.
_REFERENCE_PLACE: Final = "http://reference/v1"
_GUESS_SECONDS: Final = 5.0
# Stands for the key of the recording run, which no cassette holds; nothing is ever sent with it.
_RECORDED_KEY: Final = "recorded"


def targets_of(
    orders: Iterable[Settings],
    resources: ExitStack,
    allowance: Allowance | None = None,
    *,
    sends: bool = True,
) -> tuple[tuple[Target, Settings], ...]:
    """The targets of a run with their settings, and with ids that no two share.

    orders: the settings of each named target, or those of the run alone. The reference, if asked for, runs until
    `resources` closes. allowance: the time of the run. sends: False when nothing may be sent; the model that
    nobody named then stays open. Raises WrongUsage when an endpoint, a key, a model or a recording is missing.
    """
    time = allowance or Allowance()
    ordered = [(settings, _ordered(settings, resources)) for settings in orders]
    secrets = [
        secret
        for settings, found in ordered
        if not settings.replay
        for target in found
        for secret in secrets_of(target)
    ]
    resources.enter_context(clean_logs(secrets))
    every = [
        (target, settings)
        for settings, found in ordered
        for target in (found if settings.replay else _with_models(found, settings, time, sends=sends))
    ]
    once = {(target.endpoint, target.model, target.name): (target, settings) for target, settings in every}
    return tuple(_distinct(once.values()))


def _ordered(settings: Settings, resources: ExitStack) -> list[Target]:
    """Every endpoint, key and recording is checked before the first model list is fetched."""
    if settings.replay:
        return list(_recorded(settings))
    if not settings.endpoint:
        raise WrongUsage("--llm-record needs --llm-endpoint=URL: say which endpoint to record")
    if (fault := proxy_fault()) is not None:
        raise WrongUsage(fault)
    return [_bare(settings, text, resources) for text in settings.endpoint]


def fetch_models(target: Target, base_url: str, limits: Limits, allowance: Allowance) -> Exchange:
    """The answer to GET /models below a base URL, outside of what is kept of a run.

    Another base URL than the target's own is a guess, which gets little time and one try. Raises TimeUp.
    """
    elsewhere, pace = replace(target, endpoint=base_url), Pace(allowance=allowance)
    if base_url != target.endpoint:
        limits = replace(limits, total=min(limits.total, _GUESS_SECONDS))
        pace = Pace(allowance=allowance, patience=0.0)
    lab = Lab(elsewhere, LiveSource(elsewhere, limits, allowance), pace=pace)
    try:
        return lab.exchange("models-list")
    finally:
        lab.close()


def _with_models(
    targets: Iterable[Target], settings: Settings, allowance: Allowance, *, sends: bool
) -> Iterator[Target]:
    for target in targets:
        for model in _models(target, settings, allowance, sends=sends):
            yield replace(target, id=_id(model, target.id), model=model)


def _models(target: Target, settings: Settings, allowance: Allowance, *, sends: bool) -> list[str]:
    """The models asked for, globs replaced by what the endpoint lists; else its only one."""

    def fetch(base_url: str) -> Exchange:
        return fetch_models(target, base_url, settings.limits, allowance)

    if not settings.model:
        return [target.model or (only_model(target, fetch) if sends else "")]
    globs = [model for model in settings.model if is_glob(model)]
    if not globs or not sends:
        return list(settings.model)
    listed = model_list(target, fetch)
    found = [
        id for model in settings.model for id in (matching(model, listed) if is_glob(model) else [model])
    ]
    for glob in globs:
        if not matching(glob, listed):
            raise WrongUsage(
                f"--llm-model: {target.endpoint} lists no model like {glob!r}; {listing(listed)}"
            )
    return list(dict.fromkeys(found))


def _bare(settings: Settings, text: str, resources: ExitStack) -> Target:
    """A target whose id is that of its endpoint, and whose model is open unless the endpoint is ours."""
    if not is_reference(text):
        endpoint = endpoint_of(text)
        return _with_settings(
            Target(endpoint.name, endpoint.base_url, model="", key=read_key(settings, endpoint)), settings
        )
    from pytest_llmcompat.reference import UnknownDefect, serve

    defects = text.split("+")[1:]
    try:
        served = resources.enter_context(serve(defects, key=None) if settings.no_auth else serve(defects))
    except UnknownDefect as unknown:
        raise WrongUsage(f"--llm-endpoint: {unknown}") from None
    place = _REFERENCE_PLACE.replace(REFERENCE, text)
    return _with_settings(Target(text, served.base_url, served.model, served.key, place=place), settings)


def _with_settings(target: Target, settings: Settings) -> Target:
    """The target with what the settings say of it; one that has a name is called so."""
    return replace(
        target,
        id=settings.name or target.id,
        headers=settings.headers,
        no_auth=settings.no_auth or target.key is None,
        embedding_model=settings.embedding_model,
        name=settings.name,
        require_models=settings.require_models,
        latency=settings.latency,
    )


def _recorded(settings: Settings) -> Iterator[Target]:
    folder = settings.cassette_folder
    known = [(endpoint, model) for endpoint, model, _ in recorded_targets(folder)] if folder.is_dir() else []
    if not known:
        raise WrongUsage(f"--llm-replay: no cassettes below {folder}; record some with --llm-record")
    names = dict(_recorded_name(text) for text in settings.endpoint)
    chosen = [
        (endpoint, model)
        for endpoint, model in known
        if (not names or endpoint in names) and (not settings.model or _asks_for(settings.model, model))
    ]
    absent = names.keys() - {endpoint for endpoint, _ in chosen}
    if not chosen or absent:
        there = ", ".join(f"{model} at {endpoint}" for endpoint, model in known)
        raise WrongUsage(
            f"--llm-replay: no cassettes of {', '.join(sorted(absent)) or 'that model'} below {folder}; "
            f"there are {there}"
        )
    for endpoint, model in chosen:
        name = settings.name or names.get(endpoint) or _recorded_name(endpoint)[1]
        target = Target(
            id=_id(model, name),
            endpoint=endpoint,
            model=model,
            key=_RECORDED_KEY,
            name=settings.name,
            require_models=settings.require_models,
        )
        target = replace(target, embedding_model=_recorded_embedding_model(settings, target))
        yield replace(target, key=None, no_auth=True) if _without_key(settings, target) else target


def _asks_for(asked: Iterable[str], model: str) -> bool:
    return any(model == one or (is_glob(one) and bool(matching(one, [model]))) for one in asked)


def _recorded_name(text: str) -> tuple[str, str]:
    """The base URL under which an endpoint is recorded, and what target ids call it."""
    if is_reference(text):
        return _REFERENCE_PLACE.replace(REFERENCE, text), text
    if urlsplit(text).scheme and is_reference(urlsplit(text).netloc):
        return text, urlsplit(text).netloc
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
    return plain(f"{shown(model)[1:-1]}@{place}") if model else place


def _distinct(pairs: Iterable[tuple[Target, Settings]]) -> Iterator[tuple[Target, Settings]]:
    """Targets whose ids clash (two base URLs on one host) get the whole base URL into their id."""
    every = list(pairs)
    ids = [target.id for target, _ in every]
    for target, settings in every:
        clash = ids.count(target.id) > 1
        yield (replace(target, id=_id(target.model, target.endpoint)) if clash else target), settings
