"""Measures every row before the whole suite and prints the table of docs/hostile.md: `python -m tests.hostile`.

Arguments are ids of rows to measure; all of them without any. The exit status is the number of rows that did
not survive.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_llmcompat.reference import Reference, serve
from tests.hostile.behaviour import Behaviour
from tests.hostile.checking import MEGABYTES, Scan, complaints, scan
from tests.hostile.rows import BY_KIND
from tests.hostile.running import Run, run
from tests.hostile.scanning import CANARY

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: the run on it, what its files held, and what was wrong."""

    kind: str
    row: Behaviour
    run: Run
    scan: Scan
    complaints: tuple[str, ...]

    @property
    def over(self) -> float:
        """Seconds past the run's limit on sending."""
        return max(0.0, self.run.seconds - self.row.seconds)


def main(ids: Sequence[str]) -> int:
    """Measure rows and print the table; gives the number of those that did not survive."""
    with serve(key=CANARY) as reference:
        every = [
            _measured(kind, row, reference)
            for kind, rows in BY_KIND.items()
            for row in rows
            if not ids or row.id in ids
        ]
    print("\n".join(_table(every)))
    return sum(bool(one.complaints) for one in every)


def _measured(kind: str, row: Behaviour, reference: Reference) -> Measured:
    with TemporaryDirectory(prefix="hostile-") as folder:
        with row.serve(reference) as place:
            ended = run(row, place, reference, Path(folder) / "run", whole=True)
        found = tuple(complaints(row, ended, whole=True))
        scanned = scan(ended)
    print(f"{row.id}: {'; '.join(found) or 'survived'}", file=sys.stderr, flush=True)
    return Measured(kind, row, ended, scanned, found)


def _table(every: Sequence[Measured]) -> Iterator[str]:
    survived = sum(not one.complaints for one in every)
    longest, largest = (max(every, key=key) for key in (lambda m: m.over, lambda m: m.run.megabytes))
    yield "| figure | value |"
    yield "|---|---|"
    yield f"| rows tried, survived | {len(every)}, {survived} |"
    yield f"| worst time over the limit on sending | {longest.over:.1f} s (`{longest.row.id}`) |"
    yield f"| peak memory, of {MEGABYTES:g} MB | {largest.run.megabytes:.0f} MB (`{largest.row.id}`) |"
    yield f"| bytes scanned | {sum(one.scan.size for one in every):,} |"
    yield f"| canaries found | {sum(len(one.scan.found) for one in every)} |"
    yield ""
    yield "| kind | row | what the endpoint does | exit | s | CPU s | MB | bytes left | survived |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in every:
        ended = "; ".join(one.complaints).replace("|", "\\|").replace("\n", " ") or "yes"
        yield (
            f"| {one.kind} | `{one.row.id}` | {one.row.what} | {one.run.status} | {one.run.seconds:.1f} "
            f"| {one.run.busy:.1f} | {one.run.megabytes:.0f} | {one.scan.size:,} | {ended} |"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
