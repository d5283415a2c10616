"""The configuration in a file: what is taken, and what is refused with file, line and remedy."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_llmcompat.configuration import (
    FILE_NAME,
    SCHEMA_FILE,
    STARTER_FILE,
    Configuration,
    read_configuration,
    settings_of,
)
from pytest_llmcompat.configuration.place import line_of
from pytest_llmcompat.contract import Level
from pytest_llmcompat.price import Price
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.target import Latency

TARGETS = """
level = "should"
endpoint = "https://other.example/v1"
model = "other"
timeout = 9

[targets.one]
endpoint = "reference"
level = "may"
suite = ["core", "tools"]
latency = { first_token = 2, answer = 30.5 }

[targets.two-b]
endpoint = "https://b.example/v1"
model = ["gpt-4.1", "gpt-*"]
require-models = "gpt-4.1"
header = "X-Team: a"
"""


def read(tmp_path: Path, text: str, name: str = FILE_NAME) -> Configuration:
    """The configuration of a folder with one file."""
    (tmp_path / name).write_text(text)
    return read_configuration(tmp_path)


def refusal(tmp_path: Path, text: str, name: str = FILE_NAME) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(WrongUsage) as wrong:
        read(tmp_path, text, name)
    assert "\n" not in str(wrong.value)
    return str(wrong.value)


def test_folder_without_a_file_has_an_empty_configuration(tmp_path: Path) -> None:
    """Most users have none."""
    assert read_configuration(tmp_path) == Configuration()


@pytest.mark.parametrize("text", ["", "[tool.other]\na = 1", "tool = 3", "[project]\nname = 'a'"])
def test_project_without_the_table_has_an_empty_configuration(tmp_path: Path, text: str) -> None:
    """A pyproject.toml is about many things."""
    assert read(tmp_path, text, "pyproject.toml") == Configuration()


def test_the_same_stands_in_a_file_of_its_own_or_in_the_project(tmp_path: Path) -> None:
    """Only the names of the tables differ."""
    text = "level = 'may'\n[targets.a]\nendpoint = 'reference'\n[prices.m]\ninput = 1\noutput = 2"
    own = read(tmp_path, text)
    (tmp_path / FILE_NAME).unlink()
    project = read(
        tmp_path,
        "[tool.llmcompat]\nlevel = 'may'\n[tool.llmcompat.targets.a]\nendpoint = 'reference'\n"
        "[tool.llmcompat.prices.m]\ninput = 1\noutput = 2",
        "pyproject.toml",
    )
    assert (own.defaults, own.targets, own.prices) == (project.defaults, project.targets, project.prices)
    assert own.prices == {"m": Price(1, 2)}


def test_first_folder_that_has_one_counts(tmp_path: Path) -> None:
    """The working directory goes before pytest's root."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / FILE_NAME).write_text("level = 'may'")
    (tmp_path / FILE_NAME).write_text("level = 'should'")
    assert read_configuration(tmp_path / "a", tmp_path).defaults == {"level": "may"}
    assert read_configuration(tmp_path / "b", tmp_path).defaults == {"level": "should"}


def test_two_files_with_settings_are_one_too_many(tmp_path: Path) -> None:
    """Nobody could say which of them counts."""
    (tmp_path / "pyproject.toml").write_text("[tool.llmcompat]\nlevel = 'may'")
    assert refusal(tmp_path, "") == (
        "settings stand in both llmcompat.toml and pyproject.toml [tool.llmcompat]; keep one of them"
    )


def test_named_targets_have_settings_of_their_own(tmp_path: Path) -> None:
    """What a target says goes before the defaults; where to send is said by the target alone."""
    configuration = read(tmp_path, TARGETS)
    run, (one, two) = settings_of({"target": ["all"]}, configuration)
    assert (run.name, one.name, two.name) == (None, "one", "two-b")
    assert (one.endpoint, one.model, one.level) == (("reference",), (), Level.MAY)
    assert (one.suite, one.latency) == (("core", "tools"), Latency(2, 30.5))
    assert (two.model, two.require_models, two.level) == (("gpt-4.1", "gpt-*"), ("gpt-4.1",), Level.SHOULD)
    assert (two.headers, two.timeout, one.timeout) == ({"X-Team": "a"}, 9, 9)


def test_options_go_before_what_a_target_says(tmp_path: Path) -> None:
    """What is typed is meant."""
    _, (one,) = settings_of({"target": ["one"], "level": "must", "model": ["m"]}, read(tmp_path, TARGETS))
    assert (one.level, one.model, one.endpoint) == (Level.MUST, ("m",), ("reference",))


def test_without_target_there_are_the_settings_of_the_run_alone(tmp_path: Path) -> None:
    """The defaults may name an endpoint themselves."""
    run, orders = settings_of({}, read(tmp_path, TARGETS))
    assert orders == (run,)
    assert run.endpoint == ("https://other.example/v1",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": ["oen"]}, "--llm-target: llmcompat.toml has no target 'oen'; did you mean 'one'?"),
        (
            {"target": ["zzz"]},
            "--llm-target: llmcompat.toml has no target 'zzz'; there are one, two-b and all",
        ),
        (
            {"target": ["one"], "endpoint": ["reference"]},
            "--llm-target and --llm-endpoint exclude each other",
        ),
    ],
)
def test_target_that_cannot_be_meant_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    """The line says what there is."""
    configuration = read(tmp_path, TARGETS)
    with pytest.raises(WrongUsage) as wrong:
        settings_of(options, configuration)
    assert said in str(wrong.value)


def test_target_without_a_file_is_refused() -> None:
    """The line says how to begin."""
    with pytest.raises(WrongUsage, match="there are no targets; name some in llmcompat"):
        settings_of({"target": ["a"]}, Configuration())


def test_waivers_are_read(tmp_path: Path) -> None:
    """A date may be one of TOML or a text; the target is any when it is left out."""
    configuration = read(
        tmp_path,
        '[[waivers]]\ncontract = "a.b"\nreason = "r"\nexpires = 2027-01-31\n'
        '[[waivers]]\ncontract = "a.*"\ntarget = "*@x"\nreason = "r"\nexpires = "2027-02-01"\nlink = "https://x.example/1"',
    )
    first, second = configuration.waivers
    assert (first.contract, first.target, first.expires, first.link) == ("a.b", "*", date(2027, 1, 31), "")
    assert (second.target, second.expires, second.link) == ("*@x", date(2027, 2, 1), "https://x.example/1")


WAIVER = '[[waivers]]\ncontract = "a"\nreason = "r"\nexpires = 2027-01-31\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle = 'm'", "line 1: modle: unknown key \"modle\"; did you mean 'model'?"),
        ("level = 'may'\n\nzzz = 1", 'line 3: zzz: unknown key "zzz"; there are api_key_env, baseline'),
        ("target = 'a'", "unknown key \"target\"; did you mean 'targets'?"),
        (
            "api_key = 'sk-secret'",
            "line 1: api_key: a key does not belong into a file; put it into the environment",
        ),
        (
            "[targets.a]\nendpoint = 'x'\napi-key = 'sk-secret'",
            "line 3: targets a api_key: a key does not belong",
        ),
        ("\nendpoint = 3", "line 2: endpoint: give a text that is not empty, or a list of such texts"),
        ("endpoint = [3]", "endpoint: give a text"),
        ("record = 'yes'", "record: give true or false"),
        ("timeout = true", "timeout: give a number of seconds above 0"),
        ("timeout = 0", "timeout: 0 does not fit; give a number of seconds above 0"),
        ("concurrency = 1.5", "concurrency: give a whole number above 0"),
        ("cassettes = ['a']", "cassettes: give a text that is not empty"),
        ("level = 'hard'", "level: give must, should or may"),
        ("level = 1", "level: give must, should or may"),
        ("drift = 'hard'", 'drift: "hard" does not fit; give off, warn or fail'),
        ("max_cost = -1", "max_cost: -1 does not fit; give an amount of USD above 0"),
        ("latency = { first = 1 }", "latency first: unknown key \"first\"; did you mean 'first_token'?"),
        ("latency = {}", "latency: give a table with first_token or answer"),
        ("[targets.a]\nmodel = 'm'", "line 1: targets a: 'endpoint' is missing; give a URL, a known name"),
        ("[targets.a]\nendpoint = 'x'\nmodle = [\n'm']", 'line 3: targets a modle: unknown key "modle"'),
        ("[targets.all]\nendpoint = 'x'", 'targets all: "all" is no name; give a name of letters'),
        ("[targets]\na = 3", "line 2: targets a: give a table with an endpoint"),
        (
            WAIVER.replace("2027-01-31", "'soon'"),
            'line 4: waivers 1. expires: "soon" does not fit; give a date',
        ),
        (WAIVER.replace("2027-01-31", "'2027-02-30'"), 'expires: "2027-02-30" does not fit; give a date'),
        (WAIVER.replace("2027-01-31", "2027-01-31T00:00:00"), "expires: give a date, YYYY-MM-DD"),
        (WAIVER.replace('reason = "r"\n', ""), "line 1: waivers 1.: 'reason' is missing; give a text"),
        (WAIVER + "link = 'x'", "waivers 1. link: give a link, https://"),
        (WAIVER + WAIVER, "line 5: waivers 2.: a on * is waived twice; keep one of the two waivers"),
        ("[prices.m]\ninput = 1", "prices m: 'output' is missing; give USD per million tokens"),
        (
            "[prices.m]\ninput = -1\noutput = 1",
            "prices m input: -1 does not fit; give USD per million tokens",
        ),
        ("level = \n", "llmcompat.toml cannot be read: Invalid value (at line 1, column 9)"),
        ("level = 'may'\nlevel = 'may'", "llmcompat.toml cannot be read: Cannot overwrite a value"),
    ],
)
def test_fault_has_file_line_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake has its line; a secret in it is not told back."""
    message = refusal(tmp_path, text)
    assert said in message
    assert message.startswith("llmcompat.toml")
    assert "sk-secret" not in message


def test_fault_in_a_project_names_the_whole_table(tmp_path: Path) -> None:
    """The line counts in the whole file."""
    text = "[project]\nname = 'a'\n\n[tool.llmcompat]\ntimeout = 'x'"
    assert refusal(tmp_path, text, "pyproject.toml") == (
        "pyproject.toml, line 5: tool llmcompat timeout: give a number of seconds above 0"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[tool.llmcompat\n", "pyproject.toml cannot be read"),
        (b"a = '\xff'", "pyproject.toml cannot be read"),
        (b"[tool]\nllmcompat = 3", "[tool.llmcompat] is not a table"),
    ],
)
def test_project_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """A broken file is a mistake of the user's, not a crash."""
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(WrongUsage) as wrong:
        read_configuration(tmp_path)
    assert said in str(wrong.value)


def test_line_is_that_of_the_first_line_of_a_value() -> None:
    """Values may take several lines, and tables come in any order."""
    text = "# comment\na = [\n 1,\n 2]\n\n[t.x]\nb-c = '''\n'''\n[[w]]\nd = 1\n[[w]]\nd = 2\n"
    assert line_of(text, ["a"]) == 2
    assert line_of(text, ["a", 1]) == 2
    assert line_of(text, ["t", "x"]) == 6
    assert line_of(text, ["t", "x", "b_c"]) == 7
    assert line_of(text, ["w", 1, "d"]) == 12
    assert line_of(text, ["nowhere"]) == 1


def test_shipped_schema_is_valid() -> None:
    """Editors use it too."""
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA_FILE.read_text("utf-8")))


def test_starting_file_works_with_and_without_its_comments(tmp_path: Path) -> None:
    """What is commented out is right too."""
    text = STARTER_FILE.read_text("utf-8")
    assert list(read(tmp_path, text).targets) == ["reference"]
    lines = text.splitlines()
    commented = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines
    ]
    full = read(tmp_path, "\n".join(commented))
    assert list(full.targets) == ["reference", "production", "local"]
    assert [waiver.target for waiver in full.waivers] == ["*@local"]
    assert list(full.prices) == ["our-model-*"]
    assert full.defaults["max_cost"] == 0.5
    run, orders = settings_of({"target": ["all"]}, full)
    assert len(orders) == 3
    assert run.strict_waivers
