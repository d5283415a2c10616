"""The gate on the command line: baselines, waivers, drift, stand-ins and clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_llmcompat.reference import Reference, serve
from tests.plugin.conftest import KEY, QUICK, Judge, report_of, verdicts_of

pytest_plugins = ("pytester",)

# A few contracts on a few probes: such a run takes half a second.
FEW = ("-k", "done-sentinel or closes-after-done or list-object or first-delta-role or answer-json")
DONE = "chat.stream.done-sentinel"
BASELINE = "--llm-baseline=baseline.json"


@pytest.fixture(scope="module")
def broken() -> Iterator[Reference]:
    """The upgrade: its streams lack the sentinel."""
    with serve(["stream-without-done"], key=KEY, pause=QUICK) as running:
        yield running


@pytest.fixture
def accepted(judge: Judge, pytester: pytest.Pytester) -> Path:
    """The report of a few contracts on the healthy reference, in `baseline.json`."""
    assert judge(*FEW, "--llm-report=baseline.json").ret is pytest.ExitCode.OK
    return pytester.path / "baseline.json"


def output(result: pytest.RunResult) -> str:
    """What a run has printed."""
    return result.stdout.str()


def test_regression_fails_and_is_named_with_both_verdicts(
    judge: Judge, broken: Reference, accepted: Path
) -> None:
    """Only what has become worse fails, and the reader sees from what to what."""
    del accepted
    result = judge(*FEW, BASELINE, "--llm-report=report.json", endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    assert "1 regression against baseline.json" in output(result)
    assert f"  MUST   {DONE}: pass → fail; stream-basic" in output(result)
    assert "is compared with" in output(result)


def test_known_failure_is_accepted_and_shown(
    judge: Judge, pytester: pytest.Pytester, broken: Reference, accepted: Path
) -> None:
    """What was broken in the accepted report does not fail the run again; the report still calls it a fail."""
    assert judge(*FEW, BASELINE, "--llm-update-baseline", endpoint=broken.base_url).ret is pytest.ExitCode.OK
    result = judge(*FEW, BASELINE, "--llm-report=report.json", endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.OK
    assert result.parseoutcomes()["accepted"] == 1
    assert "no regression against baseline.json" in output(result)
    document = report_of(pytester)
    assert verdicts_of(document)[document["targets"][0]["id"], DONE] == "fail"
    (known,) = next(iter(document["gate"]["targets"].values()))["known"]
    assert (known["contract"], known["was"], known["now"]) == (DONE, "fail", "fail")
    assert json.loads(accepted.read_text("utf-8"))["schema"] == "llmcompat.report/1"


def test_improvement_is_listed(judge: Judge, broken: Reference, accepted: Path) -> None:
    """What is mended passes, and the reader learns that the baseline may be raised."""
    accepted.unlink()
    judge(*FEW, BASELINE, "--llm-update-baseline", endpoint=broken.base_url)
    result = judge(*FEW, BASELINE)
    assert result.ret is pytest.ExitCode.OK
    assert "improvements:" in output(result)
    assert f"MUST   {DONE}: fail → pass" in output(result)


def test_new_contract_is_listed_and_fails_nothing(judge: Judge, broken: Reference, accepted: Path) -> None:
    """A contract that came with a new version of the suite gates from the next accepted run on."""
    document = json.loads(accepted.read_text("utf-8"))
    document["results"] = [r for r in document["results"] if r["contract"] != DONE]
    accepted.write_text(json.dumps(document))
    result = judge(*FEW, BASELINE, endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.OK
    assert "new contracts, which fail nothing yet:" in output(result)
    assert f"{DONE}: (none) → fail" in output(result)


def test_removed_contract_is_named_and_a_selection_removes_none(judge: Judge, accepted: Path) -> None:
    """`-k` leaves contracts out; only what exists no more is called removed."""
    document = json.loads(accepted.read_text("utf-8"))
    document["results"].append({**document["results"][0], "contract": "chat.of-old"})
    accepted.write_text(json.dumps(document))
    result = judge("-k", "done-sentinel", BASELINE)
    assert result.ret is pytest.ExitCode.OK
    text = output(result)
    assert "no longer there:" in text
    assert "chat.of-old: " in text
    assert text.count("(none)") == 1


def test_lost_feature_is_a_regression(judge: Judge) -> None:
    """A contract that passed and is unsupported now fails, though its verdict is no fail."""
    assert judge("-k", "embeddings", "--llm-report=baseline.json").ret is pytest.ExitCode.OK
    with serve(["legal-chat-only"], key=KEY, pause=QUICK) as without:
        result = judge("-k", "embeddings", BASELINE, endpoint=without.base_url)
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert "pass → unsupported" in output(result)


def test_inconclusive_is_a_regression_by_option_only(judge: Judge, broken: Reference, accepted: Path) -> None:
    """An outage stops no upgrade unless the user wants it so."""
    del accepted
    few = ("-k", "closes-after-done")
    assert judge(*few, BASELINE, endpoint=broken.base_url).ret is pytest.ExitCode.OK
    strict = judge(*few, BASELINE, "--llm-baseline-strict", endpoint=broken.base_url)
    assert strict.ret is pytest.ExitCode.TESTS_FAILED
    assert "pass → inconclusive" in output(strict)


def test_updating_with_a_selection_keeps_the_rest(judge: Judge, broken: Reference, accepted: Path) -> None:
    """What did not run stays as it was accepted."""
    before = json.loads(accepted.read_text("utf-8"))
    judge("-k", "done-sentinel", BASELINE, "--llm-update-baseline", endpoint=broken.base_url)
    after = json.loads(accepted.read_text("utf-8"))
    assert len(after["results"]) == len(before["results"])
    changed = {r["contract"] for r in after["results"] if r["verdict"] == "fail"}
    assert changed == {DONE}


def test_baseline_works_with_workers(judge: Judge, broken: Reference, accepted: Path) -> None:
    """Workers gate what they judge; the main process concludes."""
    del accepted
    result = judge(*FEW, BASELINE, "-n", "2", endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert "1 regression against baseline.json" in output(result)


def test_target_that_the_baseline_does_not_know_is_judged_without_it(
    judge: Judge, broken: Reference, accepted: Path, reference: Reference
) -> None:
    """In a matrix each target has its own baseline, and a new one is let through by none."""
    del accepted
    result = judge(*FEW, BASELINE, f"--llm-endpoint={reference.base_url}", endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert "is not in baseline.json: its verdicts alone count" in output(result)
    assert "no regression against baseline.json" in output(result)


def waiver(contract: str = DONE, target: str = "*", days: int = 30) -> str:
    """A waiver in TOML that has some days left."""
    day = datetime.now(UTC).date() + timedelta(days=days)
    return f'[[waivers]]\ncontract = "{contract}"\ntarget = "{target}"\nreason = "known"\nexpires = {day}\n'


Configure = Callable[[str], None]


@pytest.fixture
def configure(pytester: pytest.Pytester) -> Configure:
    """Writes `llmcompat.toml`."""

    def write(text: str) -> None:
        (pytester.path / "llmcompat.toml").write_text(text)

    return write


def test_waived_failure_is_counted_and_fails_nothing(
    judge: Judge, pytester: pytest.Pytester, broken: Reference, configure: Configure
) -> None:
    """It is a verdict of its own, in the table, in the report and in pytest's count."""
    configure(waiver("chat.stream.done-*"))
    result = judge(*FEW, "--llm-report=report.json", endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.OK
    assert result.parseoutcomes()["waived"] == 1
    assert "waived: 1 failure by chat.stream.done-* on *" in output(result)
    document = report_of(pytester)
    assert document["summary"]["waived"] == 1
    assert [used["failures"] for used in document["waivers"]["used"]] == [1]


def test_expired_waiver_waives_nothing_and_is_reported(
    judge: Judge, broken: Reference, configure: Configure
) -> None:
    """The failure is back on the day after."""
    configure(waiver(days=-1))
    result = judge(*FEW, endpoint=broken.base_url)
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert "waiver expired: " in output(result)


@pytest.mark.parametrize("days", [-1, 30])
def test_useless_waiver_fails_when_waivers_are_strict(judge: Judge, configure: Configure, days: int) -> None:
    """On the healthy server nothing needs it; by itself that is only said."""
    configure(waiver(days=days))
    lenient = judge(*FEW)
    assert lenient.ret is pytest.ExitCode.OK
    assert ("waiver expired: " if days < 0 else "waiver unused: ") in output(lenient)
    strict = judge(*FEW, "--llm-strict-waivers")
    assert strict.ret is pytest.ExitCode.TESTS_FAILED
    assert "fails the run: " in output(strict)
    assert "(--llm-strict-waivers)" in output(strict)


def test_drift_warns_and_fails_by_option(judge: Judge, pytester: pytest.Pytester) -> None:
    """Answers with other keys than recorded are named, and fail a run that wants it so."""
    few = ("-k", "answer-json or chat.object or chat.id")
    assert judge(*few, "--llm-record").ret is pytest.ExitCode.OK
    assert "drift: none" in output(judge(*few))
    with serve(["legal-vendor-keys"], key=KEY, pause=QUICK) as other:
        warned = judge(*few, "--llm-report=report.json", endpoint=other.base_url)
        failed = judge(*few, "--llm-drift=fail", endpoint=other.base_url)
        silent = judge(*few, "--llm-drift=off", endpoint=other.base_url)
    assert warned.ret is pytest.ExitCode.OK
    assert "drift: appeared in" in output(warned)
    assert report_of(pytester)["drift"][0]["changes"]
    assert failed.ret is pytest.ExitCode.TESTS_FAILED
    assert "answers have another shape than recorded" in output(failed)
    assert "drift: " not in output(silent)


def test_cassette_that_cannot_be_compared_with_is_refused(judge: Judge, pytester: pytest.Pytester) -> None:
    """It is read before anything is sent, so that no run breaks off at its end."""
    judge(*FEW, "--llm-record")
    (cassette,) = pytester.path.glob("cassettes/*/*/models-list.yaml")
    cassette.write_text("interactions: [")
    result = judge(*FEW)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert "models-list.yaml" in line


def test_target_that_cannot_stand_in_fails_the_run(
    pytester: pytest.Pytester, key: str, configure: Configure, broken: Reference
) -> None:
    """Named targets can be told to replace each other, one way or the other."""
    configure(
        f'[targets.new]\nendpoint = "{broken.base_url}"\nmodel = "reference-small"\nlevel = "must"\n'
        '[targets.old]\nendpoint = "reference"\n' + waiver(target="*@new")
    )
    del key
    arguments = (*FEW, "--llm-target=all", "--llm-replaceable")
    lost = pytester.runpytest_inprocess(*arguments, "reference-small@old=reference-small@new")
    assert lost.ret is pytest.ExitCode.TESTS_FAILED
    assert "reference-small@new cannot stand in for reference-small@old: 1 contract that" in output(lost)
    assert DONE in output(lost)
    held = pytester.runpytest_inprocess(*arguments, "*@new=*@old")
    assert held.ret is pytest.ExitCode.OK
    assert "reference-small@old can stand in for reference-small@new" in output(held)


def test_client_decides_what_fails(judge: Judge, broken: Reference) -> None:
    """A contract that the client does not rely on only warns, and one that it needs fails at any level."""
    lenient = judge(*FEW, "--llm-client=open-webui", endpoint=broken.base_url)
    assert lenient.ret is pytest.ExitCode.OK
    assert lenient.parseoutcomes()["warned"] == 1
    with serve(["models-duplicate-id"], key=KEY, pause=QUICK) as other:
        failed = judge("-k", "string-unique", "--llm-client=open-webui", endpoint=other.base_url)
    assert failed.ret is pytest.ExitCode.TESTS_FAILED


def test_summary_says_which_clients_are_ready(judge: Judge, pytester: pytest.Pytester) -> None:
    """One line names the ready ones; the report has all with their reasons."""
    result = judge("--llm-report=report.json")
    assert "clients READY: ai-sdk, aider" in output(result)
    (target,) = report_of(pytester)["summary"]["targets"].values()
    assert target["clients"]["openai-python"] == {"readiness": "READY", "reasons": []}


def test_github_gets_a_summary_and_annotations(
    judge: Judge,
    pytester: pytest.Pytester,
    broken: Reference,
    accepted: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step summary is appended to, and what fails the run is marked; only where GitHub runs it."""
    del accepted
    summary = pytester.path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    silent = judge(*FEW, BASELINE, endpoint=broken.base_url)
    assert "::error" not in output(silent)
    assert summary.read_text("utf-8").startswith("before\n")
    assert DONE in summary.read_text("utf-8")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    told = judge(*FEW, BASELINE, endpoint=broken.base_url)
    (error,) = [line for line in told.outlines if line.startswith("::error")]
    assert DONE in error
