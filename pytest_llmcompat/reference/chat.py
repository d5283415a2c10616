"""POST /chat/completions."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.breaking import breaks
from pytest_llmcompat.reference.completion import Answer, completion
from pytest_llmcompat.reference.crowd import mixed
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import ApiError, crash, envelope
from pytest_llmcompat.reference.framing import answer_stream, await_turn, event
from pytest_llmcompat.reference.generation import generate
from pytest_llmcompat.reference.models import name_in_answers
from pytest_llmcompat.reference.request import ChatRequest, read_chat
from pytest_llmcompat.reference.state import State
from pytest_llmcompat.reference.streaming import chunks
from pytest_llmcompat.reference.throttling import refuse_at_once, refuse_crowd
from pytest_llmcompat.reference.transport import (
    LEGAL_BARE,
    answer_completion,
    answer_json,
    read_body,
    state_of,
)
from pytest_llmcompat.reference.usage import CONTEXT, check_length, count_prompt, usage
from pytest_llmcompat.reference.validation import check_chat

__all__ = ["create_completion"]

ERROR_IN_200 = defect("error-in-200", "Plain chat requests are refused with 200.", row="D-E05")
STREAM_ERROR_200 = defect(
    "stream-error-200", "Streamed chat requests are refused with 200 and an event.", row="D-E10"
)
STREAM_ERROR_AS_SSE = defect(
    "stream-error-as-sse", "Streamed chat requests are refused with an event as body.", row="D-E10"
)
STREAMS_500 = defect("streams-500", "Streamed chat requests crash with 500.", row="supplement")
STREAM_IGNORED = defect("stream-ignored", "stream is ignored.", row="D-S02")
ID_REPEATS = defect("id-repeats", "All answers have the same id.", row="D-C02")


async def create_completion(request: Request) -> Response:
    """POST /chat/completions."""
    authorise(request)
    state = state_of(request)
    await await_turn(state)
    body = None
    try:
        body = await read_body(request)
        check_chat(body, state.defects)
        chat = read_chat(body, state.defects)
        if chat.stream and STREAMS_500 in state.defects:
            raise crash()
        alike = state.crowd.count(chat)
        refuse_at_once(state.answers, state.defects)
        if not chat.stream:
            refuse_crowd(alike, state.defects)
        answer, other = await state.crowd.share(_answer(chat, state), state.defects)
        headers = state.ratelimit.take(answer.usage["total_tokens"], state.defects)
    except ApiError as error:
        return _refusal(error, body, state.defects)
    headers = {} if LEGAL_BARE in state.defects else headers
    if answer.request.stream and STREAM_IGNORED not in state.defects:
        sent = chunks(answer) if other is None else mixed(chunks(answer), chunks(other))
        return answer_stream(sent, state, headers, breaks(alike, state.defects))
    return answer_completion(completion(answer), headers, state.defects)


def _answer(chat: ChatRequest, state: State) -> Answer:
    prompt = count_prompt(chat)
    check_length(prompt, chat.defects)
    generations = generate(chat, state.identifiers, CONTEXT - prompt)
    id = state.identifiers.next("chatcmpl-", 29)
    state.answers += 1
    return Answer(
        id="chatcmpl-0" if ID_REPEATS in chat.defects else id,
        created=int(time.time()),
        model=name_in_answers(chat.model, state.answers, chat.defects),
        request=chat,
        generations=generations,
        usage=usage(chat, prompt, generations, state),
    )


def _refusal(error: ApiError, body: Any, defects: Defects) -> Response:
    """A defective refusal; a healthy one is raised to the application. Raises ApiError."""
    streamed = isinstance(body, dict) and body.get("stream") is True
    if streamed and STREAM_ERROR_200 in defects:
        return Response(event(envelope(error, defects)), 200, media_type="text/event-stream")
    if streamed and STREAM_ERROR_AS_SSE in defects:
        return Response(event(envelope(error, defects)), error.status, media_type="text/event-stream")
    if not streamed and ERROR_IN_200 in defects:
        return answer_json({"choices": None, **envelope(error, defects)})
    raise error
