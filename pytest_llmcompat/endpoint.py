"""Endpoints as users type them, a URL or a provider's name, and the key that goes with each."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pytest_llmcompat.settings import Settings, WrongUsage

__all__ = ["REFERENCE", "Endpoint", "Preset", "endpoint_of", "is_reference", "presets", "read_key"]

REFERENCE: Final = "reference"
# Stands in a base URL for what is the user's own.
_RESOURCE: Final = "{resource}"


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider or local server that is known by name.

    base_url: with `{resource}` where a name of the user's stands. key_variable: the environment variable of the key.
    documentation: where it describes its OpenAI surface. dialect: the deviations that it states; "" for none known.
    source: where base URL and variable are from. checked: the day on which the source was read.
    keyless: it has no keys unless its owner sets one.
    """

    base_url: str
    key_variable: str
    documentation: str
    dialect: str
    source: str
    checked: str
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send, and which variable holds the key by default.

    name: how target ids call it: the preset's name, or host and port.
    keyless: without a key it is asked without one.
    """

    name: str
    base_url: str
    key_variable: str
    keyless: bool = False


@cache
def presets() -> Mapping[str, Preset]:
    """The providers and local servers known by name."""
    entries = json.loads(Path(__file__).with_name("presets.json").read_text("utf-8"))
    return {name: Preset(**entry) for name, entry in entries.items()}


def is_reference(text: str) -> bool:
    """True for the embedded reference, `reference`, also with defects: `reference+stream-without-done`."""
    return text.partition("+")[0] == REFERENCE


def endpoint_of(text: str) -> Endpoint:
    """The endpoint that a user typed: a URL or the name of a preset. Raises WrongUsage."""
    if preset := presets().get(text):
        if _RESOURCE in preset.base_url:
            raise WrongUsage(
                f"--llm-endpoint: {text!r} is at an address of your own: "
                f"give {preset.base_url.replace(_RESOURCE, 'RESOURCE')} with the name of your resource"
            )
        return Endpoint(text, preset.base_url, preset.key_variable, preset.keyless)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise WrongUsage(f"--llm-endpoint: {_typed(text)} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable():
        raise WrongUsage(
            f"--llm-endpoint: {_typed(text)} is neither a URL (https://…/v1) nor a known name; {_hint(text)}"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise WrongUsage(
            f"--llm-endpoint: {parts.scheme}://{parts.hostname}: give the base URL without user name, "
            "query or fragment; keys go into --llm-api-key-env=NAME"
        )
    base_url = text.rstrip("/")
    if owned := _owned(base_url):
        return owned
    return Endpoint(_name(base_url, parts.hostname, port), base_url, "OPENAI_API_KEY")


def _typed(text: str) -> str:
    """What was typed, without a password."""
    return repr(re.sub(r"[^/@]*@", "", text))


def _hint(text: str) -> str:
    if close := difflib.get_close_matches(text.lower(), [*presets(), REFERENCE], n=1):
        return f"did you mean {close[0]!r}?"
    if re.fullmatch(r"[\w-]+([.:][\w-]+)*(/[\w./-]*)?", text) and re.search(r"[.:/]", text):
        scheme = "http" if re.match(r"localhost\b|[\d.]+(:|/|$)", text) else "https"
        return f"did you mean '{scheme}://{text}'?"
    return f"names: {', '.join([REFERENCE, *presets()])}"


def _owned(base_url: str) -> Endpoint | None:
    """The endpoint of a preset whose base URL holds a name of the user's.

    Its key variable comes along: such a preset has no other way of being asked for.
    """
    for name, preset in presets().items():
        before, resource, after = preset.base_url.partition(_RESOURCE)
        form = rf"{re.escape(before)}[\w-]+{re.escape(after)}"
        if resource and re.fullmatch(form, base_url, re.IGNORECASE):
            return Endpoint(name, base_url, preset.key_variable, preset.keyless)
    return None


def _name(base_url: str, host: str, port: int | None) -> str:
    """A public provider's URL is called like the provider, so that a target has one id however it was typed."""
    known = (name for name, preset in presets().items() if preset.base_url == base_url)
    local = host if port is None else f"{host}:{port}"
    return next(known, local) if base_url.startswith("https://") else local


def read_key(
    settings: Settings, endpoint: Endpoint, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The key for an endpoint, None for none: by order, or because it is known to need none.

    Raises WrongUsage when a key is missing or cannot be a header.
    """
    if settings.no_auth:
        return None
    if settings.api_key is not None:
        return _sane(settings.api_key, "--llm-api-key")
    variable = settings.api_key_env or endpoint.key_variable
    key = environment.get(variable)
    if not key:
        if endpoint.keyless and settings.api_key_env is None:
            return None
        raise WrongUsage(
            f"no key for {endpoint.name}: set the environment variable {variable}, name another with "
            "--llm-api-key-env=NAME, or say --llm-no-auth if the server has no keys"
        )
    return _sane(key, variable)


def _sane(key: str, where: str) -> str:
    if key != key.strip():
        raise WrongUsage(f"the key in {where} has white space around it; remove it")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise WrongUsage(f"the key in {where} holds characters that no HTTP header can carry; copy it again")
    return key
