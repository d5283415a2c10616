"""A contract described for people: what `llmcompat explain` prints, and what the contract reference is made of."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

from pytest_llmcompat.contract import Contract

__all__ = ["case_url", "close_ids", "described"]

_WIDTH = 110
_INDENT = 12


def described(contract: Contract) -> str:
    """All that is known of a contract, as text for a terminal."""
    held = f"{' and '.join(contract.passive)} exchanges, recordings included" if contract.passive else ""
    parts = [
        f"{contract.level.name} {contract.id}",
        _part("Claim", contract.claim),
        _part("Breaks", contract.breaks),
        _part("Fix", contract.fix),
        _part("Source", contract.source),
        _part("Reads", ", ".join(contract.reads)),
        _part("Holds for", held),
        _part("Proven by", ", ".join(contract.catches)),
        *(
            _part("Seen in" if not number else "", case_url(case))
            for number, case in enumerate(contract.cases)
        ),
    ]
    return "\n".join(part for part in parts if part)


def case_url(case: str) -> str:
    """The address of a case, `owner/repository#number`."""
    repository, _, number = case.rpartition("#")
    return f"https://github.com/{repository}/issues/{number}"


def close_ids(text: str, contracts: Iterable[Contract]) -> list[str]:
    """The ids that a text without a contract of this id may have meant: similar ones, and those that contain it."""
    ids = [contract.id for contract in contracts]
    similar = difflib.get_close_matches(text, ids, n=3, cutoff=0.7)
    return list(dict.fromkeys([*similar, *(id for id in ids if text and text in id)]))


def _part(title: str, text: str) -> str:
    if not text:
        return ""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"{title}:".ljust(_INDENT) if title else " " * _INDENT,
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )
