"""Routes, keys and headers, below the level of any client library."""

from __future__ import annotations

import base64
from urllib.parse import quote

import httpx
import pytest

from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reference.models import CHAT_MODELS, MODELS, SLASHED_MODEL


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/v1/models/", 404),
        ("POST", "/chat/completions", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1//chat/completions", 404),
        ("PUT", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
    ],
)
def test_unserved_target_has_the_envelope(http: httpx.Client, method: str, path: str, status: int) -> None:
    """Whatever is not there is answered with JSON and no redirect."""
    answer = http.request(method, http.base_url.join(path), json={})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [SLASHED_MODEL, quote(SLASHED_MODEL, safe="")])
def test_id_with_a_slash_is_found_encoded_or_not(http: httpx.Client, path: str) -> None:
    """The official client sends %2F, people type a slash."""
    assert http.get(f"/models/{path}").json()["id"] == SLASHED_MODEL


def test_list_holds_every_model(http: httpx.Client) -> None:
    """The list is complete; each entry has OpenAI's four keys, one that chats also how much it reads."""
    listing = http.get("/models").json()
    assert [entry["id"] for entry in listing["data"]] == list(MODELS)
    assert all(
        set(entry) - {"context_window"} == {"id", "object", "created", "owned_by"}
        for entry in listing["data"]
    )
    assert [e["id"] for e in listing["data"] if "context_window" in e] == list(CHAT_MODELS)


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (None, None),
        ("Bearer", None),
        ("Basic " + base64.b64encode(b"x:y").decode(), None),
        ("Bearer wrong", "invalid_api_key"),
        ("Bearer sk-" + "w" * 40, "invalid_api_key"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("POST", "/chat/completions")])
def test_other_credentials_are_refused(
    reference: Reference, credentials: str | None, code: str | None, method: str, path: str
) -> None:
    """Only the key, as a bearer token, opens a route; the refusal doesn't show what was sent."""
    headers = {"authorization": credentials} if credentials else {}
    answer = httpx.request(method, reference.base_url + path, headers=headers, json={})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    assert answer.headers["www-authenticate"] == "Bearer"
    secret = (credentials or "").partition(" ")[2]
    assert not secret or secret not in answer.text


def test_every_response_has_its_own_request_id(http: httpx.Client) -> None:
    """Errors have one as well, and no two are equal."""
    answers = [http.get("/models"), http.get("/models"), http.post("/nothing"), http.put("/chat/completions")]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)


def test_browsers_may_call_from_other_origins(http: httpx.Client) -> None:
    """A preflight request is granted, without a key."""
    preflight = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = httpx.options(str(http.base_url.join("chat/completions")), headers=preflight)
    assert answer.is_success
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-origin"] == "*"
