"""Contracts on what clients meet at the edges of HTTP: browsers, connections, base URLs typed with a slash."""

from __future__ import annotations

from pytest_llmcompat.answer import answered, came, judge_each
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.extra import ORIGIN
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless


@contract(
    "transport.double-slash-sane",
    MAY,
    source="measured with openai-python 3.57: a base URL that ends in two slashes is sent as it is",
    breaks="A base URL with a slash too many looks like a broken server, or like an empty answer.",
    fix="Treat `//` in a path as `/`, or answer 404.",
    catches=("double-slash-500", "unknown-route-200"),
    cases="lmstudio-ai/lmstudio-bug-tracker#1988",
)
def test_double_slash_does_no_harm(route_double_slash: Exchange) -> None:
    """A slash too many in the path is overlooked or refused, not answered with a success or a server error."""
    status = came(route_double_slash).status
    if status in (401, 403, 429, 502, 503, 504, 529):
        inconclusive(f"route-double-slash was answered {status}")
    # The body is empty: what overlooks the slash refuses it for its missing messages.
    if route_double_slash.ok or status >= 500:
        fail(route_double_slash, "status", "404, or 400 for the missing messages")


@contract(
    "transport.cors-preflight",
    MAY,
    source="Fetch standard, «CORS-preflight request»: it bears no credentials and needs an ok status",
    breaks="Programs in a browser cannot send anything; their users see «Failed to fetch».",
    fix="Answer OPTIONS without asking for a key, with `access-control-allow-origin` and the allowed headers.",
    catches=("cors-needs-key", "cors-without-headers"),
    cases="TTomas65/Subtitle-Translator-for-LM-Studio#2",
)
def test_browsers_may_ask(cors: Exchange) -> None:
    """A browser's preflight is not asked for a key, and when it is answered, with what the browser needs."""
    came(cors)
    if cors.status == 401:
        fail(cors, "status", "2xx: a preflight never bears a key")
    if 400 <= cors.status < 500 or cors.status == 501:
        unsupported(f"the preflight was refused with {cors.status}, so browsers are not served")
    answered(cors)
    allowed = cors.header("access-control-allow-origin")
    expect(allowed in ("*", ORIGIN), cors, "header access-control-allow-origin", f"* or {ORIGIN}")


@contract(
    "transport.keepalive",
    MAY,
    source="RFC 9112 section 9.3: connections persist; openai-python 3.57 reads bodies to the end to reuse them",
    breaks="Each request pays for a new connection and TLS handshake.",
    fix="Leave connections open after an answer.",
    catches=("connection-closed",),
)
def test_connections_stay_open(chat_basic: Exchange, chat_turns: Exchange) -> None:
    """An answer does not close the connection; to close it is a warning."""
    judge_each(_expect_open, chat_basic, chat_turns)


def _expect_open(exchange: Exchange) -> None:
    answered(exchange)
    closed = (exchange.header("connection") or "").strip().lower() == "close"
    warn_unless(not closed, exchange, "header connection", "absent or keep-alive")
