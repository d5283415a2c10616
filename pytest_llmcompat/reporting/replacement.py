"""Whether one target can stand in for another, in lines for a terminal: first the conclusion, then the lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_llmcompat.plain import line
from pytest_llmcompat.replaceable import Loss, Replacement

__all__ = ["losses_in", "plural", "shortened", "verdict_on"]

_LONGEST_REASON: Final = 160
_MOST: Final = 20


def verdict_on(replacement: Replacement, first: str, second: str) -> str:
    """One line: whether the target `second` can stand in for `first`."""
    names = f"{second} {{}} stand in for {first}"
    if replacement.lost:
        lost = len(replacement.lost)
        broken = f"{plural(lost, 'contract')} that {first} keeps {'breaks' if lost == 1 else 'break'}"
        return line(f"{names.format('cannot')}: {broken}")
    if not replacement.kept:
        why = f"no contract that {first} keeps was settled on both"
        return line(f"whether {names.format('can')} is not known: {why}")
    if replacement.open:
        unsettled = (
            f"{plural(replacement.open, 'contract')} {'is' if replacement.open == 1 else 'are'} not settled"
        )
        return line(f"{names.format('can')} as far as it is known: {unsettled} on {second}")
    return line(names.format("can"))


def losses_in(replacement: Replacement, second: str, *, whole: bool = False) -> Iterator[str]:
    """Lists of what breaks, what is weaker and what is not known, with what `second` gives; nothing without any.

    whole: list all, however many.
    """
    for title, losses in (
        ("breaks", replacement.lost),
        (f"kept in a weaker form, or broken below {replacement.level.name}", replacement.weaker),
        ("not settled", replacement.unknown),
    ):
        if not losses:
            continue
        yield line(f"{title} on {second}:")
        shown = len(losses) if whole or losses is replacement.lost else _MOST
        for loss in losses[:shown]:
            yield f"  {_loss_line(loss)}"
        if len(losses) > shown:
            yield f"  and {len(losses) - shown} more, all in the report"


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shortened(head: str, reason: str) -> str:
    """A line with the reason of a verdict, which an endpoint may have made long."""
    text = line(reason)
    text = text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 2]} …"
    return f"{head}; {text}" if text else head


def _loss_line(loss: Loss) -> str:
    head = f"{loss.level.name:<6} {line(loss.contract)}"
    if loss.result is None:
        return f"{head}: not judged"
    return shortened(f"{head}: {loss.result['verdict']}", loss.result["reason"])
