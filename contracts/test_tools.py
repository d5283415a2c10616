"""Contracts on tool calls in plain answers: that tools are accepted, and what a call looks like."""

from __future__ import annotations

from pytest_llmcompat.answer import answered, came
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json, violation
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.turn import TOOL_WORDS, Call, Turn, distorted, every_call, tools_sent, turn, turns
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn_unless

_SPEC = "OpenAI's specification (openapi.yaml f85dbe2, line {}): {}"
_SPEC_CALL = _SPEC.format(31004, "ChatCompletionMessageToolCall")
_SPEC_MESSAGE = _SPEC.format(31629, "ChatCompletionResponseMessage")
_DOWN = (501, 502, 503, 504, 529)


@contract(
    "tools.accepted",
    MUST,
    source=_SPEC.format(33105, "CreateChatCompletionRequest, `tools`"),
    breaks="Agents and every framework with tools stop at their first request.",
    fix="Accept `tools` of type `function`; without the feature answer 400 with an error that names `tools`.",
    catches=("tools-refused",),
    cases=("ollama/ollama#10604",),
)
def test_tools_are_accepted(tool_required: Exchange, chat_basic: Exchange) -> None:
    """A request with `tools` of type `function` is answered."""
    came(tool_required)
    crashed = tool_required.status >= 500 and tool_required.status not in _DOWN
    expect(not (crashed and chat_basic.ok), tool_required, "status", "200, as for a request without tools")
    answered(tool_required, *TOOL_WORDS)


@contract(
    "tools.shape",
    MUST,
    passive="chat",
    source=f"{_SPEC_CALL}; vercel/ai openai-compatible-chat-language-model.ts:780-798 asks for the parts",
    breaks="AI SDK refuses the whole answer; openai-python gives None where code reads `call.function.name`.",
    fix='Write each call as {"id": …, "type": "function", "function": {"name": …, "arguments": …}}.',
    catches=("tool-type-missing", "tool-function-missing"),
    cases=("vllm-project/vllm#17161",),
)
def test_calls_have_all_their_parts(tool_required: Exchange) -> None:
    """Each tool call has an `id`, the `type` «function», and a `function` with `name` and `arguments`."""
    [choice] = turn(tool_required, *TOOL_WORDS).parts
    calls = choice.at("/message/tool_calls")
    expect(not calls or isinstance(calls, list), choice, "/message/tool_calls", "an array of calls")
    # Custom tools have calls of another shape (ChatCompletionMessageCustomToolCall).
    ours = [call for call in every_call(tool_required) if not isinstance(call.place.at("/custom"), dict)]
    if not ours:
        inconclusive("only custom tools were called")
    for call in ours:
        expect_conforms(call.place, "tool-call")


@contract(
    "tools.id-nonempty",
    MUST,
    passive=("chat", "chat-stream"),
    source=f"{_SPEC_CALL}, `id` is required; results are matched to calls by it",
    breaks="The result of the call cannot be sent back: `tool_call_id` is empty, and strict servers refuse it.",
    fix="Give each call an id of its own, such as `call_` and random characters.",
    catches=("tool-id-empty",),
    cases=("run-llama/llama_index#20207",),
)
def test_call_ids_are_not_empty(tool_required: Exchange, tool_stream: Exchange) -> None:
    """The `id` of each tool call is a string that is not empty."""
    known = [call for call in every_call(tool_required, tool_stream) if call.id is not MISSING]
    if not known:
        inconclusive("no call has an id (tools.shape and tools.stream.id-first judge that)")
    for call in known:
        expect(isinstance(call.id, str) and call.id != "", call.place, "/id", "a string that is not empty")


@contract(
    "tools.id-unique",
    MUST,
    passive=("chat", "chat-stream"),
    source="results are matched to calls by `tool_call_id` (OpenAI's specification, tool message)",
    breaks="With two equal ids one result overwrites the other, and the model reads the wrong one.",
    fix="Give each call an id of its own.",
    catches=("tool-id-repeated",),
    cases=("can1357/oh-my-pi#2055", "QwenLM/qwen-code#5107"),
)
def test_call_ids_differ(tool_required: Exchange, tool_stream: Exchange, tool_auto: Exchange) -> None:
    """No two tool calls bear the same id.

    The same id in answers to separate conversations is only a warning: clients match ids within one.
    """
    found = turns(tool_required, tool_stream, tool_auto)
    if sum(len(_identified(answer)) for answer in found) < 2:
        inconclusive("there are no two calls with an id to compare")
    for answer in found:
        seen: set[str] = set()
        for call in _identified(answer):
            expect(call.id not in seen, call.place, "/id", "another id than that of a call before it")
            seen.add(call.id)
    elsewhere: set[str] = set()
    for answer in found:
        for call in _identified(answer):
            warn_unless(call.id not in elsewhere, call.place, "/id", "another id than in an answer before")
        elsewhere |= {call.id for call in _identified(answer)}


def _identified(answer: Turn) -> list[Call]:
    return [call for call in answer.calls if isinstance(call.id, str) and call.id]


@contract(
    "tools.arguments-string",
    MUST,
    passive="chat",
    source=f"{_SPEC_CALL}, `arguments` is a string; vercel/ai …-chat-language-model.ts:786 z.string()",
    breaks="`json.loads(call.function.arguments)` raises TypeError; AI SDK refuses the whole answer.",
    fix="Send `arguments` as JSON in a string, not as an object.",
    catches=("tool-arguments-object", "no-args-null"),
    cases=("ggml-org/llama.cpp#20198", "huggingface/text-generation-inference#2136"),
)
def test_arguments_are_a_string(tool_required: Exchange) -> None:
    """The `arguments` of each tool call are a string."""
    given = [call for call in every_call(tool_required) if call.arguments is not MISSING]
    if not given:
        inconclusive("no call has arguments (tools.shape judges that)")
    for call in given:
        expect(isinstance(call.arguments, str), call.place, "/function/arguments", "JSON in a string")


@contract(
    "tools.arguments-json",
    MUST,
    source=f"{_SPEC_CALL}; measured with openai-python 3.57: doubly encoded arguments parse to a str",
    breaks="Parsing the arguments raises, or gives a string on which the program's next line fails.",
    fix="Encode the arguments once, and end a call that the cap has cut with `length`.",
    catches=("tool-arguments-doubly-encoded", "tool-arguments-broken", "tool-calls-merged"),
    cases=("BerriAI/litellm#33678",),
)
def test_arguments_are_a_json_object(tool_required: Exchange, tool_stream: Exchange) -> None:
    """The `arguments` of each whole tool call parse to one JSON object."""
    whole = [c for c in every_call(tool_required, tool_stream) if isinstance(c.arguments, str) and not c.cut]
    judged = [call for call in whole if call.arguments.strip() or _has_required(call)]
    if not judged:
        inconclusive("no whole call with arguments in a string came")
    for call in judged:
        value = read_json(call.arguments)
        # How fragments join is the claim of tools.stream.arguments-concat.
        if call.exchange.probe != "tool-stream" or isinstance(value, str):
            where, expected = "/function/arguments", "a JSON object, encoded once"
            expect(isinstance(value, dict), call.place, where, expected, call.arguments)


def _has_required(call: Call) -> bool:
    """OpenAI itself sends "" for a function without arguments (openai/openai-python#3502)."""
    parameters = (call.definition or {}).get("parameters")
    return isinstance(parameters, dict) and bool(parameters.get("required"))


@contract(
    "tools.arguments-schema",
    SHOULD,
    source=_SPEC.format(40623, "FunctionObject, `strict`"),
    breaks="Programs that rely on `strict` skip their own checks and run with values they never allowed.",
    fix="Constrain the model by the schema of a strict function, or refuse `strict` by name.",
    catches=("tool-schema-not-enforced",),
    cases=("kekzl/imp#1564",),
)
def test_strict_arguments_keep_the_schema(tool_required: Exchange) -> None:
    """The arguments of a call of a `strict` function conform to its schema."""
    judged = 0
    for call in every_call(tool_required):
        value = read_json(call.arguments) if isinstance(call.arguments, str) else MISSING
        function = call.definition
        if call.cut or function is None or function.get("strict") is not True or not isinstance(value, dict):
            continue
        judged += 1
        if (broken := violation(value, function.get("parameters", True))) is not None:
            pointer, message = broken
            fail(call.place, "/function/arguments", f"what the schema asks for at «{pointer}»: {message}")
    if not judged:
        inconclusive("no whole call of a strict function with a JSON object as arguments came")


@contract(
    "tools.name-known",
    MUST,
    passive=("chat", "chat-stream"),
    source=_SPEC_CALL,
    breaks="The program looks up a function that it does not have, and reports an unknown tool to the model.",
    fix="Send the name as it was in the request, without the namespace of the model's own template.",
    catches=("tool-name-prefixed",),
    cases=("NousResearch/hermes-agent#8259",),
)
def test_names_are_as_sent(tool_required: Exchange, tool_stream: Exchange, tool_named: Exchange) -> None:
    """The name in each tool call is that of a function sent, without prefix, suffix or repetition.

    A name that resembles none is the model's invention, which no server is blamed for.
    """
    named = [c for c in every_call(tool_required, tool_stream, tool_named) if isinstance(c.name, str)]
    for call in named:
        known = tools_sent(call.exchange)
        expected = f"exactly one of {', '.join(known)}"
        expect(not distorted(call.name, known), call.place, "/function/name", expected, call.name)
    invented = [call.name for call in named if call.definition is None]
    if invented or not named:
        inconclusive(f"the model called a function that it made up: {invented[0]}" if invented else "no name")


@contract(
    "tools.content-null-ok",
    MUST,
    passive="chat",
    source=f"{_SPEC_MESSAGE}, `content` is a string or null",
    breaks="Typed clients fail to decode the answer; others show a list where they expect text.",
    fix="Beside tool calls send `content` as null or as a string.",
    catches=("tool-content-parts",),
)
def test_content_beside_calls_is_null_or_string(tool_required: Exchange) -> None:
    """Beside tool calls, `content` is null or a string."""
    every_call(tool_required)
    [choice] = turn(tool_required, *TOOL_WORDS).parts
    content = choice.at("/message/content")
    sound = content is MISSING or content is None or isinstance(content, str)
    expect(sound, choice, "/message/content", "null or a string")


@contract(
    "tools.empty-array-absent",
    MUST,
    passive=("chat", "chat-stream"),
    source=f"{_SPEC_MESSAGE}, `tool_calls` is optional; agent loops test `is not None`",
    breaks="Agent loops take the answer for a tool call, have nothing to run, and loop or crash.",
    fix="Leave `tool_calls` out of answers without calls.",
    catches=("tool-calls-empty-array", "delta-tool-calls-empty-array"),
    cases=("vllm-project/vllm#44104", "microsoft/autogen#3120"),
)
def test_plain_answers_have_no_empty_calls(
    chat_basic: Exchange,
    tool_required: Exchange,
    tool_none: Exchange,
    tool_result: Exchange,
    stream_basic: Exchange,
) -> None:
    """An answer without tool calls has no `tool_calls` or null, never an empty array.

    In the deltas of a stream an empty array is only a warning.
    """
    parts = [p for answer in turns(chat_basic, tool_none, tool_result, stream_basic) for p in answer.parts]
    for part in parts:
        expect(part.at("/message/tool_calls") != [], part, "/message/tool_calls", "null or no key")
    for part in parts:
        warn_unless(part.at("/delta/tool_calls") != [], part, "/delta/tool_calls", "null or no key")
    answered(tool_required, *TOOL_WORDS)
