"""Proxies of the environment: none of them ever sees the key."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import openai
import pytest
import trustme

from pytest_llmcompat.clients import client_of
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.live import KEY_PLACEHOLDER, LiveClient
from pytest_llmcompat.matrix import targets_of
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.proxies import passes_over_proxy, proxy_fault
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer
from tests.canary import CANARY, traces
from tests.servers import PATIENCE, completion, limited, serving

HOST = "endpoint.invalid"
ALL = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
)

Ask = Callable[[Target], Answer]


class Proxy:
    """A proxy that passes everything on to one server on this machine, and notes every byte that it is given."""

    def __init__(self, port: int) -> None:
        self.url, self.seen, self._port = "", bytearray(), port

    def serve(self, client: socket.socket) -> None:
        """Answer a request, or dig the tunnel that it asks for."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (part := client.recv(65536)):
                return
            self.seen += part
            head += part
        if not head.startswith(b"CONNECT "):
            body = b'{"choices": []}'
            client.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            return
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pass_on, args=(server, client))
            back.start()
            self._pass_on(client, server)
            back.join()

    def _pass_on(self, giver: socket.socket, taker: socket.socket) -> None:
        with suppress(OSError):
            while part := giver.recv(65536):
                self.seen += part
                taker.sendall(part)
            taker.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A running proxy to a port, which the environment names for everything."""
    proxy = Proxy(port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            proxy.serve(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Listener(("127.0.0.1", 0), Handler) as listener:
        proxy.url = f"http://127.0.0.1:{listener.server_address[1]}"
        for name in ALL:
            monkeypatch.delenv(name, raising=False)
        for name in ALL[:3]:
            monkeypatch.setenv(name, proxy.url)
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()


def by_lab(target: Target) -> Answer:
    """The lab's answer to a request with the key."""
    client = LiveClient(target, limited(PATIENCE))
    headers = [(name, "") for name in target.headers]
    if target.key:
        headers.append(("authorization", f"Bearer {KEY_PLACEHOLDER}"))
    try:
        return client.send(
            Request("GET", f"{target.endpoint}/models", tuple(headers), b""), Probe("p", "core")
        )
    finally:
        client.close()


def by_client(target: Target) -> Answer:
    """The official client's, in the shape of the lab's."""
    with client_of(target) as client:
        try:
            raw = client.with_options(max_retries=0).models.with_raw_response.list()
        except openai.APIConnectionError as error:
            return Answer(failure=str(error))
        return Answer(raw.status_code, body=raw.content)


@pytest.mark.parametrize("ask", [by_lab, by_client])
@pytest.mark.parametrize("bearing", ["key", "header"])
def test_key_never_goes_to_a_proxy_in_clear(ask: Ask, bearing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked by http is asked without the proxy; here that leads nowhere, and the proxy is not met."""
    secret = {"key": CANARY} if bearing == "key" else {"headers": {"api-key": CANARY}}
    with proxying(1, monkeypatch) as proxy:
        answer = ask(Target("t", f"http://{HOST}/v1", "m", **secret))
    assert answer.failure is not None
    assert bytes(proxy.seen) == b""


def test_proxy_in_clear_serves_requests_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key there is nothing to hide, and the proxy may be the only way out."""
    with proxying(1, monkeypatch) as proxy:
        answer = by_lab(Target("t", f"http://{HOST}/v1", "m", no_auth=True))
    assert (answer.status, answer.failure) == (200, None)
    assert bytes(proxy.seen).startswith(f"GET http://{HOST}/v1/models ".encode())


@pytest.mark.parametrize("ask", [by_lab, by_client])
def test_proxy_passes_https_on_and_reads_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the tunnel the key arrives at the endpoint; the proxy has seen none of its forms."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    with (
        authority.cert_pem.tempfile() as file,
        serving(lambda _, connection: connection.answer(completion()), context) as server,
        proxying(int(server.base_url.rpartition(":")[2].removesuffix("/v1")), monkeypatch) as proxy,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", file)
        answer = ask(Target("t", f"https://{HOST}/v1", "m", key=CANARY))
    assert (answer.status, answer.failure) == (200, None)
    assert server.received[0].headers["authorization"] == f"Bearer {CANARY}"
    assert bytes(proxy.seen).startswith(f"CONNECT {HOST}:443 ".encode())
    assert traces(CANARY, bytes(proxy.seen)) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTPS_PROXY", "gopher://proxy.example:1"), ("HTTP_PROXY", "http://proxy.example:x")],
)
def test_proxy_that_cannot_be_used_is_named_before_anything_is_sent(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error in the environment is a line for the user, no traceback."""
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    assert proxy_fault() is None
    monkeypatch.setenv(variable, value)
    settings = Settings(endpoint=(f"http://{HOST}/v1",), model=("m",), api_key=CANARY)
    with ExitStack() as resources, pytest.raises(WrongUsage, match="names a proxy that cannot be used"):
        targets_of([settings], resources)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"endpoint": "https://endpoint.invalid/v1"}, False),
        ({"endpoint": "http://127.0.0.1:1/v1"}, False),
        ({"endpoint": "http://[::1]:1/v1"}, False),
        ({"endpoint": "http://localhost/v1"}, False),
        ({"endpoint": "http://at.home/v1"}, False),
        ({"key": None}, False),
    ],
)
def test_user_is_told_when_a_proxy_is_passed_over(
    changes: dict[str, Any], passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then: it may be why nobody answers."""
    target = Target(**{"id": "t", "endpoint": f"http://{HOST}/v1", "model": "", "key": CANARY, **changes})
    with proxying(1, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "at.home")
        assert passes_over_proxy(target) is passes
        if passes:
            with ExitStack() as resources, pytest.raises(WrongUsage, match="for it would see the key"):
                targets_of([Settings(endpoint=(target.endpoint,), api_key=CANARY)], resources)
