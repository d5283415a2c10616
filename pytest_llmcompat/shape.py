"""The shape of an exchange: what client code is written against, without the values, which never count.

Values that are vocabulary belong to the shape: finish reasons, states, codes and types of errors, `object` and
`type`. Free-form maps and JSON inside of texts do not: what stands in them is the user's or the model's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pytest_llmcompat.answer import DONE
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.sse import Block

__all__ = ["Form", "Shape", "Spot", "place_of", "shape"]

Spot = tuple[str, ...]
"""Where in a body: `body`, `event` (all chunks of a stream as one) or `event TYPE`, then the keys.

`*` stands for each element of an array, `*:message` for each one whose `type` is `message`.
"""

# What is added, removed or renamed on the way, or by the web server below the API; no client of it reads them.
_OF_THE_WAY: Final = re.compile(
    # Of one connection (RFC 9110 section 7.6.1), and how the body is framed, packed and cached on it.
    "connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-(length|encoding)|vary|etag|age|"
    "accept-ranges|"
    # Who answered, when, by which way and in what time: origin servers, load balancers, content networks.
    "date|server|via|alt-svc|server-timing|x-powered-by|x-cache.*|x-served-by|x-timer|x-varnish|x-forwarded-.*|"
    "x-envoy-.*|x-kong-.*|x-amz-cf-.*|x-azure-ref|cf-.*|nel|report-to|reporting-endpoints|expect-ct|"
    # Cookies, which balancers set to find the same server again.
    "set-cookie2?|"
    # Traces, which meshes add (W3C Trace Context and what was before it).
    "traceparent|tracestate|x-b3-.*|x-amzn-trace-id|x-cloud-trace-context|x-datadog-.*|"
    # Advice to browsers about pages; access-control-*, which decides whether a browser may call, is no such thing.
    "strict-transport-security|content-security-policy.*|x-content-type-options|x-frame-options|x-xss-protection|"
    "x-dns-prefetch-control|x-download-options|x-permitted-cross-domain-policies|referrer-policy|permissions-policy|"
    "origin-agent-cluster|cross-origin-.*"
)
# Maps whose keys the user or the model chose.
_FREE: Final = frozenset({"metadata", "logit_bias", "parameters", "schema", "arguments"})
# SDKs tell events by this line or by the `type` in the data; it is kept like a key of the data.
_EVENT_LINE: Final = "event:"
_WORDS: Final = frozenset({"finish_reason", "object", "status", "type", _EVENT_LINE})
_TAGGED: Final = frozenset({"item", "part"})
_TAG: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LARGEST: Final = 80
# Deeper, or with more keys, no API is: that is a map, or hostile.
_DEEPEST, _MOST_KEYS, _MOST_WORDS = 32, 200, 50
# A call in a streamed response is a group of 4 events, a text one of 6; several of them are as good as one.
_LONGEST_GROUP: Final = 12
_MOST_CHOICES: Final = 16
_ADDED: Final = (
    "role",
    "reasoning_content",
    "reasoning",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "text",
    "message",
    "finish_reason",
)


class Form(StrEnum):
    """What a body is, whatever its Content-Type says."""

    EMPTY = "nothing"
    JSON = "JSON"
    EVENTS = "events"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Shape:
    """What of an exchange client code relies on.

    status: HTTP status, 0 for none. headers: lower-case names but those of the way. media_type: "" for none.
    form: what the body is. types: names of JSON types at each place. words: vocabulary at each place.
    sequences: the events of each choice of a stream, repeats collapsed.
    manner: how the model chose to answer: text, call, refusal, silence. spent: completion tokens, None when not said.
    """

    status: int
    headers: frozenset[str]
    media_type: str
    form: Form
    types: Mapping[Spot, frozenset[str]] = field(default_factory=dict)
    words: Mapping[Spot, frozenset[str]] = field(default_factory=dict)
    sequences: frozenset[tuple[str, ...]] = frozenset()
    manner: frozenset[str] = field(default=frozenset(), compare=False)
    spent: int | None = field(default=None, compare=False)


def shape(exchange: Exchange) -> Shape:
    """The shape of an exchange, whatever its body is; nothing that a server sends makes this raise."""
    form = _form(exchange)
    values = list(_event_values(exchange.events)) if form is Form.EVENTS else []
    walk = _Walk()
    if form is Form.JSON:
        walk.visit(("body",), exchange.json)
    for event, name, value in values:
        spot = (f"event {name}" if name else "event",)
        walk.visit(spot, value)
        if event.event != "message":
            walk.visit((*spot, _EVENT_LINE), event.event)
    return Shape(
        status=exchange.status,
        headers=frozenset(name for name, _ in exchange.headers if not _OF_THE_WAY.fullmatch(name)),
        media_type=exchange.media_type,
        form=form,
        types={spot: frozenset(types) for spot, types in walk.types.items()},
        words={spot: frozenset(words) for spot, words in walk.words.items()},
        sequences=_sequences(exchange.events) if form is Form.EVENTS else frozenset(),
        manner=frozenset(walk.manner - {"silence"} or walk.manner),
        spent=_spent([value for _, _, value in values] or [exchange.json]),
    )


def place_of(spot: Spot) -> str:
    """A spot as evidence names places: `body /choices/*/message`."""
    steps = (step.replace("~", "~0").replace("/", "~1") for step in spot[1:])
    return " ".join((spot[0], *(["/" + "/".join(steps)] if len(spot) > 1 else [])))


def _form(exchange: Exchange) -> Form:
    if not exchange.body.strip():
        return Form.EMPTY
    if exchange.is_json:
        return Form.JSON
    return Form.EVENTS if exchange.events else Form.OTHER


def _event_values(events: Iterable[Block]) -> Iterator[tuple[Block, str, Any]]:
    """Each event with its name and its parsed data; "" names the chunks of chat, which are all of one kind."""
    for event in events:
        if event.data == DONE:
            continue
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        yield event, _name(event, value), value


def _spent(values: Iterable[Any]) -> int | None:
    """The completion tokens by the last usage that was sent."""
    spent = None
    for value in values:
        holder = value.get("response", value) if isinstance(value, dict) else None
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            count = usage.get("completion_tokens", usage.get("output_tokens"))
            spent = count if isinstance(count, int) else spent
    return spent


class _Walk:
    """Types, words and the manner of all values visited, merged by place."""

    def __init__(self) -> None:
        self.types: dict[Spot, set[str]] = {}
        self.words: dict[Spot, set[str]] = {}
        self.manner: set[str] = set()

    def visit(self, spot: Spot, value: Any) -> None:
        """Take a value in, and what is in it."""
        self.types.setdefault(spot, set()).add(_type(value))
        self._note_manner(spot, value)
        if len(spot) > _DEEPEST or _is_free(spot):
            return
        if isinstance(value, list):
            for element in value:
                self._visit_member(spot, "*", element)
        elif isinstance(value, dict) and len(value) <= _MOST_KEYS:
            for key, member in value.items():
                self._visit_member(spot, _short(key), member)
        elif _is_word(spot, value):
            self._note_word(spot, value)

    def _visit_member(self, spot: Spot, step: str, member: Any) -> None:
        """Members of several types (items of a response, parts of a text) are kept apart by their `type`."""
        tag = member.get("type") if isinstance(member, dict) else None
        apart = (step == "*" or step in _TAGGED) and "choices" not in spot
        if apart and isinstance(tag, str) and _TAG.fullmatch(tag):
            self.types.setdefault((*spot, step), set()).add("object")
            self._note_word((*spot, step, "type"), tag)
            self.visit((*spot, f"{step}:{tag}"), member)
        else:
            self.visit((*spot, step), member)

    def _note_word(self, spot: Spot, value: Any) -> None:
        # The tag stands in the spot already, and the word was noted one step up.
        if ":" in spot[-2] and spot[-1] == "type":
            return
        words = self.words.setdefault(spot, set())
        if len(words) < _MOST_WORDS:
            words.add(_short(str(value)))

    def _note_manner(self, spot: Spot, value: Any) -> None:
        match spot[-1]:
            case "content" if spot[-2] in ("message", "delta"):
                self.manner.add("text" if value else "silence")
            case "tool_calls" | "function_call" | "refusal" if value:
                self.manner.add("refusal" if spot[-1] == "refusal" else "call")
            case "finish_reason" if value == "content_filter":
                self.manner.add("refusal")
            case "type" if value in ("output_text", "refusal"):
                self.manner.add("text" if value == "output_text" else "refusal")
            case "type" if value == "reasoning":
                self.manner.add("silence")
            case "type" if isinstance(value, str) and value.endswith("_call"):
                self.manner.add("call")


def _type(value: Any) -> str:
    """The name of a JSON type; whole numbers are no type of their own, for 1 and 1.0 are one value (RFC 8259)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _is_free(spot: Spot) -> bool:
    """True where keys are no part of the API; the texts of tokens are keys in completions' `top_logprobs`."""
    return spot[-1] in _FREE or spot[-3:] == ("logprobs", "top_logprobs", "*")


def _is_word(spot: Spot, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    if spot[-1] == "code":
        return spot[-2] in ("error", "body", "event")
    return isinstance(value, str) and (spot[-1] in _WORDS or spot[-2:] == ("incomplete_details", "reason"))


def _short(text: str) -> str:
    return text if len(text) <= _LARGEST else f"{text[: _LARGEST - 2]} …"


def _name(event: Block, value: Any) -> str:
    """The type of an event by its data, else by its event line; "" for the nameless chunks of chat."""
    if isinstance(value, dict) and isinstance(value.get("type"), str) and "choices" not in value:
        return str(value["type"])[:_LARGEST]
    if isinstance(value, dict) and value.get("error"):
        return "error"
    return "" if event.event == "message" else event.event[:_LARGEST]


def _sequences(events: Iterable[Block]) -> frozenset[tuple[str, ...]]:
    """The sequence of the events of each choice, those that are about none included; one when there are no choices.

    Choices are told apart since it is chance how their chunks mix.
    """
    common: list[str] = []
    by_choice: dict[object, list[str]] = {}
    for event in events:
        labels = dict(_labels(event))
        if None in labels:
            for sequence in (common, *by_choice.values()):
                _append(sequence, labels[None])
            continue
        for index, label in labels.items():
            if index in by_choice or len(by_choice) < _MOST_CHOICES:
                _append(by_choice.setdefault(index, list(common)), label)
    return frozenset(tuple(sequence) for sequence in by_choice.values() or (common,))


def _append(sequence: list[str], label: str) -> None:
    sequence.append(label)
    length = 1
    while 2 * length <= len(sequence) and length <= _LONGEST_GROUP:
        if sequence[-1] == sequence[-1 - length] and sequence[-length:] == sequence[-2 * length : -length]:
            del sequence[-length:]
            length = 1
        else:
            length += 1


def _labels(event: Block) -> Iterator[tuple[object, str]]:
    """(index of the choice, what the event says of it); (None, what it is) for one about no choice."""
    if event.data.strip() in (DONE, ""):
        yield None, event.data.strip() or "(no data)"
        return
    try:
        value = json.loads(event.data)
    except (ValueError, RecursionError):
        yield None, "(not JSON)"
        return
    choices = value.get("choices") if isinstance(value, dict) else None
    entries = [entry for entry in choices if isinstance(entry, dict)] if isinstance(choices, list) else []
    for entry in entries:
        index = entry.get("index")
        yield (index if isinstance(index, int | str) else "?"), _of_entry(entry)
    if not entries:
        given = isinstance(value, dict) and value.get("usage") is not None
        yield None, _name(event, value) or ("usage" if given else "(no choices)")


def _of_entry(entry: dict[str, Any]) -> str:
    """What a chunk adds to a choice; keys of the vendor's own show in the types."""
    delta = entry.get("delta")
    added = {**entry, **(delta if isinstance(delta, dict) else {})}
    return "+".join(key for key in _ADDED if added.get(key) not in (None, [])) or "(empty)"
