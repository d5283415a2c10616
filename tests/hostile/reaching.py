"""Faults before and beside the answer: names, certificates, redirects, refusals for ever, an endpoint that dies."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from urllib.parse import urlsplit

import trustme

from pytest_llmcompat.reference import Reference
from tests.hostile.behaviour import INCONCLUSIVE, PASS, Behaviour, Place, Serve
from tests.hostile.running import ROOT
from tests.hostile.wrapping import Answering, Which, afflicting, everything, forward, later, on, plain
from tests.servers import Connection, Received, Server, completion, refusal, serving

__all__ = ["ROWS"]

_SELECT = "finish-length or multi-turn or stream.done-sentinel"
_LOST = {"chat.finish-length": INCONCLUSIVE, "chat.stream.done-sentinel": INCONCLUSIVE}
_FINE = {"chat.finish-length": PASS, "chat.stream.done-sentinel": PASS}


def nobody(reference: Reference) -> Iterator[Place]:
    """A port on which nothing listens."""
    del reference
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    yield Place(f"http://127.0.0.1:{free}/v1")


def nowhere(reference: Reference) -> Iterator[Place]:
    """A name that nobody has (RFC 6761 section 6.4)."""
    del reference
    yield Place("http://llmcompat.invalid/v1", {"RES_OPTIONS": "timeout:1 attempts:1"})


def resolving(body: str) -> Serve:
    """The reference under a name that the system's resolver, replaced for this process, looks up by `body`.

    No resolver of the system could be made to hang or to flap without the rights of its administrator.
    """
    source = """
        import socket, time
        from itertools import count

        real, looked_up = socket.getaddrinfo, count()

        def getaddrinfo(host, *arguments, **options):
            if host not in ("hostile.test", b"hostile.test"):
                return real(host, *arguments, **options)
            {body}
            return real("127.0.0.1", *arguments, **options)

        socket.getaddrinfo = getaddrinfo
    """

    def serve(reference: Reference) -> Iterator[Place]:
        with TemporaryDirectory() as folder:
            Path(folder, "sitecustomize.py").write_text(dedent(source).replace("{body}", body))
            port = urlsplit(reference.base_url).port
            yield Place(f"http://hostile.test:{port}/v1", {"PYTHONPATH": f"{folder}:{ROOT}"})

    return on(serve)


@contextmanager
def secured(
    reference: Reference, host: str, *, trusted: bool = True, expired: bool = False
) -> Iterator[Place]:
    """The reference behind TLS, with a certificate for a host name."""
    authority, now = trustme.CA(), datetime.now(UTC)
    begin, end = (now - timedelta(days=2), now - timedelta(days=1)) if expired else (None, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, not_before=begin, not_after=end).configure_cert(context)
    script: Answering = lambda request, connection: forward(reference, request, connection)  # noqa: E731
    with serving(script, context) as server, authority.cert_pem.tempfile() as file:
        yield Place(server.base_url, {"SSL_CERT_FILE": file} if trusted else {})


def expecting_tls(reference: Reference) -> Iterator[Place]:
    """Plain http to a server that wants TLS."""
    with secured(reference, "127.0.0.1") as place:
        yield Place(place.base_url.replace("https:", "http:"))


def expecting_none(reference: Reference) -> Iterator[Place]:
    """TLS to a server that wants plain http."""
    yield Place(reference.base_url.replace("http:", "https:"))


def leading_away(which: Which) -> Serve:
    """Redirects to a server of another origin, which must meet no key and no request of the run."""

    def serve(reference: Reference) -> Iterator[Place]:
        with serving(lambda _, connection: connection.answer(completion())) as elsewhere:
            away = elsewhere.base_url.replace("127.0.0.1", "localhost")

            def script(request: Received, connection: Connection) -> None:
                if which(request):
                    connection.answer(b"", 307, {"location": away + request.path.removeprefix("/v1")})
                else:
                    forward(reference, request, connection)

            with serving(script) as server:
                yield Place(server.base_url)
        _expect_unmet(elsewhere)

    return on(serve)


def _expect_unmet(elsewhere: Server) -> None:
    assert elsewhere.received == [], "the other origin was asked"


def proxied(reference: Reference) -> Iterator[Place]:
    """A proxy in the environment, to which requests for this machine must not go."""
    with serving(lambda _, connection: connection.answer(b"", 502)) as proxy:
        through = proxy.base_url.removesuffix("/v1")
        variables = dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"), through
        )
        yield Place(reference.base_url, variables)
    _expect_unmet(proxy)


def turning(request: Received, connection: Connection) -> None:
    """Redirect to where the request has come from."""
    connection.answer(b"", 308, {"location": request.path})


def throttling(wait: str) -> Answering:
    """429 with a Retry-After."""
    return lambda _, connection: connection.answer(refusal("slow down"), 429, {"retry-after": wait})


def failing(request: Received, connection: Connection) -> None:
    """500."""
    del request
    connection.answer(refusal("out of order"), 500)


def revoked(request: Received, connection: Connection) -> None:
    """401: the key is no longer good."""
    del request
    connection.answer(refusal("key revoked"), 401)


def _early(request: Received, connection: Connection) -> None:
    """Answer and hang up before the request was looked at."""
    del request
    connection.answer(refusal("too large"), 413)
    connection.reset()


ROWS = (
    Behaviour("refused", "Nothing listens.", on(nobody), 4, ("cannot connect",)),
    Behaviour("unresolvable", "Its name does not exist.", on(nowhere), 4, ("cannot connect",)),
    Behaviour(
        "resolver-hangs",
        "Looking up its name takes forty seconds.",
        resolving("time.sleep(40)"),
        4,
        ("cannot reach",),
        seconds=5.0,
        fault="a thread that looks up a name is waited for at the end of the process (lab/live.py)",
    ),
    Behaviour(
        "resolver-flaps",
        "Every other time its name does not exist.",
        resolving(
            'if next(looked_up) % 2: raise socket.gaierror(-3, "Temporary failure in name resolution")'
        ),
        0,
        (),
        {"chat.stream.done-sentinel": PASS},
        "stream.done-sentinel",
    ),
    Behaviour(
        "tls-other-name",
        "Its certificate is another host's.",
        lambda reference: secured(reference, "example.com"),
        4,
        ("no secure connection", "certificate verify failed"),
    ),
    Behaviour(
        "tls-expired",
        "Its certificate has expired.",
        lambda reference: secured(reference, "127.0.0.1", expired=True),
        4,
        ("no secure connection", "certificate has expired"),
    ),
    Behaviour(
        "tls-unknown-authority",
        "Nobody vouches for its certificate.",
        lambda reference: secured(reference, "127.0.0.1", trusted=False),
        4,
        ("no secure connection", "certificate verify failed"),
    ),
    Behaviour(
        "tls-sound",
        "The counter-check: with a sound certificate of the same authority it is judged.",
        lambda reference: secured(reference, "127.0.0.1"),
        0,
        (),
        _FINE,
        _SELECT,
    ),
    Behaviour("tls-expected", "It wants TLS and gets none.", on(expecting_tls), 4, ("want https?",)),
    Behaviour(
        "tls-unexpected", "It gets TLS and wants none.", on(expecting_none), 4, ("speaks https at all",)
    ),
    Behaviour(
        "redirect-loop", "Redirects to itself.", afflicting(everything, turning), 4, ("no OpenAI API at",)
    ),
    Behaviour("redirect-loop-later", "Redirects to itself behind pre-flight.", afflicting(later, turning), 1),
    Behaviour("redirect-away", "Redirects to another origin.", leading_away(everything), 4),
    Behaviour(
        "redirect-away-later",
        "Redirects to another origin behind pre-flight.",
        leading_away(later),
        1,
        ("transport.redirect-same-host",),
    ),
    Behaviour("proxy-in-environment", "A proxy is set.", on(proxied), 0, (), _FINE, _SELECT),
    Behaviour(
        "429-at-once", "Says 429 for ever.", afflicting(everything, throttling("0")), 4, ('429: "slow down"',)
    ),
    Behaviour(
        "429-without-wait",
        "Says 429 for ever behind pre-flight, and not to wait.",
        afflicting(later, throttling("0")),
        0,
        ('429: "slow down"',),
        _LOST,
        _SELECT,
    ),
    Behaviour(
        "429-with-wait",
        "Says 429 for ever behind pre-flight, and to wait 20 seconds each time.",
        afflicting(later, throttling("20")),
        1,
        ("--llm-run-timeout",),
        _LOST,
        _SELECT,
        ("--llm-run-timeout=5",),
        5.0,
    ),
    *(
        Behaviour(
            f"429-{name}",
            f"Says 429 for ever behind pre-flight, with `Retry-After: {wait}`.",
            afflicting(later, throttling(wait)),
            0,
            ('429: "slow down"',),
            _LOST,
            _SELECT,
        )
        for name, wait in (
            ("for-a-year", "31536000"),
            ("absurd", "1e308"),
            ("not-a-number", "nan"),
            ("below-nought", "-1e999"),
            ("long-digits", "9" * 5000),
            ("past-date", "Fri, 31 Dec 9999 23:59:59 GMT"),
        )
    ),
    Behaviour(
        "500-for-all",
        "Fails each request.",
        afflicting(everything, failing),
        4,
        ('500: "out of order"',),
    ),
    Behaviour(
        "500-later",
        "Fails each request behind pre-flight.",
        afflicting(later, failing),
        0,
        (),
        _LOST,
        _SELECT,
    ),
    Behaviour(
        "key-revoked",
        "Refuses the key behind pre-flight.",
        afflicting(later, revoked),
        0,
        ('401: "key revoked"',),
        _LOST,
        _SELECT,
    ),
    Behaviour(
        "early-answer",
        "Answers before the request was read, and resets.",
        afflicting(plain, _early),
        0,
        (),
        {"chat.finish-length": INCONCLUSIVE, "chat.stream.done-sentinel": PASS},
        _SELECT,
    ),
)
