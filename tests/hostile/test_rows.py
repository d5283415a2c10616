"""The rows of every day, through the real command line in a process of its own each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_llmcompat.reference import Reference, serve
from tests.hostile.behaviour import Behaviour
from tests.hostile.checking import complaints
from tests.hostile.rows import EVERYDAY, ROWS
from tests.hostile.running import run
from tests.hostile.scanning import CANARY

_QUICK = 0.0005


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """What hostile servers are wrapped around."""
    with serve(key=CANARY, pause=_QUICK) as running:
        yield running


def _parameter(row: Behaviour) -> object:
    broken = [pytest.mark.xfail(strict=True, reason=row.fault)] if row.fault else []
    return pytest.param(row, id=row.id, marks=broken)


@pytest.mark.parametrize("row", [_parameter(row) for row in ROWS if row.id in EVERYDAY])
def test_run_survives(row: Behaviour, reference: Reference, tmp_path: Path) -> None:
    """It ends in time and memory, with the right status and verdicts, whole files, and no canary anywhere."""
    with row.serve(reference) as place:
        ended = run(row, place, reference, tmp_path)
    found = complaints(row, ended)
    assert not found, "\n".join([*found, (ended.out + ended.err).decode("utf-8", errors="replace")[-4000:]])


def test_rows_have_names_of_their_own() -> None:
    """And there are enough of them, also of those that run every day."""
    ids = {row.id for row in ROWS}
    assert len(ids) == len(ROWS)
    assert ids >= EVERYDAY
    assert len(EVERYDAY) >= 45
