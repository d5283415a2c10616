"""A long run: `python -m tests.fuzz --examples 50000`, new examples each time; prints how many each test has tried."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run the fuzz tests; the exit status is pytest's."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--examples", type=int, default=5000, help="for the most searching test; others take a share"
    )
    parser.add_argument("-k", dest="chosen", default="", help="as pytest's")
    given = parser.parse_args()
    os.environ["LLMCOMPAT_FUZZ_EXAMPLES"] = str(given.examples)
    status = pytest.main([str(Path(__file__).parent), "-q", "-p", "no:randomly", "-k", given.chosen])
    # Not sooner: pytest wants to import Hypothesis itself.
    from tests.fuzz.profile import COUNTED

    for name, count in sorted(COUNTED.items()):
        sys.stdout.write(f"{count:>9}  {name}\n")
    sys.stdout.write(f"{COUNTED.total():>9}  examples\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
