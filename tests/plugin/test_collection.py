"""What is collected: nothing without an endpoint, the bundled suite with one, and the user's own tests."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from pytest_llmcompat.contract import contract_of
from pytest_llmcompat.suite import bundled_contracts
from tests.plugin.conftest import Judge
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

CONTRACTS = {contract.id for contract in bundled_contracts()}
OURS = """
    from pytest_llmcompat import SHOULD, Exchange, contract, expect

    @contract("{id}", SHOULD, source="ours")
    def test_answers(chat_basic: Exchange) -> None:
        '''It answers.'''
        expect(chat_basic.ok, chat_basic, "status", "200")
"""


def collected(result: pytest.RunResult) -> list[str]:
    """The node ids that a run with -v or --collect-only -q shows, in order."""
    found = (re.match(r"(\S+::\S+)", line) for line in result.outlines)
    return [match[1] for match in found if match]


def contract_ids(result: pytest.RunResult) -> set[str]:
    """The ids of the bundled contracts that a run shows."""
    return {id.partition("::")[2].partition("[")[0] for id in collected(result)} & CONTRACTS


def test_run_without_an_endpoint_imports_and_collects_nothing(pytester: pytest.Pytester) -> None:
    """The plugin is loaded in every run of its users' environments, and costs them nothing."""
    pytester.makepyfile(
        conftest="""
            import json, sys
            from pathlib import Path

            def pytest_unconfigure():
                Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
        """,
        test_ordinary="def test_ordinary(): pass",
    )
    with_it = pytester.runpytest_subprocess()
    with_it.assert_outcomes(passed=1)
    loaded = set(json.loads((pytester.path / "modules.json").read_text()))
    without = pytester.runpytest_subprocess("-p", "no:llmcompat")
    without.assert_outcomes(passed=1)
    plain = set(json.loads((pytester.path / "modules.json").read_text()))
    assert "pytest_llmcompat.plugin" in loaded
    assert "pytest_llmcompat.plugin" not in plain
    more = {name for name in loaded - plain if name.partition(".")[0] not in sys.stdlib_module_names}
    assert more == {"pytest_llmcompat", "pytest_llmcompat.options", "pytest_llmcompat.plugin"}


def test_contracts_of_users_are_skipped_without_an_endpoint(pytester: pytest.Pytester) -> None:
    """A suite that holds contracts still runs for everybody."""
    pytester.makepyfile(OURS.format(id="collection.skipped"), test_ordinary="def test_ordinary(): pass")
    result = pytester.runpytest_inprocess("-rs", "--strict-markers")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*needs --llm-endpoint"])


@pytest.mark.parametrize("arguments", [["-m", "llmcompat"], ["-m", "not llmcompat"]])
def test_marker_is_known_without_an_endpoint(pytester: pytest.Pytester, arguments: list[str]) -> None:
    """Contracts are marked, and --strict-markers knows the marker."""
    pytester.makepyfile(
        OURS.format(id=f"collection.marked-{len(arguments[1])}"),
        test_ordinary="import pytest\ndef test_ordinary(): pass\n@pytest.mark.llmcompat\ndef test_marked(): pass",
    )
    result = pytester.runpytest_inprocess("--strict-markers", *arguments)
    if arguments[1] == "llmcompat":
        result.assert_outcomes(passed=1, skipped=1, deselected=1)
    else:
        result.assert_outcomes(passed=1, deselected=2)


def test_collecting_only_shows_contract_and_target_and_sends_nothing(
    pytester: pytest.Pytester, key: str
) -> None:
    """Not even the model list is fetched, so without --llm-model the target is the endpoint."""
    del key
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = pytester.runpytest_inprocess(f"--llm-endpoint={server.base_url}", "--collect-only", "-q")
    assert server.received == []
    assert result.ret is pytest.ExitCode.OK
    assert contract_ids(result) == CONTRACTS
    host = server.base_url.removeprefix("http://").removesuffix("/v1")
    assert all(id.startswith("contracts/test_") and id.endswith(f"[{host}]") for id in collected(result))


@pytest.mark.parametrize("option", ["--help", "--markers", "--fixtures", "--setup-plan"])
def test_question_about_pytest_sends_nothing(pytester: pytest.Pytester, key: str, option: str) -> None:
    """Options in addopts must not make `pytest --help` wait for an endpoint."""
    del key
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = pytester.runpytest_inprocess(f"--llm-endpoint={server.base_url}", "--llm-model=m", option)
    assert server.received == []
    assert result.ret is pytest.ExitCode.OK


def test_list_shows_every_contract_and_sends_nothing(pytester: pytest.Pytester, key: str) -> None:
    """`--llm-list` is a table of contents."""
    del key
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = pytester.runpytest_inprocess(f"--llm-endpoint={server.base_url}", "--llm-list")
    assert server.received == []
    assert result.ret is pytest.ExitCode.OK
    *rows, last = result.outlines
    assert [row.split()[1] for row in rows] == sorted(CONTRACTS)
    assert last == f"{len(CONTRACTS)} contracts"


def test_list_can_be_shown_by_any_terminal(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Characters that an encoding lacks are escaped."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = pytester.runpytest_subprocess("--llm-list")
    assert result.ret is pytest.ExitCode.OK
    assert len(result.outlines) == len(CONTRACTS) + 1


def test_settings_of_the_users_project_stay_in_force(judge: Judge, pytester: pytest.Pytester) -> None:
    """The suite is collected whatever testpaths and name patterns say; addopts and conftest still hold."""
    pytester.makeini(
        """
        [pytest]
        testpaths = checks
        python_files = check_*.py
        python_functions = check_*
        addopts = --strict-markers --doctest-modules -k auth.scheme
        """
    )
    pytester.makepyfile(
        conftest="""
            import pytest

            def pytest_report_header():
                return "the user's conftest"

            @pytest.fixture(autouse=True, scope="session")
            def users_fixture():
                print("the user's fixture")
        """,
        test_auth="raise RuntimeError('a module of the same name as one of the suite')",
    )
    checks = pytester.mkdir("checks")
    (checks / "check_it.py").write_text("def check_it(): raise RuntimeError('not asked for')")
    result = judge("-s", "-v")
    assert contract_ids(result) == {"auth.scheme"}
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["the user's conftest", "*the user's fixture*"])


def test_suite_is_collected_from_any_directory(
    judge: Judge, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder deep in somebody's project will do."""
    deep = pytester.path / "a" / "b"
    deep.mkdir(parents=True)
    (pytester.path / "pyproject.toml").write_text("[tool.llmcompat]\nlevel = 'may'\n")
    monkeypatch.chdir(deep)
    assert contract_ids(judge("-v", "-k", "auth.scheme")) == {"auth.scheme"}


def test_path_is_run_alone(judge: Judge, pytester: pytest.Pytester) -> None:
    """With a path, the bundled suite stays out, and the user's contracts are judged."""
    path = pytester.makepyfile(
        OURS.format(id="collection.own"),
        test_ordinary="def test_ordinary(): pass",
    )
    result = judge("-v", str(path))
    result.assert_outcomes(passed=1)
    assert "test_path_is_run_alone.py::test_answers[" in collected(result)[0]


def test_suite_can_be_run_beside_the_users_tests(judge: Judge, pytester: pytest.Pytester) -> None:
    """A path to one of its modules works like any other."""
    module = Path(sys.modules["pytest_llmcompat.contracts.test_auth"].__file__ or "")
    own = pytester.makepyfile(OURS.format(id="collection.beside"))
    result = judge("-v", str(module), str(own))
    assert contract_ids(result) == {
        contract.id
        for value in vars(sys.modules["pytest_llmcompat.contracts.test_auth"]).values()
        if (contract := contract_of(value)) is not None
    }
    assert any("test_answers[" in id for id in collected(result))


@pytest.mark.parametrize(
    ("arguments", "held", "left"),
    [
        (["-k", "streaming or stream"], "chat.stream.done-sentinel", "auth.scheme"),
        (["-k", "auth and not scheme"], "auth.missing-401", "auth.scheme"),
        (["-m", "llmcompat", "-k", "auth"], "auth.scheme", "json.object"),
        (["--llm-suite=json"], "json.object", "auth.scheme"),
        (["--llm-suite=json,tools"], "tools.required-calls", "auth.scheme"),
        (["--deselect", "contracts/test_auth.py", "-k", "auth or json.object"], "json.object", "auth.scheme"),
    ],
)
def test_selection_leaves_the_other_contracts_out(
    judge: Judge, arguments: list[str], held: str, left: str
) -> None:
    """pytest's own ways of selecting work by contract id and by marker, ours by probe group."""
    shown = contract_ids(judge("--collect-only", "-q", *arguments))
    assert held in shown
    assert left not in shown


def test_selection_sends_only_the_probes_that_it_reads(judge: Judge) -> None:
    """Who asks for one contract pays for its probes, and for the two of pre-flight."""
    with serving(lambda _, connection: connection.answer(completion())) as server:
        judge("-k", "auth.missing-401", endpoint=server.base_url)
    assert len(server.received) == 3


def test_probe_group_sends_nothing_of_the_others(judge: Judge) -> None:
    """A family of exchanges holds those of the chosen groups only."""
    with serving(lambda _, connection: connection.answer(completion())) as server:
        judge("--llm-suite=json", "--llm-level=must", endpoint=server.base_url)
    bodies = [request.json for request in server.received if request.method == "POST"]
    assert len(bodies) > 3
    assert not any("tools" in body for body in bodies)


def test_collection_error_costs_no_request_but_those_of_pre_flight(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """A run that ends before its first test must not send the whole suite."""
    good = pytester.makepyfile(test_good=OURS.format(id="collection.good"))
    bad = pytester.makepyfile(test_bad="import nowhere_to_be_found")
    (pytester.path / "test_auths.py").write_text("def test_it(auth_none, auth_wrong): pass")
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = judge(str(good), str(bad), "test_auths.py", endpoint=server.base_url)
    assert result.ret is pytest.ExitCode.INTERRUPTED
    assert len(server.received) == 2


def test_two_contracts_with_one_id_are_a_clear_error(judge: Judge, pytester: pytest.Pytester) -> None:
    """Ids are the key of reports, so a second use names both places."""
    pytester.makepyfile(
        test_one=OURS.format(id="collection.twice"), test_two=OURS.format(id="collection.twice")
    )
    result = judge("test_one.py", "test_two.py")
    assert result.ret is pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["E *DuplicateContract: contract id 'collection.twice' is used twice: *test_one.py*test_two.py*"]
    )


def test_last_failed_runs_the_failed_contracts_alone(judge: Judge) -> None:
    """`--lf` works from the cache of an earlier run."""

    def script(request: Received, connection: Connection) -> None:
        connection.answer(completion(), 200 if request.headers.get("authorization") else 418)

    with serving(script) as server:
        first = judge(
            "-k", "auth.missing-401 or auth.wrong-no-answer or auth.scheme", endpoint=server.base_url
        )
        assert first.parseoutcomes()["failed"] == 2
        again = judge("--lf", "-v", endpoint=server.base_url)
    assert contract_ids(again) == {"auth.missing-401", "auth.wrong-no-answer"}
    again.assert_outcomes(failed=2, deselected=again.parseoutcomes()["deselected"])


def test_first_failure_ends_the_run_when_asked(judge: Judge) -> None:
    """`-x` works."""
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = judge("-x", "-k", "auth", "-p", "no:cacheprovider", endpoint=server.base_url)
    assert result.parseoutcomes()["failed"] == 1
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_order_does_not_matter(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-randomly shuffles the contracts and changes no verdict."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p randomly")
    result = judge("-k", "identity or embeddings")
    assert set(result.parseoutcomes()) == {"passed", "deselected"}
    result.stdout.fnmatch_lines(["Using --randomly-seed=*"])
