"""What an endpoint says is data: no terminal, build service or reader of a report obeys it."""

from __future__ import annotations

import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.reference import Reference
from tests.plugin.conftest import Judge, files_below, report_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

CONTROLS = "\x1b[31m\x1b]0;owned\x07\x9b2J\r\b\x00\x7f\u202e\ufffe\ud800\u2028"
COMMANDS = (
    "\n::error file=a,line=1::boom\n  ::set-output name=a::b\r::stop-commands::x\n"
    "##[error]boom ##vso[task.complete]"
)
MARKUP = "]]> </system-out> <script>alert(1)</script> &amp; \"'` | [a](javascript:b)"
WRAPPING = " ::error::boom" * 40
HOSTILE = CONTROLS + COMMANDS + MARKUP + WRAPPING

_OBEYED = re.compile(r"(?m)^\s*::|##\w*\[")


def assert_tame(text: str) -> None:
    """Only text and line feeds, and no command of a build service."""
    wild = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Zl") and c != "\n"}
    assert wild == set()
    assert _OBEYED.search(text) is None, _OBEYED.search(text)


def assert_tame_run(result: pytest.RunResult, pytester: pytest.Pytester) -> None:
    """Output, JUnit file and report of a run."""
    assert_tame(result.stdout.str())
    assert_tame(result.stderr.str())
    for path in files_below(pytester.path):
        if path.suffix == ".xml":
            ElementTree.fromstring(path.read_bytes())
            assert_tame(re.sub("&#x?[0-9a-fA-F]+;", "", path.read_text("utf-8")).replace("\t", ""))
        if path.name == "report.json":
            for entry in report_of(pytester)["results"]:
                assert_tame(entry["reason"] + "\n" + entry["explanation"])


def saying(text: str) -> Callable[[Received, Connection], None]:
    """A server that says the same in every place that an answer has for a text."""

    def script(request: Received, connection: Connection) -> None:
        call = {"id": text, "type": text, "function": {"name": text, "arguments": text}}
        choice = {
            "index": 0,
            "finish_reason": text,
            "message": {"role": text, "content": text, "tool_calls": [call], text: text},
        }
        if b'"model": 1' in request.body or request.path.endswith("completions") is False:
            connection.answer(
                {"object": text, "data": [{"id": text, "object": text, text: text}], text: text}
            )
        elif b'"stream":true' in request.body.replace(b" ", b""):
            connection.begin(200, {"content-type": "text/event-stream"})
            connection.chunk(b"data: " + json.dumps({text: text, "choices": text}).encode() + b"\n\n")
            connection.chunk(b"data: " + text.encode("utf-8", "surrogatepass") + b"\n\n")
            connection.chunk(b"")
        elif b"Repeat the user" in request.body:
            connection.answer(completion(choices=[choice], id=text, model=text, object=text))
        else:
            connection.answer({"error": {"message": text, "type": text, "param": text, "code": text}}, 400)

    return script


@pytest.mark.parametrize(
    "detail",
    [
        ["-vv", "--showlocals", "-rA", "--llm-level=may"],
        ["-v", "--tb=short", "-ra"],
        ["--tb=native", "--llm-level=may"],
        ["-n", "2", "--llm-level=may", "-rA"],
    ],
    ids=["all", "explained", "native", "workers"],
)
def test_run_on_a_server_that_says_hostile_things(
    judge: Judge, pytester: pytest.Pytester, detail: list[str]
) -> None:
    """Failures, warnings, skips and locals quote the endpoint, and none of it is obeyed."""
    with serving(saying(HOSTILE)) as server:
        result = judge(
            *("-k", "error or json. or models or chat. or stream", "--llm-report=report.json"),
            *("--junitxml=junit.xml", "-o", "junit_logging=all", *detail),
            endpoint=server.base_url,
        )
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("warned", 0) > 20
    assert "boom" in result.stdout.str()
    assert_tame_run(result, pytester)


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_refusal_at_pre_flight_is_one_tame_line(pytester: pytest.Pytester, key: str, status: int) -> None:
    """The diagnosis quotes the endpoint."""
    del key

    def script(_: Received, connection: Connection) -> None:
        connection.answer({"error": {"message": "model " + HOSTILE, "code": HOSTILE}}, status)

    with serving(script) as server:
        result = pytester.runpytest_inprocess(f"--llm-endpoint={server.base_url}", "--llm-model=m")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert_tame_run(result, pytester)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
@pytest.mark.parametrize("count", [1, 3])
def test_model_ids_are_data(pytester: pytest.Pytester, key: str, count: int, workers: list[str]) -> None:
    """One listed model is taken and names the target, its tests and files; several are listed to choose from."""
    del key

    def script(request: Received, connection: Connection) -> None:
        listed = {"object": "list", "data": [{"id": f"{HOSTILE}{n}"} for n in range(count)]}
        connection.answer(listed if request.method == "GET" else completion())

    with serving(script) as server:
        result = pytester.runpytest_inprocess(
            *(f"--llm-endpoint={server.base_url}", "--llm-record", "--llm-report=report.json"),
            *("--junitxml=junit.xml", "-v", "-k", "json.object", *workers),
        )
    assert ("boom" in result.stdout.str() + result.stderr.str()) is True
    assert_tame_run(result, pytester)
    cassettes = [
        path.relative_to(pytester.path) for path in files_below(pytester.path) if path.suffix == ".yaml"
    ]
    assert bool(cassettes) is (count == 1)
    for path in cassettes:
        assert_tame(str(path))
    if cassettes:
        result = pytester.runpytest_inprocess("--llm-replay", "-v", "-k", "json.object")
        assert result.parseoutcomes()["failed"] > 0
        assert "not judged" not in result.stdout.str()
        assert_tame_run(result, pytester)


def test_lint_of_hostile_recordings(pytester: pytest.Pytester) -> None:
    """Hosts, paths and names of files come from strangers, too."""
    name = "a\x1b[31m.jsonl"
    record: dict[str, Any] = {
        "url": "https://evil\x1bc.example/v1/chat/completions",
        "status": 400,
        "headers": {"content-type": HOSTILE},
        "request": {"model": HOSTILE, "messages": []},
        "body": json.dumps({"error": HOSTILE}),
    }
    Path(name).write_text(json.dumps(record) + "\n")
    Path("b\x1b[32m.json").write_text("{")
    for arguments in (["-vv"], ["-q", "-rA"]):
        result = pytester.runpytest_inprocess(
            f"--llm-lint={pytester.path}", "--llm-report=report.json", "--junitxml=junit.xml", *arguments
        )
        assert result.parseoutcomes()["failed"] > 0
        assert_tame_run(result, pytester)


USERS = """
    def test_prints(llm_client, llm_target):
        answer = llm_client.models.list()
        print("the models are", answer.data[0].id)
        text = answer.data[0].id
        assert text == ""

    def test_colours(llm_target):
        print("\\x1b[32mgreen\\x1b[0m\\tand tab")
        assert 0
"""


def test_users_tests_that_print_what_came_pass_on_no_command(judge: Judge, pytester: pytest.Pytester) -> None:
    """Captured output is shown with tabs and colours, and without anything else that moves a cursor."""
    path = pytester.makepyfile(USERS)

    def script(request: Received, connection: Connection) -> None:
        listed = {"object": "list", "data": [{"id": HOSTILE.replace("\ud800", "")}]}
        connection.answer(listed if request.method == "GET" else completion())

    with serving(script) as server:
        result = judge(
            *(str(path), "--showlocals", "-vv", "--junitxml=junit.xml", "-o", "junit_logging=all"),
            endpoint=server.base_url,
        )
    result.assert_outcomes(failed=2)
    assert "\x1b[32mgreen\x1b[0m\tand tab" in result.stdout.str()
    assert_tame(re.sub(r"\x1b\[\d*m|\t", "", result.stdout.str()))
    ElementTree.parse(pytester.path / "junit.xml")


def test_warnings_that_quote_the_endpoint_are_tame(
    pytester: pytest.Pytester, reference: Reference, key: str
) -> None:
    """They stand at the end of the output, under a heading of pytest's."""
    del key
    path = pytester.makepyfile(
        f"""
        import warnings

        def test_warns(llm_target):
            warnings.warn({HOSTILE!r})
        """
    )
    target = (f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}")
    for workers in ([], ["-n", "1"]):
        result = pytester.runpytest_subprocess(*target, str(path), "-W", "default", *workers)
        assert "boom" in result.stdout.str()
        shown = result.stdout.str().partition("warnings.warn(")[0]
        assert_tame(shown)
