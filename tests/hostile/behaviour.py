"""A row: one way in which an endpoint is hostile, and how a run on it has to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pytest_llmcompat.reference import Reference

__all__ = ["FAIL", "INCONCLUSIVE", "PASS", "UNSUPPORTED", "WARN", "Behaviour", "Place", "Serve"]

PASS, FAIL, WARN = "pass", "fail", "warn"
UNSUPPORTED, INCONCLUSIVE = "unsupported", "inconclusive"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hostile server is.

    environment: further variables of the run. ask: False when the run finds the model out by itself.
    """

    base_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    ask: bool = True


Serve = Callable[[Reference], AbstractContextManager[Place]]
"""Serves while the context is open, around a healthy reference; asserts at its end what it must not have met."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One hostile behaviour.

    id: short name of the row. what: the behaviour in one sentence. serve: the server.
    status: exit status of the run; 4 when pre-flight ends it with one line.
    says: phrases that the output holds. verdicts: contract → verdict, for some of the contracts judged.
    select: pytest's `-k`, so that a row sends no more than it needs. arguments: further ones for the command line.
    seconds: how long its limits let a run send. models: how many models have cassettes in the end.
    fault: what is wrong with the suite, for a row that does not survive yet.
    """

    id: str
    what: str
    serve: Serve
    status: int
    says: tuple[str, ...] = ()
    verdicts: Mapping[str, str] = field(default_factory=dict)
    select: str = ""
    arguments: tuple[str, ...] = ()
    seconds: float = 20.0
    models: int = 1
    fault: str = ""
