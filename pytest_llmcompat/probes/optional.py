"""Suite `opt-in`: costly or disputed requests, which are sent only when the suite is named."""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

from pytest_llmcompat.probe import Authorization, Context, Probe, Unsendable
from pytest_llmcompat.probes.core import chat, user
from pytest_llmcompat.probes.tools import GET_WEATHER, SENTINEL, TOOLS

__all__ = ["FOREIGN_ID", "PROBES", "context_listed"]

# As long as the ids that OpenAI gives, and made by none of the servers on trial.
FOREIGN_ID: Final = "call_llmcompat0123456789abcdefghijklmnop"
# Names under which servers list how many tokens their model reads, in the entry of the model.
_SIZES: Final = (
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_context_window_tokens",
)
_LARGEST: Final = 262_144
_TOO_MUCH: Final = 1.2
_NOTE: Final = (
    "the third key of the boat house hangs behind the clock in the kitchen, the oars stand in the shed beside "
    "the ladder, and the boat itself lies under the large willow on the other side of the mill stream"
)
_SAVE_NOTE: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "save",
        "description": "Save a note word for word.",
        "parameters": {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]},
    },
}
_FUNCTION: Final = {name: value for name, value in GET_WEATHER["function"].items() if name != "strict"}
_CITY: Final = user("Ask the tool for the weather in Rome, in celsius.")


def context_listed(model: str, listing: Any) -> int | None:
    """How many tokens the list of models says that the model reads; None when it says nothing of it."""
    entries = listing.get("data") if isinstance(listing, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            sizes = [entry.get(name) for name in _SIZES]
            known = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool)]
            return next((size for size in known if size > 0), None)
    return None


def _too_long(context: Context) -> dict[str, Any]:
    size = context_listed(context.model, context.exchanges["models-list"].json)
    if size is None:
        raise Unsendable("the list of models does not say how long a prompt may be")
    if size > _LARGEST:
        raise Unsendable(f"a prompt of more than {size} tokens would be too much to send")
    # No tokenizer makes less than one token of a word.
    text = "apple " * round(size * _TOO_MUCH)
    return {"model": context.model, "messages": [user(f"{text}\nSay hi.")], "max_tokens": 1}


def _foreign(context: Context) -> dict[str, Any]:
    arguments = '{"city": "Rome", "unit": "celsius"}'
    call = {
        "id": FOREIGN_ID,
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments},
    }
    result = {"role": "tool", "tool_call_id": FOREIGN_ID, "content": f'{{"temp": {SENTINEL}}}'}
    return {
        "model": context.model,
        "messages": [_CITY, {"role": "assistant", "content": None, "tool_calls": [call]}, result],
        "tools": TOOLS,
        "max_tokens": 60,
    }


def _silence() -> str:
    """A tenth of a second of nothing as a WAV file, in base64."""
    rate, length = 8000, 800
    shape = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVEfmt " + shape + b"data" + struct.pack("<I", length) + b"\x80" * length
    return base64.b64encode(b"RIFF" + struct.pack("<I", len(body)) + body).decode()


PROBES: Final[tuple[Probe, ...]] = (
    Probe("route-double-slash", "opt-in", path="//chat/completions", body=lambda _: {}, negative=True),
    Probe(
        "models-noauth",
        "opt-in",
        method="GET",
        path="/models",
        authorization=Authorization.NONE,
        negative=True,
    ),
    Probe("err-context", "opt-in", body=_too_long, parents=("models-list",), negative=True),
    Probe("err-tools-empty", "opt-in", body=chat([user("hi")], tools=[], max_tokens=1), negative=True),
    Probe(
        "tool-result-foreign",
        "opt-in",
        body=_foreign,
        parents=("tool-required",),
        requires="tool-required",
        headroom=True,
    ),
    Probe(
        "tool-truncated-stream",
        "opt-in",
        body=chat(
            [user(f'Save this with the tool: note = "{_NOTE}"')],
            tools=[_SAVE_NOTE],
            tool_choice="required",
            max_tokens=12,
            stream=True,
        ),
        parents=("tool-required",),
        requires="tool-required",
    ),
    Probe(
        "functions-legacy",
        "opt-in",
        body=chat([_CITY], functions=[_FUNCTION], function_call={"name": "get_weather"}, max_tokens=200),
        headroom=True,
    ),
    Probe(
        "audio-in",
        "opt-in",
        body=chat(
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Is there speech in this recording? Answer yes or no."},
                        {"type": "input_audio", "input_audio": {"data": _silence(), "format": "wav"}},
                    ],
                }
            ],
            max_tokens=1,
        ),
        negative=True,
    ),
)
