"""Registering contracts: what the decorator refuses, and how it says so."""

from __future__ import annotations

import pytest

from pytest_llmcompat.contract import MUST, NotAFunction, contract


def test_method_is_refused_by_name() -> None:
    """Its first parameter would be looked up among the probes, and nobody would understand the error."""
    with pytest.raises(
        NotAFunction, match=r"contract 'own\.method': .*Answers\.test_it is a method; move it out"
    ):

        class Answers:
            @contract("own.method", MUST, source="ours")
            def test_it(self) -> None:
                """A claim."""
