"""Sending over real sockets: what is kept of an answer, and of none."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from pytest_llmcompat.exchange import Request
from pytest_llmcompat.lab import reading
from pytest_llmcompat.lab.allowance import Allowance
from pytest_llmcompat.lab.live import KEY_PLACEHOLDER, LiveClient
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.redaction import KEY_MARKER
from pytest_llmcompat.wire import Answer
from tests.servers import PATIENCE, Connection, Received, Script, Server, limited, serving, target_of

PROBE = Probe("p", "core")
ABORTING = replace(PROBE, abort_after=2)
KEY = "sk-canary-0123456789"


@contextmanager
def client_on(
    script: Script, timeout: float = PATIENCE, **limits: Any
) -> Iterator[tuple[Server, LiveClient]]:
    """A server and a client of it."""
    with serving(script) as server:
        client = LiveClient(target_of(server), limited(timeout, **limits))
        try:
            yield server, client
        finally:
            client.close()


def get(server: Server, client: LiveClient, probe: Probe = PROBE) -> Answer:
    """The answer to a plain request."""
    headers = (("authorization", f"Bearer {KEY_PLACEHOLDER}"),)
    return client.send(Request("GET", f"{server.base_url}/x", headers, b""), probe)


def event(content: str) -> bytes:
    """A chunk of a stream with some content."""
    return b'data: {"choices": [{"delta": {"content": "%b"}}]}\n\n' % content.encode()


def test_answer_keeps_status_headers_and_body() -> None:
    """Names are lower-cased, repeated headers kept, the body is as it came."""

    def script(_: Received, connection: Connection) -> None:
        connection.raw(b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\n\xff\x00a")

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert (answer.status, answer.body, answer.failure) == (418, b"\xff\x00a", None)
    assert answer.headers == (("x-a", "1"), ("x-a", "2"), ("content-length", "3"))


def test_key_goes_out_but_is_not_kept() -> None:
    """The placeholder becomes the key on the wire; where the server echoes it, it is replaced again."""

    def script(request: Received, connection: Connection) -> None:
        seen = request.headers["authorization"]
        connection.begin(401, {"x-seen": seen})
        for part in (b"a", seen.encode(), b"z", b""):
            connection.chunk(part)

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert dict(answer.headers)["x-seen"] == f"Bearer {KEY_MARKER}"
    assert answer.body == f"aBearer {KEY_MARKER}z".encode()
    assert [length for _, length in answer.arrivals] == [1, len(f"Bearer {KEY_MARKER}"), 1]


def test_further_headers_go_out_as_the_user_gave_them() -> None:
    """What is kept of a credential is a placeholder; the server gets the value, in any script."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer(b"secret-value-1")

    with serving(script) as server:
        client = LiveClient(target_of(server, headers={"X-Api-Key": "secret-value-1", "x-name": "Zoë"}))
        request = Request("GET", f"{server.base_url}/x", (("x-api-key", KEY_MARKER), ("x-name", "Zoë")), b"")
        try:
            answer = client.send(request, PROBE)
        finally:
            client.close()
    assert server.received[0].headers["x-api-key"] == "secret-value-1"
    assert server.received[0].headers["x-name"] == "Zoë"
    assert answer.body == KEY_MARKER.encode()


def test_parts_arrive_when_they_are_sent() -> None:
    """A part is timed when it comes and not when the body ends: the server waits for its reading."""
    seen = threading.Semaphore(0)

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        for number in range(3):
            connection.chunk(b"%d" % number)
            assert seen.acquire(timeout=PATIENCE)
        connection.chunk(b"")

    class Watching(reading.Reading):
        def take(self, part: bytes, seconds: float) -> bool:
            seen.release()
            return super().take(part, seconds)

    with pytest.MonkeyPatch.context() as patched, client_on(script) as (server, client):
        patched.setattr("pytest_llmcompat.lab.live.Reading", Watching)
        answer = get(server, client)
    assert answer.body == b"012"
    assert [length for _, length in answer.arrivals] == [1, 1, 1]
    times = [seconds for seconds, _ in answer.arrivals]
    assert 0 < times[0] < times[1] < times[2] <= answer.total
    assert abs(time.time() - answer.started) < 60


@pytest.mark.parametrize("window", [16 + zlib.MAX_WBITS, zlib.MAX_WBITS])
def test_coded_stream_is_decoded_part_by_part(window: int) -> None:
    """A gzip or deflate stream that is flushed with each event keeps the times of its events."""
    coder = zlib.compressobj(wbits=window)
    coding = "gzip" if window > zlib.MAX_WBITS else "deflate"

    def script(request: Received, connection: Connection) -> None:
        assert request.headers["accept-encoding"] == "gzip, deflate"
        connection.begin(200, {"content-encoding": coding})
        for content in ("a", "b"):
            connection.chunk(coder.compress(event(content)) + coder.flush(zlib.Z_SYNC_FLUSH))
        connection.chunk(coder.flush())
        connection.chunk(b"")

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert answer.body == event("a") + event("b")
    assert [length for _, length in answer.arrivals] == [len(event("a")), len(event("b"))]
    assert dict(answer.headers)["content-encoding"] == coding


def test_coded_body_is_decoded() -> None:
    """The body is what a client sees, the headers are what was sent."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer(gzip.compress(b"{}"), headers={"content-encoding": "gzip"})

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert answer.body == b"{}"
    assert int(dict(answer.headers)["content-length"]) > 2


def test_probe_that_has_seen_enough_closes_the_socket() -> None:
    """The connection ends after the content chunks asked for, though the server would go on."""
    gone = []

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        for part in (b'data: {"choices": [{"delta": {"content": ""}}]}\n\n', event("a"), event("b")):
            connection.chunk(part)
        gone.append(connection.gone())
        connection.close()

    with client_on(script) as (server, client):
        answer = get(server, client, ABORTING)
    assert gone == [True]
    assert answer.failure is None
    assert answer.body.endswith(event("a") + event("b"))


def test_endless_answer_to_an_aborting_probe_that_never_has_content_ends_by_time() -> None:
    """Comments are no content; the deadline ends what the probe does not."""

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        connection.chunk(b": ping\n\n")
        assert connection.gone()
        connection.close()

    with client_on(script, timeout=0.2) as (server, client):
        answer = get(server, client, ABORTING)
    assert answer.failure == "the body had not ended after 0.2 s (--llm-timeout)"


# --- no whole answer ---


def silence(_: Received, connection: Connection) -> None:
    """Accept the request and say nothing."""
    assert connection.gone()
    connection.close()


def half_a_head(_: Received, connection: Connection) -> None:
    """Begin the head and say nothing more."""
    connection.raw(b"HTTP/1.1 200 OK\r\nx-")
    silence(_, connection)


def head_only(_: Received, connection: Connection) -> None:
    """Promise a body that never comes."""
    connection.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    silence(_, connection)


def half_a_body(_: Received, connection: Connection) -> None:
    """Begin the body and say nothing more."""
    connection.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab")
    silence(_, connection)


@pytest.mark.parametrize(
    ("script", "status", "failure"),
    [
        (silence, 0, "no answer had come after 0.2 s (--llm-timeout)"),
        (half_a_head, 0, "no answer had come after 0.2 s (--llm-timeout)"),
        (head_only, 200, "no body had come after 0.2 s (--llm-timeout)"),
        (half_a_body, 200, "the body had not ended after 0.2 s (--llm-timeout)"),
    ],
)
def test_silence_ends_at_the_deadline(script: Script, status: int, failure: str) -> None:
    """Wherever the server falls silent, the exchange ends in time and says how far it came."""
    with client_on(script, timeout=0.2) as (server, client):
        answer = get(server, client)
    assert (answer.status, answer.failure) == (status, failure)
    assert answer.total < PATIENCE


def test_trickle_ends_at_the_deadline() -> None:
    """The deadline is for the whole exchange: bytes that keep coming do not put it off."""

    def script(_: Received, connection: Connection) -> None:
        pause = threading.Event()
        connection.raw(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.raw(b"x-a: b\r\n")
            pause.wait(0.01)

    with client_on(script, timeout=0.3) as (server, client):
        answer = get(server, client)
    assert answer.failure is not None
    assert answer.total < PATIENCE


def cut_body(_: Received, connection: Connection) -> None:
    """End the connection before the body has its length."""
    connection.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")
    connection.close()


def cut_chunks(_: Received, connection: Connection) -> None:
    """End the connection without the last chunk."""
    connection.begin()
    connection.chunk(b"ab")
    connection.close()


def reset_at_once(_: Received, connection: Connection) -> None:
    """Reset the connection instead of an answer."""
    connection.reset()


def no_http(_: Received, connection: Connection) -> None:
    """Answer in another protocol."""
    connection.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    connection.close()


@pytest.mark.parametrize(
    ("script", "status", "body", "failure"),
    [
        (cut_body, 200, b"ab", "the connection broke: "),
        (cut_chunks, 200, b"ab", "the connection broke: "),
        (reset_at_once, 0, b"", "the connection broke: "),
        (no_http, 0, b"", "the connection broke: "),
    ],
)
def test_broken_connection_is_part_of_the_answer(
    script: Script, status: int, body: bytes, failure: str
) -> None:
    """What had come is kept, and why no more came is said."""
    with client_on(script) as (server, client):
        answer = get(server, client)
    assert (answer.status, answer.body) == (status, body)
    assert answer.failure is not None
    assert answer.failure.startswith(failure)
    assert KEY not in answer.failure


def test_reset_in_the_body_keeps_what_had_come() -> None:
    """A server process that dies in the middle of a stream leaves the events before."""
    read = threading.Event()

    def script(_: Received, connection: Connection) -> None:
        connection.begin()
        connection.chunk(event("a"))
        assert read.wait(PATIENCE)
        connection.reset()

    class Watching(reading.Reading):
        def take(self, part: bytes, seconds: float) -> bool:
            read.set()
            return super().take(part, seconds)

    with pytest.MonkeyPatch.context() as patched, client_on(script) as (server, client):
        patched.setattr("pytest_llmcompat.lab.live.Reading", Watching)
        answer = get(server, client)
    assert answer.body == event("a")
    assert answer.failure is not None


def test_body_that_is_not_in_its_coding_is_a_failure() -> None:
    """A coding that lies leaves no body, and no traceback."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer(b"plain", headers={"content-encoding": "gzip"})

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert answer.status == 200
    assert (answer.failure or "").startswith("the body cannot be decoded")


def test_endless_body_ends_at_a_number_of_bytes() -> None:
    """Memory is bounded whatever comes, compressed or not."""
    bomb = gzip.compress(bytes(10_000_000))

    def script(_: Received, connection: Connection) -> None:
        connection.answer(bomb, headers={"content-encoding": "gzip"})

    with client_on(script, body=100_000) as (server, client):
        answer = get(server, client)
    assert answer.failure == "the body is longer than 100000 bytes; more is not read"


def test_refused_connection_is_part_of_the_answer() -> None:
    """Nobody listens: the failure says so, and there is no status."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with client_on(silence) as (_, client):
        answer = client.send(Request("GET", f"http://127.0.0.1:{port}/v1/x", (), b""), PROBE)
    assert answer.status == 0
    assert (answer.failure or "").startswith("cannot connect: ")


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://[::1/v1", "the URL cannot be used: "),
        ("ftp://127.0.0.1/v1", "the URL cannot be used: "),
    ],
)
def test_impossible_url_is_part_of_the_answer(url: str, failure: str) -> None:
    """A URL that no client can open is a failure like any other."""
    with client_on(silence) as (_, client):
        answer = client.send(Request("GET", url, (), b""), PROBE)
    assert (answer.failure or "").startswith(failure)


def test_plain_http_server_behind_https_is_a_tls_failure() -> None:
    """The pre-flight check tells users by this word that the scheme or certificate is wrong."""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer_in_plain() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with ThreadPoolExecutor(1) as pool, client_on(silence) as (_, client):
            served = pool.submit(answer_in_plain)
            answer = client.send(Request("GET", f"https://127.0.0.1:{port}/v1/x", (), b""), PROBE)
            served.result(PATIENCE)
    assert (answer.failure or "").startswith("TLS failed: ")


def test_redirect_is_an_answer_and_not_followed() -> None:
    """The key must not follow to another host; contracts judge the redirect itself."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer(status=307, headers={"location": "http://127.0.0.1:9/elsewhere"})

    with client_on(script) as (server, client):
        answer = get(server, client)
    assert answer.status == 307
    assert len(server.received) == 1


def test_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded reference must be reached from behind a company's proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with client_on(lambda _, connection: connection.answer(b"{}")) as (server, client):
        assert get(server, client).status == 200


def test_many_threads_share_one_client() -> None:
    """Requests of several threads are under way at the same time."""
    together = threading.Barrier(6)

    def script(_: Received, connection: Connection) -> None:
        together.wait(PATIENCE)
        connection.answer(b"{}")

    with client_on(script) as (server, client), ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(get, server, client) for _ in range(6)]
        assert [answer.result().status for answer in answers] == [200] * 6


def test_closing_gives_up_what_is_under_way() -> None:
    """An interrupted run ends at once; what was given up is no answer that anybody might record."""
    asked = threading.Event()

    def script(request: Received, connection: Connection) -> None:
        asked.set()
        silence(request, connection)

    with client_on(script) as (server, client), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, server, client)
        assert asked.wait(PATIENCE)
        client.close()
        with pytest.raises(CancelledError):
            answer.result(PATIENCE)
        with pytest.raises(CancelledError):
            get(server, client)
        client.close()


@pytest.mark.parametrize("chunk", [b"{", b"null", b"[]", b'{"choices": {}}', b'{"choices": [{"delta": 7}]}'])
def test_odd_chunks_are_no_content(chunk: bytes) -> None:
    """Whatever a server sends as chunks, an aborting probe counts what it can and goes on."""
    growing = reading.Reading(ABORTING, Limits(), Allowance())
    assert not growing.take(b"data: " + chunk + b"\n\ndata: " + b"[" * 3000 + b"\n\n", 0.1)
    assert not growing.take(event("a"), 0.2)
    assert growing.take(event("b"), 0.3)
