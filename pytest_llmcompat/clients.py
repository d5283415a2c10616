"""The official client, pointed at a target, for tests of users' own."""

from __future__ import annotations

from typing import Any

import openai

from pytest_llmcompat.target import Target

__all__ = ["async_client_of", "client_of"]

# The client refuses to be made without a key; a server without keys ignores this word.
_NO_KEY = "none"


def client_of(target: Target) -> openai.OpenAI:
    """A synchronous client for the target."""
    return openai.OpenAI(**_arguments(target))


def async_client_of(target: Target) -> openai.AsyncOpenAI:
    """An asynchronous client for the target; none of its connections outlives the answer.

    A fixture cannot close what belongs to the event loop of a test, which is gone by then.
    """
    return openai.AsyncOpenAI(**_arguments(target, connection="close"))


def _arguments(target: Target, **headers: str) -> dict[str, Any]:
    return {
        "base_url": target.endpoint,
        "api_key": target.key or _NO_KEY,
        "default_headers": {**target.headers, **headers},
    }
