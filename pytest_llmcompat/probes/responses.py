"""Suite `responses`: the Responses API, plain, streamed, with tools, schemas and kept state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from pytest_llmcompat.probe import Body, Context, Probe, Unsendable
from pytest_llmcompat.probes.core import UNKNOWN_MODEL
from pytest_llmcompat.probes.structured_output import MOOD_SCHEMA
from pytest_llmcompat.probes.tools import GET_WEATHER, SENTINEL

__all__ = ["INSTRUCTIONS", "PROBES", "SECRET", "UNKNOWN_RESPONSE"]

INSTRUCTIONS: Final = "Answer in capitals."
SECRET: Final = "kestrel-31"
UNKNOWN_RESPONSE: Final = "resp_llmcompat_none"

_SAID: Final = f"My code word is {SECRET}. Say ok."
_AT: Final = "/responses"
# The flat form of a tool, without chat's `function` around it.
_WEATHER: Final = {"type": "function", **GET_WEATHER["function"]}
_CITIES: Final = "What is the weather in Rome and in Oslo, in celsius? Use the tool for each city."
_CALL: Final = {
    "type": "function_call",
    "call_id": "callRome1",
    "name": "get_weather",
    "arguments": '{"city": "Rome", "unit": "celsius"}',
}
_RESULT: Final = {
    "type": "function_call_output",
    "call_id": "callRome1",
    "output": json.dumps({"temp": SENTINEL}),
}
_MOOD: Final = {"type": "json_schema", "name": "mood", "strict": True, "schema": MOOD_SCHEMA}


def _asks(**parameters: Any) -> Body:
    return lambda context: {"model": context.model, **parameters}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def _id_of(probe_id: str, context: Context) -> str:
    """The id of the response that a probe made. Raises Unsendable when it made none that a URL can hold."""
    answer = context.exchanges[probe_id].json if context.exchanges[probe_id].ok else None
    id = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(id, str) or not id or not id.isprintable() or set(id) == {"."}:
        raise Unsendable(f"{probe_id} gave no response with an id")
    return id


def _of(probe_id: str, behind: str = "") -> Callable[[Context], str]:
    """The path of the response that a probe made."""
    return lambda context: (
        f"{_AT}/{quote(_id_of(probe_id, context), safe='', errors='surrogatepass')}{behind}"
    )


def _next_turn(context: Context) -> dict[str, Any]:
    return {
        "model": context.model,
        "previous_response_id": _id_of("resp-basic", context),
        "input": "Which code word?",
        "max_output_tokens": 32,
    }


def _deleted(context: Context) -> str:
    if not context.exchanges["resp-delete"].ok:
        raise Unsendable("resp-delete has deleted nothing")
    return _of("resp-basic")(context)


def _behind_basic(path: str | Callable[[Context], str]) -> Callable[[Context], str]:
    """The path, once `resp-basic` was answered by an API: some servers answer every path with a page."""

    def checked(context: Context) -> str:
        basic = context.exchanges["resp-basic"]
        if basic.ok and not isinstance(basic.json, dict):
            raise Unsendable("resp-basic was answered with something else than a JSON object")
        return path(context) if callable(path) else path

    return checked


def _probe(id: str, **parts: Any) -> Probe:
    """A probe that is sent once `resp-basic` has shown that there is a Responses API."""
    parents = tuple(dict.fromkeys(("resp-basic", *parts.pop("parents", ()))))
    suite, path = parts.pop("suite", "responses"), _behind_basic(parts.pop("path", _AT))
    return Probe(id, suite, path=path, parents=parents, requires="resp-basic", **parts)


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "resp-basic",
        "responses",
        path=_AT,
        body=_asks(instructions=INSTRUCTIONS, input=_SAID, store=True, max_output_tokens=64),
        features=("instructions", "store", "max_output_tokens"),
        headroom=True,
    ),
    # The same words without the instructions: the token counts of the two show whether those are read.
    _probe("resp-stream", body=_asks(input=[_user(_SAID)], stream=True, max_output_tokens=64), headroom=True),
    _probe("resp-length", body=_asks(input="Count to 100.", stream=True, max_output_tokens=16)),
    _probe(
        "resp-tool",
        body=_asks(
            input=_CITIES, tools=[_WEATHER], tool_choice="required", stream=True, max_output_tokens=200
        ),
        features=("tool_choice",),
        headroom=True,
    ),
    _probe(
        "resp-tool-result",
        body=_asks(
            input=[_user(_CITIES), _CALL, _RESULT], tools=[_WEATHER], store=False, max_output_tokens=60
        ),
        features=("store",),
        headroom=True,
    ),
    _probe("resp-prev", body=_next_turn, headroom=True),
    _probe("resp-get", method="GET", path=_of("resp-basic")),
    _probe(
        "resp-json",
        body=_asks(
            input="Tell me in one sentence how you feel.", text={"format": _MOOD}, max_output_tokens=60
        ),
        headroom=True,
    ),
    _probe(
        "resp-err",
        body=lambda _: {"model": UNKNOWN_MODEL, "input": "hi", "max_output_tokens": 16},
        negative=True,
    ),
    _probe(
        "err-resp-prev",
        body=_asks(previous_response_id=UNKNOWN_RESPONSE, input="hi", max_output_tokens=16),
        negative=True,
    ),
    _probe("err-resp-get", method="GET", path=f"{_AT}/{UNKNOWN_RESPONSE}", negative=True),
    # Last, for what else reads the response must come before; only a response of our own is deleted.
    _probe(
        "resp-delete",
        method="DELETE",
        path=_of("resp-basic"),
        parents=("resp-get", "resp-prev"),
        last=True,
    ),
    _probe("resp-gone", method="GET", path=_deleted, parents=("resp-delete",), negative=True, last=True),
    _probe("resp-items", suite="opt-in", method="GET", path=_of("resp-basic", "/input_items")),
    _probe(
        "resp-count",
        suite="opt-in",
        path=f"{_AT}/input_tokens",
        body=_asks(instructions=INSTRUCTIONS, input=_SAID),
    ),
    _probe(
        "resp-chat-params",
        suite="opt-in",
        body=_asks(messages=[{"role": "user", "content": "hi"}], max_tokens=1),
        negative=True,
    ),
    _probe(
        "resp-background",
        suite="opt-in",
        body=_asks(input="Count to 100.", background=True, store=True, max_output_tokens=100),
    ),
    _probe(
        "resp-cancel",
        suite="opt-in",
        path=_of("resp-background", "/cancel"),
        parents=("resp-background",),
    ),
)
