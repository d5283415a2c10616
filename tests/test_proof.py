"""The proof: every contract passes on the healthy reference, and each defect breaks exactly what declares it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_llmcompat.contract import Contract, Level
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.passive import judge_throughout
from pytest_llmcompat.probes import PROBES, SUITES
from pytest_llmcompat.reading import read
from pytest_llmcompat.reference import DEFECTS, serve
from pytest_llmcompat.reference.auth import DEFAULT_KEY
from pytest_llmcompat.reference.models import TRANSCRIPTION_MODEL
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.target import Latency, Target
from pytest_llmcompat.verdict import Outcome, Verdict

CONTRACTS = bundled_contracts()
FAULTS = sorted(name for name, defect in DEFECTS.items() if not defect.legal)
VARIANTS = sorted(name for name, defect in DEFECTS.items() if defect.legal)

# Seconds between chunks: nearly none where time is not on trial.
QUICK, REAL = 0.0005, 0.025
ABOUT_TIME = {"stream-buffered", "stream-held-open", "disconnect-blocks"}
# What users may ask of a target; the seconds are far off but for the defect that is about them.
REQUIRED = (TRANSCRIPTION_MODEL,)
LONG, SHORT = Latency(60.0, 60.0), Latency(0.3, 0.3)
BROKEN = (Outcome.FAIL, Outcome.WARN)
# What these contracts are about never comes from a healthy server that is not pressed; the variant makes it come.
OCCASIONS = {
    "legal-throttles": {
        "error.429-status",
        "ratelimit.429-code",
        "ratelimit.retry-after",
        "ratelimit.sdk-retries",
    },
    "legal-response-stream-fails": {"responses.stream.error-event"},
    "legal-reasoning-spends-cap": {"responses.reasoning-item"},
    "legal-overloaded": {"error.5xx-envelope"},
    "legal-stream-breaks-off": {"chat.stream.mid-error-shape", "chat.stream.truncation-visible"},
}


def verdicts(
    defects: Iterable[str] = (),
    *,
    pause: float = QUICK,
    no_auth: bool = False,
    level: Level = Level.MAY,
    latency: Latency = LONG,
) -> list[Verdict]:
    """What every contract says of the reference with some defects switched on."""
    with serve(defects, pause=pause, key=None if no_auth else DEFAULT_KEY) as reference:
        target = Target(
            "reference",
            reference.base_url,
            reference.model,
            reference.key,
            no_auth=no_auth,
            require_models=REQUIRED,
            latency=latency,
        )
        # Everything is sent, also what a user has to ask for by name.
        lab = Lab(target, LiveSource(target), named=SUITES)
        lab.prefetch(PROBES, concurrency=8)

        try:
            exchanges = lab.obtained()
            return [
                judge_throughout(contract, target, lambda name: read(lab, name, SUITES), exchanges, level)
                for contract in CONTRACTS
            ]
        finally:
            lab.close()


def described(found: Iterable[Verdict]) -> list[str]:
    """Verdicts in a form that reads well in a failing assertion."""
    return [f"{v.outcome}: {v.contract.id}: {v.reason}" for v in found]


def test_every_contract_passes_on_the_healthy_reference() -> None:
    """Nothing is unsupported, inconclusive or broken on the server that keeps every contract."""
    awaiting = set().union(*OCCASIONS.values())
    found = {v.contract.id: v for v in verdicts(pause=REAL)}
    assert (
        described(
            v for v in found.values() if v.outcome is not Outcome.PASS and v.contract.id not in awaiting
        )
        == []
    )
    assert {found[id].outcome for id in awaiting} == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize("variant", OCCASIONS)
def test_contract_passes_when_its_occasion_comes_the_right_way(variant: str) -> None:
    """A contract on throttling, failure or a broken-off stream passes where that is done right."""
    found = verdicts([variant])
    assert (
        described(v for v in found if v.contract.id in OCCASIONS[variant] and v.outcome is not Outcome.PASS)
        == []
    )


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.id)
def test_contract_declares_a_defect_that_exists(contract: Contract) -> None:
    """A contract that nothing can break proves nothing."""
    assert contract.catches
    assert set(contract.catches) <= set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_defect_breaks_exactly_the_contracts_that_declare_it(fault: str) -> None:
    """A defect is caught by each contract that says so, and turns no other one red or yellow."""
    declared = {contract.id for contract in CONTRACTS if fault in contract.catches}
    found = verdicts(
        [fault],
        pause=REAL if fault in ABOUT_TIME else QUICK,
        latency=SHORT if fault == "slow-to-begin" else LONG,
    )
    broken = {v.contract.id: v for v in found if v.outcome in BROKEN}
    assert declared, "no contract catches this defect"
    assert described(v for id, v in broken.items() if id not in declared) == []
    assert described(v for v in found if v.contract.id in declared - set(broken)) == []


# SHOULD and MAY contracts ask for what these variants leave out; nothing that is a MUST may break.
BARE = {"legal-bare", "legal-unsupported-400", "legal-max-tokens-refused"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_legal_variant_stays_green(variant: str) -> None:
    """What is legal breaks no contract; at the most it draws a warning."""
    found = verdicts(
        [variant], no_auth=variant == "legal-keyless", level=Level.MUST if variant in BARE else Level.MAY
    )
    assert described(v for v in found if v.outcome is Outcome.FAIL) == []


# These change what the others are about: whether there is a key, a parameter, a right answer.
ALONE = {*BARE, "legal-keyless", "legal-wrong-answers", "legal-reasoning-spends-cap"}


@pytest.mark.parametrize("left_out", ["legal-null-deltas", "legal-role-with-text"])
def test_legal_variants_together_stay_green(left_out: str) -> None:
    """Legal ways do not become illegal in company; two of them write the first delta, so each goes once."""
    found = verdicts(sorted(set(VARIANTS) - ALONE - {left_out}))
    assert described(v for v in found if v.outcome is Outcome.FAIL) == []


def test_verdicts_do_not_flip() -> None:
    """The same deterministic endpoint gets the same verdicts each time."""
    runs = [{v.contract.id: v.outcome for v in verdicts(pause=REAL)} for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
