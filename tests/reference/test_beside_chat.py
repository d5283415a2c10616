"""Moderations, files and batches."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from pytest_llmcompat.reference import Reference, serve


def test_moderation_flags_each_text(client: openai.OpenAI) -> None:
    """One result for each text, with the categories that it falls under."""
    mild, harsh = client.moderations.create(input=["hello", "I will kill them"]).results
    assert (mild.flagged, harsh.flagged) == (False, True)
    assert (harsh.categories.violence, harsh.categories.hate) == (True, False)
    assert harsh.category_scores.violence > 0.5 > mild.category_scores.violence


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": []}, {"input": [7]}, []])
def test_moderation_of_nothing_is_refused(http: httpx.Client, body: object) -> None:
    """What is no text is refused in the envelope."""
    answer = http.post("/moderations", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_account_has_neither_files_nor_batches(client: openai.OpenAI) -> None:
    """The lists are there, and empty."""
    assert list(client.files.list(limit=1)) == []
    assert list(client.batches.list(limit=1)) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/embeddings"),
        ("POST", "/completions"),
        ("POST", "/moderations"),
        ("GET", "/files"),
        ("GET", "/batches"),
    ],
)
def test_route_beside_chat_wants_the_key(reference: Reference, method: str, path: str) -> None:
    """No route is open to everybody, and a server for chat alone has none of them."""
    body: Any = {} if method == "POST" else None
    assert httpx.request(method, reference.base_url + path, json=body).status_code == 401
    with serve(["legal-chat-only"], key=None) as chat_only:
        assert httpx.request(method, chat_only.base_url + path, json=body).status_code == 404
