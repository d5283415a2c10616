"""Every way out of a run that pytest and Python have, each tried with the key."""

from __future__ import annotations

import json
import logging
import pickle
import pprint
from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_llmcompat.clients import client_of
from pytest_llmcompat.lab.live import LiveClient
from pytest_llmcompat.lab.sources import LiveSource, RecordingSource
from pytest_llmcompat.logs import clean_logs
from pytest_llmcompat.reference import Reference
from pytest_llmcompat.settings import Settings
from pytest_llmcompat.target import Secret, Target
from tests.canary import CANARY, traces
from tests.plugin.conftest import KEY, Judge, files_below
from tests.plugin.test_secrets import echoing
from tests.servers import serving

pytest_plugins = ("pytester",)

PARTS = (KEY[:12], KEY[-12:])


def assert_no_part(result: pytest.RunResult, pytester: pytest.Pytester, *but: str) -> None:
    """Neither the output nor any file holds the key in any form, nor a beginning or an end of it."""
    files = {str(path): path.read_bytes() for path in files_below(pytester.path) if path.name not in but}
    files |= {"stdout": result.stdout.str().encode(), "stderr": result.stderr.str().encode()}
    for name, content in files.items():
        assert traces(KEY, content) == [], name
        assert not [part for part in PARTS if part.encode() in content], name


def test_no_log_at_any_level_holds_the_key(judge: Judge, pytester: pytest.Pytester) -> None:
    """At DEBUG the transport logs the headers of answers, and this server echoes the key there."""
    factory, root = logging.getLogRecordFactory(), logging.getLogger()
    pytester.makeconftest(
        "import logging; logging.basicConfig(filename='all.txt', level='DEBUG', force=True)"
    )
    level, handlers = root.level, root.handlers[:]
    try:
        with serving(echoing) as server:
            result = judge(
                *("-o", "log_cli=true", "--log-file=log.txt", "--log-level=DEBUG", "-vv", "--showlocals"),
                *("-k", "json.object or models.list", "--rootdir=.", "--confcutdir=."),
                endpoint=server.base_url,
            )
    finally:
        root.setLevel(level)
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
    log = (pytester.path / "all.txt").read_text()
    assert "receive_response_headers.complete" in log
    assert "Bearer [REDACTED-API-KEY]" in log
    assert_no_part(result, pytester)
    assert logging.getLogRecordFactory() is factory


LOGGING = """
    import logging

    def test_logs(llm_client, llm_target):
        llm_client.models.list()
        logging.warning("key %s", llm_target.key)
        try:
            raise ValueError(llm_target.key)
        except ValueError:
            logging.exception("it was %(key)s", {"key": str(llm_target.key)})
        assert 0
"""


def test_users_own_logs_and_those_of_the_client_hold_no_key(judge: Judge, pytester: pytest.Pytester) -> None:
    """The client logs much at DEBUG, and users log what they like."""
    path = pytester.makepyfile(LOGGING)
    result = judge(
        *(str(path), "--llm-header=api-key: " + KEY[::-1], "--log-level=DEBUG", "--log-file=log.txt"),
        *("--log-file-level=DEBUG", "--junitxml=junit.xml", "-o", "junit_logging=all"),
    )
    result.assert_outcomes(failed=1)
    log = (pytester.path / "log.txt").read_text()
    assert "receive_response_headers" in log
    assert "key [REDACTED-API-KEY]" in log
    assert "ValueError: [REDACTED-API-KEY]" in log
    assert traces(KEY[::-1], log.encode()) == []
    assert_no_part(result, pytester, path.name)


USERS = """
    import threading, warnings
    import pytest

    def test_skips(llm_target):
        pytest.skip(f"no {llm_target.key}")

    def test_expects_failure(llm_target, request):
        request.applymarker(pytest.mark.xfail(reason=f"for {llm_target.key}"))
        assert not llm_target.key

    def test_has_properties(llm_target, record_property):
        record_property("key", llm_target.key)
        record_property("header", {"authorization": f"Bearer {llm_target.key}"})

    def test_warns(llm_target):
        warnings.warn(f"careless with {llm_target.key}")

    def test_fails_elsewhere(llm_target):
        def fail(key):
            raise ValueError(key)
        thread = threading.Thread(target=fail, args=(str(llm_target.key),))
        thread.start()
        thread.join()

    def test_shows_the_middle_of_nothing(llm_target):
        long = "x" * 100 + str(llm_target.key) + "y" * 500
        other = "x" * 500 + str(llm_target.key) + "y" * 100
        assert 0

    def test_compares(llm_target):
        headers = {"authorization": f"Bearer {llm_target.key}", "n": list(range(99))}
        assert headers == {"authorization": "Bearer ", "n": list(range(98))}

    @pytest.fixture
    def broken(llm_target):
        raise LookupError(llm_target.key)

    def test_is_set_up(broken):
        pass
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
@pytest.mark.parametrize("detail", [[], ["-vv", "--full-trace"]])
def test_nothing_that_users_tests_say_holds_the_key(
    judge: Judge, pytester: pytest.Pytester, workers: list[str], detail: list[str]
) -> None:
    """Reasons, properties, warnings, errors in threads, shortened values, comparisons."""
    path = pytester.makepyfile(USERS)
    result = judge(
        *(str(path), "--showlocals", "-rA", "--junitxml=junit.xml", "-o", "junit_family=xunit1"),
        *("-W", "default", *workers, *detail),
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["skipped"], outcomes["xfailed"]) == (2, 1, 1)
    assert (outcomes["errors"], outcomes["passed"]) == (1, 3)
    result.stdout.fnmatch_lines_random(
        [
            "*no [[]REDACTED-API-KEY]*",
            "*careless with [[]REDACTED-API-KEY]*",
            "*LookupError: [[]REDACTED-API-KEY]*",
        ]
    )
    assert_no_part(result, pytester, path.name)


@pytest.mark.parametrize(
    "module",
    [
        "import os\nkey = os.environ['OPENAI_API_KEY']\nraise ValueError(key)",
        "import os, pytest\npytest.skip(os.environ['OPENAI_API_KEY'], allow_module_level=True)",
        "import os\nprint(os.environ['OPENAI_API_KEY'])\nassert not os.environ['OPENAI_API_KEY']",
    ],
)
def test_module_that_cannot_be_collected_shows_no_key(
    judge: Judge, pytester: pytest.Pytester, module: str
) -> None:
    """Errors of collection are reports of their own."""
    path = pytester.makepyfile(module)
    result = judge(str(path), "--showlocals", "-rA", "--junitxml=junit.xml")
    result.stdout.fnmatch_lines(["*REDACTED-API-KEY*"])
    assert_no_part(result, pytester)


INTERRUPTED = """
    def stop(key):
        raise KeyboardInterrupt(key)

    def test_is_interrupted(llm_target):
        stop(str(llm_target.key))
"""


@pytest.mark.parametrize("detail", [[], ["--full-trace", "--showlocals"]])
def test_interrupt_shows_no_key(
    pytester: pytest.Pytester, reference: Reference, key: str, detail: list[str]
) -> None:
    """With `--full-trace` the arguments of every function are shown."""
    del key
    path = pytester.makepyfile(INTERRUPTED)
    target = (f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}")
    result = pytester.runpytest_subprocess(*target, str(path), *detail)
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert_no_part(result, pytester)


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_internal_error_shows_no_key(judge: Judge, pytester: pytest.Pytester, workers: list[str]) -> None:
    """A hook of somebody's that breaks while it holds the key."""
    pytester.makeconftest(
        """
        import os

        def pytest_runtest_protocol(item):
            key = os.environ["OPENAI_API_KEY"]
            raise RuntimeError(f"broken by {key}")
        """
    )
    result = judge("-k", "auth.scheme", "--showlocals", *workers)
    shown = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" in shown
    assert "broken by [REDACTED-API-KEY]" in shown
    assert_no_part(result, pytester)


CURIOUS = """
    import os
    from pathlib import Path

    def test_looks_around(request):
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        (Path(__file__).parent / f"processes-{os.getpid()}").write_bytes(b"\\n".join(lines))
        option, config = request.config.option, request.config
        options = [vars(option), vars(config.known_args_namespace), config.invocation_params]
        workerinput = getattr(config, "workerinput", {})
        (Path(__file__).parent / f"options-{os.getpid()}").write_text(f"{options} {workerinput}")

    def test_has_the_header(llm_target):
        assert llm_target.headers["api-key"][::-1] == os.environ["BACKWARDS"]
"""


def test_neither_processes_nor_messages_between_them_show_a_key(
    pytester: pytest.Pytester, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys go to workers by the environment: not by command line, options, or what execnet passes."""
    monkeypatch.setenv("BACKWARDS", KEY)
    monkeypatch.setenv("EXECNET_DEBUG", "1")
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("messages")))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = pytester.makepyfile(CURIOUS)
    result = pytester.runpytest_subprocess(
        *(f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}", "-n", "2"),
        *("--llm-header", "api-key: " + KEY[::-1], str(path), "--showlocals"),
    )
    assert result.parseoutcomes() == {"passed": 2}
    written = {path.name.partition("-")[0] for path in files_below(pytester.path)}
    assert written >= {"processes", "options", "execnet"}
    assert_no_part(result, pytester)
    for path in files_below(pytester.path):
        if not path.name.startswith("processes"):
            assert traces(KEY[::-1], path.read_bytes()) == [], path


def test_file_of_pytests_own_debugging_holds_no_typed_key(
    pytester: pytest.Pytester, reference: Reference
) -> None:
    """`--debug` writes down the command line, and every call of a hook."""
    target = (f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}")
    result = pytester.runpytest_subprocess(
        *target, "--llm-api-key", KEY, "-k", "auth.scheme", "--debug=trace.log"
    )
    assert result.parseoutcomes()["passed"] == 1
    assert "pytest_runtest_protocol" in (pytester.path / "trace.log").read_text()
    assert_no_part(result, pytester)


def test_crash_of_the_interpreter_dumps_no_key(
    pytester: pytest.Pytester, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What faulthandler writes are the lines that were under way."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = pytester.makepyfile(
        """
        import faulthandler, resource

        def test_crashes(llm_target):
            key = llm_target.key
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            faulthandler._sigsegv()
        """
    )
    target = (f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}")
    result = pytester.runpytest_subprocess(*target, str(path), "--showlocals")
    assert "Segmentation fault" in result.stderr.str()
    assert_no_part(result, pytester)


def test_nobody_sees_a_key_who_looks_at_a_value(tmp_path: Path) -> None:
    """Representations of what holds the key, and of what is in there."""
    target = Target("t", "http://127.0.0.1:1/v1", "m", CANARY, {"api-key": CANARY, "x-other": CANARY})
    settings = Settings(api_key=CANARY, header=(f"api-key: {CANARY}",))
    live = LiveClient(target)
    sources = LiveSource(target), RecordingSource(target, tmp_path)
    with client_of(target) as client:
        values = (target, settings, live, client, *sources, vars(live), vars(client), asdict(target))
        shown = [show(value) for value in values for show in (repr, str, pprint.pformat)]
    for source in sources:
        source.close()
    live.close()
    assert traces(CANARY, "\n".join(shown).encode()) == []


def test_secret_is_a_text_like_any_other() -> None:
    """It goes into headers, files and processes as it is; copies of it are as shy."""
    secret = Secret(CANARY)
    assert (f"Bearer {secret}", str(secret) + "!", secret.encode()) == (
        f"Bearer {CANARY}",
        CANARY + "!",
        CANARY.encode(),
    )
    copy = pickle.loads(pickle.dumps(secret))
    assert copy == secret == CANARY
    assert CANARY not in f"{secret!r} {copy!r} {[secret]} {{'key': {secret!r}}}"
    assert json.dumps([secret]) == json.dumps([CANARY])


def test_records_are_as_they_were_after_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """Within the block keys are hidden; what the transport quotes is escaped, colours of others stay."""
    with clean_logs([CANARY]):
        logging.getLogger("httpx").warning("%s \x1b[31m", CANARY)
        logging.getLogger("mine").warning("%s \x1b[31m", CANARY)
    logging.getLogger("mine").warning("%s", CANARY)
    assert [record.getMessage() for record in caplog.records] == [
        "[REDACTED-API-KEY] \\x1b[31m",
        "[REDACTED-API-KEY] \x1b[31m",
        CANARY,
    ]


def test_record_whose_arguments_do_not_fit_shows_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    """`logging` complains about it and shows the arguments."""
    handler, logger = logging.StreamHandler(), logging.getLogger("unfit")
    logger.addHandler(handler)
    logger.propagate = False
    with clean_logs([CANARY]):
        logger.warning("%d " + CANARY, CANARY)
    logger.removeHandler(handler)
    complaint = capsys.readouterr().err
    assert "Logging error" in complaint
    assert "[REDACTED-API-KEY]" in complaint
    assert CANARY not in complaint
