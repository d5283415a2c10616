"""What the model's turn amounts to, plain or streamed alike: its text, its tool calls and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pytest_llmcompat.answer import Stream, completion, distinct, stream
from pytest_llmcompat.evidence import MISSING, Document, Place
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.verdict import Inconclusive, Unsupported, inconclusive

__all__ = [
    "FINISH_REASONS",
    "TOOL_WORDS",
    "Call",
    "Turn",
    "distorted",
    "every_call",
    "gathered",
    "sent",
    "tools_sent",
    "turn",
    "turns",
]

# CreateChatCompletionResponse in OpenAI's specification.
FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
# By these a refusal names function calling; servers write «Tool use is not supported» and the like.
TOOL_WORDS: Final = ("tools", "tool_choice", "tool", "Tool", "Tools", "function", "functions")

_CUT: Final = frozenset({"length", "content_filter"})


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call.

    fragments: the call itself in a plain answer, its deltas in order in a stream.
    id, name, arguments: put together from them; MISSING where no fragment has the key.
    cut: the turn ended by `length`, by a filter or without an end, so that the call may be incomplete.
    """

    exchange: Exchange
    fragments: tuple[Document, ...]
    id: Any
    name: Any
    arguments: Any
    cut: bool

    @property
    def place(self) -> Document:
        """Where evidence about the call points."""
        return self.fragments[0]

    @property
    def definition(self) -> dict[str, Any] | None:
        """The function as it was sent, None when none of this name was."""
        return tools_sent(self.exchange).get(self.name) if isinstance(self.name, str) else None


@dataclass(frozen=True, slots=True)
class Turn:
    """The first choice of an answer.

    parts: the choice of a plain answer, the chunk choices of a streamed one.
    text: the content, "" for none and for content that is no string. refusal: likewise.
    finish: the finish reason, MISSING or None when there is none.
    text_at, finish_at: the place and the pointer of evidence about them.
    """

    exchange: Exchange
    parts: tuple[Document, ...]
    text: str
    refusal: str
    calls: tuple[Call, ...]
    finish: Any
    text_at: tuple[Place, str]
    finish_at: tuple[Place, str]

    @property
    def cut(self) -> bool:
        """True when the turn ended by `length` or by a filter."""
        return self.finish in _CUT if isinstance(self.finish, str) else False

    @property
    def wrote_and_stopped(self) -> bool:
        """True for plain text instead of a call, by the API's own account: no call, some text, `stop`."""
        return not self.calls and self.finish == "stop" and self.text.strip() != ""


def tools_sent(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """The functions of the request, by name."""
    tools = Document(exchange.probe, "request", exchange.sent).items("/tools")
    functions = (tool.at("/function") for tool in tools)
    return {f["name"]: f for f in functions if isinstance(f, dict) and isinstance(f.get("name"), str)}


def sent(exchange: Exchange, parameter: str) -> Any:
    """What was sent for a parameter, after negotiation; MISSING when it was left out."""
    return Document(exchange.probe, "request", exchange.sent).at(f"/{parameter}")


def turn(exchange: Exchange, *features: str) -> Turn:
    """The turn of a 2xx answer; unsupported when a feature was refused, inconclusive without a choice."""
    if sent(exchange, "stream") is True:
        return _streamed(stream(exchange, *features))
    return _plain(exchange, completion(exchange, *features))


def turns(*exchanges: Exchange) -> list[Turn]:
    """The turns that can be read, of probes with tools; raises why the first cannot when none can."""
    found: list[Turn] = []
    trouble: Unsupported | Inconclusive | None = None
    for exchange in distinct(exchanges):
        try:
            found.append(turn(exchange, *TOOL_WORDS))
        except (Unsupported, Inconclusive) as reason:
            trouble = trouble or reason
    if not found and trouble is not None:
        raise trouble
    return found


def every_call(*exchanges: Exchange) -> list[Call]:
    """All tool calls of the turns that can be read; inconclusive when there is none."""
    calls = [call for each in turns(*exchanges) for call in each.calls]
    if not calls:
        inconclusive("no tool call came (tools.required-calls judges that)")
    return calls


def distorted(name: str, known: Iterable[str]) -> bool:
    """True for a known name that the API has changed: doubled, or with something before or behind it.

    Such are `functions.get_weather`, `get_weather:0`, `get_weatherget_weather`. A name that only resembles a
    known one (`get_weather_forecast`) is the model's own.
    """
    for each in map(re.escape, known):
        if re.fullmatch(rf"(?:{each}){{2,}}", name) or re.search(
            rf"(?<!\w){each}(?!\w).|.(?<!\w){each}(?!\w)", name, re.DOTALL
        ):
            return True
    return False


def gathered(fragments: Iterable[Document]) -> list[tuple[Document, ...]]:
    """The fragments of each streamed call: by index, by turn where there is none.

    A fragment with a name and another id begins another call even under an index in use, so that a server
    that numbers all its calls 0 is blamed for the numbers and not for garbled calls.
    """
    calls: list[list[Document]] = []
    by_index: dict[int, list[Document]] = {}
    for fragment in fragments:
        index = fragment.at("/index")
        numbered = isinstance(index, int) and not isinstance(index, bool)
        current = by_index.get(index) if numbered else next(iter(calls[-1:]), None)
        if current is None or _begins_another(fragment, current):
            current = []
            calls.append(current)
        if numbered:
            by_index[index] = current
        current.append(fragment)
    return [tuple(call) for call in calls]


def _begins_another(fragment: Document, current: list[Document]) -> bool:
    known, id = _strings(current, "/id"), _strings([fragment], "/id")
    named = bool(_strings([fragment], "/function/name"))
    return named and bool(known) and bool(id) and id[0] not in known


def _strings(documents: Iterable[Document], pointer: str) -> list[str]:
    """The non-empty strings at a pointer."""
    return [v for v in (d.at(pointer) for d in documents) if isinstance(v, str) and v]


def _plain(exchange: Exchange, document: Document) -> Turn:
    choice = next(iter(document.items("/choices")), None)
    if choice is None or not isinstance(choice.at("/message"), dict):
        inconclusive(f"{exchange.probe}: the answer holds no message (chat.choices-array judges that)")
    finish = choice.at("/finish_reason")
    cut = isinstance(finish, str) and finish in _CUT
    content, refusal = choice.at("/message/content"), choice.at("/message/refusal")
    return Turn(
        exchange=exchange,
        parts=(choice,),
        text=content if isinstance(content, str) else "",
        refusal=refusal if isinstance(refusal, str) else "",
        calls=tuple(_whole_call(exchange, call, cut) for call in choice.items("/message/tool_calls")),
        finish=finish,
        text_at=(choice, "/message/content"),
        finish_at=(choice, "/finish_reason"),
    )


def _whole_call(exchange: Exchange, call: Document, cut: bool) -> Call:
    name, arguments = call.at("/function/name"), call.at("/function/arguments")
    return Call(exchange, (call,), call.at("/id"), name, arguments, cut)


def _streamed(answer: Stream) -> Turn:
    choices = answer.choices(0)
    if not choices:
        inconclusive(f"{answer.exchange.probe}: no chunk has a choice 0 (chat.stream.* contracts judge that)")
    ends = [choice for choice in choices if _ends(choice)]
    # The end that speaks of calls counts when there are several (chat.stream.finish-once judges that).
    end = next((e for e in ends if e.at("/finish_reason") == "tool_calls"), ends[-1] if ends else None)
    finish = end.at("/finish_reason") if end is not None else MISSING
    cut = end is None or (isinstance(finish, str) and finish in _CUT)
    calls = tuple(_joined_call(answer.exchange, parts, cut) for parts in gathered(answer.tool_deltas()))
    return Turn(
        exchange=answer.exchange,
        parts=tuple(choices),
        text="".join(_strings(_up_to_the_end(choices), "/delta/content")),
        refusal="".join(_strings(choices, "/delta/refusal")),
        calls=calls,
        finish=finish,
        text_at=(answer, "body"),
        finish_at=(end, "/finish_reason") if end is not None else (answer, "body"),
    )


def _ends(choice: Document) -> bool:
    return choice.at("/finish_reason") not in (None, MISSING, "")


def _up_to_the_end(choices: list[Document]) -> list[Document]:
    """What comes later is for chat.stream.nothing-after-finish to judge."""
    behind = next((n for n, choice in enumerate(choices, 1) if _ends(choice)), len(choices))
    return choices[:behind]


def _joined_call(exchange: Exchange, parts: tuple[Document, ...], cut: bool) -> Call:
    """A call from its deltas. A name counts as it was first sent, unless it is sent in pieces."""
    ids = _strings(parts, "/id") or [part.at("/id") for part in parts if part.has("/id")]
    names = _strings(parts, "/function/name")
    name: Any = names[0] if names else parts[0].at("/function/name")
    if "".join(names) in tools_sent(exchange):
        name = "".join(names)
    return Call(exchange, parts, ids[0] if ids else MISSING, name, _arguments(parts), cut)


def _arguments(parts: tuple[Document, ...]) -> Any:
    """The joined strings; else a value that is no string, as it is; MISSING when a function was lost."""
    if any(part.at("/function") is None for part in parts):
        return MISSING
    given = [part.at("/function/arguments") for part in parts if part.has("/function/arguments")]
    odd = [value for value in given if value is not None and not isinstance(value, str)]
    strings = [value for value in given if isinstance(value, str)]
    if odd or not strings:
        return next(iter(odd or given), MISSING)
    return "".join(strings)
