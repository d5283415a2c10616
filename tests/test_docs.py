"""The generated pages of docs/ say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import generate
from pytest_llmcompat.suite import bundled_contracts

PAGES = generate.contract_pages()


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_page_is_in_step_with_the_code(path: Path) -> None:
    """Run `python -m docs.generate` when this fails."""
    assert (generate.DOCS / path).read_text("utf-8") == PAGES[path]


def test_no_page_is_left_of_an_area_that_is_gone() -> None:
    """There are as many pages as areas, and an index."""
    there = {path.relative_to(generate.DOCS) for path in (generate.DOCS / "contracts").glob("*.md")}
    assert there == {path for path in PAGES if path.parent.name == "contracts"}


def test_every_contract_has_an_entry() -> None:
    """Under its id, on the page of its area."""
    for contract in bundled_contracts():
        assert f"## {contract.id}\n" in PAGES[Path("contracts") / f"{contract.area}.md"]
