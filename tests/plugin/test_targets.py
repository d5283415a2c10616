"""Named targets, globs over models, budgets and shards on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.command import main
from pytest_llmcompat.reference import Reference
from tests.plugin.conftest import Judge, report_of, verdicts_of

pytest_plugins = ("pytester",)

Run = Callable[..., pytest.RunResult]
FEW = ("-k", "done-sentinel or list-object or models.required")


@pytest.fixture
def run(pytester: pytest.Pytester, key: str) -> Run:
    """Runs pytest in this process with some arguments, on what `llmcompat.toml` says."""
    del key

    def inner(*arguments: str, configuration: str = "") -> pytest.RunResult:
        if configuration:
            (pytester.path / "llmcompat.toml").write_text(configuration)
        return pytester.runpytest_inprocess(*arguments)

    return inner


def two(reference: Reference) -> str:
    """Two named targets with settings of their own."""
    return (
        f'[targets.one]\nendpoint = "{reference.base_url}"\nmodel = "reference-small"\nsuite = "core"\n'
        'require_models = ["reference-embed", "reference-large"]\n'
        f'[targets.two]\nendpoint = "{reference.base_url}"\nmodel = "reference-*"\nlevel = "should"\n'
    )


def test_matrix_of_named_targets_runs_each_with_its_settings(
    run: Run, pytester: pytest.Pytester, reference: Reference
) -> None:
    """Target ids bear the names; suites, levels and required models are those of each."""
    arguments = ("-k", "list-object or models.required or embeddings.object", "--llm-report=report.json")
    run("--llm-target=one", "--llm-target=two", "-k", "zzz", configuration=two(reference))
    result = run("--llm-target=all", "--llm-model=reference-small", *arguments)
    document = report_of(pytester)
    assert [target["id"] for target in document["targets"]] == ["reference-small@one", "reference-small@two"]
    verdicts = verdicts_of(document)
    assert verdicts["reference-small@one", "models.required"] == "fail"
    assert verdicts["reference-small@two", "models.required"] == "inconclusive"
    assert [document["summary"]["targets"][id]["level"] for id in document["summary"]["targets"]] == [
        "must",
        "should",
    ]
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert "reference-large" in result.stdout.str()


def test_one_target_is_picked_by_name(run: Run, pytester: pytest.Pytester, reference: Reference) -> None:
    """The others are left alone."""
    run("--llm-target=one", *FEW, "--llm-report=report.json", configuration=two(reference))
    assert [target["id"] for target in report_of(pytester)["targets"]] == ["reference-small@one"]


def test_named_targets_work_with_workers(run: Run, pytester: pytest.Pytester, reference: Reference) -> None:
    """A worker finds the settings of its targets by their names."""
    run(
        "--llm-target=all",
        "-n",
        "2",
        *FEW,
        "--llm-model=reference-small",
        "--llm-report=report.json",
        configuration=two(reference),
    )
    verdicts = verdicts_of(report_of(pytester))
    assert verdicts["reference-small@one", "models.required"] == "fail"
    assert verdicts["reference-small@two", "chat.stream.done-sentinel"] == "pass"


def test_named_target_is_recorded_and_replayed(
    run: Run, pytester: pytest.Pytester, reference: Reference
) -> None:
    """A replay calls it by the same name, so that a baseline fits both."""
    run("--llm-target=one", *FEW, "--llm-record", configuration=two(reference))
    result = run("--llm-target=one", *FEW, "--llm-replay", "--llm-report=report.json")
    document = report_of(pytester)
    assert [target["id"] for target in document["targets"]] == ["reference-small@one"]
    assert verdicts_of(document)["reference-small@one", "models.required"] == "fail"
    assert "requests replayed" in result.stdout.str()


def test_glob_expands_over_the_listed_models(judge: Judge, pytester: pytest.Pytester) -> None:
    """Each listed model that fits is a target."""
    judge("-k", "list-object", "--llm-report=report.json", model="reference-*m*")
    ids = [target["model"] for target in report_of(pytester)["targets"]]
    assert ids == ["reference-small", "reference-embed", "reference-image"]


def test_glob_that_fits_no_model_is_refused(judge: Judge) -> None:
    """The line says what there is."""
    result = judge(model="gpt-*")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert "lists no model like 'gpt-*'; it lists reference-small, " in line


def test_budget_ends_the_sending_and_says_what_was_spent(judge: Judge, pytester: pytest.Pytester) -> None:
    """What it does not allow is inconclusive with this reason; nothing fails for it."""
    result = judge("--llm-suite=core", "--llm-max-requests=10", "--llm-report=report.json")
    assert result.ret is pytest.ExitCode.OK
    assert "spent: 10 of 10 requests" in result.stdout.str()
    document = report_of(pytester)
    assert document["spent"]["requests"] == sum(e["requests"] for e in document["exchanges"]) == 10
    reasons = [r["reason"] for r in document["results"] if r["verdict"] == "inconclusive"]
    assert sum("the budget of 10 requests is spent (--llm-max-requests)" in reason for reason in reasons) > 20


def test_budget_holds_over_all_workers(judge: Judge, pytester: pytest.Pytester) -> None:
    """Processes spend from one purse."""
    judge("--llm-suite=core", "--llm-max-requests=12", "-n", "2", "--llm-report=report.json")
    document = report_of(pytester)
    assert document["spent"]["requests"] == 12
    assert sum(e["requests"] for e in document["exchanges"]) == 12


def test_budget_of_tokens_and_cost(judge: Judge, pytester: pytest.Pytester) -> None:
    """The user's own price goes before the shipped one."""
    (pytester.path / "llmcompat.toml").write_text('[prices."reference-*"]\ninput = 1000\noutput = 1000\n')
    result = judge(
        "--llm-suite=core", "--llm-max-cost=0.5", "--llm-max-tokens=100000", "--llm-report=report.json"
    )
    assert " of 0.5 USD" in result.stdout.str()
    spent = report_of(pytester)["spent"]
    assert 0 < spent["cost_usd"] <= 0.5
    assert spent["cost_usd"] == pytest.approx(spent["tokens"] / 1000)


def test_budget_too_small_to_begin_is_said_at_once(judge: Judge) -> None:
    """Nothing could be judged, so nothing pretends to be."""
    result = judge("--llm-max-requests=1")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert "the budget of 1 requests is spent (--llm-max-requests); allow more" in line


def shards(judge: Judge, pytester: pytest.Pytester, count: int, *arguments: str) -> list[dict[str, Any]]:
    """The reports of all shards of a run."""
    documents = []
    for number in range(1, count + 1):
        judge(f"--llm-shard={number}/{count}", f"--llm-report=shard-{number}.json", *arguments)
        documents.append(report_of(pytester, f"shard-{number}.json"))
    return documents


def test_shards_together_are_the_whole_run(judge: Judge, pytester: pytest.Pytester) -> None:
    """`llmcompat merge` joins their reports to the verdicts of one run, and each sends a part of the requests."""
    judge("--llm-report=whole.json")
    whole = report_of(pytester, "whole.json")
    parts = shards(judge, pytester, 3)
    merged = pytester.path / "merged.json"
    # Whether chunks that nearly come together came apart is another matter each time.
    of_the_moment = "chat.stream.incremental"
    assert (
        main(["merge", *(str(pytester.path / f"shard-{n}.json") for n in (1, 2, 3)), "--output", str(merged)])
        == 0
    )
    document = json.loads(merged.read_text("utf-8"))
    (summary,) = document["summary"]["targets"].values()
    assert summary["clients"]["openai-python"]["readiness"] == "READY"
    joined = verdicts_of(document)
    assert joined.keys() == verdicts_of(whole).keys()
    assert {key for key, verdict in verdicts_of(whole).items() if joined[key] != verdict} <= {
        (part["targets"][0]["id"], of_the_moment) for part in parts
    }
    assert all(sum(e["requests"] for e in part["exchanges"]) < 60 for part in parts)


BAD: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (
        ("--llm-target=one",),
        {"llmcompat.toml": "[targets.one]\nendpoint = 'reference'\nmodle = 'x'"},
        "llmcompat.toml, line 3: targets one modle: unknown key",
    ),
    (("--llm-target=one",), {"llmcompat.toml": "timeout = 'x'"}, "line 1: timeout: give a number of seconds"),
    (("--llm-target=one",), {}, "--llm-target: there are no targets; name some in llmcompat.toml"),
    (
        ("--llm-endpoint=reference", "--llm-target=one"),
        {},
        "--llm-target and --llm-endpoint exclude each other",
    ),
    (
        ("--llm-endpoint=reference",),
        {"llmcompat.toml": "[[waivers]]\ncontract = 'chat.strem.*'\nreason = 'r'\nexpires = 2999-01-01"},
        "no contract is like 'chat.strem.*' in waivers",
    ),
    (
        ("--llm-endpoint=reference",),
        {"llmcompat.toml": "[[waivers]]\ncontract = 'a'\nreason = 'r'\nexpires = 'soon'"},
        '"soon" does not fit; give a date, YYYY-MM-DD',
    ),
    (("--llm-endpoint=reference", "--llm-baseline=none.json"), {}, "none.json"),
    (
        ("--llm-endpoint=reference", "--llm-baseline=b.json"),
        {"b.json": '{"schema": "llmcompat.report/1", "resu'},
        "b.json",
    ),
    (
        ("--llm-endpoint=reference", "--llm-baseline=b.json"),
        {"b.json": '{"schema": "llmcompat.report/9"}'},
        "llmcompat.report/9",
    ),
    (("--llm-endpoint=reference", "--llm-update-baseline"), {}, "needs --llm-baseline=FILE"),
    (
        ("--llm-endpoint=reference", "--llm-update-baseline", "--llm-baseline=no/where.json"),
        {},
        "create it first",
    ),
    (("--llm-endpoint=reference", "--llm-client=curl-user"), {}, "--llm-client: unknown client 'curl-user'"),
    (("--llm-endpoint=reference", "--llm-shard=3/2"), {}, "--llm-shard: '3/2' is no shard"),
    (("--llm-endpoint=reference", "--llm-replaceable=a"), {}, "--llm-replaceable: 'a': write A=B"),
    (("--llm-endpoint=reference", "--llm-replaceable=a=b"), {}, "--llm-replaceable: "),
    (("--llm-endpoint=reference", "--llm-drift=hard"), {}, "--llm-drift: 'hard' is none of off, warn, fail"),
    (
        ("--llm-endpoint=reference", "--llm-max-tokens=many"),
        {},
        "--llm-max-tokens: 'many' is no whole number",
    ),
    (
        (
            "--llm-endpoint=http://127.0.0.1:9/v1",
            "--llm-no-auth",
            "--llm-model=unheard-of",
            "--llm-max-cost=1",
        ),
        {},
        "--llm-max-cost: no price is known for unheard-of; give one in llmcompat.toml",
    ),
    (
        ("--llm-endpoint=reference", "--llm-drift=fail"),
        {},
        "--llm-drift=fail: no cassettes below cassettes; record",
    ),
]


@pytest.mark.parametrize(("arguments", "files", "said"), BAD, ids=[said[:40] for _, _, said in BAD])
def test_bad_input_is_one_line_and_exit_status_4(
    run: Run, pytester: pytest.Pytester, arguments: tuple[str, ...], files: dict[str, str], said: str
) -> None:
    """Users see a line that says what to do, no traceback, and nothing is sent."""
    for name, text in files.items():
        path = Path(pytester.path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = run(*arguments)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in [*result.outlines, *result.errlines] if line.strip()]
    assert line.startswith("ERROR: ")
    assert said in line
