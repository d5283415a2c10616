"""Probes: the HTTP requests that the suite knows how to send. Pure data; dependent ones read earlier exchanges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.target import Target

__all__ = ["Authorization", "Context", "Probe", "Unsendable", "fixture_name"]


class Authorization(StrEnum):
    """Which credentials a probe bears."""

    KEY = "key"
    NONE = "none"
    WRONG = "wrong"
    BASIC = "basic"


class Unsendable(Exception):
    """There is nothing to send: an earlier exchange gave nothing to build on, or lacks the feature.

    unsupported: the endpoint lacks the feature, so contracts on this probe are unsupported, not inconclusive.
    """

    def __init__(self, reason: str, *, unsupported: bool = False) -> None:
        super().__init__(reason)
        self.unsupported = unsupported


@dataclass(frozen=True, slots=True)
class Context:
    """What a probe may read when it builds its request: the target and the exchanges of its parents.

    named: the suites that the user asked for by name; none when all of them were meant.
    """

    target: Target
    exchanges: Mapping[str, Exchange]
    named: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The model under test."""
        return self.target.model


Body = Callable[[Context], Mapping[str, Any] | list[Any] | bytes | None]


def _no_body(_: Context) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """One HTTP request.

    id: stable id (`chat-basic`). suite: the group that `--llm-suite` selects it by.
    method, path: of the request; path is appended to the base URL, or a function of the context.
    body: builds the body: a JSON value, raw bytes, or None for none.
    authorization: which credentials it bears. headers: further headers.
    parents: probes whose exchanges `body` and `path` read; the lab sends them first.
    requires: a probe without whose success this one is not sent, since the endpoint lacks the feature.
    features: optional parameters of a compound probe; refused ones are left out and noted (split on reject).
    headroom: its cap on tokens grows when the model spends tokens on reasoning.
    negative: the request is invalid and meant to be refused: no negotiation, no retry on 5xx.
    abort_after: close the connection after this many content chunks; None to read to the end.
    last: sent after all the others, since it may disturb them.
    together: sent last of all, at the same moment as the others of its kind; what comes then is not tried again.
    wanted: says whether the endpoint shows the feature; without it the probe is sent only when its suite is named.
    """

    id: str
    suite: str
    method: str = "POST"
    path: str | Callable[[Context], str] = "/chat/completions"
    body: Body = _no_body
    authorization: Authorization = Authorization.KEY
    headers: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    requires: str | None = None
    features: tuple[str, ...] = ()
    headroom: bool = False
    negative: bool = False
    abort_after: int | None = None
    last: bool = False
    together: bool = False
    wanted: Callable[[Context], bool] | None = None


def fixture_name(probe_id: str) -> str:
    """The name under which contracts read a probe: `chat-basic` → `chat_basic`."""
    return probe_id.replace("-", "_")
