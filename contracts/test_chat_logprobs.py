"""Contracts on log probabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from pytest_llmcompat.answer import came, require_feature, served, stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.tokens import counter, reasoned
from pytest_llmcompat.turn import sent
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn, warn_unless

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 31862)"
# What rounding may add to a logarithm of 1, and the difference that it may make between two figures.
_ROUNDING: Final = 0.001
_LEAST: Final = -1e12
# Half characters and special tokens stand in the list of tokens but not in the text.
_OPAQUE: Final = re.compile(r"\ufffd|bytes:|<\||<\uff5c|</?s>|<eos>|</?think>|<end_of_turn>")


@contract(
    "chat.logprobs-null",
    SHOULD,
    passive="chat",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33507): `logprobs` is null unless asked for",
    breaks="Answers grow to many times their size, and strict clients fail on what they never asked for.",
    fix="Leave `logprobs` out, or send null, unless the request has `logprobs: true`.",
    catches=("logprobs-unasked",),
)
def test_logprobs_come_only_when_asked(chat_basic: Exchange) -> None:
    """Without `logprobs` in the request the choice has none."""
    if sent(chat_basic, "logprobs") not in (MISSING, None, False):
        inconclusive(f"{chat_basic.probe}: log probabilities were asked for")
    expected = "null, or no such key"
    for choice in _choices(chat_basic):
        expect(not _gives(choice), choice, "/logprobs", expected)
        warn_unless(choice.at("/logprobs") in (None, MISSING), choice, "/logprobs", expected)


@contract(
    "chat.logprobs-shape",
    MUST,
    passive="chat",
    source=f"{_SPECIFICATION}; measured with openai-python 3.57: the older shape is lost without a word",
    breaks="Clients that rank answers or measure confidence read an empty list, or raise.",
    fix="Send `logprobs.content`, a list with `token`, `logprob`, `bytes` and `top_logprobs` of each token.",
    catches=("logprobs-legacy",),
    cases=("vllm-project/vllm#3179", "abetlen/llama-cpp-python#1787"),
)
def test_logprobs_have_an_entry_for_each_token(chat_n2: Exchange) -> None:
    """With `logprobs: true` a choice lists token, log probability, bytes and candidates of each token."""
    given = [choice for choice in _asked_choices(chat_n2) if _gives(choice)]
    if not given:
        unsupported("logprobs were asked for and none came")
    for choice in given:
        content = choice.at("/logprobs/content")
        expect(isinstance(content, list), choice, "/logprobs/content", "a list with an entry for each token")
        for entry in choice.items("/logprobs/content"):
            _expect_entry(entry, with_top="top_logprobs" not in chat_n2.refused)


def _gives(choice: Document) -> bool:
    """False for null, and for an object in which nothing is said but null."""
    value = choice.at("/logprobs")
    said = any(part is not None for part in value.values()) if isinstance(value, dict) else True
    return value is not None and value is not MISSING and said


def _expect_entry(entry: Document, *, with_top: bool) -> None:
    expect(isinstance(entry.at("/token"), str), entry, "/token", "a string")
    expect(_is_logprob(entry.at("/logprob")), entry, "/logprob", "a number of at most 0")
    octets = entry.at("/bytes")
    sound = octets in (None, MISSING) or (isinstance(octets, list) and all(map(_is_octet, octets)))
    expect(sound, entry, "/bytes", "null, or a list of numbers from 0 to 255")
    if with_top:
        expect(isinstance(entry.at("/top_logprobs"), list), entry, "/top_logprobs", "a list")


@contract(
    "chat.logprobs-concat",
    SHOULD,
    passive="chat",
    source=f"{_SPECIFICATION}: one entry for each token of the message",
    breaks="Clients that mark words by confidence mark the wrong ones.",
    fix="List the tokens of the text that is returned, special ones left out.",
    catches=("logprobs-other-text",),
)
def test_logprobs_join_to_the_text(chat_n2: Exchange) -> None:
    """The tokens of `logprobs`, or their bytes, join to the text of the choice."""
    compared = [choice for choice in _asked_choices(chat_n2) if _tokens(choice) and _text(choice)]
    if not compared:
        inconclusive("no choice has both a text and a list of its tokens")
    for choice in compared:
        _expect_joins(choice, reasoning=reasoned(chat_n2))


def _expect_joins(choice: Document, *, reasoning: bool) -> None:
    text, tokens = _text(choice), "".join(_tokens(choice))
    joined = {tokens, _from_bytes(choice)}
    if text in joined:
        return
    if reasoning or _OPAQUE.search(tokens) or _OPAQUE.search(text):
        inconclusive("half characters, special tokens or reasoning stand in one of the two only")
    if text.strip() in {each.strip() for each in joined if each is not None}:
        warn(choice, "/message/content", f"the tokens joined, white space at the ends too: «{tokens}»")
    fail(choice, "/message/content", f"the tokens joined: «{tokens}»")


def _from_bytes(choice: Document) -> str | None:
    octets: list[int] = []
    for entry in choice.items("/logprobs/content"):
        part = entry.at("/bytes")
        if not isinstance(part, list) or not all(map(_is_octet, part)):
            return None
        octets += part
    return bytes(octets).decode("utf-8", errors="replace")


@contract(
    "chat.logprobs-top",
    SHOULD,
    passive="chat",
    source="OpenAI's specification: `top_logprobs` from 0 to 20, the number of candidates for each token",
    breaks="Classifiers that read the candidates find more than they asked for, or probabilities above 1.",
    fix="List the `top_logprobs` likeliest tokens, with the natural logarithm of each probability.",
    catches=("logprobs-too-many-top", "logprobs-positive"),
    cases=("vllm-project/vllm#4795",),
)
def test_candidates_are_as_many_as_asked(chat_n2: Exchange) -> None:
    """Each token has at most as many candidates as were asked for, the likeliest first."""
    require_feature(chat_n2, "top_logprobs")
    most = counter(Document(chat_n2.probe, "request", chat_n2.sent), "/top_logprobs")
    entries = [entry for choice in _asked_choices(chat_n2) for entry in choice.items("/logprobs/content")]
    listed = [entry for entry in entries if entry.items("/top_logprobs")]
    if not listed or most is None:
        inconclusive("no token has a candidate")
    for entry in listed:
        count = len(entry.items("/top_logprobs"))
        expect(count <= most, entry, "/top_logprobs", f"at most {most} candidates", f"{count} candidates")
        for candidate in entry.items("/top_logprobs"):
            expect(_is_logprob(candidate.at("/logprob")), candidate, "/logprob", "a number of at most 0")
    for entry in listed:
        _doubt_order(entry)


def _doubt_order(entry: Document) -> None:
    candidates = entry.items("/top_logprobs")
    values = [candidate.at("/logprob") for candidate in candidates]
    falling = all(first >= second - _ROUNDING for first, second in pairwise(values))
    warn_unless(falling, entry, "/top_logprobs", "the likeliest candidate first")
    chosen, likelihood = entry.at("/token"), entry.at("/logprob")
    same = [c.at("/logprob") for c in candidates if c.at("/token") == chosen]
    if same and _is_logprob(likelihood):
        agrees = any(abs(value - likelihood) <= 0.01 + _ROUNDING * abs(value) for value in same)
        warn_unless(agrees, entry, "/logprob", f"that of the same token among the candidates, {same[0]}")


@contract(
    "chat.logprobs-without-top",
    SHOULD,
    source="OpenAI's own answer as vllm-project/vllm#4795 shows it: an empty `top_logprobs`",
    breaks="Clients that want the chosen tokens only get an error.",
    fix="Take a missing `top_logprobs` for 0.",
    catches=("logprobs-need-top", "streams-500"),
    cases=("vllm-project/vllm#4795",),
)
def test_logprobs_work_alone(chat_n2: Exchange, stream_n2: Exchange) -> None:
    """`logprobs: true` works without `top_logprobs`."""
    if not any(_tokens(choice) for choice in _asked_choices(chat_n2)):
        unsupported("no log probabilities come with `top_logprobs` either")
    expected = "`logprobs` accepted without `top_logprobs`, as it is with it"
    refusal = stream_n2.refused.get("logprobs")
    if refusal is not None:
        fail(stream_n2, "status", expected, f"{refusal.status}: {refusal.message}")
    came(stream_n2)
    if stream_n2.status == 500:
        # Streaming two choices may be what fails, so this is a doubt and no more.
        warn(stream_n2, "status", expected)
    stream(stream_n2, "n")


def _asked_choices(chat_n2: Exchange) -> list[Document]:
    require_feature(chat_n2, "logprobs")
    if sent(chat_n2, "logprobs") is not True:
        inconclusive(f"{chat_n2.probe}: log probabilities were not asked for")
    return _choices(chat_n2, "logprobs")


def _choices(exchange: Exchange, *features: str) -> list[Document]:
    choices = served(exchange, *features).items("/choices")
    if not choices:
        inconclusive(f"{exchange.probe}: the answer holds no choice (chat.choices-array judges that)")
    return choices


def _tokens(choice: Document) -> list[str]:
    return list(_strings(choice))


def _strings(choice: Document) -> Iterator[str]:
    for entry in choice.items("/logprobs/content"):
        token = entry.at("/token")
        if isinstance(token, str):
            yield token


def _text(choice: Document) -> str:
    content = choice.at("/message/content")
    return content if isinstance(content, str) else ""


def _is_logprob(value: Any) -> bool:
    """True for the logarithm of a probability: finite, no positive number, no boolean."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and _LEAST < value <= _ROUNDING


def _is_octet(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
