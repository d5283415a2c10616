"""The official client, pointed at a target, for tests of users' own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import openai

from pytest_llmcompat.proxies import direct
from pytest_llmcompat.target import Target

__all__ = ["async_client_of", "client_of"]

# The client refuses to be made without a key; a server without keys ignores this word.
_NO_KEY = "none"


def client_of(target: Target) -> openai.OpenAI:
    """A synchronous client for the target; where a redirect leads to another origin, no credential goes along."""
    without_credentials = _without_credentials(target)
    http = openai.DefaultHttpxClient(mounts=direct(target), event_hooks={"request": [without_credentials]})
    return openai.OpenAI(http_client=http, **_arguments(target))


def async_client_of(target: Target) -> openai.AsyncOpenAI:
    """An asynchronous client for the target, likewise; none of its connections outlives the answer.

    A fixture cannot close what belongs to the event loop of a test, which is gone by then.
    """
    without_credentials = _without_credentials(target)

    async def hook(request: Any) -> None:
        without_credentials(request)

    http = openai.DefaultAsyncHttpxClient(mounts=direct(target), event_hooks={"request": [hook]})
    return openai.AsyncOpenAI(http_client=http, **_arguments(target, connection="close"))


def _arguments(target: Target, **headers: str) -> dict[str, Any]:
    return {
        "base_url": target.endpoint,
        "api_key": target.key or _NO_KEY,
        "default_headers": {**target.headers, **headers},
    }


def _without_credentials(target: Target) -> Callable[[Any], None]:
    """Takes the key and the further headers off a request that goes to another origin than the target's.

    httpx follows redirects and takes off `authorization` only, and not even that from http to https.
    """
    home = _origin(httpx.URL(target.endpoint))

    def hook(request: Any) -> None:
        if _origin(request.url) != home:
            for name in ("authorization", *target.headers):
                request.headers.pop(name, None)

    return hook


def _origin(url: Any) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
