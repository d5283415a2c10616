"""The official client of users' own tests: it takes no credential to where it does not belong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.clients import async_client_of, client_of
from pytest_llmcompat.target import Target
from tests.canary import CANARY
from tests.servers import Connection, Received, completion, serving, target_of

HEADERS = {"api-key": CANARY, "X-Custom": CANARY}


def ask(target: Target) -> Any:
    """A chat completion by the synchronous client."""
    with client_of(target) as client:
        return client.with_options(max_retries=0).chat.completions.create(model="m", messages=[])


def ask_async(target: Target) -> Any:
    """The same by the asynchronous one."""

    async def main() -> Any:
        client = async_client_of(target).with_options(max_retries=0)
        return await client.chat.completions.create(model="m", messages=[])

    return asyncio.run(main())


@pytest.mark.parametrize("asking", [ask, ask_async])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_redirect_to_another_origin_takes_no_credential_along(
    asking: Callable[[Target], Any], host: str
) -> None:
    """Another host is another origin, and so is another port."""
    with serving(lambda _, connection: connection.answer(completion())) as elsewhere:
        away = elsewhere.base_url.replace("127.0.0.1", host)

        def script(_: Received, connection: Connection) -> None:
            connection.answer(b"", 307, {"location": f"{away}/chat/completions"})

        with serving(script) as server:
            assert asking(target_of(server, key=CANARY, headers=HEADERS)).choices
    assert [(request.method, request.path) for request in elsewhere.received] == [
        ("POST", "/v1/chat/completions")
    ]
    assert CANARY not in str(elsewhere.received)


@pytest.mark.parametrize("asking", [ask, ask_async])
def test_redirect_within_the_origin_keeps_them(asking: Callable[[Target], Any]) -> None:
    """There and back again, also when a base URL has moved on the same server."""

    def script(request: Received, connection: Connection) -> None:
        if request.path.startswith("/v2"):
            connection.answer(completion())
        else:
            connection.answer(b"", 308, {"location": "/v2/chat/completions"})

    with serving(script) as server:
        assert asking(target_of(server, key=CANARY, headers=HEADERS)).choices
    for request in server.received:
        assert request.headers["authorization"] == f"Bearer {CANARY}"
        assert request.headers["api-key"] == request.headers["x-custom"] == CANARY
    assert len(server.received) == 2


def test_credentials_of_a_netrc_file_are_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They belong to other programs; a target without a key gets none of them."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(lambda _, connection: connection.answer(completion())) as server:
        assert ask(target_of(server, key=None)).choices
    assert server.received[0].headers["authorization"] == "Bearer none"
