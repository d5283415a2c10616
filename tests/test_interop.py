"""The committed recordings of real servers: they replay, and the suite finds in them what is known of these servers."""

from __future__ import annotations

import pytest

from pytest_llmcompat.suite import CASSETTES
from pytest_llmcompat.verdict import Outcome, Verdict
from tests.interop.table import PAGE, page, recorded, replayed

TARGETS = recorded()


@pytest.fixture(scope="module")
def litellm() -> dict[str, Verdict]:
    """The verdicts on LiteLLM's proxy, by contract."""
    return {verdict.contract.id: verdict for verdict in replayed(TARGETS["4000"])}


@pytest.fixture(scope="module")
def llama() -> dict[str, Verdict]:
    """The verdicts on llama-cpp-python's server, by contract."""
    return {verdict.contract.id: verdict for verdict in replayed(TARGETS["8000"])}


def test_page_is_in_step_with_the_cassettes() -> None:
    """docs/interop.md says what the committed cassettes say."""
    if not PAGE.exists():
        pytest.fail("docs/interop.md is missing; write it with python -m tests.interop.table")
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize(
    ("contract", "outcome", "evidence"),
    [
        # Without a key its own error handler fails: 500 text/plain.
        ("auth.missing-401", Outcome.FAIL, "500"),
        # Plain usage is a constant 10 + 20, streamed usage is counted.
        ("usage.stream-equals", Outcome.WARN, "10, as without streaming"),
        # The usage chunk carries a choice with an empty delta.
        ("chat.stream.usage-chunk-empty-choices", Outcome.WARN, '{"index": 0, "delta": {}}'),
        # The code is the status as a text.
        ("error.unknown-model-code", Outcome.WARN, '"400"'),
    ],
)
def test_known_fault_of_litellm_is_found(
    litellm: dict[str, Verdict], contract: str, outcome: Outcome, evidence: str
) -> None:
    """What a first look at LiteLLM 1.108 had shown comes out of the run by itself, with its evidence."""
    assert litellm[contract].outcome is outcome
    assert evidence in litellm[contract].reason


@pytest.mark.parametrize(
    ("contract", "outcome"),
    [
        ("auth.401-envelope", Outcome.FAIL),
        ("error.malformed-json-400", Outcome.FAIL),
        ("identity.no-impersonation", Outcome.FAIL),
        ("chat.stream.usage-chunk", Outcome.FAIL),
        ("models.created-unix", Outcome.WARN),
    ],
)
def test_known_fault_of_llama_cpp_python_is_found(
    llama: dict[str, Verdict], contract: str, outcome: Outcome
) -> None:
    """What curl shows of llama-cpp-python's server comes out of the run."""
    assert llama[contract].outcome is outcome


def test_random_weights_are_not_blamed(llama: dict[str, Verdict]) -> None:
    """A model that rambles, ignores its instructions and calls no tool breaks no contract by that."""
    of_the_model = (
        "chat.unicode",
        "chat.multi-turn",
        "chat.stream.utf8-split",
        "tools.required-calls",
        "json.object",
    )
    outcomes = {contract: llama[contract].outcome for contract in of_the_model}
    assert set(outcomes.values()) <= {Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.UNSUPPORTED}, outcomes


def test_recordings_hold_no_key_and_no_path_of_the_machine() -> None:
    """What ships is redacted, and says nothing of who recorded it."""
    files = sorted(CASSETTES.rglob("*.yaml"))
    assert files
    for path in files:
        text = path.read_text("utf-8")
        assert "sk-interop-" not in text, path
        assert not any(folder in text for folder in ("/root", "/work", "/home", "/opt")), path
