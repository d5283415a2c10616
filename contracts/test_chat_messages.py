"""Contracts on the messages of a request: every role, turn and part reaches the model."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, came, error_message, settled
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.core import CODE_WORD, NEEDLE
from pytest_llmcompat.tokens import PROMPT, messages_sent, prompt_tokens, reported
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_MESSAGES: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 31819)"
_INVALID: Final = (400, 422)
_OF_PARTS: Final = re.compile(r"\bcontent\b.*\b(?:str|strings?|lists?|arrays?|parts?)\b", re.DOTALL)
# Tokens for each character of English: fewer than any tokenizer makes, and more than it makes of a short turn.
_FEWEST: Final = 0.15
_SURELY: Final = 0.3
# What a chat template may add by itself when no system message comes (Qwen's does), in tokens.
_TEMPLATE: Final = 25
# The long prompt is half digits and short words: real tokenizers make a token of 3 to 4 of its characters.
_CHARACTERS_PER_TOKEN: Final = 3.5


@contract(
    "chat.system-role",
    MUST,
    source=f"{_MESSAGES}: `system` is one of the roles",
    breaks="Almost every application begins with a system message and gets an error.",
    fix="Accept system messages; put them before the first user turn when the template has no such role.",
    catches=("system-role-refused",),
)
def test_system_messages_are_accepted(
    chat_basic: Exchange, chat_turns: Exchange, chat_length: Exchange
) -> None:
    """System messages are accepted and steer the answer."""
    settled(chat_basic)
    if chat_basic.status in _INVALID:
        named = re.search(
            r"\brole\b|[\"'`]system[\"'`]|\bsystem (?:role|message|prompt)", error_message(chat_basic)
        )
        # Both requests with a system message refused, the one without accepted: there is no other reason.
        only_with = chat_turns.status in _INVALID and chat_length.ok
        if named or only_with:
            fail(chat_basic, "status", "a system message accepted", _said(chat_basic))
    if "pong" not in turn(chat_basic).text.casefold():
        inconclusive("the system message was accepted; the model did not do what it says")


@contract(
    "chat.developer-role",
    SHOULD,
    source=f"{_MESSAGES}: `developer` is one of the roles",
    breaks="Newer SDKs and agents send their instructions under this role and get an error.",
    fix="Treat `developer` as `system`.",
    catches=("developer-role-refused",),
    cases=("8monkey-ai/hebo-gateway#251", "sgl-project/sglang#14304", "can1357/oh-my-pi#843"),
)
def test_developer_messages_are_accepted(chat_developer: Exchange, chat_length: Exchange) -> None:
    """Developer messages are accepted and followed."""
    came(chat_developer)
    if chat_developer.status in (*_INVALID, 500):
        named = re.search(r"\brole\b|\bdeveloper\b", error_message(chat_developer))
        if named or chat_length.ok:
            fail(chat_developer, "status", "a developer message accepted", _said(chat_developer))
    answered(chat_developer)
    if "aye" not in turn(chat_developer).text.casefold():
        inconclusive("the developer message was accepted; the model did not do what it says")


@contract(
    "chat.multi-turn",
    MUST,
    source=f"{_MESSAGES}: `messages` is the conversation so far",
    breaks="Chats forget what was said before.",
    fix="Give the whole of `messages` to the model.",
    catches=("history-dropped",),
)
def test_earlier_turns_are_used(chat_turns: Exchange, chat_length: Exchange, chat_basic: Exchange) -> None:
    """Earlier turns of the conversation reach the model."""
    if _recalls(chat_turns):
        return
    counted, alone = _counted(chat_turns, chat_length, chat_basic), _last_alone(chat_turns, chat_length)
    expect(counted > alone, reported(chat_turns), PROMPT, f"more than {alone:.0f}, the last turn alone")
    inconclusive("the model did not recall what the first turn says")


@contract(
    "chat.content-parts",
    MUST,
    source="OpenAI's specification: `content` is a string or an array of parts; the AI SDK and LangChain send parts",
    breaks="Clients that always send parts, also for plain text, get an error.",
    fix="Accept an array of `text` parts for system and user messages.",
    catches=("parts-refused",),
    cases=("ggml-org/llama.cpp#8367", "lemonade-sdk/lemonade#629", "qualcomm/GenieX#683"),
)
def test_parts_are_accepted(chat_turns: Exchange, chat_basic: Exchange) -> None:
    """A list of text parts is accepted as the content of a message."""
    came(chat_turns)
    expected = "a list of text parts accepted"
    if chat_turns.status in (*_INVALID, 500) and _OF_PARTS.search(error_message(chat_turns)):
        fail(chat_turns, "status", expected, _said(chat_turns))
    # The other request has a system message too, with a string in the place of parts.
    if chat_turns.status in _INVALID and chat_basic.ok:
        fail(chat_turns, "status", expected, _said(chat_turns))
    # A server may also fail because the request before this one was broken off, so this is a doubt and no more.
    warn_unless(
        chat_turns.status != 500 or not chat_basic.ok, chat_turns, "status", expected, _said(chat_turns)
    )
    answered(chat_turns)


@contract(
    "chat.content-parts-all",
    SHOULD,
    source="OpenAI's specification: `content` may have several parts",
    breaks="The model never sees the document that stands in the second part, and answers without it.",
    fix="Join all text parts of a message, in order.",
    catches=("first-part-only",),
    cases=("infiniflow/ragflow#15359",),
)
def test_all_parts_are_used(chat_turns: Exchange, chat_length: Exchange, chat_basic: Exchange) -> None:
    """All text parts of a message reach the model."""
    if _recalls(chat_turns):
        return
    counted = _counted(chat_turns, chat_length, chat_basic)
    if counted <= _last_alone(chat_turns, chat_length):
        inconclusive("earlier turns are not used at all (chat.multi-turn judges that)")
    longer = sum(map(len, messages_sent(chat_turns))) - sum(map(len, messages_sent(chat_length)))
    fewest = prompt_tokens(chat_length) + _FEWEST * longer - _TEMPLATE
    expect(counted >= fewest, reported(chat_turns), PROMPT, f"at least {fewest:.0f}, for all parts")
    inconclusive("the model did not recall what the second part says")


@contract(
    "chat.long-input",
    SHOULD,
    source="own rule: a prompt is taken whole or refused",
    breaks="The model answers without the instructions or the documents that were cut off, and nobody is told.",
    fix="Refuse a prompt that does not fit with 400 and context_length_exceeded; never cut it silently.",
    catches=("long-prompt-truncated",),
    cases=("ollama/ollama#6253",),
)
def test_long_prompt_is_taken_whole(chat_long: Exchange) -> None:
    """A prompt of about 2,000 tokens reaches the model whole."""
    if NEEDLE.casefold() in turn(chat_long).text.casefold():
        return
    prompt, taken = "".join(messages_sent(chat_long)), prompt_tokens(chat_long)
    if NEEDLE not in prompt:
        inconclusive("the request is another one")
    whole = len(prompt) / _CHARACTERS_PER_TOKEN
    expect(taken >= 0.6 * whole, reported(chat_long), PROMPT, f"about {whole:.0f}")
    inconclusive("the model did not find what was asked for")


def _recalls(chat_turns: Exchange) -> bool:
    return CODE_WORD.casefold() in turn(chat_turns).text.casefold()


def _counted(chat_turns: Exchange, chat_length: Exchange, chat_basic: Exchange) -> int:
    """The prompt tokens of the conversation; inconclusive when all prompts have the same count."""
    counts = [prompt_tokens(exchange) for exchange in (chat_turns, chat_length, chat_basic)]
    if len(set(counts)) == 1:
        inconclusive("prompt tokens are the same for every prompt (usage.prompt-monotonic judges that)")
    return counts[0]


def _last_alone(chat_turns: Exchange, chat_length: Exchange) -> float:
    """The most tokens that the last turn has by itself, judged by another single turn."""
    last, other = messages_sent(chat_turns)[-1], messages_sent(chat_length)[-1]
    return prompt_tokens(chat_length) + _SURELY * (len(last) - len(other))


def _said(exchange: Exchange) -> str:
    return f"{exchange.status}: {error_message(exchange)}"
