"""Pre-flight: is there an API at this base URL, is the key accepted, does it have the model?

One diagnosis instead of 300 red tests. The checks read the exchanges of two probes that the suite needs anyway
(`models-list` and `chat-basic`), so on a good endpoint they cost nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

from pytest_llmcompat.answer import body, error_message
from pytest_llmcompat.evidence import shown
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.proxies import passes_over_proxy
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.target import Target

__all__ = ["PreflightFailed", "check", "listed_models", "listing", "model_list", "only_model"]

_MOST_LISTED = 12
_ROUTES = re.compile(r"/(chat/completions|completions|models|embeddings|responses)/?$")

Fetch = Callable[[str], Exchange]
"""GET of `models-list` below another base URL."""


class PreflightFailed(WrongUsage):
    """The endpoint cannot be judged as it was named; one line that says why and what to do."""


def check(lab: Lab, fetch: Fetch) -> None:
    """Raise PreflightFailed unless the endpoint answers as an API that accepts the key and knows the model."""
    target = lab.target
    models = lab.exchange("models-list")
    _check_reachable(models, target)
    chat = lab.exchange("chat-basic")
    _check_time(chat, target)
    if withheld := models.unsent or chat.unsent:
        raise PreflightFailed(f"{target.endpoint} cannot be judged: {withheld}; allow more")
    _check_key(chat, target)
    _check_model(chat, models, target)
    _check_works(chat, target)
    if _is_listing(models) or _speaks(chat):
        return
    _check_key(models, target)
    _explain_base_url(models, target, fetch)


def listed_models(exchange: Exchange) -> list[str]:
    """The ids of a model list, in its order; [] when it is none."""
    document = body(exchange)
    entries = document.items("") if isinstance(exchange.json, list) else document.items("/data")
    ids = (entry.at("/id") for entry in entries)
    return list(dict.fromkeys(id for id in ids if isinstance(id, str) and id))


def model_list(target: Target, fetch: Fetch) -> list[str]:
    """The ids that an endpoint lists. Raises PreflightFailed when it gives no list."""
    models = fetch(target.endpoint)
    _check_reachable(models, target)
    _check_key(models, target)
    if models.failure is not None or models.status == 429 or models.status >= 500:
        said = models.failure or f"{models.status}: {shown(error_message(models))}"
        raise PreflightFailed(
            f"{target.endpoint} does not list its models ({said}); name one with --llm-model=ID"
        )
    if not _is_listing(models):
        _explain_base_url(
            models, target, fetch, "name a model with --llm-model=ID if it cannot list them, or "
        )
    return listed_models(models)


def only_model(target: Target, fetch: Fetch) -> str:
    """The only model that an endpoint lists. Raises PreflightFailed with what there is."""
    listed = model_list(target, fetch)
    if len(listed) == 1:
        return listed[0]
    if not listed:
        raise PreflightFailed(f"{target.endpoint} lists no model; name one with --llm-model=ID")
    raise PreflightFailed(
        f"{target.endpoint} has {len(listed)} models; choose with --llm-model=ID: {_some(listed)}"
    )


def listing(listed: list[str]) -> str:
    """What an endpoint lists, in a few words."""
    return f"it lists {_some(listed)}" if listed else "it lists none"


def _is_listing(exchange: Exchange) -> bool:
    value = exchange.json
    return exchange.ok and (isinstance(value, list) or (isinstance(value, dict) and "error" not in value))


def _speaks(chat: Exchange) -> bool:
    """True for an answer that only an API gives: a JSON object, and not one that says «no such route»."""
    return isinstance(chat.json, dict) and chat.status not in (404, 405) and not 300 <= chat.status < 400


def _check_time(exchange: Exchange, target: Target) -> None:
    if exchange.given_up:
        raise PreflightFailed(f"{target.endpoint} cannot be judged: {exchange.unsent}")


def _check_reachable(models: Exchange, target: Target) -> None:
    _check_time(models, target)
    if models.failure is None or models.status:
        return
    if models.failure.startswith("TLS"):
        raise PreflightFailed(
            f"no secure connection to {target.endpoint}: {models.failure}; check the certificate, the host "
            "name and whether the server speaks https at all"
        )
    if models.failure.startswith("no answer"):
        hint = "the server takes connections but is silent; is it still starting, or is that limit too short?"
    else:
        https = target.endpoint.startswith("http://") and "broke" in models.failure
        hint = "is the server running, and are host and port right?" + https * " Or does it want https?"
    if passes_over_proxy(target):
        hint += " (no proxy is asked for an http:// URL, for it would see the key)"
    raise PreflightFailed(f"cannot reach {target.endpoint}: {models.failure}; {hint}")


def _check_key(exchange: Exchange, target: Target) -> None:
    if exchange.status not in (401, 403):
        return
    said = shown(error_message(exchange))
    if target.key is None:
        raise PreflightFailed(
            f"{target.endpoint} wants a key ({exchange.status}: {said}); give one with --llm-api-key-env=NAME"
        )
    raise PreflightFailed(
        f"{target.endpoint} refuses the key ({exchange.status}: {said}); check: copied whole and without white "
        "space? a key of this provider, for this base URL? active, not expired, with access to the model? "
        "your address on its allow-list?"
    )


def _check_model(chat: Exchange, models: Exchange, target: Target) -> None:
    if chat.status not in (400, 404) or not _names_model(chat, target.model):
        return
    listed = listed_models(models)
    if target.model in listed:
        return
    close = difflib.get_close_matches(target.model, listed, n=3, cutoff=0.4)
    hint = f"closest: {_some(close)}" if close else listing(listed)
    said = shown(error_message(chat))
    raise PreflightFailed(
        f"{target.endpoint} does not have the model {shown(target.model)} ({chat.status}: {said}); {hint}"
    )


def _names_model(chat: Exchange, model: str) -> bool:
    """True when an error is about the model, not about the route."""
    message = error_message(chat)
    code = body(chat).at("/error/code")
    about = (
        code == "model_not_found" or model in message or re.search(r"\bmodel\b", message, re.I) is not None
    )
    return chat.is_json and about


def _check_works(chat: Exchange, target: Target) -> None:
    if chat.status == 429 or chat.status >= 500 or chat.failure is not None:
        said = chat.failure or f"{chat.status}: {shown(error_message(chat))}"
        raise PreflightFailed(
            f"{target.endpoint} gives no answer to a plain chat request ({said}); nothing can be judged now, "
            f"try again later{' or raise that limit' * ('--llm-' in said)}"
        )


def _explain_base_url(models: Exchange, target: Target, fetch: Fetch, hint: str = "") -> NoReturn:
    candidates = list(dict.fromkeys(base for base in _bases(models, target) if base != target.endpoint))
    working = next((base for base in candidates if _is_api(fetch(base))), None)
    seen = f"{models.status or models.failure} for /models"
    if working is not None:
        raise PreflightFailed(
            f"no OpenAI API at {target.endpoint} ({seen}); there is one at {working}: use --llm-endpoint={working}"
        )
    raise PreflightFailed(
        f"no OpenAI API at {target.endpoint} ({seen}); also tried: {', '.join(candidates)}; {hint}"
        "give the URL that the routes /models and /chat/completions are appended to"
    )


def _is_api(exchange: Exchange) -> bool:
    """A model list, or a refused key: either shows that the base URL is right."""
    document = body(exchange)
    if exchange.status == 401:
        return document.has("/error")
    return exchange.ok and (isinstance(document.at("/data"), list) or bool(listed_models(exchange)))


def _bases(models: Exchange, target: Target) -> Iterator[str]:
    """Where the API may be instead: where the server sends one on to, and where APIs usually are on a host."""
    parts = urlsplit(target.endpoint)
    onward = urljoin(models.request.url, models.header("location") or "")
    # The key goes along, so never to another host.
    if 300 <= models.status < 400 and _host(onward) == parts.hostname and onward.isprintable():
        yield _ROUTES.sub("", onward)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = _ROUTES.sub("", parts.path)
    unversioned = re.sub(r"/v\d+$", "", path)
    for stem in dict.fromkeys((path, unversioned, "")):
        yield f"{origin}{stem}"
        yield f"{origin}{stem}/v1"
        yield f"{origin}{stem}/openai/v1"


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - _MOST_LISTED} more" if len(ids) > _MOST_LISTED else ""
    return ", ".join(shown(id).strip('"') for id in ids[:_MOST_LISTED]) + more
