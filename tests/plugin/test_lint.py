"""`pytest --llm-lint`: recordings of other tools in the place of an endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugin.conftest import Judge, report_of, verdicts_of
from tests.test_passive import ANSWER

pytest_plugins = ("pytester",)

OWN = """
    from pytest_llmcompat import SHOULD, Exchange, completion, contract, expect

    @contract("acme.short", SHOULD, source="our style guide", passive="chat")
    def test_answers_are_short(chat_basic: Exchange) -> None:
        '''Answers are short.'''
        answer = completion(chat_basic)
        expect(len(answer.at("/choices/0/message/content")) < 4, answer, "/choices/0/message/content", "short")

    @contract("acme.greeting", SHOULD, source="our style guide")
    def test_greets(chat_basic: Exchange) -> None:
        '''The first answer greets.'''
"""


def record(host: str = "api.example.com", **changed: Any) -> str:
    """A line with one chat completion."""
    return json.dumps(
        {
            "url": f"https://{host}/v1/chat/completions",
            "request": {"model": "m", "messages": []},
            "status": 200,
            "headers": {"content-type": "application/json"},
            "body": json.dumps(ANSWER | changed),
        }
    )


@pytest.fixture
def traffic(pytester: pytest.Pytester) -> str:
    """A folder with a good host, a bad one and a file that is no recording."""
    folder = pytester.mkdir("traffic")
    lines = [record(), record("bad.example.com", object="text"), record("bad.example.com")]
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "other.json").write_text("{}", encoding="utf-8")
    return "traffic"


def test_each_host_gets_a_table_and_the_report_holds_all(pytester: pytest.Pytester, traffic: str) -> None:
    """Passive contracts alone are judged, and nothing is sent."""
    result = pytester.runpytest_inprocess(f"--llm-lint={traffic}", "--llm-report=report.json")
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "MUST chat.object is broken by bad.example.com",
            "*llmcompat: api.example.com*",
            "*llmcompat: bad.example.com*",
            "no recordings, passed over: traffic/other.json",
        ]
    )
    report = report_of(pytester)
    verdicts = verdicts_of(report)
    assert verdicts["api.example.com", "chat.object"] == "pass"
    assert verdicts["bad.example.com", "chat.object"] == "fail"
    assert ("api.example.com", "auth.wrong-401") not in verdicts
    assert ("api.example.com", "chat.stream.done-sentinel") not in verdicts
    assert [exchange["live"] for exchange in report["exchanges"]] == [False] * 3


def test_workers_give_the_same_verdicts(pytester: pytest.Pytester, traffic: str) -> None:
    """pytest-xdist splits the contracts; each worker reads the recordings for itself."""
    alone, apart = (
        pytester.runpytest_subprocess(f"--llm-lint={traffic}", f"--llm-report={name}", *arguments)
        for name, arguments in (("alone.json", ()), ("apart.json", ("-n", "2")))
    )
    assert alone.ret == apart.ret == pytest.ExitCode.TESTS_FAILED
    assert verdicts_of(report_of(pytester, "alone.json")) == verdicts_of(report_of(pytester, "apart.json"))


def test_contracts_of_ones_own_are_applied_when_they_are_passive(
    pytester: pytest.Pytester, traffic: str
) -> None:
    """The others have nothing to read."""
    pytester.makepyfile(test_ours=OWN)
    result = pytester.runpytest_inprocess(
        f"--llm-lint={traffic}", "--llm-level=should", "-k", "api.example.com", "test_ours.py"
    )
    assert result.parseoutcomes() == {"failed": 1, "deselected": 3}
    result.stdout.fnmatch_lines(["SHOULD acme.short is broken by api.example.com"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--llm-lint=nowhere",), "nowhere cannot be read: No such file or directory"),
        (("--llm-lint=traffic/other.json",), "traffic/other.json is no recording of a known format"),
        (("--llm-lint=traffic", "--llm-endpoint=reference"), "--llm-lint judges recordings"),
        (("--llm-lint=traffic", "--llm-replay"), "--llm-lint judges recordings"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: tuple[str, ...], problem: str, pytester: pytest.Pytester, traffic: str
) -> None:
    """It is a usage error of pytest, and nothing is judged."""
    del traffic
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{problem}*"])


def test_endpoint_of_the_table_waits(pytester: pytest.Pytester, traffic: str) -> None:
    """A project that names its endpoint can lint its cassettes all the same."""
    pytester.makepyprojecttoml('[tool.llmcompat]\nendpoint = "http://127.0.0.1:9/v1"\nreplay = true\n')
    result = pytester.runpytest_inprocess(f"--llm-lint={traffic}", "-k", "chat.object and api.example.com")
    assert result.ret is pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] == 1


def test_explanation_of_many_places_is_short(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal shows a few of them, the report all."""
    # Where CI is set, pytest's own summary repeats each failure in full.
    monkeypatch.delenv("CI", raising=False)
    lines = [record(object="text") for _ in range(9)]
    (pytester.path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    result = pytester.runpytest_inprocess("--llm-lint=a.jsonl", "--llm-report=report.json")
    assert result.stdout.str().count("Evidence:") == 4
    result.stdout.fnmatch_lines(["Evidence:  and in 6 more places, all in the report"])
    (broken,) = (r for r in report_of(pytester)["results"] if r["verdict"] == "fail")
    assert len(broken["evidence"]) == 9


def test_run_finds_a_fault_beyond_what_a_contract_reads(judge: Judge, pytester: pytest.Pytester) -> None:
    """In a run, too, a passive contract is about every exchange of its kind that was sent anyway."""
    judge("--llm-report=report.json", "-k", "chat.object or chat.multi-turn")
    (object_result,) = (r for r in report_of(pytester)["results"] if r["contract"] == "chat.object")
    assert {"chat-basic", "chat-turns"} <= set(object_result["probes"])
