"""Contracts on the deltas of a stream: role, text, and what they join to."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from pytest_llmcompat.answer import Stream, judge_each, stream
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_REPLACEMENT: Final = "\ufffd"
# More would take a hostile text's time, and are the work of a model that writes garbage.
_MOST_PIECES: Final = 7
# By these names servers send reasoning beside the content.
_REASONING: Final = ("/delta/reasoning_content", "/delta/reasoning")


def _until_finish(answer: Stream, index: int) -> list[Document]:
    """The choices of an index up to its finish reason, that one included."""
    choices = answer.choices(index)
    ends = (n for n, choice in enumerate(choices, 1) if choice.at("/finish_reason"))
    return choices[: next(ends, len(choices))]


def _contents(answer: Stream) -> list[str]:
    """The content deltas with text of choice 0; inconclusive when some are no text."""
    for choice in answer.choices(0):
        content = choice.at("/delta/content")
        if not (content is None or content is MISSING or isinstance(content, str)):
            inconclusive("some delta.content is no text (chat.stream.delta-content-string judges that)")
    found = (choice.at("/delta/content") for choice in answer.choices(0))
    return [content for content in found if isinstance(content, str) and content]


@contract(
    "chat.stream.first-role",
    MUST,
    passive="chat-stream",
    source="openai-node ChatCompletionStream.ts:2174-2177 throws «missing role»",
    breaks="openai-node's stream helper throws at the end of the answer.",
    fix='Send `"role": "assistant"` in the first delta of each choice.',
    catches=("delta-role-missing", "delta-role-late"),
    cases=("maximhq/bifrost#6523", "langwatch/langwatch#6196"),
)
def test_first_delta_bears_the_role(
    stream_basic: Exchange, stream_n2: Exchange, tool_stream: Exchange
) -> None:
    """The first delta of each choice bears the role."""
    judge_each(_expect_role, stream_basic, stream_n2, tool_stream)


def _expect_role(exchange: Exchange) -> None:
    answer = stream(exchange)
    if not answer.indexes:
        inconclusive(f"{exchange.probe}: no choice has an index (chat.stream.choice-shape judges that)")
    for index in answer.indexes:
        choices = answer.choices(index)
        roles = [bool(choice.at("/delta/role")) for choice in choices]
        expect(any(roles), choices[0], "/delta/role", '"assistant" in some delta')
        warn_unless(roles[0], choices[0], "/delta/role", '"assistant" in the first delta')


@contract(
    "chat.stream.role-once",
    MUST,
    passive="chat-stream",
    source="openai-python 3.57 lib/streaming/_deltas.py:33 joins texts, so roles become `assistantassistant`",
    breaks="openai-python's `.stream()` ends with a role that no API takes back; LangChain refuses the message.",
    fix="Send the role in the first delta of a choice only.",
    catches=("delta-role-repeated", "stream-n-all-zero"),
    cases=("BerriAI/litellm#9986", "ollama/ollama#17166"),
)
def test_role_comes_once(stream_basic: Exchange, tool_stream: Exchange) -> None:
    """Later deltas do not repeat the role."""
    judge_each(_expect_role_once, stream_basic, tool_stream)


def _expect_role_once(exchange: Exchange) -> None:
    answer = stream(exchange)
    for index in answer.indexes:
        with_role = [choice for choice in _until_finish(answer, index) if choice.at("/delta/role")]
        for again in with_role[1:]:
            fail(again, "/delta/role", f"no role after that of {with_role[0].where}")


@contract(
    "chat.stream.role-valid",
    SHOULD,
    passive="chat-stream",
    source='AI SDK openai-compatible-chat-language-model.ts:816: "assistant", "" or null',
    breaks="The AI SDK refuses the chunk; typed clients have no such role.",
    fix='Send `"assistant"` as role, or leave the key out.',
    catches="delta-role-model",
    cases="lemonade-sdk/lemonade#3440",
)
def test_role_is_assistant(stream_basic: Exchange) -> None:
    """A role in a delta is `assistant`."""
    answer = stream(stream_basic)
    given = [choice for choice in answer.choices(None) if choice.has("/delta/role")]
    if not given:
        inconclusive("no delta bears a role (chat.stream.first-role judges that)")
    for choice in given:
        expect(choice.at("/delta/role") in ("assistant", "", None), choice, "/delta/role", '"assistant"')


@contract(
    "chat.stream.delta-content-string",
    MUST,
    passive="chat-stream",
    source="AI SDK openai-compatible-chat-language-model.ts:817: a text, null or absent",
    breaks="Clients that join texts end in a type error or show `[object Object]`.",
    fix="Send `delta.content` as a text; other kinds of content go under other names.",
    catches="delta-content-parts",
    cases="vercel/ai#15890",
)
def test_delta_content_is_text(stream_basic: Exchange) -> None:
    """The content of a delta is a text, null or absent."""
    answer = stream(stream_basic)
    for choice in answer.choices(None):
        content: Any = choice.at("/delta/content")
        holds = content is None or content is MISSING or isinstance(content, str)
        expect(holds, choice, "/delta/content", "a text or null")


@contract(
    "chat.stream.deltas-incremental",
    MUST,
    passive="chat-stream",
    source="measured with openai-python 3.57: contents are joined as they come",
    breaks="Every client shows the answer many times over, each time a bit longer.",
    fix="Send in each delta what is new, not the text so far.",
    catches="deltas-cumulative",
    cases="lidge-jun/opencodex#361",
)
def test_deltas_are_increments(stream_basic: Exchange, stream_plain: Exchange) -> None:
    """Each delta holds what is new, not the text so far."""
    judge_each(_expect_increments, stream_basic, stream_plain)


def _expect_increments(exchange: Exchange) -> None:
    contents = _contents(stream(exchange))
    if len(contents) < 3:
        inconclusive(f"{exchange.probe}: fewer than three deltas with text came")
    cumulative = all(len(b) > len(a) and b.startswith(a) for a, b in pairwise(contents))
    expect(not cumulative, exchange, "deltas with text", "increments", contents[:4])


@contract(
    "chat.stream.concat-nonempty",
    MUST,
    source="openai-python, openai-node and the AI SDK make the answer of content deltas alone",
    breaks="The user sees an empty answer and pays for it.",
    fix="Send the text of the answer in `delta.content`.",
    catches="stream-content-empty",
    cases="lmstudio-ai/lmstudio-bug-tracker#378",
)
def test_deltas_join_to_an_answer(stream_basic: Exchange, chat_basic: Exchange) -> None:
    """When tokens are counted, the joined deltas are not empty."""
    answer = stream(stream_basic)
    if _contents(answer):
        return
    streamed = turn(stream_basic)
    if streamed.calls or streamed.refusal or streamed.cut or _reasons(answer):
        inconclusive("the model called a tool, refused, was cut, or spent its answer on reasoning")
    counted = answer.usage.at("/usage/completion_tokens") if answer.usage else 0
    if not (isinstance(counted, int) and counted > 0) or not turn(chat_basic).text:
        inconclusive("nothing shows that the model wrote a text")
    fail(stream_basic, "deltas", f"text: {counted} completion tokens are counted", "no text in any delta")


def _reasons(answer: Stream) -> bool:
    return any(choice.at(pointer) for choice in answer.choices(0) for pointer in _REASONING)


@contract(
    "chat.stream.utf8-split",
    MUST,
    source="RFC 8259 section 8.2: half a surrogate pair is no character; U+FFFD stands for bytes that were lost",
    breaks="Emoji and rarer scripts arrive as garbage that no client can mend.",
    fix="Hold back the bytes of a character until the tokens that complete it have come.",
    catches="stream-emoji-split",
    cases=("Luce-Org/lucebox#641", "paiml/aprender#2019", "ggml-org/llama.cpp#28926"),
)
def test_characters_stay_whole(stream_basic: Exchange, chat_basic: Exchange) -> None:
    """No delta holds half a character."""
    answer = stream(stream_basic)
    text = "".join(_contents(answer))
    _require_utf8(stream_basic)
    for choice in answer.choices(0):
        content = choice.at("/delta/content")
        if isinstance(content, str):
            halves = any("\ud800" <= character <= "\udfff" for character in content)
            expect(not halves, choice, "/delta/content", "whole characters, no half surrogate pair")
    if _REPLACEMENT in text:
        plain = turn(chat_basic).text
        if not _damaged(text, plain):
            inconclusive("the model itself may have written U+FFFD: its plain answer is another text")
        broken = next(c for c in answer.choices(0) if _REPLACEMENT in str(c.at("/delta/content")))
        fail(broken, "/delta/content", "whole characters, as in the answer that is not streamed")
    if not any(character > "\u00ff" for character in text):
        inconclusive("the model wrote no character of several bytes")


def _require_utf8(exchange: Exchange) -> None:
    try:
        exchange.body.decode("utf-8")
    except UnicodeDecodeError:
        inconclusive(f"{exchange.probe}: the bytes are no UTF-8 (transport.utf8 judges that)")


def _damaged(text: str, whole: str) -> bool:
    """True for a text that is another but for few runs of U+FFFD, each in the place of a few characters."""
    pieces = re.split(f"{_REPLACEMENT}+", text)
    pattern = f"[^{_REPLACEMENT}]{{1,4}}".join(map(re.escape, pieces))
    return len(pieces) <= _MOST_PIECES and re.fullmatch(pattern, whole) is not None


@contract(
    "chat.stream.text-equals-nonstream",
    MAY,
    source="own rule: `stream` changes how an answer is sent, not what it says",
    breaks="Programs that switch streaming on get another behaviour.",
    fix="Run one and the same generation, streamed or not.",
    catches=("stream-empty-answer", "stream-content-empty"),
    cases="vllm-project/vllm#53255",
)
def test_streamed_text_is_the_plain_one(stream_basic: Exchange, chat_basic: Exchange) -> None:
    """The same request gives the same kind of answer, streamed or not."""
    answer, plain = stream(stream_basic), turn(chat_basic)
    text = "".join(_contents(answer))
    kinds = (bool(text), bool(turn(stream_basic).calls))
    cut = not text and turn(stream_basic).cut
    if not (plain.text or plain.calls) or cut or _reasons(answer):
        inconclusive("the plain answer has no text, or the model reasons")
    expected = f"{'text' if plain.text else 'no text'}, {'calls' if plain.calls else 'no calls'}, as plain"
    expect(kinds == (bool(plain.text), bool(plain.calls)), stream_basic, "deltas", expected, text)
    if text != plain.text:
        inconclusive("the texts differ, as those of models may even at temperature 0")
