"""The model follows a few rules, whatever words they come in."""

from __future__ import annotations

import pytest

from pytest_llmcompat.reference.language import reply
from pytest_llmcompat.reference.request import Message


def ask(*turns: tuple[str, str], index: int = 0) -> str:
    """The answer to a conversation of (role, text)."""
    return reply([Message(role, text) for role, text in turns], index, frozenset())


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Count from 3 to 6.", "3, 4, 5, 6"),
        ("Please count to 4, one per line.", "1\n2\n3\n4"),
        ("Count down from 3 to 1 separated by hyphens.", "3-2-1"),
        ("Repeat after me: two\nlines", "two\nlines"),
        ("Reply only with this code: zeta-9", "zeta-9"),
        ("Respond with: «oui».", "oui"),
        ("Say this is a test", "this is a test"),
        ("hello there", "Hello! How can I help you today?"),
        ("The gate code is X7-QQ. What is the gate code?", "It is X7-QQ."),
    ],
)
def test_prompt_gets_its_answer(prompt: str, answer: str) -> None:
    """Each rule answers on its own words."""
    assert ask(("user", prompt)) == answer


def test_instructions_go_before_the_prompt() -> None:
    """What the system or developer message demands is done, not what the user says."""
    assert ask(("developer", "Answer only with: NO"), ("user", "Count to 3.")) == "NO"
    assert ask(("system", "Echo each message."), ("user", "Count to 3.")) == "Count to 3."


def test_fact_of_an_earlier_turn_is_recalled() -> None:
    """A question is answered from the fact that shares its words, not from another one."""
    turns = (("user", "My dog is Rex. My cat is Tom."), ("assistant", "Nice."))
    assert ask(*turns, ("user", "What is the cat called? Answer with the name only.")) == "Tom"


def test_last_resort_differs_between_choices() -> None:
    """Several choices of one answer can be told apart."""
    assert ask(("user", "Hm.")) != ask(("user", "Hm."), index=1)


def test_tool_result_is_told() -> None:
    """What a tool gave, in JSON or not, is in the answer."""
    for result in ('{"wind": {"knots": 17}}', "17 knots"):
        assert "17" in ask(("user", "How strong is the wind?"), ("assistant", ""), ("tool", result))
