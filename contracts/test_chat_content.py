"""Contracts on the text of a chat completion: that it is a text, whole, and nothing but the answer."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from pytest_llmcompat.answer import judge_each, served
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import ECHO_TEXT
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, fail, inconclusive

_MESSAGE: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 31629)"
# An answer that has one of these need not have a text.
_INSTEAD_OF_TEXT: Final = (
    "/message/tool_calls",
    "/message/function_call",
    "/message/refusal",
    "/message/audio",
    "/message/reasoning",
    "/message/reasoning_content",
)
_LEAKED: Final = re.compile(
    r"</?think(?:ing)?>|</?thought>|\[/?THINK\]|\[/?INST\]|</s>|<eos>|<(?:start|end)_of_turn>"
    r"|<\|[A-Za-z][\w ]{1,30}\|>|<\uff5c[^<>\n]{2,40}\uff5c>"
)
_LEAKED_CALL: Final = re.compile(
    r"</?tool_calls?>|<function[=_ ]|<\|python_tag\|>|\[TOOL_CALLS\]|<invoke\b|<\uff5ctool"
    r"|\"name\"\s*:\s*\"[\w.]*get_(?:weather|time)\""
)
_LOST: Final = "\ufffd"
# The text of the probe in which any of the characters beyond ASCII is lost, but nothing else is changed.
_DAMAGED: Final = re.compile(
    rf"pong\s+(?:🏓|[{_LOST}?]+)\s+(?:日|[{_LOST}?]+)(?:本|[{_LOST}?]+)?\s+(?:é|e\u0301?[{_LOST}?]*)"
)


@contract(
    "chat.content-string",
    MUST,
    passive="chat",
    source=f"{_MESSAGE}; @ai-sdk/openai-compatible at ed857f5, line 777",
    breaks="Clients print the list itself, or raise when they treat it as a text.",
    fix="Join the text parts to one string; put reasoning into a field of its own.",
    catches=("content-parts", "tool-content-parts"),
    cases=("vercel/ai#17779",),
)
def test_content_is_a_string(chat_basic: Exchange, tool_required: Exchange) -> None:
    """`message.content` is a string, or null where something else answers."""
    judge_each(_expect_string, chat_basic, tool_required)


def _expect_string(exchange: Exchange) -> None:
    choice = _choice(exchange)
    content = choice.at("/message/content")
    if content is None or content is MISSING:
        cut = choice.at("/finish_reason") in ("length", "content_filter")
        expect(
            cut or any(choice.at(pointer) for pointer in _INSTEAD_OF_TEXT),
            choice,
            "/message/content",
            "a string (only a call, a refusal, audio or a cut answer goes without)",
        )
        return
    expect(isinstance(content, str), choice, "/message/content", "a string")


@contract(
    "chat.content-key-present",
    SHOULD,
    passive="chat",
    source=f"{_MESSAGE}: `content` is required, null allowed",
    breaks="Typed clients fail to decode the message; JavaScript prints «undefined».",
    fix='Send `"content": null` beside tool calls.',
    catches=("tool-content-omitted",),
)
def test_content_key_is_there(chat_basic: Exchange, tool_required: Exchange) -> None:
    """The message has the key `content`, be it null."""
    judge_each(_expect_key, chat_basic, tool_required)


def _expect_key(exchange: Exchange) -> None:
    choice = _choice(exchange)
    expect(choice.has("/message/content"), choice, "/message/content", "a string or null")


@contract(
    "chat.unicode",
    MUST,
    source="RFC 8259 section 8: any Unicode text can stand in JSON",
    breaks="Users see replacement characters in place of emoji and of languages beyond ASCII.",
    fix="Decode tokens by bytes, hold back incomplete characters, and write UTF-8.",
    catches=("unicode-replaced",),
    cases=("mlc-ai/mlc-llm#1142",),
)
def test_unicode_survives(chat_basic: Exchange) -> None:
    """Emoji, CJK and combining marks survive the way there and back."""
    answer = turn(chat_basic)
    _require_utf8(chat_basic)
    text = unicodedata.normalize("NFC", answer.text)
    if unicodedata.normalize("NFC", ECHO_TEXT) in text:
        return
    kept = _DAMAGED.search(text)
    damaged = kept is not None and re.search(f"[{_LOST}?]", kept[0]) is not None
    lone = any("\ud800" <= character <= "\udfff" for character in text)
    garbled = [wrong for wrong in _mojibake() if wrong in answer.text]
    expect(not (damaged or lone or garbled), *answer.text_at, f"«{ECHO_TEXT}»")
    inconclusive("the model did not repeat the text")


def _require_utf8(exchange: Exchange) -> None:
    try:
        exchange.body.decode("utf-8")
    except UnicodeDecodeError:
        inconclusive(f"{exchange.probe}: the body is not UTF-8 (transport.utf8 judges that)")


def _mojibake() -> list[str]:
    """What the emoji and the CJK become when their UTF-8 is read as Latin-1 or as Windows-1252."""
    words = [word.encode() for word in ECHO_TEXT.split()[1:3]]
    return [word.decode(charset, errors="replace") for word in words for charset in ("latin-1", "cp1252")]


@contract(
    "chat.no-think-leak",
    SHOULD,
    source="measured with openai-python 3.57: `.parse()` raises on JSON behind a <think> block",
    breaks="Users read the model's private notes or its control tokens; JSON in the text no longer parses.",
    fix="Move reasoning into a field of its own and cut special tokens off before the answer is sent.",
    catches=("think-in-content", "stream-think-in-content", "end-token-in-content"),
    cases=("vllm-project/vllm#13375", "ModelTC/LightLLM#130"),
)
def test_text_is_free_of_markup(chat_basic: Exchange, stream_basic: Exchange) -> None:
    """The text of an answer holds no thinking markup and no special tokens."""
    judge_each(_expect_no_markup, chat_basic, stream_basic)


def _expect_no_markup(exchange: Exchange) -> None:
    answer = turn(exchange)
    if not answer.text:
        inconclusive(f"{exchange.probe}: the answer has no text")
    leaked = _LEAKED.search(answer.text)
    expect(leaked is None, *answer.text_at, "text without such markup", answer.text)


@contract(
    "chat.tool-text-leak",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 31004): calls stand in `tool_calls`",
    breaks="Agents see a text and no call: the tool never runs, and the user reads raw markup.",
    fix="Parse the model's call format into `tool_calls`, also when its markup is slightly off.",
    catches=("tool-call-as-text",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#2115", "vllm-project/vllm#17161"),
)
def test_tool_calls_are_not_left_in_the_text(tool_required: Exchange) -> None:
    """A tool call stands in `tool_calls` and is not left as markup in the text."""
    answer = turn(tool_required, "tools", "tool_choice")
    if answer.calls:
        return
    if _LEAKED_CALL.search(answer.text):
        fail(*answer.text_at, "`tool_calls` in place of markup")
    inconclusive("no tool call came, as a call or as text (tools.required-calls judges that)")


def _choice(exchange: Exchange) -> Document:
    """The first choice of an answer; inconclusive when it has no message."""
    served(exchange)
    return turn(exchange, "tools", "tool_choice").parts[0]
