"""Worker processes share the exchanges: the same verdicts for the same number of requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reference.models import SLASHED_MODEL
from tests.plugin.conftest import KEY, Judge, report_of, verdicts_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)


def answering(request: Received, connection: Connection) -> None:
    """A server that answers everything, the good and the bad."""
    connection.answer({"object": "list", "data": []} if request.method == "GET" else completion())


@pytest.fixture
def temporary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system's folder for temporary files, in which a run leaves nothing of ours."""
    folder = pytester.mkdir("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    assert list(folder.glob("llmcompat-*")) == []


def test_workers_give_the_same_verdicts_for_the_same_requests(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """Whoever comes first sends a probe, whoever comes second reads its exchange."""
    selection = ["-k", "auth or json. or error"]
    counts = []
    with serving(answering) as server:
        for name, workers in (("alone", []), ("together", ["-n", "2"])):
            before = len(server.received)
            result = judge(f"--llm-report={name}.json", "-rs", *selection, *workers, endpoint=server.base_url)
            assert result.parseoutcomes()["failed"] > 3
            assert result.parseoutcomes()["warned"] > 3
            result.stdout.re_match_lines_random(
                [
                    r"warn SHOULD auth\.scheme: .*",
                    r"SKIPPED \[1\] .*contracts/test_\w+\.py:\d+: inconclusive: .*",
                ]
            )
            counts.append(len(server.received) - before)
    alone, together = (report_of(pytester, f"{name}.json") for name in ("alone", "together"))
    assert counts[0] == counts[1]
    assert verdicts_of(together) == verdicts_of(alone)
    assert together["summary"] == alone["summary"]
    assert [e["probe"] for e in together["exchanges"]] == [e["probe"] for e in alone["exchanges"]]
    assert [r["explanation"] for r in together["results"]] == [r["explanation"] for r in alone["results"]]


@pytest.mark.usefixtures("temporary")
def test_workers_know_every_target_of_a_matrix(judge: Judge, pytester: pytest.Pytester) -> None:
    """What the main process has found out is handed over, the reference that it started included."""
    judge(
        "--llm-endpoint=reference",
        f"--llm-model={SLASHED_MODEL}",
        "-k",
        "auth.missing",
        "-n",
        "2",
        "--llm-report=report.json",
    )
    report = report_of(pytester)
    assert len(report["targets"]) == 4
    assert set(verdicts_of(report).values()) == {"pass"}
    assert len(verdicts_of(report)) == 4


@pytest.mark.usefixtures("temporary")
def test_failed_pre_flight_starts_no_worker(judge: Judge) -> None:
    """The diagnosis is one line here, too."""
    with serving(lambda _, connection: connection.answer({"error": "no"}, 401)) as server:
        result = judge("-n", "2", endpoint=server.base_url)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    assert [line for line in [*result.outlines, *result.errlines] if line] == [result.errlines[0]]
    assert "refuses the key" in result.errlines[0]


def test_clients_work_in_workers_and_the_key_is_in_no_command_line(
    pytester: pytest.Pytester, reference: Reference
) -> None:
    """A typed key reaches the workers, though not by what other users of the machine can see of them."""
    path = pytester.makepyfile(
        """
        import os, sys
        from pathlib import Path
        import pytest

        def test_client(llm_client, llm_target):
            assert llm_client.models.list().data

        def test_key(llm_target, request):
            assert llm_target.key
            assert os.environ["PYTEST_XDIST_WORKER"]
            seen = [*sys.argv, *map(str, request.config.invocation_params.args), str(vars(request.config.option))]
            seen.append(str(request.config.workerinput))
            assert not [text for text in seen if llm_target.key in text]
            cmdline = Path("/proc/self/cmdline")
            if not cmdline.exists():
                pytest.skip("only Linux tells")
            assert llm_target.key.encode() not in cmdline.read_bytes()
        """
    )
    result = pytester.runpytest_subprocess(
        f"--llm-endpoint={reference.base_url}",
        f"--llm-model={reference.model}",
        "--llm-api-key",
        KEY,
        "-n",
        "2",
        "-vv",
        str(path),
    )
    assert result.parseoutcomes()["passed"] == 2
    assert KEY not in result.stdout.str() + result.stderr.str()
