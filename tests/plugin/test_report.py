"""The JSON report keeps to its schema, whatever happened in the run."""

from __future__ import annotations

import json
import os
from datetime import datetime
from importlib.metadata import version
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pytest_llmcompat.reference import Reference, serve
from pytest_llmcompat.reference.models import SLASHED_MODEL
from pytest_llmcompat.reporting.json_report import SCHEMA_FILE
from pytest_llmcompat.suite import bundled_contracts
from pytest_llmcompat.verdict import Outcome
from tests.plugin.conftest import KEY, QUICK, Judge, files_below, report_of, verdicts_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

SCHEMA = json.loads(SCHEMA_FILE.read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def valid(report: dict[str, Any]) -> dict[str, Any]:
    """A report, checked against the schema and against itself."""
    VALIDATOR.validate(report)
    counted = {outcome.value: 0 for outcome in Outcome}
    for result in report["results"]:
        counted[result["verdict"]] += 1
    assert report["summary"] | counted == report["summary"]
    assert report["summary"]["contracts"] == len(report["results"])
    targets = [target["id"] for target in report["targets"]]
    assert {entry["target"] for key in ("results", "exchanges") for entry in report[key]} <= set(targets)
    assert list(report["summary"]["targets"]) == targets
    sent = {(exchange["target"], exchange["probe"]) for exchange in report["exchanges"]}
    assert {(r["target"], probe) for r in report["results"] for probe in r["probes"]} <= sent
    return report


def test_schema_is_one() -> None:
    """It is valid itself, and refuses what is no report."""
    Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(ValidationError):
        VALIDATOR.validate({"schema": "llmcompat.report/2"})


def test_report_of_a_healthy_endpoint(judge: Judge, pytester: pytest.Pytester, reference: Reference) -> None:
    """Every contract is there once, with what the documentation promises of it."""
    judge("--llm-report=report.json").stdout.fnmatch_lines(["report: report.json"])
    report = valid(report_of(pytester))
    assert [result["contract"] for result in report["results"]] == [c.id for c in bundled_contracts()]
    assert report["tool"] == {"name": "pytest-llmcompat", "version": version("pytest-llmcompat")}
    assert datetime.fromisoformat(report["generated"]).tzinfo is not None
    (target,) = report["targets"]
    assert (target["endpoint"], target["model"]) == (reference.base_url, reference.model)
    assert all(exchange["live"] for exchange in report["exchanges"])
    assert (
        sum(e["requests"] for e in report["exchanges"])
        == report["summary"]["targets"][target["id"]]["requests"]
    )
    assert [path.name for path in files_below(pytester.path) if path.suffix != ".pyc"].count(
        "report.json"
    ) == 1


def test_report_of_a_broken_endpoint_holds_evidence_and_explanation(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """A failure can be understood from the report alone."""
    with serve(["auth-none-accepted", "auth-basic-accepted"], key=KEY, pause=QUICK) as broken:
        result = judge("-k", "auth", "--llm-report=report.json", endpoint=broken.base_url)
    report = valid(report_of(pytester))
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    (failed,) = (r for r in report["results"] if r["verdict"] == "fail")
    assert failed["contract"] == "auth.missing-401"
    assert failed["evidence"] == [
        {"probe": "auth-none", "where": "status", "found": "200", "expected": "401"}
    ]
    assert failed["explanation"] in result.stdout.str()
    (warned,) = (r for r in report["results"] if r["verdict"] == "warn")
    assert warned["contract"] == "auth.scheme"
    assert "Reproduce: curl" in warned["explanation"]


def test_report_of_an_endpoint_that_breaks_off(judge: Judge, pytester: pytest.Pytester) -> None:
    """Failures of the transport, unsent probes and odd numbers fit the schema, too."""

    def script(request: Received, connection: Connection) -> None:
        body = request.json if request.body[:1] == b"{" and request.body[-1:] == b"}" else {}
        if request.method == "GET":
            connection.answer({"data": "none"})
        elif body.get("stream"):
            connection.begin(200, {"content-type": "text/event-stream"})
            connection.chunk(
                b'data: {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 1e99}}\n\n'
            )
            connection.reset()
        elif "tools" in body or "response_format" in body:
            connection.answer({"error": {"message": "no tools, no response_format"}}, 400)
        else:
            connection.answer(completion(usage={"prompt_tokens": True, "completion_tokens": None}), 299)

    with serving(script) as server:
        judge(
            "--llm-report=report.json",
            "--llm-suite=core,tools",
            "-k",
            "tools or usage",
            endpoint=server.base_url,
        )
    report = valid(report_of(pytester))
    assert {result["verdict"] for result in report["results"]} >= {"unsupported", "inconclusive"}
    assert any(exchange["failure"] for exchange in report["exchanges"])


def test_report_of_a_replay_equals_that_of_the_recording(judge: Judge, pytester: pytest.Pytester) -> None:
    """Only the date, and where the exchanges came from, differ."""
    selection = ["-k", "json. or models."]
    judge("--llm-record", "--llm-report=recorded.json", *selection)
    judge("--llm-replay", "--llm-report=replayed.json", *selection)
    recorded, replayed = (valid(report_of(pytester, f"{name}.json")) for name in ("recorded", "replayed"))
    assert not any(exchange.pop("live") for exchange in replayed["exchanges"])
    assert all(exchange.pop("live") for exchange in recorded["exchanges"])
    for report in (recorded, replayed):
        del report["generated"]
    assert replayed == recorded


def test_report_of_a_matrix_tells_targets_apart(judge: Judge, pytester: pytest.Pytester) -> None:
    """Two models are two targets with results, exchanges and sums of their own."""
    judge(f"--llm-model={SLASHED_MODEL}", "-k", "auth", "--llm-report=report.json")
    report = valid(report_of(pytester))
    assert len(report["targets"]) == 2
    assert len(report["results"]) == 2 * len({contract for _, contract in verdicts_of(report)})


def test_earlier_report_is_replaced_whole_and_several_are_written(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """A reader never meets half a report, and no temporary file stays."""
    folder = pytester.mkdir("out")
    (folder / "a.json").write_text("old")
    judge("-k", "auth.scheme", "--llm-report=out/a.json", "--llm-report=out/b.json")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.json"]
    assert valid(report_of(pytester, "out/a.json")) == report_of(pytester, "out/b.json")


def test_collecting_only_writes_no_report(judge: Judge, pytester: pytest.Pytester) -> None:
    """Nothing was judged."""
    judge("--collect-only", "--llm-report=report.json")
    assert not (pytester.path / "report.json").exists()


def test_report_behind_a_link_is_written_where_the_link_leads(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """The link stays one."""
    there = pytester.mkdir("there") / "kept.json"
    (pytester.path / "report.json").symlink_to(there)
    judge("--llm-report=report.json", "-k", "auth.scheme")
    assert (pytester.path / "report.json").is_symlink()
    valid(json.loads(there.read_text("utf-8")))
    assert files_below(there.parent) == [there]


def test_report_is_no_pipe(judge: Judge, pytester: pytest.Pytester) -> None:
    """What is no ordinary file would be replaced by one, or never be read: wrong use, and nothing is sent."""
    os.mkfifo(pytester.path / "report.json")
    result = judge("--llm-report=report.json", "-k", "auth.scheme")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --llm-report: report.json is no ordinary file; *"])
