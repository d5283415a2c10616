"""`--llm-list`: the contracts of the bundled suite, without sending anything."""

from __future__ import annotations

import sys

from pytest_llmcompat.suite import bundled_contracts

__all__ = ["print_contracts"]


def print_contracts() -> None:
    """Print level, id and claim of each contract, sorted by id."""
    contracts = bundled_contracts()
    width = max(len(contract.id) for contract in contracts)
    for contract in contracts:
        _print(f"{contract.level.name:<6}  {contract.id:<{width}}  {contract.claim}")
    _print(f"{len(contracts)} contracts")


def _print(text: str) -> None:
    """A line; characters that the terminal's encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
