"""Readiness: the rules on made-up verdicts, and real verdicts on the reference with and without defects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_llmcompat.client_profile import ClientProfile, Reliance, profiles
from pytest_llmcompat.readiness import Finding, Readiness, is_broken, readiness
from pytest_llmcompat.reporting.result import result_of
from pytest_llmcompat.verdict import Outcome
from tests.test_proof import verdicts

READY, LIMITS, NOT_READY, UNKNOWN = Readiness

PROFILE = ClientProfile(
    "c",
    "C",
    "1",
    "2026-11-25",
    needs=(Reliance(("n.1", "n.2"), "does n", "here"), Reliance(("m.*",), "does m", "here")),
    uses=(Reliance(("u.1",), "does u", "here"),),
)
ALL_PASS = {"n.1": "pass", "n.2": "pass", "m.1": "pass", "u.1": "pass"}


def judged(by_contract: dict[str, str], **more: Any) -> Finding:
    """What made-up verdicts on SHOULD contracts mean for the made-up client."""
    results = [{"contract": id, "verdict": v, "level": "should", **more} for id, v in by_contract.items()]
    return readiness(PROFILE, results)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, READY),
        ({"n.1": "fail"}, NOT_READY),
        ({"n.1": "waived"}, NOT_READY),
        ({"n.1": "unsupported"}, NOT_READY),
        ({"m.1": "fail"}, NOT_READY),
        ({"m.1": "pass", "m.2": "fail"}, NOT_READY),
        ({"n.1": "inconclusive"}, LIMITS),
        ({"n.1": "warn"}, LIMITS),
        ({"u.1": "fail"}, LIMITS),
        ({"u.1": "waived"}, LIMITS),
        ({"u.1": "unsupported"}, LIMITS),
        ({"u.1": "inconclusive"}, READY),
        ({"n.1": "inconclusive", "n.2": "inconclusive"}, UNKNOWN),
        ({"m.1": "inconclusive"}, UNKNOWN),
        ({"m.1": "inconclusive", "u.1": "fail"}, UNKNOWN),
        ({"m.1": "inconclusive", "n.1": "fail"}, NOT_READY),
        ({"x.1": "fail"}, READY),
    ],
    ids=str,
)
def test_verdicts_make_readiness(changed: dict[str, str], expected: Readiness) -> None:
    """One contract after the other is other than passed."""
    assert judged(ALL_PASS | changed).readiness is expected


@pytest.mark.parametrize(
    ("left_out", "expected"), [("n.1", UNKNOWN), ("m.1", UNKNOWN), ("u.1", READY)], ids=str
)
def test_what_was_not_judged_is_not_called_ready(left_out: str, expected: Readiness) -> None:
    """A selection (`-k`, `--llm-suite`) may leave out what is needed."""
    assert judged({id: v for id, v in ALL_PASS.items() if id != left_out}).readiness is expected


def test_nothing_judged_is_not_known() -> None:
    """No verdict, no readiness, and one reason for each thing that is needed."""
    assert judged({}) == Finding(
        "c", UNKNOWN, ("n.1 (and 1 more) was not judged: does n", "m.* was not judged: does m")
    )


def test_reasons_stand_in_order_and_ready_has_none() -> None:
    """What is broken comes before what is missing, and what is needed before what is used."""
    finding = judged({"n.1": "inconclusive", "n.2": "unsupported", "m.1": "fail", "u.1": "fail"})
    assert finding.reasons == (
        "m.1 is broken: does m",
        "n.2 is not supported: does n",
        "n.1 is not settled: does n",
        "u.1 is broken: does u",
    )
    assert judged(ALL_PASS).reasons == ()


@pytest.mark.parametrize(("broken", "expected"), [(True, NOT_READY), (False, READY)])
def test_warning_counts_by_whether_the_claim_is_broken(broken: bool, expected: Readiness) -> None:
    """A claim that is broken below the level of the run hurts the client like any other."""
    assert judged(ALL_PASS | {"n.1": "warn"}, broken=broken).readiness is expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"verdict": "warn", "level": "must"}, False),
        ({"verdict": "warn", "level": "must", "broken": True}, True),
        ({"verdict": "warn", "level": "should"}, None),
        ({"verdict": "pass", "level": "must", "broken": True}, False),
        ({"verdict": "waived", "level": "may"}, True),
    ],
    ids=str,
)
def test_warning_of_a_must_is_no_broken_must(result: dict[str, Any], expected: bool | None) -> None:
    """A MUST that is broken fails at every level; of the others a result without `broken` does not tell."""
    assert is_broken(result) is expected


def found(defects: Iterable[str] = ()) -> dict[str, Finding]:
    """What every contract says of the reference with some defects, for each client; every broken one fails."""
    results = [result_of(v, "", []) | {"broken": v.outcome is Outcome.FAIL} for v in verdicts(defects)]
    return {id: readiness(profile, results) for id, profile in profiles().items()}


def test_every_client_is_ready_on_the_healthy_reference() -> None:
    """All that any client needs or uses is judged there, and holds."""
    assert [finding for finding in found().values() if finding.readiness is not READY] == []


PYTHON = {"aider", "haystack", "langchain", "litellm", "llama-index", "openai-python"}
NODE = {"cline", "continue", "librechat", "openai-node"}
AI_SDK = {"ai-sdk", "opencode"}
LINES = {"goose", "zed"}


@pytest.mark.parametrize(
    ("defect", "not_ready", "limits"),
    [
        ("stream-without-done", set(), set()),
        ("stream-done-lower-case", PYTHON | NODE, set()),
        ("stream-ndjson", PYTHON | NODE | AI_SDK | LINES | {"open-webui"}, set()),
        ("stream-as-json-type", {"open-webui"}, set()),
        ("delta-role-model", AI_SDK | {"zed"}, set()),
        ("usage-on-every-chunk", {"continue"}, {"cline"}),
        ("tool-delta-id-missing", {"goose"}, {"cline", "litellm", "open-webui", "openai-node"}),
        ("models-duplicate-id", {"open-webui"}, {"continue", "librechat"}),
        ("response-item-done-missing", set(), {"codex-cli"}),
    ],
)
def test_defect_changes_the_clients_that_rely_on_what_it_breaks(
    defect: str, not_ready: set[str], limits: set[str]
) -> None:
    """And no other one; each says why."""
    changed = {id: finding for id, finding in found([defect]).items() if finding.readiness is not READY}
    assert {id for id, finding in changed.items() if finding.readiness is NOT_READY} == not_ready
    assert {id for id, finding in changed.items() if finding.readiness is LIMITS} == limits
    assert len(changed) == len(not_ready | limits)
    assert [id for id, finding in changed.items() if "broken" not in finding.reasons[0]] == []


def test_endpoint_without_the_responses_api_is_not_for_codex_alone() -> None:
    """Codex speaks nothing else; to the official client it is one feature of many."""
    results = [
        result_of(v, "", [])
        | ({"verdict": "unsupported"} if v.contract.area.startswith("responses") else {"broken": False})
        for v in verdicts()
    ]
    changed = {id: f.readiness for id, p in profiles().items() if (f := readiness(p, results)).reasons}
    assert changed == {"codex-cli": NOT_READY}
