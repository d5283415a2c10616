"""What an error answer says, whatever shape it has: its text, and which parameters it is about."""

from __future__ import annotations

import re
from typing import Any, Final

from pytest_llmcompat.evidence import MISSING, Document, beginning
from pytest_llmcompat.exchange import Exchange

__all__ = ["error_message", "error_param", "names"]

_EVERYDAY_WORDS: Final = frozenset({"n", "user", "store", "stop", "seed"})
_LONGEST_MESSAGE: Final = 500
# Whatever stands behind that, nobody reads; and it is searched for the name of each parameter.
_MOST_READ: Final = 10_000


def error_message(exchange: Exchange) -> str:
    """The human text of an error answer, from whatever shape it has; the raw body when there is none."""
    document = _body(exchange)
    for pointer in ("/error/message", "/message", "/error", "/detail"):
        value = document.at(pointer)
        if value and (text := _said(value)):
            return text
    return exchange.text[:_LONGEST_MESSAGE]


def error_param(exchange: Exchange) -> str | None:
    """`error.param` when it is a non-empty string."""
    param = _body(exchange).at("/error/param")
    return param if isinstance(param, str) and param else None


def names(exchange: Exchange, parameter: str) -> bool:
    """True when an error answer names a parameter, in `error.param` or as a word of its message.

    Parameters that are everyday words (`user`, `stop`, `n`) count in the message only when quoted.
    """
    param = error_param(exchange)
    if param is not None and re.split(r"[.\[]", param)[0] == parameter:
        return True
    word = rf"(?<![\w-]){re.escape(parameter)}(?![\w-])"
    if parameter in _EVERYDAY_WORDS:
        word = rf"([\"'`]){re.escape(parameter)}\1"
    return re.search(word, error_message(exchange)) is not None


def _body(exchange: Exchange) -> Document:
    return Document(exchange.probe, "body", exchange.json if exchange.is_json else MISSING)


def _said(value: Any) -> str:
    """An error's text; of a list as FastAPI's validation makes it, without the request that it repeats."""
    if isinstance(value, str):
        return value[:_MOST_READ]
    if isinstance(value, list):
        value = [_without_echo(entry) for entry in value]
    try:
        return beginning(value, _MOST_READ)[:_MOST_READ]
    except RecursionError:
        return ""


def _without_echo(entry: Any) -> Any:
    if not isinstance(entry, dict) or "loc" not in entry:
        return entry
    return {name: value for name, value in entry.items() if name not in ("input", "ctx", "url")}
