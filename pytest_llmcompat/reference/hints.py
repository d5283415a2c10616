"""What a prompt gives to fill values with: names, numbers, words, pairs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

__all__ = ["STOP_WORDS", "Hints", "words"]

STOP_WORDS: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be by can do does each for from get give how i in is it its me my of on or our "
        "please set tell that the their there this to use was we what when where which who will with you your",
    )
)
_NAME: Final = re.compile(r"\b[^\W\d_a-z][\w'’-]*(?: [^\W\d_a-z][\w'’-]*)*")
_PAIR: Final = r"\b(\w+)\s*{sign}\s*(\"[^\"]*\"|[^\s,;]+)"


def words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, in lower case."""
    return frozenset(re.findall(r"[^\W_]+", text.lower())) - STOP_WORDS


@dataclass(frozen=True)
class Hints:
    """A prompt, read for values."""

    text: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Runs of capitalised words that do not merely begin a sentence, each once: `Rome`, `San Marino`."""
        found = [m for m in _NAME.finditer(self.text) if not _begins_sentence(self.text, m.start())]
        return tuple(dict.fromkeys(match[0] for match in found if match[0] != "I"))

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The numbers, in order."""
        return tuple(float(number) for number in re.findall(r"-?\b\d+(?:\.\d+)?\b", self.text)[:20])

    @cached_property
    def pairs(self) -> dict[str, str]:
        """What is written as `key = value`; without any of these, as `key: value`."""
        found = re.findall(_PAIR.format(sign="="), self.text) or re.findall(_PAIR.format(sign=":"), self.text)
        return {name: value.strip('"').rstrip(".?!") for name, value in found}

    def mentions(self, value: object) -> bool:
        """True when the prompt holds this word."""
        return isinstance(value, str) and bool(
            re.search(rf"\b{re.escape(value.lower())}\b", self.text.lower())
        )


def _begins_sentence(text: str, position: int) -> bool:
    before = text[:position].rstrip()
    return not before or before[-1] in ".!?:\n"
