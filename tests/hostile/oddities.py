"""Oddities: JSON that no library would write, numbers that no machine holds, and texts that are none."""

from __future__ import annotations

import json
from typing import Final

from pytest_llmcompat.limits import Limits
from pytest_llmcompat.views import footprint
from tests.hostile.answering import body, chat, saying, spliced
from tests.hostile.behaviour import FAIL, INCONCLUSIVE, PASS, Behaviour
from tests.hostile.wrapping import Answering, afflicting, plain
from tests.servers import completion

__all__ = ["ROWS"]

_DIGITS: Final = "9" * 4000


def _usage(prompt: str, completion: str, total: str) -> str:
    return (
        f'"usage": {{"prompt_tokens": {prompt}, "completion_tokens": {completion}, "total_tokens": {total}}}'
    )


def _message(content: str, finish_reason: str = "stop") -> list[object]:
    message = {"role": "assistant", "content": content}
    return [{"index": 0, "finish_reason": finish_reason, "message": message}]


def _odd(id: str, what: str, how: Answering, status: int = 1, **verdicts: str) -> Behaviour:
    """Plain answers behind pre-flight are odd, before all contracts on chat, tools and counts."""
    named = {name.replace("__", ".").replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return Behaviour(
        id,
        what,
        afflicting(plain, how),
        status,
        (),
        named,
        "(chat. or tools. or usage. or utf8) and not stream",
    )


ROWS = (
    _odd(
        "json-deep", "JSON is nested 10,000 deep.", spliced(f'"deep": {"[" * 10_000}{"]" * 10_000}'), status=0
    ),
    _odd(
        "json-as-deep-as-goes",
        "JSON is nested as deep as Python reads it.",
        spliced(f'"deep": {"[" * 900}{"]" * 900}'),
        status=0,
    ),
    _odd(
        "json-million-objects",
        "JSON has a million empty objects.",
        spliced(f'"x": [{"{}," * 1_000_000}0]'),
        status=0,
    ),
    Behaviour(
        "json-to-the-limit",
        "JSON takes as much memory as is borne.",
        afflicting(plain, spliced(f'"x": [{"{}," * (Limits().parsed // (footprint(b"{},") + 4))}0]')),
        0,
        (),
        {"chat.object": PASS, "chat.multi-turn": INCONCLUSIVE},
        "chat.object or chat.multi-turn or usage.sum or max-tokens",
    ),
    Behaviour(
        "choices-many",
        "An answer has 20,000 choices.",
        afflicting(plain, chat(choices=_message("pong") * 20_000)),
        1,
        (),
        {"chat.choices-array": FAIL, "chat.finish-length": INCONCLUSIVE},
        "choices-array or finish-length or chat.n",
    ),
    _odd(
        "number-1-mb", "A number has a million digits.", spliced(f'"created_at": {"9" * (1 << 20)}'), status=0
    ),
    _odd(
        "numbers-long",
        "Numbers have 4,000 digits.",
        spliced(f'"created": {_DIGITS}', _usage(_DIGITS, _DIGITS, _DIGITS)),
        status=0,
    ),
    _odd(
        "numbers-beyond-range",
        "Numbers are out of every range.",
        spliced('"created": 1e999', _usage("1e999", "-1e999", "1e400")),
    ),
    _odd(
        "nan",
        "Numbers are NaN and Infinity.",
        spliced('"created": NaN', _usage("NaN", "Infinity", "-Infinity")),
    ),
    _odd("keys-twice", "Keys stand twice in an object.", spliced('"id": "d"', '"usage": 1', '"usage": 2')),
    _odd(
        "surrogates-lone",
        "Texts hold half characters.",
        chat(id="\ud800", model="\udfff", choices=_message("a\ud800b", "\ud83d")),
    ),
    _odd(
        "utf8-invalid",
        "Bodies are no UTF-8.",
        body(json.dumps(completion("@")).encode().replace(b"@", bytes(range(128, 256)))),
        transport__utf8=FAIL,
    ),
    _odd(
        "surrogates-in-utf8",
        "Bodies hold surrogates in UTF-8.",
        saying("\ud800", escaped=False),
        transport__utf8=FAIL,
    ),
    _odd("nuls", "Texts hold NULs.", chat(id="\0", model="\0\0", choices=_message("\0", "\0"))),
    _odd("nul-bytes", "Bodies are NULs.", body(b"\0" * 100_000), chat__finish_length=INCONCLUSIVE),
    _odd(
        "utf-16", "Bodies are UTF-16.", body(json.dumps(completion()).encode("utf-16")), transport__utf8=FAIL
    ),
    _odd("braces-many", "A text is 200,000 opening braces.", saying("{" * 200_000), status=0),
    _odd("thinking-many", "A text begins to think 50,000 times.", saying("<think>" * 50_000)),
)
