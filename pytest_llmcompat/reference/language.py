"""The language model: a few rules that read a conversation and answer it, always the same way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.hints import words
from pytest_llmcompat.reference.request import Message

__all__ = ["LEGAL_WRONG_ANSWERS", "reply"]

LEGAL_WRONG_ANSWERS = defect(
    "legal-wrong-answers",
    "The model does not do what it is told: no echo, no emoji, one call of two.",
    row="G-11",
    legal=True,
)

_SENTENCES: Final = (
    "I am the small model of a reference server, and to this I always give the same answer.",
    "This is the other fixed answer of a small model; a different prompt may meet one of its rules.",
)
_STUBBORN: Final = "I would rather talk about the weather."
_ONLY_WITH: Final = re.compile(
    r"\b(?:answer|reply|respond)\b[^:.\n]*\bwith\b[^:.\n]*:\s*(\S.*)", re.IGNORECASE
)
_REPEAT_ALWAYS: Final = re.compile(r"\b(?:repeat|echo)\b[^.\n]*\b(?:text|message|input|user)", re.IGNORECASE)
_REPEAT_THIS: Final = re.compile(
    r"^\s*(?:please\s+)?(?:repeat|echo)\b[^:\n]*:\s*(\S.*)", re.IGNORECASE | re.DOTALL
)
_COUNT: Final = re.compile(
    r"\bcount\b(?:\s+\w+)?\s+(?:from\s+(-?\d{1,6})\s+)?(?:down\s+)?to\s+(-?\d{1,6})", re.IGNORECASE
)
_SEPARATOR: Final = re.compile(
    r"\bseparated by (?:single |one )?(\w+?)s?\b|\bone per (line)\b", re.IGNORECASE
)
_SEPARATORS: Final = {
    "space": " ",
    "line": "\n",
    "newline": "\n",
    "hyphen": "-",
    "dash": "-",
    "semicolon": "; ",
}
_COLOUR: Final = re.compile(r"\bcolou?rs?\b", re.IGNORECASE)
_MOST_NUMBERS: Final = 2000
_FACT: Final = re.compile(r"^(.*\S)\s+(?:is|are)\s+(\S.*?)[.!]?$", re.IGNORECASE)
_CODE: Final = re.compile(r"\b[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+\b")
_SAY: Final = re.compile(
    r"^\s*(?:please\s+)?say\s+(?:only\s+|just\s+|exactly\s+)?(.+?)[.!]?\s*$", re.IGNORECASE
)
_CAPITALS: Final = re.compile(r"\bin (?:capitals|capital letters|upper ?case)\b", re.IGNORECASE)
_VAGUE: Final = frozenset({"something", "anything", "more", "something else"})
_GREETING: Final = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|day|evening))\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Conversation:
    messages: Sequence[Message]

    @property
    def instructions(self) -> str:
        return "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))

    @property
    def last(self) -> str:
        """The text of the last user message."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def results(self) -> list[tuple[str, str]]:
        """(function, result) of the tool messages at the end."""
        names = {call["id"]: call["function"]["name"] for m in self.messages for call in m.calls}
        found: list[tuple[str, str]] = []
        for message in reversed(self.messages):
            if message.role != "tool":
                break
            found.insert(0, (names.get(message.call_id or "", "the tool"), message.text))
        return found


def reply(messages: Sequence[Message], index: int, defects: Defects) -> str:
    """The answer to a conversation. `index` of the choice varies only the sentence of last resort."""
    if LEGAL_WRONG_ANSWERS in defects:
        return _STUBBORN
    conversation = _Conversation(messages)
    found = (answer for rule in _RULES if (answer := rule(conversation)) is not None)
    answer = next(found, _SENTENCES[index % len(_SENTENCES)])
    return answer.upper() if _CAPITALS.search(conversation.instructions) else answer


def _from_results(conversation: _Conversation) -> str | None:
    told = [f"{name} says {_described(result)}" for name, result in conversation.results]
    return f"According to the tools: {'; '.join(told)}." if told else None


def _described(result: str) -> str:
    try:
        value: Any = json.loads(result)
    except ValueError:
        return result
    if isinstance(value, dict):
        return ", ".join(f"{name} {_described(json.dumps(part))}" for name, part in value.items())
    return str(value)


def _only_with(conversation: _Conversation) -> str | None:
    for text in (conversation.instructions, conversation.last):
        if found := _ONLY_WITH.search(text):
            return found[1].strip().rstrip(".").strip("\"'«»“”")
    return None


def _repeated(conversation: _Conversation) -> str | None:
    if _REPEAT_ALWAYS.search(conversation.instructions):
        return conversation.last
    found = _REPEAT_THIS.search(conversation.last)
    return found[1].strip() if found else None


def _counted(conversation: _Conversation) -> str | None:
    found = _COUNT.search(conversation.last)
    if not found:
        return None
    first, last = int(found[1] or 1), int(found[2])
    step = 1 if first <= last else -1
    numbers = list(range(first, last + step, step))[:_MOST_NUMBERS]
    asked = _SEPARATOR.search(conversation.last)
    separator = _SEPARATORS.get((asked[1] or asked[2]).lower(), ", ") if asked else ", "
    return separator.join(map(str, numbers))


def _seen(conversation: _Conversation) -> str | None:
    images = next((m.images for m in reversed(conversation.messages) if m.role == "user"), ())
    return images[-1].capitalize() if images and _COLOUR.search(conversation.last) else None


def _recalled(conversation: _Conversation) -> str | None:
    """The value of the fact («X is Y») that shares most words with the question, if one shares any."""
    question = next((s for s in _sentences(conversation.last) if s.endswith("?")), None)
    if question is None:
        return None
    said = [s for m in conversation.messages if m.role != "assistant" for s in _sentences(m.text)]
    facts = [found for s in said if not s.endswith("?") and (found := _FACT.match(s))]
    asked = words(question)
    best = max(facts, key=lambda fact: len(asked & words(fact[1])), default=None)
    if best is None or not asked & words(best[1]):
        return None
    value = found[0] if (found := _CODE.search(best[2])) else best[2]
    return value if re.search(r"\bonly\b", conversation.last, re.IGNORECASE) else f"It is {value}."


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"\n|(?<=[.!?])\s+", text) if s.strip()]


def _said(conversation: _Conversation) -> str | None:
    found = _SAY.match(conversation.last)
    return found[1] if found and found[1].lower() not in _VAGUE else None


def _greeted(conversation: _Conversation) -> str | None:
    return "Hello! How can I help you today?" if _GREETING.match(conversation.last) else None


_RULES: Final[tuple[Callable[[_Conversation], str | None], ...]] = (
    _from_results,
    _only_with,
    _seen,
    _repeated,
    _counted,
    _recalled,
    _said,
    _greeted,
)
