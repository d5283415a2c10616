"""JSON documents with one thing wrong: any value of another kind, keys lost, renamed and doubled, arrays disturbed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

__all__ = ["Pairs", "Path", "Raw", "broken_document", "odd_text", "paths_of", "written"]

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a place in a document."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A text that stands in the place of a JSON value, JSON or not."""

    text: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """An object by its members in order, so that a key may come twice."""

    members: tuple[tuple[str, Any], ...]


# What stands in the place of a value. Python reads some of it that is no JSON, and refuses some that is.
_ODD: Final = (
    "null", "true", "false", "0", "-1", "1", "2", "-0.0", "0.5", "1.0", "1e400", "-1e400", "NaN",
    "Infinity", "-Infinity", "9007199254740993", "-9223372036854775809", "1" + "0" * 400, "9" * 5000,
    "1e-400", "1e308", "3.5e38", '""', '" "', '"0"', '"1.5"', '"NaN"', '"x"', '"null"', '"stop"',
    '"tool_calls"', '"length"', '"text"', '"data"', r'"\u0000"', r'"\ud800"', r'"\udfff\ud800"',
    r'"\u001b[2J"', '"\u2028"', '"ł€😀"', '"{"', '"[1]"', r'"{\"a\": 1}"', '"[DONE]"',
    '"' + "long " * 3000 + '"', '"a\nb"', r'"data: x\n\n"', '"AAAA"', '"AACAfw=="', '"AADAfwAAgH8="',
    '"<think>"', '"%s{0}"', "[]", "[null]", "[[]]", "[{}]", "[0]", '[""]', '["a", 1, null, {}]', "[1e400]",
    "[NaN, NaN]", "[true, false]", "[" * 300 + "]" * 300, "{}", '{"": null}', '{"index": 0}',
    '{"type": "text"}', '{"error": {}}', '{"message": null}', '{"text": []}', '{"a": {"b": {"c": []}}}',
    '{"type": "function", "function": {"name": [], "arguments": {}}}', '{"id": {}, "index": []}',
    '{"$ref": "#"}', "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, "[" * 5, "", "nul", "'x'",
    "01", "+1", ".5", "//", "undefined", '"\\x"', '"',
)  # fmt: skip
_NAMES: Final = (
    "", " ", "__proto__", "error", "id", "index", "type", "choices", "message", "delta", "usage", "object",
    "data", "content", "tool_calls", "finish_reason", "output", "response", "a/b", "a~b", "0", "-1", "\0",
    "\ud800", "ł", "k" * 300,
)  # fmt: skip


def odd_text(random: Random) -> str:
    """The text of a value that nobody expects."""
    if random.random() < 0.05:
        # Around a thousand, one reader takes what the next one finds too deep.
        depth, (begin, end) = (
            random.choice((100, 400, 800, 900, 930, 950, 970, 990)),
            random.choice((("[", "]"), ('{"a":', "}"))),
        )
        return begin * depth + "1" + end * depth
    return random.choice(_ODD)


def written(value: Any) -> str:
    """A document as text, with what is raw in it as it is."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {written(each)}" for key, each in value.members) + "}"
    if isinstance(value, dict):
        return written(Pairs(tuple(value.items())))
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def broken_document(random: Random, value: Any) -> Any:
    """A document that differs in one place, for `written`."""
    places = list(paths_of(value))
    # Near the top the shape of the answer is decided; most places are deep inside some array.
    near = [place for place in places if len(place) <= 3]
    return _changed(value, random.choice(random.choice((places, near))), random, value)


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values of a document; of an array the first fifty."""
    yield path
    members: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        members = iter(value.items())
    elif isinstance(value, list):
        members = iter(enumerate(value[:50]))
    for step, each in members:
        yield from paths_of(each, (*path, step))


def _changed(value: Any, path: Path, random: Random, whole: Any) -> Any:
    """The value with what stands at a path changed; `whole` is where other values may be taken from."""
    if not path:
        return _odd_value(value, random, whole)
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        if rest or random.random() < 0.6:
            return {key: _changed(v, rest, random, whole) if key == step else v for key, v in value.items()}
        return random.choice(_OBJECT_FAULTS)(value, str(step), random)
    if rest or random.random() < 0.6:
        return [_changed(v, rest, random, whole) if at == step else v for at, v in enumerate(value)]
    return random.choice(_ARRAY_FAULTS)(value, int(step))


def _odd_value(value: Any, random: Random, whole: Any) -> Any:
    """Something in the place of a value: odd, of another place of the document, or itself wrapped."""
    kind = random.randrange(10)
    if kind < 6:
        return Raw(odd_text(random))
    if kind < 8:
        return _at(whole, random.choice(list(paths_of(whole))))
    return random.choice((str(value), [value], {"value": value}, [value, value]))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _without(value: dict[str, Any], key: str, random: Random) -> Any:
    del random
    return {k: v for k, v in value.items() if k != key}


def _renamed(value: dict[str, Any], key: str, random: Random) -> Any:
    name = random.choice((*_NAMES, key.upper(), f"{key}s", f"{key} "))
    return Pairs(tuple((name if k == key else k, v) for k, v in value.items()))


def _doubled(value: dict[str, Any], key: str, random: Random) -> Any:
    return Pairs((*value.items(), (key, Raw(odd_text(random)))))


def _joined_by(value: dict[str, Any], key: str, random: Random) -> Any:
    del key
    return Pairs((*value.items(), (random.choice(_NAMES), Raw(odd_text(random)))))


_OBJECT_FAULTS: Final[tuple[Callable[[dict[str, Any], str, Random], Any], ...]] = (
    _without,
    _renamed,
    _doubled,
    _joined_by,
)
_ARRAY_FAULTS: Final[tuple[Callable[[list[Any], int], Any], ...]] = (
    lambda value, at: [*value[:at], *value[at + 1 :]],
    lambda value, at: [*value[: at + 1], *value[at:]],
    lambda value, at: [value[at]] * 50,
    lambda value, at: [*value[at:], *value[:at]],
    lambda _value, _at: [],
    lambda value, _at: {str(number): each for number, each in enumerate(value)},
)
