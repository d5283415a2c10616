"""POST /completions: the API before chat, in which a model goes on with a text."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.checks import (
    check_array,
    check_boolean,
    check_integer,
    check_number,
    check_object,
    check_string,
    wrong_type,
)
from pytest_llmcompat.reference.completion import FINGERPRINT, LEGAL_VENDOR_KEYS
from pytest_llmcompat.reference.defect import Defects, Faults, defect, spoil
from pytest_llmcompat.reference.errors import crash, invalid
from pytest_llmcompat.reference.framing import event
from pytest_llmcompat.reference.logprobs import legacy_logprobs
from pytest_llmcompat.reference.models import CHAT_MODELS, unknown_model
from pytest_llmcompat.reference.refusals import LEGAL_DIALECTS, refuse_parameters
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.tokens import count, tokenize
from pytest_llmcompat.reference.transport import answer_json, read_body, state_of

__all__ = ["create_text_completion"]

OBJECT_CHAT = defect("completions-object-chat", "object is «chat.completion».", row="D-L01")
MESSAGE = defect("completions-message", "Choices have a message in place of text.", row="D-L01")
FINISH_NULL = defect("completions-finish-null", "A plain finish_reason is null.", row="D-L01")
CHUNK_OBJECT_CHAT = defect(
    "completions-chunk-object-chat", "Chunks have object «chat.completion.chunk».", row="D-L01"
)
CHUNK_DELTA = defect("completions-chunk-delta", "Chunks have a delta in place of text.", row="D-L01")
CHUNK_ID_CHANGES = defect("completions-chunk-id-changes", "Each chunk has a new id.", row="D-L01")
WITHOUT_DONE = defect("completions-without-done", "Text streams end without [DONE].", row="D-L01")
STREAM_IGNORED = defect("completions-stream-ignored", "stream is ignored.", row="D-L01")
FIRST_ONLY = defect("array-prompt-first-only", "Of several prompts only the first is read.", row="D-L02")
INDEX_CONSTANT = defect("array-prompt-index-constant", "The index of all choices is 0.", row="D-L02")
SEVERAL_500 = defect("array-prompt-500", "Several prompts are answered 500.", row="D-L02")
LOGPROBS_CHAT = defect("completions-logprobs-chat", "logprobs have the shape of chat.", row="D-C13")
STOP_IGNORED = defect("completions-stop-ignored", "Text completions ignore stop.", row="D-C15")
STOP_INCLUDED = defect("completions-stop-included", "Text completions keep the stop string.", row="D-C15")
STOP_STRING_REFUSED = defect("stop-string-refused", "stop as a string is refused.", row="D-C16")
USAGE_MISSING = defect("completions-usage-missing", "Plain text completions have no usage.", row="D-U01")
USAGE_TOTAL = defect("completions-total-wrong", "total_tokens is not the sum.", row="D-U01")
STREAM_USAGE_ZERO = defect("completions-stream-usage-zero", "Streamed counts are 0.", row="D-U01")
STREAM_USAGE_IGNORED = defect(
    "completions-include-usage-ignored", "A text stream ignores include_usage.", row="D-U01"
)

_USUAL_CAP: Final = 16
_NUMBERS: Final = re.compile(r"(\d{1,6})\s+(\d{1,6})\s*$")
_MOST_NUMBERS: Final = 200
_SENTENCE: Final = " and so it went on, from one page to the next, until the story was told."
_DONE: Final = b"data: [DONE]\n\n"

_RULES: Final[dict[str, Callable[[str, Any], None]]] = {
    "max_tokens": partial(check_integer, low=0, high=2**31),
    "temperature": partial(check_number, low=0, high=2),
    "logprobs": partial(check_integer, low=0, high=5),
    "stream": check_boolean,
    "stream_options": check_object,
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for. stops: the stop strings. logprobs: whether they were asked for."""

    model: str
    prompts: list[str]
    cap: int
    stops: tuple[str, ...]
    logprobs: bool
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class _Continued:
    """How the model went on with a prompt, and why it ended."""

    tokens: tuple[str, ...]
    finish: str


async def create_text_completion(request: Request) -> Response:
    """POST /completions."""
    authorise(request)
    state = state_of(request)
    asked = _read(await read_body(request), state.defects)
    continued = [_go_on(prompt, asked, state.defects) for prompt in asked.prompts]
    if asked.stream and STREAM_IGNORED not in state.defects:
        frames = _frames(asked, continued, state)
        return StreamingResponse(_paced(frames, state.pause), media_type="text/event-stream")
    answer = {
        **_head(asked, state),
        "choices": [
            _choice(one.tokens, index, one.finish, asked, state.defects)
            for index, one in enumerate(continued)
        ],
        "usage": _usage(asked, continued),
    }
    return answer_json(spoil(answer, _FAULTS, state.defects))


def _read(body: Any, defects: Defects) -> _Asked:
    check_object("body", body)
    for name in ("model", "prompt"):
        if body.get(name) is None:
            raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    check_string("model", body["model"])
    if body["model"] not in CHAT_MODELS:
        raise unknown_model(body["model"])
    for name, check in _RULES.items():
        if body.get(name) is not None:
            check(name, body[name])
    refuse_parameters(body, defects & LEGAL_DIALECTS)
    prompts = _prompts(body["prompt"], defects)
    return _Asked(
        model=body["model"],
        prompts=prompts[:1] if FIRST_ONLY in defects else prompts,
        cap=_USUAL_CAP if body.get("max_tokens") is None else body["max_tokens"],
        stops=_stops(body.get("stop"), defects),
        logprobs=bool(body.get("logprobs")),
        stream=body.get("stream") is True,
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _prompts(given: Any, defects: Defects) -> list[str]:
    if isinstance(given, str):
        return [given]
    check_array("prompt", given, least=1)
    for number, prompt in enumerate(given):
        check_string(f"prompt[{number}]", prompt)
    if len(given) > 1 and SEVERAL_500 in defects:
        raise crash()
    return list(given)


def _stops(given: Any, defects: Defects) -> tuple[str, ...]:
    if given is None or STOP_IGNORED in defects:
        return ()
    if isinstance(given, str):
        if STOP_STRING_REFUSED in defects:
            raise wrong_type("stop", given, "an array")
        return (given,)
    check_array("stop", given, most=4)
    for number, stop in enumerate(given):
        check_string(f"stop[{number}]", stop)
    return tuple(given)


def _go_on(prompt: str, asked: _Asked, defects: Defects) -> _Continued:
    """The continuation, up to the first stop string or the cap."""
    whole = tokenize(_continuation(prompt))
    written = "".join(whole[: asked.cap])
    ends = [(place, stop) for stop in asked.stops if stop and (place := written.find(stop)) >= 0]
    if ends:
        place, stop = min(ends)
        kept = place + len(stop) if STOP_INCLUDED in defects else place
        return _Continued(tokenize(written[:kept]), "stop")
    return _Continued(whole[: asked.cap], "length" if len(whole) > asked.cap else "stop")


def _continuation(prompt: str) -> str:
    """Numbers that rise or fall go on; after anything else comes a sentence."""
    found = _NUMBERS.search(prompt)
    if not found:
        return _SENTENCE
    last, step = int(found[2]), int(found[2]) - int(found[1])
    return "".join(f" {last + step * number}" for number in range(1, _MOST_NUMBERS))


def _head(asked: _Asked, state: State) -> dict[str, Any]:
    return {
        "id": state.identifiers.next("cmpl-", 29),
        "object": "text_completion",
        "created": int(time.time()),
        "model": asked.model,
        "system_fingerprint": FINGERPRINT,
    }


def _choice(
    tokens: Sequence[str], index: int, finish: str | None, asked: _Asked, defects: Defects
) -> dict[str, Any]:
    logprobs: Any = legacy_logprobs(tokens) if asked.logprobs else None
    if asked.logprobs and LOGPROBS_CHAT in defects:
        logprobs = {"content": [{"token": token, "logprob": -0.25} for token in tokens]}
    choice = {"text": "".join(tokens), "index": index, "logprobs": logprobs, "finish_reason": finish}
    if not asked.stream:
        spoil(choice, _CHOICE_FAULTS, defects)
    elif CHUNK_DELTA in defects:
        choice["delta"] = {"content": choice.pop("text")}
    return choice


def _usage(asked: _Asked, continued: Sequence[_Continued]) -> dict[str, int]:
    prompt, completion = sum(map(count, asked.prompts)), sum(len(one.tokens) for one in continued)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _frames(asked: _Asked, continued: Sequence[_Continued], state: State) -> list[bytes]:
    """The stream as events: a chunk for each token, one that ends each choice, and the usage."""
    defects, head = state.defects, _head(asked, state)
    include_usage = asked.include_usage and STREAM_USAGE_IGNORED not in defects
    extra: dict[str, Any] = {"usage": None} if include_usage else {}
    chunks: list[dict[str, Any]] = []
    for index, one in enumerate(continued):
        pieces = [((token,), None) for token in one.tokens] + [((), one.finish)]
        chunks += [
            {**head, "choices": [_choice(tokens, index, finish, asked, defects)], **extra}
            for tokens, finish in pieces
        ]
    if include_usage:
        usage = _usage(asked, continued)
        zero = dict.fromkeys(usage, 0)
        chunks.append({**head, "choices": [], "usage": zero if STREAM_USAGE_ZERO in defects else usage})
    for number, chunk in enumerate(chunks):
        if CHUNK_OBJECT_CHAT in defects:
            chunk["object"] = "chat.completion.chunk"
        if CHUNK_ID_CHANGES in defects:
            chunk["id"] = f"{chunk['id']}-{number}"
    return [*map(event, chunks), *([] if WITHOUT_DONE in defects else [_DONE])]


async def _paced(frames: Sequence[bytes], pause: float) -> AsyncIterator[bytes]:
    for number, frame in enumerate(frames):
        if number:
            await asyncio.sleep(pause)
        yield frame


_CHOICE_FAULTS: Final[Faults] = {
    MESSAGE: lambda choice: choice.update(message={"role": "assistant", "content": choice.pop("text")}),
    FINISH_NULL: lambda choice: choice.update(finish_reason=None),
    INDEX_CONSTANT: lambda choice: choice.update(index=0),
}
_FAULTS: Final[Faults] = {
    OBJECT_CHAT: lambda answer: answer.update(object="chat.completion"),
    USAGE_MISSING: lambda answer: answer.pop("usage"),
    USAGE_TOTAL: lambda answer: answer["usage"].update(total_tokens=answer["usage"]["total_tokens"] + 7),
    LEGAL_VENDOR_KEYS: lambda answer: answer.update(provider="reference", prompt=[]),
}
