"""Faults of the wire as the lab meets them: what is kept, what is tried again, and what is said."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab.live import LiveClient
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.wire import Answer
from tests.servers import (
    PATIENCE,
    Connection,
    Received,
    Script,
    completion,
    lab_on,
    limited,
    serving,
    target_of,
)

PROBE = Probe("p", "core", method="GET")


def answer_at(url: str, base_url: str) -> Answer:
    """The answer to a plain request at a URL."""
    with serving(lambda _, connection: connection.close()) as server:
        client = LiveClient(target_of(server, endpoint=base_url), limited(PATIENCE))
        try:
            return client.send(Request("GET", url, (), b""), PROBE)
        finally:
            client.close()


# --- certificates ---


@contextmanager
def secured(
    monkeypatch: pytest.MonkeyPatch, name: str, *, trusted: bool = True, times: Any = None
) -> Iterator[str]:
    """A server with a certificate for a name, on this machine; gives its base URL."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **(times or {})).configure_cert(context)
    with (
        serving(lambda _, connection: connection.answer(completion()), context) as server,
        authority.cert_pem.tempfile() as file,
    ):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", file)
        yield server.base_url


def test_good_certificate_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other tests on certificates would pass for any reason if this one did not."""
    with secured(monkeypatch, "127.0.0.1") as base_url:
        assert answer_at(f"{base_url}/models", base_url).status == 200


def test_expired_certificate_is_a_tls_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in the words of the library, which name the fault."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    times: dict[str, Any] = {"not_before": yesterday - timedelta(days=1), "not_after": yesterday}
    with secured(monkeypatch, "127.0.0.1", times=times) as base_url:
        answer = answer_at(f"{base_url}/models", base_url)
    assert (answer.failure or "").startswith("TLS failed: ")
    assert "expired" in (answer.failure or "")


@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), ("127.0.0.1", False)])
def test_certificate_for_others_is_a_tls_failure(
    monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    """Another host's, or of an authority that nobody trusts: the key does not go out."""
    with secured(monkeypatch, name, trusted=trusted) as base_url:
        answer = answer_at(f"{base_url}/models", base_url)
    assert (answer.failure or "").startswith("TLS failed: ")


# --- names ---


def test_name_that_is_not_known_is_a_failure() -> None:
    """`.invalid` is never registered (RFC 2606); no answer comes, and the failure says that it never could."""
    answer = answer_at("http://nobody.invalid/v1/models", "http://nobody.invalid/v1")
    assert answer.status == 0
    assert (answer.failure or "").startswith("cannot connect: ")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", "xn--a"])
def test_name_that_cannot_be_looked_up_is_a_failure(host: str) -> None:
    """Labels of more than 63 bytes and empty ones break the coding of names, deep below the client."""
    answer = answer_at(f"http://{host}/v1/models", f"http://{host}/v1")
    assert answer.status == 0
    assert answer.failure is not None


def test_look_up_that_fails_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flapping name server costs one retry and no verdict."""
    real, failures = socket.getaddrinfo, [True]

    def flapping(*arguments: Any, **options: Any) -> Any:
        if failures:
            failures.clear()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", flapping)
    with serving(lambda _, connection: connection.answer({"data": []})) as server:
        port = server.base_url.split(":")[2]
        with lab_on(server, target={"endpoint": f"http://localhost:{port}"}) as lab:
            exchange = lab.exchange("models-list")
    assert (exchange.status, exchange.requests) == (200, 2)
    assert "name resolution" in (exchange.retried[0].failure or "")


# --- protocol ---


def raw(data: bytes) -> Script:
    """A server that says some bytes and ends the connection."""

    def script(_: Received, connection: Connection) -> None:
        connection.raw(data)
        connection.close()

    return script


def exchange_with(script: Script) -> Any:
    """What comes of a probe, retry included."""
    with serving(script) as server, lab_on(server) as lab:
        return lab.exchange("models-list")


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (
            b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            b"{}",
        ),
    ],
)
def test_old_and_odd_but_valid_answers_are_read(data: bytes, body: bytes) -> None:
    """HTTP/1.0, a body that ends with its connection, an empty one, interim answers before the answer."""
    exchange = exchange_with(raw(data))
    assert (exchange.status, exchange.body, exchange.failure, exchange.requests) == (200, body, None, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n{}",
        b"HTTP/1.1 101 Switching\r\n\r\nwhatever",
    ],
)
def test_broken_protocol_is_tried_once_more_and_then_part_of_the_exchange(data: bytes) -> None:
    """None of it is an error of the suite, and none of it is silently taken for an answer."""
    exchange = exchange_with(raw(data))
    assert exchange.failure is not None
    assert exchange.requests == 2


def test_connection_that_ends_after_each_answer_costs_nothing() -> None:
    """The server promises to keep the connection and does not: the next probe opens another."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer({"data": []})
        connection.close()

    with serving(script) as server, lab_on(server) as lab:
        exchanges = [lab.exchange(id) for id in ("models-list", "route-unknown")]
    assert [exchange.failure for exchange in exchanges] == [None, None]


@pytest.mark.parametrize("location", ["/v1/models", "http://127.0.0.1:9/v1/models", "//evil.example/"])
def test_redirect_is_followed_nowhere(location: str) -> None:
    """A loop cannot arise, and the key goes to no other place."""
    with (
        serving(lambda _, connection: connection.answer(b"", 307, {"location": location})) as server,
        lab_on(server) as lab,
    ):
        exchange = lab.exchange("models-list")
    assert (exchange.status, len(server.received)) == (307, 1)
