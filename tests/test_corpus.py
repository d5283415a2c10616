"""False alarms: what the passive contracts say of real traffic, which is recorded beside this repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from docs import generate
from pytest_llmcompat.verdict import Outcome

ROOT: Final = Path(__file__).resolve().parent.parent
CORPUS: Final = Path(os.environ.get("LLMCOMPAT_CORPUS") or ROOT.parent / "shared" / "corpus")

pytestmark = pytest.mark.skipif(
    not (CORPUS / "openai").is_dir(),
    reason=f"there is no recorded traffic at {CORPUS}; LLMCOMPAT_CORPUS names another folder",
)


def test_real_openai_answers_break_nothing() -> None:
    """No MUST and no SHOULD is broken by OpenAI itself, and enough was judged to mean something."""
    found = generate.judged(CORPUS, "openai")
    passed = [verdict for _, verdict in found if verdict.outcome is Outcome.PASS]
    assert [verdict.reason for _, verdict in found if verdict.outcome is Outcome.FAIL] == []
    assert len(passed) > 10 * len({exchange.probe for exchange, _ in found})


def test_page_on_real_traffic_is_in_step() -> None:
    """Run `python -m docs.generate --corpus FOLDER` when this fails."""
    page = (generate.DOCS / "real-world.md").read_text("utf-8")
    if generate.digest(CORPUS) not in page:
        pytest.skip(f"{CORPUS} holds other recordings than those of docs/real-world.md")
    assert page == generate.real_world_page(CORPUS)
