"""Interchangeability: can one target stand in for another, as a fallback or after a change of provider?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_llmcompat.contract import Level
from pytest_llmcompat.report import Result, is_weak_form
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.verdict import Outcome

__all__ = ["Loss", "Replacement", "one_of", "pair_of", "replaceable"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A contract that the first target keeps; `result` is what the second gives, None when it was not judged."""

    contract: str
    level: Level
    result: Result | None


@dataclass(frozen=True, slots=True)
class Replacement:
    """Whether the second target can stand in for the first.

    level: the weakest level that counts. kept: how many contracts of that level both keep.
    lost: contracts that count and that the second does not keep. weaker: those that it keeps in a weaker form,
    and broken ones that do not count. unknown: those that are not settled on the second, of any level.
    """

    level: Level
    kept: int
    lost: tuple[Loss, ...]
    weaker: tuple[Loss, ...]
    unknown: tuple[Loss, ...]

    @property
    def open(self) -> int:
        """How many contracts that count are not settled on the second."""
        return sum(loss.level.rank <= self.level.rank for loss in self.unknown)

    @property
    def holds(self) -> bool:
        """True when nothing that counts is lost, and something that counts is kept by both."""
        return not self.lost and self.kept > 0


def replaceable(first: Iterable[Result], second: Iterable[Result], level: Level = Level.MUST) -> Replacement:
    """Compare what two targets keep: every contract that the first passes counts, down to a level."""
    theirs = {result["contract"]: result for result in second}
    kept = 0
    lost, weaker, unknown = [], [], []
    for result in first:
        if result["verdict"] != Outcome.PASS:
            continue
        loss = Loss(result["contract"], Level(result["level"]), theirs.get(result["contract"]))
        counts = loss.level.rank <= level.rank
        if loss.result is None or loss.result["verdict"] == Outcome.INCONCLUSIVE:
            unknown.append(loss)
        elif loss.result["verdict"] == Outcome.PASS:
            kept += counts
        elif counts and not is_weak_form(loss.result):
            lost.append(loss)
        else:
            weaker.append(loss)
    return Replacement(level, kept, _sorted(lost), _sorted(weaker), _sorted(unknown))


def one_of(targets: Sequence[str], text: str, option: str) -> str:
    """The target id that is a text, or that a text fits as a glob. Raises WrongUsage unless it is exactly one."""
    if text in targets:
        return text
    fitting = [target for target in targets if fnmatchcase(target, text)]
    if len(fitting) == 1:
        return fitting[0]
    there = f"it fits {', '.join(fitting)}" if fitting else f"there are {', '.join(targets) or 'none'}"
    raise WrongUsage(f"{option}: {text!r} is not the id of one target, nor a glob that fits one; {there}")


def pair_of(text: str, targets: Sequence[str], option: str = "--llm-replaceable") -> tuple[str, str]:
    """The two target ids of `A=B`, each as in `one_of`; an id may contain the sign, too. Raises WrongUsage."""
    parts = text.split("=")
    splits = [("=".join(parts[:n]).strip(), "=".join(parts[n:]).strip()) for n in range(1, len(parts))]
    if not any(a and b for a, b in splits):
        raise WrongUsage(f"{option}: {text!r}: write A=B, two targets of the run: B has to keep what A keeps")
    exact = [pair for pair in splits if set(pair) <= set(targets)]
    first, second = (one_of(targets, part, option) for part in (exact or splits)[0])
    if first == second:
        raise WrongUsage(f"{option}: {text!r} names {first} twice; name two targets")
    return first, second


def _sorted(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    return tuple(sorted(losses, key=lambda loss: (loss.level.rank, loss.contract)))
