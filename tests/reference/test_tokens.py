"""Tokens: they join to the text, and are neither too long nor empty."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmcompat.reference.tokens import tokenize


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    """No character is lost, doubled or split, whatever the script."""
    tokens = tokenize(text)
    assert "".join(tokens) == text
    assert all(0 < len(token) <= 6 for token in tokens)


def test_prose_has_about_four_characters_a_token() -> None:
    """Counts are what clients expect of English text."""
    text = "The harbour was quiet when the first boats came home with their nets full of herring."
    assert 3 <= len(text) / len(tokenize(text)) <= 5
