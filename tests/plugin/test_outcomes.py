"""From verdicts to outcomes of pytest: exit status, categories, explanations and JUnit files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from pytest_llmcompat.reference import Reference, serve
from tests.plugin.conftest import KEY, QUICK, Judge, report_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

VERDICTS = """
    from pytest_llmcompat import MAY, MUST, SHOULD, contract, expect, inconclusive, unsupported, warn

    @contract("outcomes.must", MUST, source="s", breaks="Everybody.", fix="Mend it.", cases="a/b#1")
    def test_must(chat_basic):
        '''It is a teapot.'''
        expect(False, chat_basic, "status", "418")

    @contract("outcomes.should", SHOULD, source="s")
    def test_should(chat_basic):
        '''It is a teapot.'''
        expect(False, chat_basic, "status", "418")

    @contract("outcomes.may", MAY, source="s")
    def test_may(chat_basic):
        '''It is a teapot.'''
        expect(False, chat_basic, "status", "418")

    @contract("outcomes.doubt", MUST, source="s")
    def test_doubt(chat_basic):
        '''It is a teapot.'''
        warn(chat_basic, "status", "418")

    @contract("outcomes.unsupported", MUST, source="s")
    def test_unsupported(chat_basic):
        '''It is a teapot.'''
        unsupported("no tea, said \\x1b[31mthe\\nserver")

    @contract("outcomes.inconclusive", MUST, source="s")
    def test_inconclusive(chat_basic):
        '''It is a teapot.'''
        inconclusive("no water")

    @contract("outcomes.plain", SHOULD, source="s")
    def test_plain(chat_basic):
        '''It is a teapot.'''
        assert chat_basic.status == 418
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One file of contracts with every verdict, for all tests: ids are unique within a process."""
    path = tmp_path_factory.mktemp("verdicts") / "test_verdicts.py"
    path.write_text(textwrap.dedent(VERDICTS))
    return str(path)


@pytest.fixture(scope="module")
def wide_open() -> Iterator[Reference]:
    """A reference that serves requests without a key."""
    with serve(["auth-none-accepted"], key=KEY, pause=QUICK) as running:
        yield running


@pytest.mark.parametrize(
    ("level", "failed", "warned"),
    [("must", 1, 4), ("should", 3, 2), ("may", 4, 1)],
)
def test_level_decides_what_fails_the_run(
    judge: Judge, verdicts: str, level: str, failed: int, warned: int
) -> None:
    """Broken contracts below the level are warnings; a contract's own doubt is one at any level."""
    result = judge(verdicts, f"--llm-level={level}", "-p", "no:cacheprovider")
    assert result.parseoutcomes() == {"failed": failed, "warned": warned, "skipped": 2}
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_run_without_broken_contracts_at_its_level_succeeds(judge: Judge, verdicts: str) -> None:
    """Warnings do not fail a run."""
    result = judge(verdicts, "-k", "not test_must")
    assert result.parseoutcomes() == {"warned": 4, "skipped": 2, "deselected": 1}
    assert result.ret is pytest.ExitCode.OK


def test_warnings_are_a_category_of_their_own(judge: Judge, verdicts: str) -> None:
    """They have a letter, and a line in the summary, which says why."""
    result = judge(verdicts, "-k", "should or doubt")
    result.stdout.re_match_lines_random(
        [
            r".*test_verdicts\.py .*w.*",
            r"warn MUST   outcomes\.doubt: chat-basic, status: found 200; expected 418",
            r"warn SHOULD outcomes\.should: chat-basic, status: found 200; expected 418",
            r"-v explains each warning.*",
        ]
    )


def test_warnings_are_explained_with_v(judge: Judge, verdicts: str) -> None:
    """With `-v` a warning has its word, and its four parts like a failure."""
    result = judge(verdicts, "-v", "-k", "should or doubt")
    result.stdout.re_match_lines_random(
        [
            r".*::test_should\[.*\] WARN .*",
            r".*::test_doubt\[.*\] WARN .*",
            r"SHOULD outcomes\.should is broken by .*",
            r"Evidence:  chat-basic, status: found 200; expected 418",
            r"Reproduce: curl .*",
        ]
    )


def test_skipped_contracts_say_why_and_where_they_stand(judge: Judge, verdicts: str) -> None:
    """Unsupported and inconclusive are skips with a reason in one line, at the contract's own place."""
    result = judge(verdicts, "-rs", "-k", "unsupported or inconclusive")
    result.stdout.re_match_lines_random(
        [
            r"SKIPPED \[1\] .*test_verdicts\.py:\d+: unsupported: no tea, said \\x1b\[31mthe server",
            r"SKIPPED \[1\] .*test_verdicts\.py:\d+: inconclusive: no water",
        ]
    )


def test_failure_explains_itself_in_four_parts(judge: Judge, verdicts: str, reference: Reference) -> None:
    """Claim, evidence, who breaks, and a command that repeats the request without the key."""
    result = judge(verdicts, "-k", "test_must", "--llm-header=X-Team: blue")
    result.stdout.fnmatch_lines(
        [
            "_* test_must[[]*",
            "MUST outcomes.must is broken by reference-small@127.0.0.1:*",
            "Claim:     It is a teapot. [[]s[]]",
            "Evidence:  chat-basic, status: found 200; expected 418",
            f'Sent:      POST {reference.base_url}/chat/completions {{"model": *',
            "Came:      200 application/json, * bytes",
            "Breaks:    Everybody.",
            "Fix:       Mend it.",
            "Seen in:   a/b#1",
            f"Reproduce: curl -sS -i -X POST {reference.base_url}/chat/completions "
            '-H "authorization: Bearer $OPENAI_API_KEY"*',
        ]
    )
    assert KEY not in result.stdout.str()
    assert "-H 'x-team: blue'" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_bundled_failure_is_headed_by_level_and_contract(judge: Judge, wide_open: Reference) -> None:
    """Dots of a contract id are no Python classes, in node ids, in headlines and with -vv."""
    result = judge("-vv", "-k", "auth.missing-401", endpoint=wide_open.base_url)
    host = wide_open.base_url.removeprefix("http://").removesuffix("/v1")
    target = f"reference-small@{host}"
    result.stdout.fnmatch_lines(
        [
            f"contracts/test_auth.py::auth.missing-401[[]{target}[]] FAILED *",
            f"_* MUST auth.missing-401[[]{target}[]] _*",
            f"FAILED contracts/test_auth.py::auth.missing-401[[]{target}[]]*",
        ]
    )


def test_hostile_text_never_reaches_the_terminal_raw(judge: Judge, pytester: pytest.Pytester) -> None:
    """An endpoint cannot clear the screen, retitle the window or fake a green run."""
    nasty = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202egreen\r\n\ud800"

    def script(request: Received, connection: Connection) -> None:
        if request.method == "GET":
            connection.answer({"object": nasty, "data": [{"id": nasty}], nasty: nasty})
        elif b"Repeat the user" in request.body and "authorization" in request.headers:
            connection.answer(completion(nasty, id=nasty, model=nasty, **{nasty: nasty}))
        else:
            error = {"message": nasty, "type": nasty, "param": nasty, "code": nasty}
            connection.answer({"error": error}, 400, {"x-request-id": "\x1b[2J"})

    with serving(script) as server:
        options = ("-rA", "-vv", "--llm-level=may", "--llm-report=report.json")
        result = judge(*options, endpoint=server.base_url, model="m\x1b[2J\nm")
    shown = result.stdout.str() + result.stderr.str()
    assert result.parseoutcomes()["failed"] > 10
    assert result.parseoutcomes()["skipped"] > 10
    assert "[2J" in shown
    assert {character for character in shown if not character.isprintable()} == {"\n"}
    for entry in report_of(pytester)["results"]:
        assert entry["reason"].isprintable()
        assert entry["explanation"].replace("\n", "").isprintable()


def test_junit_file_names_contract_level_verdict_and_target(
    judge: Judge, verdicts: str, pytester: pytest.Pytester
) -> None:
    """Continuous integration sees the same outcomes, and the verdicts as properties."""
    judge(verdicts, "--junitxml=junit.xml")
    suite = ElementTree.parse(pytester.path / "junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("1", "2", "0")
    found = {}
    for case in suite.iter("testcase"):
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        assert str(properties["llmcompat.target"]).startswith("reference-small@")
        verdict = (properties["llmcompat.level"], properties["llmcompat.verdict"])
        found[properties["llmcompat.contract"]] = verdict
    assert found["outcomes.must"] == ("must", "fail")
    assert found["outcomes.plain"] == ("should", "warn")
    assert found["outcomes.unsupported"] == ("must", "unsupported")
    assert len(found) == 7


def test_contract_that_crashes_is_an_error_and_judges_nothing(
    judge: Judge, pytester: pytest.Pytester
) -> None:
    """A bug of a contract is not the endpoint's fault: red with a traceback, inconclusive in the report."""
    path = pytester.makepyfile(
        """
        from pytest_llmcompat import MUST, contract

        @contract("outcomes.crash", MUST, source="s")
        def test_crash(chat_basic):
            '''It is a teapot.'''
            raise ZeroDivisionError("the contract's own fault\\x1b[2J")
        """
    )
    result = judge(str(path), "--llm-report=report.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError: the contract's own fault\\x1b[[]2J"])
    assert "\x1b" not in result.stdout.str()
    (entry,) = report_of(pytester)["results"]
    assert entry["verdict"] == "inconclusive"
    assert entry["reason"] == "not judged: ZeroDivisionError: the contract's own fault\\x1b[2J"
