"""Contracts on streamed tool calls: how fragments join to calls."""

from __future__ import annotations

from typing import Any

from pytest_llmcompat.answer import stream
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import MISSING, Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.json_text import read_json
from pytest_llmcompat.turn import FINISH_REASONS, TOOL_WORDS, Call, every_call, sent, tools_sent, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, warn, warn_unless

_SPEC_CHUNK = "OpenAI's specification (openapi.yaml f85dbe2, line 31040): ChatCompletionMessageToolCallChunk"
_SPEC_FINISH = "OpenAI's specification (openapi.yaml f85dbe2, line 33665): finish_reason"
_SDK_JOINS = "openai-python 3.57 lib/streaming/_deltas.py:33 concatenates strings"


@contract(
    "tools.stream.shape",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}; measured: TypeError without index, AssertionError for a null function",
    breaks="openai-python's `.stream()` raises; other clients lose the fragment or the whole call.",
    fix="Send `index` with each fragment, and `function` as an object or not at all.",
    catches=("tool-delta-index-missing", "tool-delta-function-null"),
    cases=("ollama/ollama#7881", "open-webui/open-webui#15823"),
)
def test_fragments_have_index_and_function(tool_stream: Exchange) -> None:
    """Tool-call deltas are an array of objects with an integer `index`; their `function` is an object."""
    carriers = [
        choice
        for choice in stream(tool_stream, *TOOL_WORDS).choices(None)
        if choice.at("/delta/tool_calls") not in (MISSING, None, [])
    ]
    if not carriers:
        inconclusive("no tool call came (tools.required-calls judges that)")
    for choice in carriers:
        fragments = choice.items("/delta/tool_calls")
        expect(bool(fragments), choice, "/delta/tool_calls", "an array of fragments")
        for fragment in fragments:
            expect(isinstance(fragment.value, dict), fragment, "", "an object")
            expect(_is_int(fragment.at("/index")), fragment, "/index", "an integer")
            function = fragment.at("/function")
            sound = function is MISSING or isinstance(function, dict)
            expect(sound, fragment, "/function", "an object, or no key")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@contract(
    "tools.stream.index-from-zero",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}; measured: equal indexes merge two calls, a start at 1 is an IndexError",
    breaks="Clients collect fragments by index: two calls with one index become one with broken arguments.",
    fix="Number the calls of a turn 0, 1, 2 …",
    catches=("tool-delta-index-constant", "tool-delta-index-from-one"),
    cases=("ollama/ollama#15457", "ollama/ollama#15497", "router-for-me/CLIProxyAPI#5851"),
)
def test_calls_are_numbered_from_zero(tool_stream: Exchange) -> None:
    """The indexes of streamed calls start at 0 and grow by one a call."""
    calls = every_call(tool_stream)
    if not all(_is_int(part.at("/index")) for call in calls for part in call.fragments):
        inconclusive("fragments without an index came (tools.stream.shape judges that)")
    for number, call in enumerate(calls):
        expected = f"{number}, the number of the call in this turn"
        expect(call.place.at("/index") == number, call.place, "/index", expected)


@contract(
    "tools.stream.id-first",
    MUST,
    passive="chat-stream",
    source=f"{_SPEC_CHUNK}; measured: without it openai-python's `.stream()` gives a call with id None",
    breaks="The result of the call cannot be sent back, for there is no id to name.",
    fix="Send `id` with the first fragment of each call.",
    catches=("tool-delta-id-missing",),
    cases=("BerriAI/litellm#40040",),
)
def test_first_fragment_has_the_id(tool_stream: Exchange) -> None:
    """The first fragment of each streamed call has an `id` that is not empty."""
    for call in every_call(tool_stream):
        id = call.place.at("/id")
        expect(isinstance(id, str) and id != "", call.place, "/id", "a string that is not empty")


@contract(
    "tools.stream.id-once",
    MUST,
    passive="chat-stream",
    source=f"{_SDK_JOINS}; measured: an id in each of three fragments gives `call_acall_acall_a`",
    breaks="openai-python's `.stream()` strings the ids together; others keep the last one.",
    fix="Send `id` with the first fragment of each call only.",
    catches=("tool-delta-id-changes", "tool-delta-id-repeated"),
    cases=("BerriAI/litellm#40040",),
)
def test_id_comes_once(tool_stream: Exchange) -> None:
    """A streamed call has one `id`, sent once; the same again is a warning."""
    sent = [_filled(call, "/id") for call in every_call(tool_stream)]
    if not any(sent):
        inconclusive("no call has an id (tools.stream.id-first judges that)")
    for first, *later in filter(None, sent):
        for fragment in later:
            same = fragment.at("/id") == first.at("/id")
            expect(same, fragment, "/id", f"no id, or {first.at('/id')} as before")
    for _, *later in filter(None, sent):
        for fragment in later:
            warn(fragment, "/id", "no id, since it was sent before")


def _filled(call: Call, pointer: str) -> list[Document]:
    """The fragments of a call with a string at the pointer that is not empty."""
    return [p for p in call.fragments if isinstance(p.at(pointer), str) and p.at(pointer) != ""]


@contract(
    "tools.stream.type-first",
    MUST,
    passive="chat-stream",
    source="openai-node 7b7d6ca src/lib/ChatCompletionStream.ts:2266-2268 throws «missing … type»",
    breaks="openai-node's stream helper throws when the stream is over.",
    fix='Send `type: "function"` with the first fragment of each call.',
    catches=("tool-delta-type-missing",),
)
def test_each_call_has_the_type(tool_stream: Exchange) -> None:
    """Each streamed call says `type: "function"` in at least one fragment."""
    for call in every_call(tool_stream):
        told = any(part.at("/type") == "function" for part in call.fragments)
        expect(told, call.place, "/type", "function")


@contract(
    "tools.stream.name-once",
    MUST,
    passive="chat-stream",
    source=f"{_SDK_JOINS}; measured: repeated names give `get_weatherget_weather`",
    breaks="openai-python's `.stream()` strings the names together, and no function is called that.",
    fix="Send `function.name` whole with the first fragment of each call, and not again.",
    catches=("tool-name-repeated",),
    cases=("NousResearch/hermes-agent#8259", "anomalyco/opencode#24137"),
)
def test_name_comes_whole_and_once(tool_stream: Exchange) -> None:
    """A streamed call has its whole name in the first fragment, and not again; a late name is a warning."""
    known = tools_sent(tool_stream)
    calls = every_call(tool_stream)
    for call in calls:
        named = _filled(call, "/function/name")
        pieces = [part.at("/function/name") for part in named]
        in_pieces = "".join(pieces) in known
        for part in named[1:]:
            expect(in_pieces, part, "/function/name", "no name, since it was sent before")
    for call in calls:
        named = _filled(call, "/function/name")
        whole = len(named) < 2 and named[:1] == [call.place]
        warn_unless(whole, call.place, "/function/name", "the whole name")


@contract(
    "tools.stream.arguments-concat",
    MUST,
    source="measured with openai-python 3.57: cumulative, cut and object fragments raise in `.stream()`",
    breaks="The joined arguments are no JSON: parsing them raises, and the call is not made.",
    fix="Send in each fragment only what is new of the arguments, as a piece of one JSON text.",
    catches=("tool-arguments-cumulative",),
    cases=("lidge-jun/opencodex#361", "lmstudio-ai/lmstudio-bug-tracker#649"),
)
def test_fragments_join_to_one_object(tool_stream: Exchange) -> None:
    """The argument fragments of each whole streamed call join to one JSON object."""
    # Null only and a lost function are for tools.stream.arguments-key and tools.stream.shape to judge.
    judged = [c for c in every_call(tool_stream) if not c.cut and c.arguments not in (MISSING, None, "")]
    if not judged:
        inconclusive("no whole call with arguments came")
    for call in judged:
        place, where, expected = call.place, "/function/arguments", "fragments that join to one JSON object"
        if not isinstance(call.arguments, str):
            fail(place, where, "a string in each fragment", call.arguments)
        value = read_json(call.arguments)
        # A string in a string is for tools.arguments-json to judge.
        expect(isinstance(value, dict | str), place, where, expected, call.arguments)


@contract(
    "tools.stream.arguments-key",
    SHOULD,
    passive="chat-stream",
    source="measured: null in all fragments is a TypeError in `.stream()`; openai-node …Stream.ts:2289",
    breaks="openai-python's `.stream()` raises TypeError, openai-node throws.",
    fix="Send `arguments` as a string in each fragment, at least `{}` in one of them.",
    catches=("delta-arguments-null-only",),
    cases=("NVIDIA/TensorRT-LLM#17575",),
)
def test_arguments_are_never_only_null(tool_stream: Exchange) -> None:
    """Each streamed call has `arguments` that are a string in at least one fragment."""
    judged = 0
    for call in every_call(tool_stream):
        functions = [part.at("/function") for part in call.fragments]
        if any(f is None for f in functions) or not any(isinstance(f, dict) for f in functions):
            continue
        judged += 1
        missing = call.arguments is None or call.arguments is MISSING
        expect(not missing, call.place, "/function/arguments", "a string in some fragment of the call")
    if not judged:
        inconclusive("no call with a function came (tools.stream.shape judges that)")


@contract(
    "tools.stream.finish",
    MUST,
    passive="chat-stream",
    source=_SPEC_FINISH,
    breaks="Agent loops end when they read `stop`: the calls are never made.",
    fix="End a streamed turn with tool calls with `tool_calls`, unless the cap has cut it.",
    catches=("stream-tool-finish-stop", "stream-cap-finish-stop"),
    cases=("googleapis/python-genai#2868", "vllm-project/vllm#9209", "su-kaka/gcli2api#407"),
)
def test_stream_with_calls_ends_with_tool_calls(tool_stream: Exchange) -> None:
    """A streamed turn with tool calls ends with `tool_calls`."""
    every_call(tool_stream)
    answer = turn(tool_stream, *TOOL_WORDS)
    if isinstance(sent(tool_stream, "tool_choice"), dict):
        inconclusive("one function was named in the request: such a call may end with `stop`")
    documented = isinstance(answer.finish, str) and answer.finish in FINISH_REASONS
    if answer.cut or not documented:
        inconclusive("the turn was cut, or ends with no documented reason (chat.stream.* judge that)")
    expect(answer.finish == "tool_calls", *answer.finish_at, "tool_calls, since there are calls")
