"""Why a choice ended: the `finish_reason` of plain and streamed answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defect, defect
from pytest_llmcompat.reference.request import ChatRequest

__all__ = ["Ending", "finish_reason"]

NULL = defect("finish-null", "Plain finish_reason is null.", row="D-C10")
EOS = defect("finish-eos", "A plain natural end is called eos_token.", row="D-C10")
STOP_AS_LENGTH = defect("finish-stop-as-length", "A plain natural end is called length.", row="D-C10")
JSON_FILTER = defect(
    "json-finish-length", "A whole plain json_schema answer ends with content_filter.", row="D-C10"
)
CAP_STOP = defect("cap-finish-stop", "A plain capped answer ends with stop.", row="D-C11")
STOP_LENGTH = defect("stop-finish-length", "A plain answer cut by stop ends with length.", row="D-C15")
TOOL_STOP = defect("tool-finish-stop", "A plain tool call ends with stop.", row="D-F03")
WITHOUT_CALLS = defect(
    "tool-finish-without-calls", "With tool_choice none the end is tool_calls.", row="D-F03"
)
NAMED_OTHER = defect("tool-named-finish-null", "A named tool_choice ends with function.", row="D-F03")
STREAM_EOS = defect("stream-finish-eos", "A streamed natural end is called eos_token.", row="D-C10")
STREAM_CAP_STOP = defect("stream-cap-finish-stop", "A streamed capped answer ends with stop.", row="D-C11")
STREAM_TOOL_STOP = defect("stream-tool-finish-stop", "A streamed tool call ends with stop.", row="D-F03")
STREAM_CUT_CALL = defect(
    "stream-cut-call-finish-tool-calls", "A streamed call cut by the cap ends with tool_calls.", row="D-C11"
)
LEGAL_NAMED_TOOL_CALLS = defect(
    "legal-named-tool-calls", "A named tool_choice ends with tool_calls.", row="G-03", legal=True
)


class Ending(StrEnum):
    """What really ended a choice."""

    NATURAL = "natural"
    STOPPED = "stopped"
    CAPPED = "capped"
    CALLING = "calling"


_REASONS: Final = {Ending.NATURAL: "stop", Ending.STOPPED: "stop", Ending.CAPPED: "length"}

_Rule = tuple[Defect, Callable[[Ending, ChatRequest], bool], str | None]
_PLAIN_FAULTS: Final[tuple[_Rule, ...]] = (
    (NULL, lambda *_: True, None),
    (EOS, lambda ending, request: _in_prose(ending, request), "eos_token"),
    (STOP_AS_LENGTH, lambda ending, request: _in_prose(ending, request), "length"),
    (JSON_FILTER, lambda ending, request: _in_json(ending, request), "content_filter"),
    (CAP_STOP, lambda ending, _: ending == Ending.CAPPED, "stop"),
    (STOP_LENGTH, lambda ending, _: ending == Ending.STOPPED, "length"),
    (TOOL_STOP, lambda ending, request: ending == Ending.CALLING and request.named is None, "stop"),
    (
        WITHOUT_CALLS,
        lambda ending, request: ending == Ending.NATURAL and _calls_forbidden(request),
        "tool_calls",
    ),
    (NAMED_OTHER, lambda ending, request: ending == Ending.CALLING and request.named is not None, "function"),
    (LEGAL_NAMED_TOOL_CALLS, lambda ending, _: ending == Ending.CALLING, "tool_calls"),
)
_STREAM_FAULTS: Final[tuple[_Rule, ...]] = (
    (STREAM_EOS, lambda ending, request: _in_prose(ending, request), "eos_token"),
    (STREAM_CAP_STOP, lambda ending, _: ending == Ending.CAPPED, "stop"),
    (
        STREAM_CUT_CALL,
        lambda ending, request: ending == Ending.CAPPED and request.choice == "required",
        "tool_calls",
    ),
    (STREAM_TOOL_STOP, lambda ending, _: ending == Ending.CALLING, "stop"),
    (LEGAL_NAMED_TOOL_CALLS, lambda ending, _: ending == Ending.CALLING, "tool_calls"),
)


def _in_prose(ending: Ending, request: ChatRequest) -> bool:
    return ending == Ending.NATURAL and request.format.kind == "text"


def _in_json(ending: Ending, request: ChatRequest) -> bool:
    return ending == Ending.NATURAL and request.format.kind == "json_schema"


def _calls_forbidden(request: ChatRequest) -> bool:
    return bool(request.tools) and request.choice == "none"


def finish_reason(ending: Ending, request: ChatRequest) -> Any:
    """The finish reason to send; a call that was forced by name ends with `stop`, as at OpenAI.

    Source: the table of OpenAI's behaviour in vllm-project/vllm#25054.
    """
    if ending == Ending.CALLING and request.legacy:
        return "stop" if request.named else "function_call"
    for fault, applies, reason in _STREAM_FAULTS if request.stream else _PLAIN_FAULTS:
        if fault in request.defects and applies(ending, request):
            return reason
    if ending == Ending.CALLING:
        return "stop" if request.named else "tool_calls"
    return _REASONS[ending]
