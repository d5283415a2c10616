"""`llmcompat explain`: all that is known of a contract; exit status 2 for one that there is not."""

from __future__ import annotations

import argparse
import sys

from pytest_llmcompat.command.parsing import Commands, print_lines

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("explain", help="all that is known of a contract")
    parser.add_argument("contract", metavar="CONTRACT-ID", help="such as chat.stream.done-sentinel")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmcompat.reporting.description import close_ids, described
    from pytest_llmcompat.suite import bundled_contracts

    id, contracts = given.contract, bundled_contracts()
    for contract in contracts:
        if contract.id == id:
            print_lines([described(contract)])
            return 0
    close = close_ids(id, contracts)
    hint = f"did you mean {', '.join(close)}?" if close else "`pytest --llm-list` prints all of them"
    sys.stderr.write(f"llmcompat: there is no contract {id!r}; {hint}\n")
    return 2
