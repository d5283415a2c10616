"""The key of a run is in nothing that anybody sees or keeps."""

from __future__ import annotations

import base64

import pytest

from pytest_llmcompat.reference import Reference
from tests.plugin.conftest import KEY, Judge, files_below
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

FORMS = (KEY, base64.b64encode(KEY.encode()).decode()[4:-8])

LEAKY = """
    import os, sys

    def test_unreachable(llm_client, llm_target):
        key, header = llm_target.key, {"authorization": f"Bearer {llm_target.key}"}
        print("my key is", key)
        print("my key is", key, file=sys.stderr)
        llm_client.with_options(max_retries=0, base_url="http://127.0.0.1:1/v1").models.list()

    def test_refused(llm_client, llm_target):
        llm_client.with_options(max_retries=0).chat.completions.create(model=llm_target.key, messages=[])

    def test_asserted(llm_target):
        assert llm_target.key == os.environ["NOWHERE"] if "NOWHERE" in os.environ else "another key"
        assert llm_target.key == "another key"
"""


def echoing(request: Received, connection: Connection) -> None:
    """A server that tells everybody the key, in the ways in which servers do."""
    bearer = request.headers.get("authorization", "none")
    encoded = base64.b64encode(f"user:{bearer.removeprefix('Bearer ')}".encode()).decode()
    headers = {"x-echo": bearer, "set-cookie": f"key={bearer}"}
    if b"Repeat the user" in request.body or request.method == "GET":
        connection.answer(completion(f"{bearer} {encoded}", data=[{"id": bearer}]), headers=headers)
    else:
        connection.answer({"error": {"message": f"bad {bearer} {encoded}"}}, 400, headers)


def assert_no_key(result: pytest.RunResult, pytester: pytest.Pytester, *but: str) -> None:
    """Neither the output nor any file that the run has written holds the key."""
    shown = result.stdout.str() + result.stderr.str()
    assert not [form for form in FORMS if form in shown]
    for path in files_below(pytester.path):
        if path.name not in but:
            content = path.read_bytes()
            assert not [form for form in FORMS if form.encode() in content], path


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_run_on_a_server_that_echoes_the_key(
    judge: Judge, pytester: pytest.Pytester, workers: list[str]
) -> None:
    """Terminal, report, JUnit file and cassettes of a run in which nearly every contract fails."""
    with serving(echoing) as server:
        result = judge(
            *("-vv", "--showlocals", "-rA", "--llm-level=may", "--llm-record"),
            *(
                "--llm-report=report.json",
                "--junitxml=junit.xml",
                "-k",
                "auth or json. or models or error",
                *workers,
            ),
            endpoint=server.base_url,
        )
    assert result.parseoutcomes()["failed"] > 5
    names = {path.name for path in files_below(pytester.path)}
    assert {"report.json", "junit.xml", "chat-basic.yaml"} <= names
    assert_no_key(result, pytester)


def test_failing_test_of_the_users_shows_no_key(judge: Judge, pytester: pytest.Pytester) -> None:
    """Tracebacks with all locals, and what the test itself has printed."""
    path = pytester.makepyfile(LEAKY)
    result = judge(
        *(
            "-vv",
            "--showlocals",
            "--tb=long",
            "-rA",
            "--junitxml=junit.xml",
            "-o",
            "junit_logging=all",
            str(path),
        )
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines_random(["*my key is [[]REDACTED-API-KEY]*", "*APIConnectionError*"])
    assert_no_key(result, pytester)


def test_typed_key_is_taken_off_what_plugins_see(pytester: pytest.Pytester, reference: Reference) -> None:
    """Plugins that report the command line or the options of a run do not report the key."""
    pytester.makeconftest(
        """
        import sys

        def pytest_report_header(config):
            return [*sys.argv, str(config.invocation_params), str(vars(config.option))]
        """
    )
    target = (f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}")
    result = pytester.runpytest_subprocess(*target, f"--llm-api-key={KEY}", "-k", "auth.scheme")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*--llm-api-key*REDACTED-API-KEY*"])
    assert_no_key(result, pytester)


def test_credential_in_a_further_header_is_kept_as_secret(judge: Judge, pytester: pytest.Pytester) -> None:
    """`--llm-header='api-key: …'` is a key like any other."""
    with serving(echoing) as server:
        result = judge(
            *(f"--llm-header=api-key: {KEY}", "--llm-no-auth", "--llm-record", "--llm-report=report.json"),
            *("-k", "json.object", "-vv"),
            endpoint=server.base_url,
        )
        assert {request.headers.get("api-key") for request in server.received} >= {KEY}
    assert_no_key(result, pytester)
