"""`response_format`: its checks, and answers in JSON."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pytest_llmcompat.reference.checks import check_boolean, check_choice, check_object, check_string
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, crash, invalid
from pytest_llmcompat.reference.filling import fill
from pytest_llmcompat.reference.hints import Hints
from pytest_llmcompat.reference.request import ChatRequest
from pytest_llmcompat.reference.schemas import check_schema

__all__ = ["NAME", "check_format", "compose"]

OBJECT_PROSE = defect("json-object-prose", "json_object is answered with prose.", row="D-J01")
OBJECT_FENCED = defect("json-object-fenced", "json_object is answered with fenced JSON.", row="D-J01")
SCHEMA_IGNORED = defect("json-schema-ignored", "json_schema is answered with prose.", row="D-J01")
SCHEMA_FENCED = defect("json-schema-fenced", "json_schema is answered with fenced JSON.", row="D-J01")
SCHEMA_OTHER = defect(
    "json-schema-other-values", "json_schema is answered with JSON that breaks it.", row="D-J01"
)
SCHEMA_500 = defect("json-schema-500", "json_schema is answered 500.", row="D-J02")
TEXT_REFUSED = defect("format-text-refused", "response_format text is refused.", row="D-J02")
STREAM_PROSE = defect("json-schema-stream-prose", "A streamed json_schema answer is prose.", row="D-J03")
BAD_SCHEMA_200 = defect("bad-schema-200", "A schema that is none is answered with text.", row="D-J04")
BAD_SCHEMA_500 = defect("bad-schema-500", "A schema that is none is answered 500.", row="D-J04")
NAME_OPTIONAL = defect("schema-name-optional", "json_schema needs no name.", row="supplement")
TYPE_200 = defect("format-type-200", "An unknown response_format is answered with prose.", row="supplement")
TYPE_500 = defect("format-type-500", "An unknown response_format is answered 500.", row="supplement")
JSON_THINK = defect("json-think-in-content", "Plain json_schema answers start with <think>.", row="D-C24")

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_KINDS: Final = ("text", "json_object", "json_schema")
_PARAM: Final = "response_format.json_schema"


def check_format(body: dict[str, Any], defects: Defects) -> None:
    """Raises ApiError 400 for a response format that cannot be kept."""
    sent = body.get("response_format")
    if sent is None:
        return
    check_object("response_format", sent)
    kind = sent.get("type")
    with checked(defects, silent=TYPE_200, crashing=TYPE_500) as check:
        check_choice("response_format.type", kind, _KINDS)
    if check.failed:
        body["response_format"] = None
    if kind == "json_object":
        _check_mention(body["messages"])
    if kind == "json_schema":
        _check_json_schema(body, sent.get("json_schema"), defects)
    if kind == "text" and TEXT_REFUSED in defects:
        raise invalid("'response_format' of type 'text' is not supported.", "response_format")


def _check_mention(messages: list[dict[str, Any]]) -> None:
    if "json" not in json.dumps(messages).lower():
        raise invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
            "'json_object'.",
            "messages",
        )


def _check_json_schema(body: dict[str, Any], sent: Any, defects: Defects) -> None:
    _check_given(_PARAM, sent)
    check_object(_PARAM, sent)
    with checked(defects, silent=NAME_OPTIONAL):
        _check_name(sent.get("name"))
    if sent.get("strict") is not None:
        check_boolean(f"{_PARAM}.strict", sent["strict"])
    strict, whose = sent.get("strict") is True, f"response_format '{sent.get('name')}'"
    if sent.get("schema") is not None:
        check_object(f"{_PARAM}.schema", sent["schema"])
        with checked(defects, silent=BAD_SCHEMA_200, crashing=BAD_SCHEMA_500) as check:
            check_schema(sent["schema"], "response_format", whose, None, strict=strict)
        if check.failed:
            body["response_format"] = None
            return
    if SCHEMA_500 in defects:
        raise crash()


def _check_given(param: str, value: Any) -> None:
    if value is None:
        raise invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def _check_name(name: Any) -> None:
    param = f"{_PARAM}.name"
    _check_given(param, name)
    check_string(param, name)
    if not NAME.fullmatch(name):
        raise invalid(f"Invalid '{param}': it must match {NAME.pattern}.", param, "invalid_value")


def compose(request: ChatRequest, prose: str) -> str:
    """The answer in the format asked for.

    A schema is filled. A mere object gets the pairs of the prompt, or the prose as `answer`.
    """
    if request.format.kind == "text":
        return prose
    hints, defects = Hints(request.prompt), request.defects
    if request.format.kind == "json_object":
        if OBJECT_PROSE in defects:
            return prose
        text = json.dumps(hints.pairs or {"answer": prose}, ensure_ascii=False)
        return f"```json\n{text}\n```" if OBJECT_FENCED in defects else text
    if SCHEMA_IGNORED in defects or (request.stream and STREAM_PROSE in defects):
        return prose
    value = fill(request.format.schema, hints)
    if SCHEMA_OTHER in defects:
        value = {"mood": "tired", "extra": True}
    text = json.dumps(value, ensure_ascii=False)
    if SCHEMA_FENCED in defects:
        text = f"```json\n{text}\n```"
    return (
        f"<think>The schema asks for JSON.</think>{text}"
        if JSON_THINK in defects and not request.stream
        else text
    )
