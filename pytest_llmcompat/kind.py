"""What kind an exchange is of: which endpoint of the API answered, plainly, by a stream or with an error."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pytest_llmcompat.contract import Kind
from pytest_llmcompat.exchange import Exchange

__all__ = ["kinds_of"]

# By the end of the path, since base URLs differ; the longer name before the one that it ends with.
_POSTED: Final[tuple[tuple[str, Kind], ...]] = (
    ("/chat/completions", "chat"),
    ("/completions", "completions"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
    ("/moderations", "moderations"),
)
_READ: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile(r"/models"), "models"),
    (re.compile(r"/models/[^/]+"), "model"),
    (re.compile(r"/responses/[^/]+"), "responses"),
)
_STREAMED: Final[dict[Kind, Kind]] = {
    "chat": "chat-stream",
    "completions": "completions-stream",
    "responses": "responses-stream",
}
# Other APIs have paths of the same ends: Ollama's own, Anthropic's and Google's lists of models.
_OTHER_PATHS: Final = re.compile(r"/api/embeddings|.*/v1beta/models\b.*")
_OTHER_LISTS: Final = frozenset({"api.anthropic.com", "api.cohere.com", "api.cohere.ai"})


def kinds_of(exchange: Exchange) -> frozenset[Kind]:
    """The kinds of an exchange; none for another API, a redirect, or a request without an answer."""
    endpoint = _endpoint(exchange)
    if endpoint is None or exchange.status < 200 or 300 <= exchange.status < 400:
        return frozenset()
    if exchange.status >= 400:
        return frozenset({"every", "error"})
    return frozenset({"every", _STREAMED[endpoint] if _streams(exchange, endpoint) else endpoint})


def _endpoint(exchange: Exchange) -> Kind | None:
    url = _split(exchange.request.url)
    if url is None or _OTHER_PATHS.fullmatch(url.path):
        return None
    if exchange.request.method == "POST":
        return next((kind for end, kind in _POSTED if url.path.endswith(end)), None)
    if exchange.request.method != "GET" or url.hostname in _OTHER_LISTS:
        return None
    return next((kind for end, kind in _READ if re.search(f"{end.pattern}$", url.path)), None)


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _streams(exchange: Exchange, endpoint: Kind) -> bool:
    """True when a stream was asked for; where the request was not kept, when one came."""
    if endpoint not in _STREAMED:
        return False
    if isinstance(exchange.sent, dict):
        return exchange.sent.get("stream") is True
    return exchange.media_type == "text/event-stream"
