"""Token counts: what a request allowed, what its answer reports, and what texts can amount to."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import served, stream
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import inconclusive

__all__ = [
    "COMPLETION",
    "PROMPT",
    "SLACK",
    "cap_of",
    "completion_tokens",
    "counter",
    "messages_sent",
    "outgrew",
    "prompt_tokens",
    "reasoned",
    "reasoning_tokens",
    "reported",
]

PROMPT: Final = "/usage/prompt_tokens"
COMPLETION: Final = "/usage/completion_tokens"
# Servers differ by a token or two in whether they count the token that ends an answer.
SLACK: Final = 2
# Number.MAX_SAFE_INTEGER of ECMAScript.
_LARGEST: Final = 2**53 - 1
_CAPS: Final = ("max_tokens", "max_completion_tokens")
_REASONING_TEXTS: Final = (
    "/message/reasoning_content",
    "/message/reasoning",
    "/delta/reasoning_content",
    "/delta/reasoning",
)
_REASONING_TOKENS: Final = "/usage/completion_tokens_details/reasoning_tokens"


def counter(document: Document, pointer: str) -> int | None:
    """The integer at a pointer, None for anything else: a boolean, or a number that JavaScript cannot hold."""
    value = document.at(pointer)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and abs(value) <= _LARGEST else None


def reported(exchange: Exchange) -> Document:
    """The completion, or the last chunk, that bears `usage`; inconclusive when there is none."""
    document = _usage(exchange)
    if document is None or not isinstance(document.at("/usage"), dict):
        inconclusive(
            f"{exchange.probe}: no usage came (usage.present and chat.stream.usage-chunk judge that)"
        )
    return document


def prompt_tokens(exchange: Exchange) -> int:
    """The prompt tokens reported, at least 1; inconclusive otherwise."""
    count = counter(reported(exchange), PROMPT)
    if count is None or count < 1:
        inconclusive(f"{exchange.probe}: no prompt tokens are counted (usage.nonzero judges that)")
    return count


def completion_tokens(exchange: Exchange) -> int:
    """The completion tokens reported, at least 1; inconclusive otherwise."""
    count = counter(reported(exchange), COMPLETION)
    if count is None or count < 1:
        inconclusive(f"{exchange.probe}: no completion tokens are counted (usage.nonzero judges that)")
    return count


def cap_of(exchange: Exchange) -> int | None:
    """The cap on tokens that was sent under either of its names; None when it went out without one."""
    sent = Document(exchange.probe, "request", exchange.sent)
    return next((cap for name in _CAPS if (cap := counter(sent, f"/{name}")) is not None), None)


def outgrew(text: str, cap: int) -> bool:
    """True for a text that cannot be made of `cap` tokens: too many separate numbers, or far too many words.

    No tokenizer joins two numbers that something stands between. Some join a few words to one token.
    """
    numbers, words = re.findall(r"\d+", text), re.findall(r"\w+", text)
    return len(numbers) > cap + SLACK or len(words) > 4 * (cap + SLACK)


def messages_sent(exchange: Exchange) -> list[str]:
    """The texts of the messages of a request; those of several parts joined."""
    sent = Document(exchange.probe, "request", exchange.sent)
    return [_text(message) for message in sent.items("/messages")]


def reasoning_tokens(exchange: Exchange) -> int | None:
    """The tokens that the answer says were spent on reasoning; None when it says nothing of them."""
    usage = _usage(exchange)
    return None if usage is None else counter(usage, _REASONING_TOKENS)


def reasoned(exchange: Exchange) -> bool:
    """True when the answer speaks of reasoning: a text of it, or tokens spent on it."""
    told = any(part.at(pointer) for part in turn(exchange).parts for pointer in _REASONING_TEXTS)
    return told or (reasoning_tokens(exchange) or 0) > 0


def _usage(exchange: Exchange) -> Document | None:
    sent = exchange.sent
    streamed = isinstance(sent, dict) and sent.get("stream") is True
    return stream(exchange).usage if streamed else served(exchange)


def _text(message: Document) -> str:
    content = message.at("/content")
    if isinstance(content, str):
        return content
    texts = (part.at("/text") for part in message.items("/content"))
    return "".join(text for text in texts if isinstance(text, str))
