"""How many examples a fuzz test takes: the same few in every normal run, any number of new ones in a long one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

__all__ = ["COUNTED", "EXAMPLES", "RANDOM", "fuzzed"]

EXAMPLES: Final = "LLMCOMPAT_FUZZ_EXAMPLES"
"""The variable that makes a run a long one: how many examples its most searching test takes."""

_USUAL: Final = 80

COUNTED: Final[Counter[str]] = Counter()
"""Examples tried so far, by test."""

RANDOM: Final = st.randoms(use_true_random=False)
"""A source of choices that Hypothesis makes, and takes back one by one when an example fails."""


def fuzzed(*strategies: st.SearchStrategy[Any], share: float = 1.0) -> Callable[[Any], Any]:
    """As `given`. share: of the examples of a run; slow tests take fewer."""
    long = EXAMPLES in os.environ
    examples = max(1, round(share * int(os.environ.get(EXAMPLES, _USUAL))))

    def decorate(test: Callable[..., None]) -> Any:
        @wraps(test)
        def counting(*arguments: Any, **named: Any) -> None:
            COUNTED[test.__name__] += 1
            test(*arguments, **named)

        configured = settings(
            max_examples=examples,
            derandomize=not long,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        return configured(given(*strategies)(counting))

    return decorate
