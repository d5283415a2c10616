"""What kind an exchange is of, whatever the base URL and whoever recorded it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.kind import kinds_of

HOST = "https://api.example.com"


def exchange(method: str, path: str, sent: Any = None, status: int = 200, media_type: str = "") -> Exchange:
    """An exchange with no more than what its kind depends on."""
    body = b"" if sent is None else json.dumps(sent).encode()
    headers = (("content-type", media_type),) if media_type else ()
    return Exchange("p", "t", Request(method, f"{HOST}{path}", (), body), status, headers, b"{}")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/moderations", "moderations"),
        ("/v1/responses", "responses"),
    ],
)
def test_posted_request_has_the_kind_of_its_path(path: str, kind: str) -> None:
    """Base URLs differ, the ends of paths do not."""
    assert kinds_of(exchange("POST", path, {"model": "m"})) == {"every", kind}


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/models", "models"), ("/v1/models/org%2Fname", "model"), ("/v1/responses/resp_1", "responses")],
)
def test_read_request_has_the_kind_of_its_path(path: str, kind: str) -> None:
    """Lists, single models and stored responses."""
    assert kinds_of(exchange("GET", path)) == {"every", kind}


def test_stream_is_what_was_asked_for() -> None:
    """A stream that came as JSON is a stream to be judged, and JSON that came as a stream is JSON."""
    asked = exchange("POST", "/v1/chat/completions", {"stream": True}, media_type="application/json")
    unasked = exchange("POST", "/v1/chat/completions", {"model": "m"}, media_type="text/event-stream")
    assert "chat-stream" in kinds_of(asked)
    assert "chat" in kinds_of(unasked)


def test_stream_without_a_kept_request_is_what_came() -> None:
    """Some recordings hold answers only."""
    assert "responses-stream" in kinds_of(exchange("POST", "/v1/responses", media_type="text/event-stream"))


def test_error_of_any_endpoint_is_an_error() -> None:
    """The envelope is the same everywhere."""
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        assert kinds_of(exchange("POST", path, {"stream": True}, 429)) == {"every", "error"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/messages", 200),
        ("POST", "/api/embeddings", 200),
        ("POST", "/v1beta/models/gemini:generateContent", 200),
        ("GET", "/v1beta/models", 200),
        ("PUT", "/v1/chat/completions", 405),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1/chat/completions", 307),
        ("POST", "/v1/chat/completions", 0),
    ],
)
def test_other_apis_redirects_and_silence_have_no_kind(method: str, path: str, status: int) -> None:
    """Nothing that is not the API's answer is judged as one."""
    assert kinds_of(exchange(method, path, {}, status)) == frozenset()


def test_address_that_is_none_has_no_kind() -> None:
    """A recorder may write anything."""
    broken = Exchange("p", "t", Request("POST", "https://[/chat/completions", (), b""), 200, (), b"{}")
    assert kinds_of(broken) == frozenset()
