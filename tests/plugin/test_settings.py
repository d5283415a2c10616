"""Options and `[tool.llmcompat]`: what is taken, what wins, and what is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.settings import Settings, WrongUsage, merge

pytest_plugins = ("pytester",)

PYPROJECT = "pyproject.toml"
NOTHING: dict[str, Any] = {"endpoint": [], "model": [], "record": False, "cassettes": None}


def merged(options: dict[str, Any] | None = None, table: dict[str, Any] | None = None) -> Settings:
    """Settings of some options over a table."""
    return merge({**NOTHING, **(options or {})}, table or {}, table_name=PYPROJECT)


def test_defaults_hold_when_nothing_is_given() -> None:
    """Options that were not typed leave the defaults alone."""
    assert merged() == Settings()


def test_table_gives_values_of_all_kinds() -> None:
    """Each option may stand in the table; a single text stands for a list of one."""
    settings = merged(
        table={
            "endpoint": ["https://a.example/v1", "groq"],
            "model": "m",
            "embedding_model": "e",
            "suite": "core, tools",
            "level": "SHOULD",
            "timeout": 5,
            "concurrency": 2,
            "no_auth": True,
            "header": "X-Team: a",
        }
    )
    assert settings.endpoint == ("https://a.example/v1", "groq")
    assert (settings.model, settings.embedding_model) == (("m",), "e")
    assert settings.suite == ("core", "tools")
    assert settings.level is Level.SHOULD
    assert (settings.timeout, settings.concurrency, settings.no_auth) == (5.0, 2, True)
    assert settings.headers == {"X-Team": "a"}


def test_command_line_wins_over_the_table() -> None:
    """A value that is typed replaces that of the table."""
    settings = merged(
        {"model": ["typed"], "timeout": "3"}, {"model": ["tabled"], "timeout": 9, "level": "may"}
    )
    assert (settings.model, settings.timeout, settings.level) == (("typed",), 3.0, Level.MAY)


@pytest.mark.parametrize(
    ("typed", "tabled", "replay", "no_auth"),
    [
        ({"replay": True}, {"record": True}, True, False),
        ({"record": True}, {"replay": True}, False, False),
        ({"no_auth": True}, {"api_key_env": "A"}, False, True),
        ({"api_key_env": "A"}, {"no_auth": True}, False, False),
        ({"api_key": "k"}, {"no_auth": True}, False, False),
    ],
)
def test_option_puts_its_rival_in_the_table_out_of_force(
    typed: dict[str, Any], tabled: dict[str, Any], replay: bool, no_auth: bool
) -> None:
    """What is typed is meant, even where it contradicts the project's habit."""
    settings = merged(typed, tabled)
    assert (settings.replay, settings.no_auth) == (replay, no_auth)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": "soon"}, "--llm-timeout: 'soon' is no number of seconds above 0"),
        ({"timeout": "0"}, "--llm-timeout: '0' is no number"),
        ({"timeout": "-1"}, "--llm-timeout: '-1' is no number"),
        ({"timeout": "nan"}, "--llm-timeout: 'nan' is no number"),
        ({"timeout": "inf"}, "--llm-timeout: 'inf' is no number"),
        ({"timeout": ""}, "--llm-timeout: '' is no number"),
        ({"concurrency": "1.5"}, "--llm-concurrency: '1.5' is no whole number above 0"),
        ({"concurrency": "0"}, "--llm-concurrency: '0' is no whole number"),
        ({"level": "strict"}, "--llm-level: 'strict' is no level; give must, should or may"),
        ({"suite": ["chat"]}, "--llm-suite: unknown suite 'chat'; there are core, tools, json"),
        ({"suite": ["core,,tools"]}, "--llm-suite: unknown suite ''"),
        ({"endpoint": [""]}, "--llm-endpoint: give a text that is not empty"),
        ({"model": [" "]}, "--llm-model: give a text that is not empty"),
        ({"embedding_model": ""}, "--llm-embedding-model: give a text that is not empty"),
        ({"api_key_env": ""}, "--llm-api-key-env: give a text that is not empty"),
        ({"header": ["X-Team"]}, "--llm-header: write a header as 'Name: value'"),
        ({"header": ["X Team: a"]}, "--llm-header: write a header as 'Name: value'"),
        ({"header": ["X-Team: "]}, "--llm-header: write a header as 'Name: value'"),
        ({"header": ["X-Team: a\nX-Other: b"]}, "--llm-header: write a header as 'Name: value'"),
        ({"header": ["Authorization: Bearer x"]}, "give a key with --llm-api-key-env=NAME"),
        ({"report": ["report.html"]}, "--llm-report: report.html: end the path in .json or .md"),
        ({"update_baseline": True}, "--llm-update-baseline needs --llm-baseline=FILE"),
        ({"drift": "hard"}, "--llm-drift: 'hard' is none of off, warn, fail"),
        ({"max_requests": "0"}, "--llm-max-requests: '0' is no whole number above 0"),
        ({"max_cost": "-1"}, "--llm-max-cost: '-1' is no amount of USD above 0"),
        ({"report": ["nowhere/report.json"]}, "the folder does not exist; create it first"),
        ({"record": True, "replay": True}, "--llm-record and --llm-replay exclude each other"),
        ({"no_auth": True, "api_key": "k"}, "--llm-no-auth says that there are no keys"),
    ],
)
def test_bad_option_is_refused_with_a_remedy(options: dict[str, Any], said: str) -> None:
    """Every mistake has its line, which names the option."""
    with pytest.raises(WrongUsage) as wrong:
        merged(options)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_header_in_an_error_keeps_its_value() -> None:
    """The value of a bad header may be a secret, so the message does not repeat it."""
    with pytest.raises(WrongUsage) as wrong:
        merged({"header": ["x-api key: s3cret"]})
    assert "s3cret" not in str(wrong.value)


def test_settings_do_not_show_secrets() -> None:
    """Neither a key nor a header stands in the text form of the settings, which tracebacks show."""
    settings = merged({"api_key": "s3cret", "header": ["x-api-key: s3cret"]})
    assert "s3cret" not in repr(settings)


def test_report_may_not_be_a_folder(tmp_path: Path) -> None:
    """A run must not find out at its end that it cannot write its report."""
    (tmp_path / "report.json").mkdir()
    with pytest.raises(WrongUsage, match="is a folder; give the path of a file"):
        merged({"report": [str(tmp_path / "report.json")]})


def test_cassettes_cannot_be_recorded_into_a_file(tmp_path: Path) -> None:
    """A recording run needs a folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongUsage, match="is no folder"):
        merged({"record": True, "cassettes": str(tmp_path / "file" / "deep")})


@pytest.mark.parametrize(
    ("arguments", "table", "said"),
    [
        (["--llm-endpoint=reference", "--llm-timeout=soon"], "", "--llm-timeout: 'soon' is no number"),
        (["--llm-endpoint=reference"], "modle = 'm'", "did you mean 'model'?"),
        (["--llm-endpoint=reference", "--llm-record", "--llm-replay"], "", "exclude each other"),
        (["--llm-model=x"], "", "--llm-model needs --llm-endpoint=URL"),
        (["--llm-no-auth"], "model = 'm'", "--llm-no-auth needs --llm-endpoint=URL"),
        (["--llm-record"], "", "--llm-record needs --llm-endpoint=URL"),
        (["--llm-replay", "--llm-cassettes=none"], "", "no cassettes below none; record some"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_4(
    pytester: pytest.Pytester, arguments: list[str], table: str, said: str
) -> None:
    """Users see a line that says what to do, no traceback, and no test runs."""
    pytester.makepyprojecttoml(f"[tool.llmcompat]\n{table}\n")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    lines = [line for line in [*result.outlines, *result.errlines] if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("ERROR: ")
    assert said in lines[0]


def test_endpoint_of_the_table_waits_for_an_option(pytester: pytest.Pytester) -> None:
    """A table alone starts nothing; any option of ours then runs the suite on its endpoint."""
    pytester.makepyprojecttoml("[tool.llmcompat]\nendpoint = 'reference'\n")
    assert pytester.runpytest_inprocess().ret is pytest.ExitCode.NO_TESTS_COLLECTED
    result = pytester.runpytest_inprocess("--llm-level=may", "-k", "auth.scheme")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


def test_options_in_addopts_wait_for_an_endpoint(pytester: pytest.Pytester) -> None:
    """A project may fix its options once; its ordinary runs are left alone."""
    pytester.makeini("[pytest]\naddopts = --llm-model=m --llm-level=may\n")
    pytester.makepyfile("def test_ordinary(): pass")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
