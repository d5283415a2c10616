"""A healthy reference for all tests of this folder, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest

from pytest_llmcompat.reference import Reference, serve

QUICK = 0.001


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    """A healthy reference."""
    with serve(pause=QUICK) as running:
        yield running


@pytest.fixture
def client(reference: Reference) -> Iterator[openai.OpenAI]:
    """The official client, pointed at the reference."""
    with openai.OpenAI(base_url=reference.base_url, api_key=reference.key, max_retries=0) as official:
        yield official


@pytest.fixture
def http(reference: Reference) -> Iterator[httpx.Client]:
    """A plain HTTP client that bears the key."""
    headers = {"authorization": f"Bearer {reference.key}"}
    with httpx.Client(base_url=reference.base_url, headers=headers) as plain:
        yield plain
