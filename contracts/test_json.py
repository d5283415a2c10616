"""Contracts on `response_format`: JSON answers, and the schemas that they keep."""

from __future__ import annotations

from typing import Any

from pytest_llmcompat.answer import answered, body, came, decided, error_message, error_param, names
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import json_object_in, read_json, violation, without_thinking
from pytest_llmcompat.sdk import arguments, take
from pytest_llmcompat.turn import FINISH_REASONS, Turn, sent, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn, warn_unless

_SPEC = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_OBJECT = _SPEC.format(58425, "ResponseFormatJsonObject")
_SPEC_SCHEMA = _SPEC.format(58448, "ResponseFormatJsonSchema")
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "structured output", "structured outputs")
_DOWN = (501, 502, 503, 504, 529)


def _written(exchange: Exchange) -> Turn:
    """The turn, when the model wrote something to its end; a refusal or a cut settles nothing."""
    answer = turn(exchange, *_FORMAT_WORDS)
    if answer.cut:
        inconclusive(f"{exchange.probe}: the answer was cut ({answer.finish})")
    if answer.refusal or not answer.text.strip():
        inconclusive(f"{exchange.probe}: the model refused or wrote nothing")
    return answer


def _schema(exchange: Exchange) -> Any:
    schema = sent(exchange, "response_format/json_schema/schema")
    return {} if schema is MISSING else schema


def _expect_schema_kept(answer: Turn) -> None:
    """Break unless the text, thinking apart, is bare JSON that conforms to the schema sent."""
    value = read_json(without_thinking(answer.text))
    expect(value is not MISSING, *answer.text_at, "bare JSON, by the schema sent", answer.text)
    if (broken := violation(value, _schema(answer.exchange))) is not None:
        pointer, message = broken
        fail(*answer.text_at, f"what the schema asks for at «{pointer}»: {message}", answer.text)


def _keeps_schema(answer: Turn) -> bool:
    value = read_json(without_thinking(answer.text))
    return value is not MISSING and violation(value, _schema(answer.exchange)) is None


def _repeats_itself(answer: Turn) -> bool:
    """True when the last delta of a stream is the whole object by itself."""
    written = [
        delta for part in answer.parts if isinstance(delta := part.at("/delta/content"), str) and delta
    ]
    return isinstance(read_json(written[-1]), dict)


@contract(
    "json.object",
    MUST,
    source=_SPEC_OBJECT,
    breaks="`json.loads(content)` raises on prose, on a ``` fence and on text behind the object.",
    fix="Constrain the model to one JSON object, or refuse `json_object` by name.",
    catches=("json-object-prose", "json-object-fenced"),
    cases=("ROCm/FastFlowLM#554", "webai-at-home/webai-at-home#191"),
)
def test_json_object_gives_one_object(json_object: Exchange) -> None:
    """With `response_format` «json_object» the content is one JSON object and nothing else."""
    answer = _written(json_object)
    value = read_json(without_thinking(answer.text))
    expect(isinstance(value, dict), *answer.text_at, "one JSON object and nothing else", answer.text)


@contract(
    "json.text-type",
    SHOULD,
    source="OpenAI's specification: ResponseFormatText, the default written out",
    breaks="Clients that always send their response format are refused although they ask for plain text.",
    fix='Accept `response_format: {"type": "text"}` and answer as without it.',
    catches=("format-text-refused",),
    cases=("lmstudio-ai/lmstudio-bug-tracker#307",),
)
def test_text_format_is_accepted(chat_params: Exchange, json_object: Exchange, json_schema: Exchange) -> None:
    """`response_format` of type «text» is accepted, where other types are."""
    refusal = came(chat_params).refused.get("response_format")
    if refusal is None:
        answered(chat_params)
        return
    if not json_object.ok and not json_schema.ok:
        unsupported(f"no response format is accepted: {refusal.message}")
    fail(chat_params, "status", "200: `text` is the default", f"{refusal.status}: {refusal.message}")


@contract(
    "json.schema-accepted",
    MUST,
    source=f"{_SPEC_SCHEMA}, required are `type` and `json_schema`",
    breaks="Every program with typed answers (`.parse()`, AI SDK's generateObject) stops at its first request.",
    fix="Accept `json_schema` with `name`, `schema` and `strict`; without the feature refuse it by name.",
    catches=("json-schema-500",),
    cases=("ggml-org/llama.cpp#23463", "ggml-org/llama.cpp#11988"),
)
def test_json_schema_is_accepted(json_schema: Exchange, chat_basic: Exchange) -> None:
    """A `response_format` of type «json_schema», with name, schema and strict, is answered."""
    came(json_schema)
    crashed = json_schema.status >= 500 and json_schema.status not in _DOWN
    expect(not (crashed and chat_basic.ok), json_schema, "status", "200, or 400 that names response_format")
    answered(json_schema, *_FORMAT_WORDS)


@contract(
    "json.schema-enforced",
    MUST,
    source=f"{_SPEC_SCHEMA}, `strict`; measured: fenced JSON is a ValidationError in `.parse()`",
    breaks="`.parse()` raises; programs without checks of their own store values they never allowed.",
    fix="Constrain the model by the schema; send the bare JSON as content.",
    catches=("json-schema-ignored", "json-schema-fenced", "json-schema-other-values"),
    cases=("ggml-org/llama.cpp#11847",),
)
def test_answer_keeps_the_schema(json_schema: Exchange) -> None:
    """With a strict schema the content is bare JSON that conforms to it, enum and extra keys included."""
    _expect_schema_kept(_written(json_schema))


@contract(
    "json.schema-not-ignored",
    MUST,
    source="own rule: a prompt that asks for prose tells an enforced schema from a lucky model",
    breaks="Programs get prose as soon as their prompt does not itself ask for JSON.",
    fix="Constrain the model by the schema instead of leaving it to the prompt, or refuse it by name.",
    catches=("json-schema-ignored",),
    cases=("webai-at-home/webai-at-home#191",),
)
def test_schema_wins_over_the_prompt(json_schema: Exchange) -> None:
    """A schema is followed although the prompt asks for a sentence."""
    answer = _written(json_schema)
    found = json_object_in(without_thinking(answer.text))
    expect(found is not None, *answer.text_at, "JSON, for which the schema asks", answer.text)


@contract(
    "json.schema-stream",
    MUST,
    source="openai-python 3.57 lib/streaming/chat/_completions.py:434-444 parses the joined text",
    breaks="`.stream(response_format=…)` raises at its end; programs that stream get prose.",
    fix="Constrain the model by the schema in streams as in plain answers.",
    catches=("json-schema-stream-prose",),
)
def test_streamed_answer_keeps_the_schema(json_schema: Exchange, json_schema_stream: Exchange) -> None:
    """Streamed, the answer joins to bare JSON that conforms to the schema, as the plain one does."""
    answer = _written(json_schema_stream)
    if not _keeps_schema(_written(json_schema)):
        inconclusive("the plain answer breaks the schema too (json.schema-enforced judges that)")
    if read_json(answer.text) is MISSING and _repeats_itself(answer):
        inconclusive("each delta is the text so far (chat.stream.deltas-incremental judges that)")
    _expect_schema_kept(answer)


@contract(
    "json.schema-finish",
    SHOULD,
    source="openai-python 3.57 lib/_parsing/_completions.py:109 raises on `length` and `content_filter`",
    breaks="`.parse()` raises although the object is whole.",
    fix="End a complete object with `stop`.",
    catches=("json-finish-length",),
)
def test_complete_object_ends_with_stop(json_schema: Exchange) -> None:
    """A complete JSON answer ends with `stop`."""
    answer = turn(json_schema, *_FORMAT_WORDS)
    if not _keeps_schema(answer):
        inconclusive("the answer is no complete object (json.schema-enforced judges that)")
    if not isinstance(answer.finish, str) or answer.finish not in FINISH_REASONS:
        inconclusive("the finish reason is not documented (chat.finish-reason-enum judges that)")
    # White space up to the cap may follow the object.
    if answer.finish == "length":
        inconclusive("the cap was met")
    expect(answer.finish == "stop", *answer.finish_at, "stop, since the object is complete")


@contract(
    "json.sdk-parse",
    MUST,
    source="measured with openai-python 3.57: `.parse()` raises on fences and on <think> markup",
    breaks="`client.chat.completions.parse()` raises, and with it every program that wants typed answers.",
    fix="Send nothing but the JSON as content; put thinking into a field of its own.",
    catches=("json-think-in-content", "json-finish-length"),
    cases=("vllm-project/vllm#13375",),
)
def test_official_client_parses_the_answer(json_schema: Exchange) -> None:
    """`client.chat.completions.parse()` makes the typed object of the answer."""
    answer = turn(json_schema, *_FORMAT_WORDS)
    if answer.finish == "length" or answer.refusal or not _keeps_schema(answer):
        inconclusive("the answer is no complete object by the schema (json.schema-enforced judges that)")
    from pydantic import ConfigDict, create_model

    # What the values are is the claim of json.schema-enforced; the client asks for a model of any kind.
    reply = create_model("Reply", __config__=ConfigDict(extra="allow"))
    asked = {**arguments(json_schema), "response_format": reply}
    expected = "an answer that .parse() makes the typed object of"
    parsed = take(json_schema, lambda openai: openai.chat.completions.parse(**asked), expected)
    expect(isinstance(parsed.choices[0].message.parsed, reply), *answer.text_at, expected)


@contract(
    "json.schema-reasoning-content",
    SHOULD,
    source="MiniMax-Provider-Verifier counts it as «error-only-reasoning»",
    breaks="Programs read an empty `content` and raise; the JSON is in a field that they do not know.",
    fix="Send the answer as `content` and only the thinking as reasoning.",
    catches=("json-in-reasoning",),
)
def test_json_is_not_left_in_reasoning(json_schema: Exchange) -> None:
    """The JSON of a model that thinks comes as `content`, not only in the reasoning field."""
    answer = turn(json_schema, *_FORMAT_WORDS)
    if answer.text.strip():
        return
    for choice in answer.parts:
        for pointer in ("/message/reasoning_content", "/message/reasoning"):
            thought = choice.at(pointer)
            if isinstance(thought, str) and json_object_in(thought) is not None and not answer.cut:
                warn(choice, pointer, "the JSON in `content`")
    inconclusive("the model wrote nothing")


@contract(
    "json.bad-schema-400",
    SHOULD,
    source="OpenAI answers 400 (lfnovo/esperanto#273)",
    breaks="A schema that cannot be kept goes unnoticed, and the answers follow none.",
    fix="Compile the schema before answering, and answer 400 when that fails.",
    catches=("bad-schema-200", "bad-schema-500"),
    cases=("kekzl/imp#1564",),
)
def test_impossible_schema_is_refused(json_schema: Exchange, err_json_schema: Exchange) -> None:
    """A schema that cannot be compiled is refused with 400."""
    answered(json_schema, *_FORMAT_WORDS)
    status = decided(err_json_schema).status
    expect(400 <= status < 500, err_json_schema, "status", "400: there is no type `objekt`")


@contract(
    "json.schema-name-required-400",
    SHOULD,
    source=f"{_SPEC_SCHEMA}, `name` is required; openai/openai-node#1404 shows OpenAI's answer",
    breaks="Programs written against this server fail at OpenAI, which asks for the name.",
    fix="Refuse `json_schema` without `name` with a 400 that names the parameter.",
    catches=("schema-name-optional",),
)
def test_schema_without_name_is_refused(json_schema: Exchange, err_json_name: Exchange) -> None:
    """`json_schema` without `name` is refused with 400 that names the parameter; all else is a warning."""
    answered(json_schema, *_FORMAT_WORDS)
    status = decided(err_json_name).status
    warn_unless(400 <= status < 500, err_json_name, "status", "400: `name` is missing")
    envelope = isinstance(body(err_json_name).at("/error/message"), str)
    named = "name" in (error_param(err_json_name) or "").split(".") or names(err_json_name, "name")
    warn_unless(
        named or not envelope, err_json_name, "body", "an error that names `name`", _told(err_json_name)
    )


def _told(exchange: Exchange) -> str:
    return f"{error_message(exchange)} (param {error_param(exchange)})"


@contract(
    "json.format-type-400",
    SHOULD,
    source="OpenAI's specification: text, json_object, json_schema",
    breaks="A misspelt type goes unnoticed, and the program gets prose.",
    fix="Answer 400 to a `response_format.type` that is no known one.",
    catches=("format-type-200", "format-type-500"),
)
def test_unknown_format_is_refused(err_json_type: Exchange) -> None:
    """An unknown `response_format.type` is refused with 400; to ignore it is a warning."""
    status = decided(err_json_type).status
    expect(status < 500, err_json_type, "status", "400, not a server error")
    warn_unless(status >= 400, err_json_type, "status", "400: there is no such type")
