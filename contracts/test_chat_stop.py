"""Contracts on `stop` strings."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, judge_each, require_feature
from pytest_llmcompat.contract import MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.tokens import cap_of, completion_tokens
from pytest_llmcompat.turn import FINISH_REASONS, Turn, turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported

_A_LIST: Final = r"\b(?:array|list)\b"
_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 63253)"


@contract(
    "chat.stop-applied",
    MUST,
    source=f"{_SPECIFICATION}: generation ends at a stop sequence",
    breaks="Agents with a text protocol (ReAct) read tool results that the model made up.",
    fix="Search the generated text, not single tokens, for each stop string and end there.",
    catches=("stop-ignored",),
    cases=("Blaizzy/mlx-vlm#1044", "jundot/omlx#1054"),
)
def test_stop_string_ends_the_answer(chat_stop: Exchange) -> None:
    """Generation ends at a stop string."""
    answer = _stopped(chat_stop)
    expect(not _went_past(answer), *answer.text_at, f"no text behind any of {_stops(chat_stop)}")
    if not _came_to_it(answer):
        inconclusive("the model did not count up to a stop string")


@contract(
    "chat.stop-excluded",
    MUST,
    source=f"{_SPECIFICATION}: the returned text does not contain the stop sequence",
    breaks="Parsers that rely on the cut find the separator, or half of it, in the last field.",
    fix="Cut the text before the stop string, and hold back text that may be the start of one.",
    catches=("stop-included",),
    cases=("huggingface/text-generation-inference#1724", "jundot/omlx#2386"),
)
def test_stop_string_is_left_out(chat_stop: Exchange) -> None:
    """The returned text does not contain the stop string, nor the start of one."""
    answer = _stopped(chat_stop)
    if _went_past(answer):
        inconclusive("the stop strings were not applied (chat.stop-applied judges that)")
    contained = [stop for stop in _stops(chat_stop) if stop in answer.text]
    begun = answer.finish == "stop" and re.search(r"\bfive\W+si?$", answer.text.casefold()) is not None
    expect(not contained and not begun, *answer.text_at, f"a text without any of {_stops(chat_stop)}")
    if not _came_to_it(answer):
        inconclusive("the model did not count up to a stop string")


@contract(
    "chat.stop-finish",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33507): `stop` also for a stop sequence",
    breaks="Clients take the answer for cut and ask for the rest of it.",
    fix="Answer `stop` when a stop string ended the answer.",
    catches=("stop-finish-length",),
)
def test_stop_string_gives_stop(chat_stop: Exchange) -> None:
    """An answer that a stop string ends has the finish reason `stop`."""
    answer = _stopped(chat_stop)
    if _went_past(answer) or not _ended_before_it(answer):
        inconclusive("no stop string ended the answer")
    if answer.finish == "stop":
        return
    if not isinstance(answer.finish, str) or answer.finish not in FINISH_REASONS:
        inconclusive("the finish reason is no documented one (chat.finish-reason-enum judges that)")
    cap = cap_of(chat_stop)
    if cap is None or completion_tokens(chat_stop) >= cap:
        inconclusive("the cap may have ended the answer")
    fail(*answer.finish_at, '"stop"')


@contract(
    "chat.stop-string-form",
    SHOULD,
    source=f"{_SPECIFICATION}: a string, or an array of up to four",
    breaks="SDKs and frameworks that always send one of the two forms get a 400.",
    fix="Take `stop` as a string and as an array of strings.",
    catches=("stop-list-refused", "stop-string-refused"),
)
def test_stop_may_be_a_string_or_a_list(
    chat_stop: Exchange, completions_basic: Exchange, completions_single: Exchange
) -> None:
    """`stop` is accepted as a string and as a list of strings."""
    judge_each(_expect_form_taken, chat_stop, completions_basic, completions_single)


def _expect_form_taken(exchange: Exchange) -> None:
    refusal = exchange.refused.get("stop")
    if refusal is None:
        answered(exchange, "stop")
        return
    # «must be a string» is about the form; a model that takes no `stop` at all is another matter.
    form, wanted = (
        ("a list", r"\b(?:string|str)\b") if exchange.probe == "chat-stop" else ("a string", _A_LIST)
    )
    if re.search(wanted, refusal.message):
        fail(exchange, "status", f"{form} accepted", f"{refusal.status}: {refusal.message}")
    unsupported(f"stop was refused with {refusal.status}: {refusal.message}")


def _stopped(chat_stop: Exchange) -> Turn:
    require_feature(chat_stop, "stop")
    return turn(chat_stop, "stop")


def _stops(chat_stop: Exchange) -> list[str]:
    sent = Document(chat_stop.probe, "request", chat_stop.sent).at("/stop")
    return [stop for stop in sent if isinstance(stop, str)] if isinstance(sent, list) else []


def _went_past(answer: Turn) -> bool:
    behind = (answer.text.partition(stop)[2] for stop in _stops(answer.exchange))
    return any(re.search(r"\w", text) for text in behind)


def _came_to_it(answer: Turn) -> bool:
    """True when the text counts up to the number before a stop string, or holds one."""
    counted = re.search(r"\b4\b|\bfour\b", answer.text.casefold()) is not None
    return counted or any(stop in answer.text for stop in _stops(answer.exchange))


def _ended_before_it(answer: Turn) -> bool:
    ends = ("4", "four", "five", *_stops(answer.exchange))
    return answer.text.casefold().rstrip(" ,.\n").endswith(ends)
