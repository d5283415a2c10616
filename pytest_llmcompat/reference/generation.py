"""Generating: what the model writes for each choice, cut by `stop` and the cap, before it takes a shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from pytest_llmcompat.reference.calling import plan
from pytest_llmcompat.reference.defect import defect
from pytest_llmcompat.reference.finish import Ending
from pytest_llmcompat.reference.language import reply
from pytest_llmcompat.reference.reasoning import placed, thought
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.response_format import compose
from pytest_llmcompat.reference.state import Identifiers
from pytest_llmcompat.reference.tokens import count, tokenize

__all__ = ["Call", "Generation", "generate"]

N_IGNORED = defect("n-ignored", "Plain answers have one choice, whatever n.", row="D-C05")
MAX_TOKENS_IGNORED = defect("max-tokens-ignored", "Plain answers ignore max_tokens.", row="D-C11")
MCT_IGNORED = defect(
    "max-completion-tokens-ignored", "Plain answers ignore max_completion_tokens.", row="D-C12"
)
LENGTH_BELOW_CAP = defect(
    "length-below-cap", "Capped answers of one choice stop at half the cap.", row="D-U03"
)
STOP_IGNORED = defect("stop-ignored", "Plain answers ignore stop.", row="D-C15")
STOP_INCLUDED = defect("stop-included", "Plain answers keep the stop string at their end.", row="D-C15")
THINK = defect("think-in-content", "Plain text starts with <think>…</think>.", row="D-C24")
STREAM_THINK = defect("stream-think-in-content", "Streamed text starts with <think>…</think>.", row="D-C24")
END_TOKEN = defect("end-token-in-content", "Plain text ends with <|im_end|>.", row="D-C24")
UNICODE_REPLACED = defect("unicode-replaced", "Plain answers hold U+FFFD in place of emoji.", row="D-S14")
STREAM_EMPTY = defect("stream-empty-answer", "Streamed answers are empty.", row="D-S19")
CALL_AS_TEXT = defect("tool-call-as-text", "A plain tool call is left as text in the content.", row="D-F07")
ID_EMPTY = defect("tool-id-empty", "Plain tool calls have an empty id.", row="D-F05")
ID_REPEATED = defect("tool-id-repeated", "All tool calls have the same id.", row="D-F05")

_THOUGHT: Final = "<think>What is wanted here?</think>"
_ASTRAL: Final = dict.fromkeys(range(0x1F000, 0x20000), "\ufffd")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function. fragments: the tokens of its arguments."""

    id: str
    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """The arguments, as JSON (half of it when the cap cut them)."""
        return "".join(self.fragments)


@dataclass(frozen=True, slots=True)
class Generation:
    """One choice: text or calls, why it ended, the tokens it took, and those of them spent on reasoning."""

    index: int
    tokens: tuple[str, ...]
    calls: tuple[Call, ...]
    ending: Ending
    spent: int
    reasoning: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text."""
        return "".join(self.tokens)


def generate(request: ChatRequest, identifiers: Identifiers, room: int) -> tuple[Generation, ...]:
    """What the model writes. room: tokens that the context still holds, for each choice."""
    n = 1 if N_IGNORED in request.defects and not request.stream else request.n
    cap = min(room, _cap(request) or room)
    return tuple(_choice(request, identifiers, index, cap) for index in range(n))


def _cap(request: ChatRequest) -> int | None:
    if request.max_completion_tokens is not None:
        ignored = MCT_IGNORED in request.defects and not request.stream
        return None if ignored else request.max_completion_tokens
    return None if MAX_TOKENS_IGNORED in request.defects and not request.stream else request.max_tokens


def _choice(request: ChatRequest, identifiers: Identifiers, index: int, cap: int) -> Generation:
    thoughts = thought(request, cap)
    if not thoughts:
        return _answering(request, identifiers, index, cap)
    if len(thoughts) == cap:
        return Generation(index, (), (), Ending.CAPPED, cap, thoughts)
    return placed(_answering(request, identifiers, index, cap - len(thoughts)), thoughts, request.defects)


def _answering(request: ChatRequest, identifiers: Identifiers, index: int, cap: int) -> Generation:
    planned = plan(request)
    if planned and not (CALL_AS_TEXT in request.defects and not request.stream):
        return _calling(request, identifiers, index, planned, cap)
    text = "".join(_as_text(*call) for call in planned) or _write(request, index)
    tokens, ending = _cut(text, request, cap)
    return Generation(index, tokens, (), ending, len(tokens))


def _as_text(name: str, arguments: str) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': json.loads(arguments)})}</tool_call>"


def _write(request: ChatRequest, index: int) -> str:
    defects = request.defects
    if request.stream and STREAM_EMPTY in defects:
        return ""
    text = compose(request, reply(request.messages, index, defects))
    if request.format.kind != "text":
        return text
    if (STREAM_THINK if request.stream else THINK) in defects:
        text = _THOUGHT + text
    if request.stream:
        return text
    if END_TOKEN in defects:
        text += "<|im_end|>"
    return text.translate(_ASTRAL) if UNICODE_REPLACED in defects else text


def _cut(text: str, request: ChatRequest, cap: int) -> tuple[tuple[str, ...], Ending]:
    """The tokens of the text up to the first stop string or the cap, and what ended them."""
    whole, defects = tokenize(text), request.defects
    if len(whole) > cap and request.n == 1 and LENGTH_BELOW_CAP in defects:
        cap //= 2
    written = "".join(whole[:cap])
    stops = [(place, word) for word in request.stop if word and (place := written.find(word)) >= 0]
    if stops and not (STOP_IGNORED in defects and not request.stream):
        place, word = min(stops)
        kept = (
            written[: place + len(word)]
            if STOP_INCLUDED in defects and not request.stream
            else written[:place]
        )
        return tokenize(kept), Ending.STOPPED
    return whole[:cap], Ending.CAPPED if len(whole) > cap else Ending.NATURAL


def _calling(
    request: ChatRequest, identifiers: Identifiers, index: int, planned: list[tuple[str, str]], cap: int
) -> Generation:
    calls: list[Call] = []
    left = cap
    for name, arguments in planned:
        left -= count(name)
        if left <= 0:
            break
        fragments = tokenize(arguments)
        calls.append(Call(_id(request, identifiers), name, fragments[:left]))
        left -= len(fragments)
        if left < 0:
            break
    capped = left < 0 or len(calls) < len(planned)
    return Generation(
        index, (), tuple(calls), Ending.CAPPED if capped else Ending.CALLING, cap - max(left, 0)
    )


def _id(request: ChatRequest, identifiers: Identifiers) -> str:
    id = identifiers.next("call_", 24)
    if ID_EMPTY in request.defects and not request.stream:
        return ""
    return "call_000000000000000000000000" if ID_REPEATED in request.defects else id
