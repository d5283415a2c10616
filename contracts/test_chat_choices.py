"""Contracts on the choices of a chat completion, and on how many of them come."""

from __future__ import annotations

from pytest_llmcompat.answer import completion, error_in_200, judge_each, require_feature, served
from pytest_llmcompat.contract import MAY, MUST, SHOULD, contract
from pytest_llmcompat.evidence import Document
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.tokens import COMPLETION, cap_of, completion_tokens, counter
from pytest_llmcompat.verdict import expect, inconclusive, warn_unless


@contract(
    "chat.choices-array",
    MUST,
    passive="chat",
    source="openai-python 3.57: `choices[0]` raises TypeError on null, IndexError on an empty array; "
    "@ai-sdk/openai-compatible at ed857f5, line 773",
    breaks="Every client reads `choices[0]` and raises when there is none.",
    fix="Send `choices` with one entry for each answer; report failures by the HTTP status.",
    catches=("choices-null", "choices-empty"),
    cases=("openai/openai-agents-python#2850", "vercel/ai#20351"),
)
def test_choices_are_an_array(chat_basic: Exchange, chat_n2: Exchange) -> None:
    """`choices` is an array with an entry for each answer that was asked for."""
    judge_each(_expect_choices, chat_basic, chat_n2)


def _expect_choices(exchange: Exchange) -> None:
    answer, asked = completion(exchange), _asked(exchange)
    if error_in_200(exchange):
        inconclusive(
            f"{exchange.probe}: an error came with {exchange.status} (error.status-not-200 judges that)"
        )
    choices = answer.at("/choices")
    expect(isinstance(choices, list) and choices != [], answer, "/choices", "an array with an entry")
    # One answer in place of two is an `n` that was ignored, which chat.n judges.
    count = len(choices)
    expect(count in {1, asked}, answer, "/choices", f"an array of {asked}", f"an array of {count}")
    for entry in answer.items("/choices"):
        expect(isinstance(entry.value, dict), entry, "", "an object")


@contract(
    "chat.choice-index",
    MUST,
    passive="chat",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33507): `index` of a choice is required",
    breaks="Clients that sort or store choices by index lose all but one of them.",
    fix="Number the choices of an answer from 0, each number once.",
    catches=("choice-index-constant", "choice-index-missing"),
)
def test_choices_are_numbered(chat_basic: Exchange, chat_n2: Exchange) -> None:
    """The choices bear the indexes from 0 on, each once."""
    judge_each(_expect_numbers, chat_basic, chat_n2)


def _expect_numbers(exchange: Exchange) -> None:
    choices = _choices(exchange)
    open_numbers = set(range(len(choices)))
    for choice in choices:
        index = counter(choice, "/index")
        expect(index in open_numbers, choice, "/index", f"one of {sorted(open_numbers)}, each once")
        open_numbers.discard(index if index is not None else -1)


@contract(
    "chat.n",
    SHOULD,
    passive="chat",
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33105): `n` from 1 to 128",
    breaks="Clients that vote or rank over several answers get one and raise, or weigh it as all of them.",
    fix="Generate `n` choices, or refuse `n` above 1 with a 400 that names it.",
    catches=("n-ignored",),
    cases=("abetlen/llama-cpp-python#1906",),
)
def test_n_gives_as_many_choices(chat_n2: Exchange) -> None:
    """A request with `n` of 2 is answered with two choices."""
    choices = _both_asked(chat_n2)
    expect(len(choices) == 2, served(chat_n2), "/choices", "an array of 2", f"an array of {len(choices)}")


@contract(
    "chat.n-usage",
    MAY,
    source="own rule: what was generated is what is billed",
    breaks="Cost reports see one of several answers.",
    fix="Sum `completion_tokens` over all choices.",
    catches=("n-usage-once",),
    cases=("llm-d/llm-d-inference-sim#536",),
)
def test_usage_counts_every_choice(chat_n2: Exchange) -> None:
    """With several choices `completion_tokens` counts the tokens of all of them."""
    choices = _both_asked(chat_n2)
    if len(choices) != 2:
        inconclusive("one choice came in place of two (chat.n judges that)")
    sizes = [_size(choice, cap_of(chat_n2)) for choice in choices]
    known = [size for size in sizes if size is not None]
    if len(known) < 2 or min(known) < 2:
        inconclusive("the answer does not show how many tokens its choices have")
    counted = completion_tokens(chat_n2)
    warn_unless(counted > max(known), served(chat_n2), COMPLETION, f"the {sum(known)} tokens of both choices")


def _size(choice: Document, cap: int | None) -> int | None:
    """Tokens of a choice: as many as have log probabilities; the cap when it was reached; None if unknown."""
    entries = choice.items("/logprobs/content")
    if entries:
        return len(entries)
    return cap if choice.at("/finish_reason") == "length" else None


def _both_asked(chat_n2: Exchange) -> list[Document]:
    require_feature(chat_n2, "n")
    if _asked(chat_n2) != 2:
        inconclusive("the request went out without `n`")
    return _choices(chat_n2, "n")


def _asked(exchange: Exchange) -> int:
    sent = Document(exchange.probe, "request", exchange.sent)
    return counter(sent, "/n") or 1


def _choices(exchange: Exchange, *features: str) -> list[Document]:
    """The choices of an answer; inconclusive when there is none."""
    choices = served(exchange, *features).items("/choices")
    if not choices:
        inconclusive(f"{exchange.probe}: the answer holds no choice (chat.choices-array judges that)")
    return choices
