"""Suite `core`: routing, auth, errors, models, chat and streaming."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from pytest_llmcompat.probe import Authorization, Body, Context, Probe, Unsendable

__all__ = ["ECHO_TEXT", "NEEDLE", "NONCES", "PROBES", "UNKNOWN_MODEL", "WRONG_KEY", "chat"]

UNKNOWN_MODEL: Final = "llmcompat-no-such-model"
# 32 characters behind the prefix: OpenAI masks long keys in its 401 text but echoes very short ones.
WRONG_KEY: Final = "sk-llmcompat-q7Rk2mXv9TzB4cLw8NfJ5hDy3GsP6aEu"
ECHO_TEXT: Final = "pong 🏓 日本 e\u0301"
CODE_WORD: Final = "KESTREL-31"
NEEDLE: Final = "TEAL-4821"
# What each of the four requests that go out together has to answer; fixed, so that recordings replay.
NONCES: Final[Mapping[str, str]] = {
    "concurrent-1": "LARCH-7316-OTTER",
    "concurrent-2": "BASIL-2094-HERON",
    "concurrent-3": "CHALK-5847-LEMUR",
    "concurrent-4": "DUSK-9163-PUFFIN",
}

SDK_HEADERS: Final[Mapping[str, str]] = {
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.57.0",
    "x-stainless-runtime": "CPython",
    "x-stainless-retry-count": "0",
    "idempotency-key": "llmcompat-chat-basic",
}


def user(text: str) -> dict[str, Any]:
    """A user message."""
    return {"role": "user", "content": text}


def chat(messages: list[dict[str, Any]], **parameters: Any) -> Body:
    """A chat completion request for the model under test."""
    return lambda context: {"model": context.model, "messages": messages, **parameters}


def _parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def _listed_model(context: Context) -> str:
    """A listed id with a slash, which is the hard case; else the model under test."""
    listed = context.exchanges["models-list"].json
    entries = listed.get("data") if isinstance(listed, dict) else None
    ids = (
        [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    known = [id for id in ids if isinstance(id, str)]
    with_slash = [id for id in known if "/" in id]
    chosen = context.model if context.model in known and "/" in context.model else None
    return chosen or next(iter(with_slash), context.model)


def _unversioned(context: Context) -> str:
    """The absolute URL of the chat route without the version segment of the base URL."""
    stripped, found = re.subn(r"/v\d+$", "", context.target.endpoint)
    if not found:
        raise Unsendable("the base URL has no version segment such as /v1", unsupported=True)
    return f"{stripped}/chat/completions"


_HI: Final = [user("hi")]
_ECHO: Final = [
    {"role": "system", "content": "Repeat the user's text exactly, nothing else."},
    user(ECHO_TEXT),
]
_BASIC: Final[dict[str, Any]] = {"temperature": 0, "seed": 7, "max_tokens": 40}
_COUNT_40: Final = [user("Count from 1 to 40, separated by spaces.")]
_INCLUDE_USAGE: Final = {"stream": True, "stream_options": {"include_usage": True}}

# Long enough for the token count to show when a server drops the second part.
_REMARK: Final = (
    " Keep it in mind while I tell you about the garden: the beds along the southern wall hold beans and "
    "sweet peas, the path between them is laid with old bricks, the pump stands under the walnut tree, and "
    "the gate to the orchard is painted green. In spring the blackbirds come first, then the swallows, and by "
    "the end of May there is shade enough for a table and four chairs. None of that matters for my question."
)
_TURNS: Final[list[dict[str, Any]]] = [
    {"role": "system", "content": _parts("You are a terse assistant.")},
    {"role": "user", "content": _parts("My code word is ", f"{CODE_WORD}.{_REMARK}")},
    {"role": "assistant", "content": "Noted."},
    user("Which code word? Answer with it only."),
]


def _concurrent(id: str, **parameters: Any) -> Probe:
    """One of the requests that go out together, each of which has to get its own answer."""
    prompt = user(f"Reply only with this code: {NONCES[id]}")
    body = chat([prompt], max_tokens=24, **parameters)
    return Probe(id, "core", body=body, headroom=True, together=True)


def _long_text() -> str:
    lines = [
        f"Line {n}: the {word} ledger holds {n * 37} entries and was closed on day {n * 3}."
        for n, word in enumerate(("amber", "birch", "cedar", "dune", "ember", "fjord") * 16, 1)
    ]
    lines[2] = f"Line 3: the secret code of the archive is {NEEDLE}."
    return "\n".join(lines)


_LONG: Final = [user(f"{_long_text()}\n\nWhich secret code stands in line 3? Answer with the code only.")]

PROBES: Final[tuple[Probe, ...]] = (
    Probe("models-list", "core", method="GET", path="/models"),
    Probe(
        "models-retrieve",
        "core",
        method="GET",
        path=lambda context: f"/models/{quote(_listed_model(context), safe='', errors='surrogatepass')}",
        parents=("models-list",),
    ),
    Probe("models-404", "core", method="GET", path=f"/models/{UNKNOWN_MODEL}", negative=True),
    Probe("auth-none", "core", body=chat(_HI, max_tokens=1), authorization=Authorization.NONE, negative=True),
    Probe(
        "auth-wrong", "core", body=chat(_HI, max_tokens=1), authorization=Authorization.WRONG, negative=True
    ),
    Probe(
        "auth-scheme", "core", body=chat(_HI, max_tokens=1), authorization=Authorization.BASIC, negative=True
    ),
    Probe("route-unknown", "core", path="/llmcompat-no-such-route", body=lambda _: {}, negative=True),
    Probe("route-method", "core", method="PUT", body=lambda _: {}, negative=True),
    Probe("route-no-v1", "core", path=_unversioned, body=lambda _: {}, negative=True),
    Probe("route-trailing-slash", "core", path="/chat/completions/", body=lambda _: {}, negative=True),
    Probe("err-json", "core", body=lambda _: b'{"model": "m", ', negative=True),
    Probe("err-array-body", "core", body=lambda _: [], negative=True),
    Probe("err-missing-messages", "core", body=lambda context: {"model": context.model}, negative=True),
    Probe("err-missing-model", "core", body=lambda _: {"messages": _HI, "max_tokens": 1}, negative=True),
    Probe(
        "err-types", "core", body=lambda context: {"model": context.model, "messages": "hi"}, negative=True
    ),
    Probe("err-empty-messages", "core", body=chat([], max_tokens=1), negative=True),
    Probe(
        "err-role",
        "core",
        body=chat([{"role": "llmcompat", "content": "hi"}], max_tokens=1),
        negative=True,
    ),
    Probe("err-temperature", "core", body=chat(_HI, temperature=9.5, max_tokens=1), negative=True),
    Probe(
        "err-unknown-model",
        "core",
        body=lambda _: {"model": UNKNOWN_MODEL, "messages": _HI, "max_tokens": 1},
        negative=True,
    ),
    Probe(
        "err-stream",
        "core",
        body=lambda _: {"model": UNKNOWN_MODEL, "messages": _HI, "max_tokens": 1, "stream": True},
        negative=True,
    ),
    Probe("chat-basic", "core", body=chat(_ECHO, **_BASIC), headers=SDK_HEADERS, headroom=True),
    Probe(
        "chat-developer",
        "core",
        body=chat([{"role": "developer", "content": "Answer only with: AYE"}, user("ready?")], max_tokens=8),
        headroom=True,
    ),
    Probe("chat-length", "core", body=chat([user("Count from 1 to 50.")], max_tokens=6)),
    Probe("chat-mct", "core", body=chat([user("Count from 1 to 50.")], max_completion_tokens=16)),
    Probe(
        "chat-n2",
        "core",
        body=chat(
            [user("Say something.")], n=2, logprobs=True, top_logprobs=2, temperature=1.6, max_tokens=4
        ),
        features=("n", "temperature", "logprobs", "top_logprobs"),
    ),
    Probe(
        "chat-stop",
        "core",
        body=chat(
            [user("Count from 1 to 9 separated by single spaces.")],
            stop=["5", "six"],
            temperature=0,
            max_tokens=30,
        ),
        features=("stop",),
        headroom=True,
    ),
    Probe(
        "chat-params",
        "core",
        body=chat(
            _HI,
            user="llmcompat",
            store=False,
            metadata={"suite": "llmcompat"},
            top_p=1,
            presence_penalty=0,
            frequency_penalty=0,
            service_tier="auto",
            response_format={"type": "text"},
            temperature=None,
            max_tokens=1,
        ),
        features=(
            "user",
            "store",
            "metadata",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
            "service_tier",
            "response_format",
            "temperature",
        ),
    ),
    Probe("chat-long", "core", body=chat(_LONG, temperature=0, max_tokens=12), headroom=True),
    Probe(
        "stream-basic",
        "core",
        body=chat(_ECHO, **_BASIC, **_INCLUDE_USAGE),
        features=("stream_options",),
        headroom=True,
    ),
    Probe("stream-plain", "core", body=chat(_COUNT_40, stream=True, max_tokens=160), headroom=True),
    Probe(
        "stream-n2",
        "core",
        body=chat([user("Say something.")], stream=True, n=2, logprobs=True, max_tokens=6),
        features=("n", "logprobs"),
    ),
    Probe(
        "stream-abort", "core", body=chat(_COUNT_40, stream=True, max_tokens=400), abort_after=3, last=True
    ),
    # Follows the aborted stream at once: a server that still generates for a lost client makes it wait.
    Probe(
        "chat-turns",
        "core",
        body=chat(_TURNS, max_tokens=20),
        parents=("stream-abort",),
        headroom=True,
        last=True,
    ),
    _concurrent("concurrent-1"),
    _concurrent("concurrent-2", stream=True),
    _concurrent("concurrent-3"),
    _concurrent("concurrent-4", stream=True),
)
