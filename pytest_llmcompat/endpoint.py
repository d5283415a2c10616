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

__all__ = ["REFERENCE", "Endpoint", "endpoint_of", "presets", "read_key"]

REFERENCE: Final = "reference"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send, and which variable holds the key by default.

    name: how target ids call it: the preset's name, or host and port.
    """

    name: str
    base_url: str
    key_variable: str


@cache
def presets() -> Mapping[str, Mapping[str, str]]:
    """The providers known by name: base URL, key variable, and the source of both."""
    known: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("presets.json").read_text("utf-8"))
    return known


def endpoint_of(text: str) -> Endpoint:
    """The endpoint that a user typed: a URL or the name of a preset. Raises WrongUsage."""
    if preset := presets().get(text):
        return Endpoint(text, preset["base_url"].rstrip("/"), preset["key_variable"])
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


def _name(base_url: str, host: str, port: int | None) -> str:
    """A public provider's URL is called like the provider, so that a target has one id however it was typed."""
    known = (name for name, preset in presets().items() if preset["base_url"].rstrip("/") == base_url)
    local = host if port is None else f"{host}:{port}"
    return next(known, local) if base_url.startswith("https://") else local


def read_key(
    settings: Settings, endpoint: Endpoint, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The key for an endpoint, None for none. Raises WrongUsage when it is missing or cannot be a header."""
    if settings.no_auth:
        return None
    if settings.api_key is not None:
        return _sane(settings.api_key, "--llm-api-key")
    variable = settings.api_key_env or endpoint.key_variable
    key = environment.get(variable)
    if not key:
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
