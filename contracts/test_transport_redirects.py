"""Contracts on redirects and on the trailing slash that starts most of them."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from pytest_llmcompat.answer import body, came
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import expect, fail, inconclusive

_REDIRECTS = (301, 302, 303, 307, 308)
_MAKES_GET = (301, 302, 303)


def _came(*exchanges: Exchange) -> list[Exchange]:
    """The exchanges that were answered; inconclusive when none was."""
    answered = [exchange for exchange in exchanges if exchange.unsent is None and exchange.failure is None]
    if not answered:
        came(exchanges[0])
    return answered


@contract(
    "transport.redirect-keeps-post",
    MUST,
    source="RFC 9110 section 15.4; measured with openai-python 3.57: after 301, 302 or 303 it sends a bare GET",
    breaks="SDKs follow with GET and without the body, and report what that gives as the answer.",
    fix="Redirect with 307 or 308, or serve the path as it was asked for.",
    catches=("trailing-slash-301",),
)
def test_redirects_keep_the_method(route_trailing_slash: Exchange, chat_basic: Exchange) -> None:
    """A POST is redirected with 307 or 308, if at all."""
    for exchange in _came(route_trailing_slash, chat_basic):
        expect(exchange.status not in _MAKES_GET, exchange, "status", "307, 308 or no redirect")


@contract(
    "transport.redirect-same-host",
    SHOULD,
    source="measured with openai-python 3.57: the Authorization header is left out when the origin changes",
    breaks="The key does not follow to another origin, so the redirected request ends in 401.",
    fix="Redirect to a path on the same scheme, host and port; behind a proxy, heed X-Forwarded-Proto and Host.",
    catches=("trailing-slash-other-host",),
)
def test_redirects_stay_on_the_origin(route_trailing_slash: Exchange, chat_basic: Exchange) -> None:
    """A redirect leads to the same origin."""
    for exchange in _came(route_trailing_slash, chat_basic):
        location = exchange.header("location")
        if exchange.status in _REDIRECTS and location:
            expect(
                _keeps_key(exchange.request.url, location),
                exchange,
                "header location",
                "the scheme, host and port of the request",
            )


def _keeps_key(url: str, location: str) -> bool:
    """True when a client sends its key along: the same origin, or the same host from HTTP to HTTPS."""
    try:
        before, after = urlsplit(url), urlsplit(urljoin(url, location))
        if before.hostname != after.hostname:
            return False
        upgraded = (before.scheme, _port(before), after.scheme, _port(after)) == ("http", 80, "https", 443)
        return upgraded or (before.scheme, _port(before)) == (after.scheme, _port(after))
    except ValueError:
        return False


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


@contract(
    "transport.trailing-slash-sane",
    SHOULD,
    source="measured with openai-python 3.57: 307 and 308 are followed, 301 turns the POST into a GET",
    breaks="A base URL typed with one slash too many gives server errors or empty answers, not a clear 404.",
    fix="Serve /chat/completions/ like /chat/completions, redirect with 308, or answer a JSON 404.",
    catches=("trailing-slash-301", "trailing-slash-500"),
)
def test_trailing_slash_is_handled(route_trailing_slash: Exchange, route_unknown: Exchange) -> None:
    """A path with a trailing slash is served, redirected with its method kept, or refused in JSON."""
    exchange = came(route_trailing_slash)
    if exchange.status in (429, 502, 503, 504, 529):
        inconclusive(f"{exchange.probe} was answered {exchange.status}")
    if exchange.status in _MAKES_GET or exchange.status >= 500:
        fail(exchange, "status", "an answer of the route, 307, 308 or 404")
    if exchange.ok:
        expect(bool(body(exchange).items("/choices")), exchange, "body", "a completion, or a refusal of {}")
    if exchange.status == 404 and not exchange.is_json:
        if not route_unknown.is_json:
            inconclusive("404s of this server are not JSON (transport.unknown-route-json judges that)")
        fail(exchange, "body", "JSON, as in the other 404 answers of this server")
