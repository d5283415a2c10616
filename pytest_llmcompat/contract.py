"""Contracts: one claim about the API each, with a level and a judgement that only reads exchanges."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

__all__ = [
    "KINDS",
    "MAY",
    "MUST",
    "SHOULD",
    "Contract",
    "DuplicateContract",
    "Kind",
    "Level",
    "NotAFunction",
    "UnknownKind",
    "contract",
    "registered",
]

Judgement = TypeVar("Judgement", bound=Callable[..., None])


class Level(StrEnum):
    """How much a client depends on a contract (words of RFC 2119)."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"

    @property
    def rank(self) -> int:
        """0 for MUST, 1 for SHOULD, 2 for MAY."""
        return list(Level).index(self)


MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY


Kind = Literal[
    "chat",
    "chat-stream",
    "completions",
    "completions-stream",
    "responses",
    "responses-stream",
    "embeddings",
    "moderations",
    "models",
    "model",
    "error",
    "every",
]
"""What an exchange is: an answer of an endpoint, plain or streamed, or an `error` of any endpoint of the API.

`every` is each of them. `pytest_llmcompat.kind` tells of an exchange which it is.
"""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class UnknownKind(ValueError):
    """A contract says that it is passive for a kind of exchange that there is not."""


class NotAFunction(TypeError):
    """A method was registered as a contract; its object would have to be a probe, for parameters name what is read."""


class DuplicateContract(ValueError):
    """Two judgements were registered under one contract id; ids are the key of reports and baselines."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One claim about the API.

    id: stable dotted id, such as `chat.stream.done-sentinel`.
    claim: one line in the present tense, the first paragraph of the judgement's docstring.
    area: the part of the API that it is about, the id without its last part (`chat.stream`).
    source: where the claim comes from: specification line, SDK file, RFC.
    breaks: which client breaks, and how, when the claim does not hold.
    fix: what the server's maintainers do about it.
    catches: names of the reference's defects that this contract catches; at least one for each bundled contract.
    cases: issues in public trackers where the fault was seen, as `owner/repo#number`.
    reads: names of what the judgement reads, its parameters: probes (`stream_basic`), families, `llm_target`.
    passive: kinds of exchange of each of which the claim holds, wherever it comes from; () when the judgement
    relies on what its probes send. See `pytest_llmcompat.passive`.
    judgement: reads exchanges and raises one of the outcomes of `pytest_llmcompat.verdict`, or passes.
    """

    id: str
    level: Level
    claim: str
    area: str
    source: str
    breaks: str
    fix: str
    catches: tuple[str, ...]
    cases: tuple[str, ...]
    reads: tuple[str, ...]
    passive: tuple[Kind, ...]
    judgement: Callable[..., None]


_REGISTERED: dict[str, Contract] = {}


def contract(
    id: str,
    level: Level,
    *,
    source: str,
    breaks: str = "",
    fix: str = "",
    catches: str | tuple[str, ...] = (),
    cases: str | tuple[str, ...] = (),
    passive: Kind | tuple[Kind, ...] = (),
) -> Callable[[Judgement], Judgement]:
    """Register a test function as a contract; its parameters name the probes whose exchanges it reads.

    With `passive` the contract also judges every other exchange of these kinds: the exchange then stands in the
    place of each parameter. Raises DuplicateContract when another function already bears the id, NotAFunction
    for a method, and UnknownKind.
    """
    kinds: tuple[Kind, ...] = (passive,) if isinstance(passive, str) else passive
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownKind(
                f"contract {id!r}: {kind!r} is no kind of exchange; there are {', '.join(KINDS)}"
            )

    def register(judgement: Judgement) -> Judgement:
        reads = tuple(inspect.signature(judgement).parameters)
        if reads[:1] in (("self",), ("cls",)):
            raise NotAFunction(
                f"contract {id!r}: {judgement.__qualname__} is a method; move it out of its class, for a contract is "
                "a function of the probes that it reads"
            )
        made = Contract(
            id=id,
            level=level,
            claim=" ".join((inspect.getdoc(judgement) or "").partition("\n\n")[0].split()),
            area=id.rpartition(".")[0],
            source=source,
            breaks=breaks,
            fix=fix,
            catches=(catches,) if isinstance(catches, str) else catches,
            cases=(cases,) if isinstance(cases, str) else cases,
            reads=reads,
            passive=kinds,
            judgement=judgement,
        )
        known = _REGISTERED.get(id)
        if known is not None and _origin(known.judgement) != _origin(judgement):
            places = f"{_origin(known.judgement)} and {_origin(judgement)}"
            raise DuplicateContract(f"contract id {id!r} is used twice: {places}")
        _REGISTERED[id] = made
        judgement.__llmcompat_contract__ = made  # type: ignore[attr-defined]
        return judgement

    return register


def contract_of(function: Any) -> Contract | None:
    """The contract that a test function was registered as, None for an ordinary test."""
    return getattr(function, "__llmcompat_contract__", None)


def registered() -> Iterator[Contract]:
    """All contracts registered so far, in the order of their ids."""
    return iter(sorted(_REGISTERED.values(), key=lambda c: c.id))


def _origin(judgement: Callable[..., None]) -> tuple[str, str]:
    return str(Path(inspect.getfile(judgement)).resolve()), judgement.__qualname__
