"""Recording and replaying as users do it: same verdicts, no socket, nothing sent twice, nothing half written."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.cassette import read
from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reference.models import SLASHED_MODEL
from tests.plugin.conftest import KEY, Judge, files_below, report_of, verdicts_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

OWN = ("--llm-endpoint=reference", "--llm-report=report.json")


def answering(request: Received, connection: Connection) -> None:
    """A server that answers everything."""
    connection.answer({"object": "list", "data": []} if request.method == "GET" else completion())


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, whoever opens a socket or looks up a host fails the test; event loops keep their pipes."""

    def forbidden(*_: object, **__: object) -> Any:
        raise AssertionError("a socket was touched")

    class Closed(socket.socket):
        def __init__(
            self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
        ) -> None:
            if fileno is None:
                forbidden()
            super().__init__(family, type, proto, fileno)

    monkeypatch.setattr(socket, "socket", Closed)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], str]]:
    """A folder with the cassettes of `--llm-endpoint=reference`, recorded by two workers, and the verdicts."""
    folder = tmp_path_factory.mktemp("recorded")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--llm-endpoint=reference",
        "--llm-record",
        "--llm-report=report.json",
    ]
    without = ["-p", "no:hypothesispytest", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, *without, "-n", "2", "-q"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return folder, verdicts_of(json.loads((folder / "report.json").read_text("utf-8")))


def test_reference_is_recorded_under_its_lasting_name(
    recorded: tuple[Path, dict[tuple[str, str], str]],
) -> None:
    """Its port changes from run to run, its cassettes do not move; every file is whole."""
    folder, _ = recorded
    files = files_below(folder / "cassettes")
    assert {path.parent for path in files} == {folder / "cassettes" / "reference+80_v1" / "reference-small"}
    assert len(files) > 40
    for path in files:
        cassette = read(path)
        assert cassette.endpoint == "http://reference/v1"
        assert cassette.probe == path.stem


@pytest.mark.parametrize("arguments", [["--llm-endpoint=reference"], []])
@pytest.mark.usefixtures("no_sockets")
def test_replay_touches_no_socket_and_repeats_the_verdicts(
    pytester: pytest.Pytester,
    recorded: tuple[Path, dict[tuple[str, str], str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    """No server, no key, no network: each contract gives the verdict of the recording run, but for time."""
    folder, verdicts = recorded
    monkeypatch.chdir(folder)
    result = pytester.runpytest_inprocess(
        "--llm-replay", f"--llm-report={pytester.path / 'report.json'}", "-p", "no:cacheprovider", *arguments
    )
    assert result.ret is pytest.ExitCode.OK
    replayed = report_of(pytester)
    assert {target["endpoint"] for target in replayed["targets"]} == {"http://reference/v1"}
    assert not any(exchange["live"] for exchange in replayed["exchanges"])
    assert verdicts_of(replayed).keys() == verdicts.keys()
    changed = {key for key, verdict in verdicts_of(replayed).items() if verdict != verdicts[key]}
    reasons = {r["reason"] for r in replayed["results"] if (r["target"], r["contract"]) in changed}
    assert len(changed) <= 4
    assert all("live" in reason or "time" in reason for reason in reasons), reasons
    result.stdout.fnmatch_lines(["* requests replayed; *"])


def test_second_recording_run_sends_nothing_that_is_there(judge: Judge, pytester: pytest.Pytester) -> None:
    """Only what is missing is sent, and what was there is judged again."""
    with serving(answering) as server:
        first = judge("--llm-record", "-k", "auth or json.", endpoint=server.base_url)
        sent = len(server.received)
        second = judge("--llm-record", "-k", "auth or json.", endpoint=server.base_url)
        assert len(server.received) == sent
        assert second.parseoutcomes() == first.parseoutcomes()
        (gone,) = (path for path in files_below(pytester.path / "cassettes") if path.stem == "auth-none")
        gone.unlink()
        third = judge("--llm-record", "-k", "auth or json.", endpoint=server.base_url)
        assert len(server.received) == sent + 1
        assert "authorization" not in server.received[-1].headers
    third.stdout.fnmatch_lines([f"1 requests sent, {sent - 1} requests replayed; *"])


def test_killed_recording_leaves_whole_files_and_the_next_run_goes_on(
    pytester: pytest.Pytester, key: str
) -> None:
    """A run that dies half-way costs nothing twice."""
    del key
    held: list[Received] = []

    def script(request: Received, connection: Connection) -> None:
        if len(server.received) > 12 and not process_is_dead:
            held.append(request)
            if len(held) == 1:
                process.send_signal(signal.SIGKILL)
            connection.gone()
            connection.close()
        else:
            answering(request, connection)

    process_is_dead = False
    with serving(script) as server:
        command = [
            sys.executable,
            "-m",
            "pytest",
            f"--llm-endpoint={server.base_url}",
            "--llm-model=m",
            "--llm-record",
        ]
        nowhere = subprocess.DEVNULL
        process = pytester.popen([*command, "-p", "no:randomly"], nowhere, nowhere, nowhere)
        process.wait()
        process_is_dead = True
        there = files_below(pytester.path / "cassettes")
        whole = [path for path in there if path.suffix == ".yaml"]
        recorded = sum(len(read(path).interactions) for path in whole)
        assert 0 < recorded <= 12
        before = len(server.received)
        result = pytester.runpytest_inprocess(*command[3:], "-q")
        sent = len(server.received) - before
        complete = [path for path in files_below(pytester.path / "cassettes") if path.suffix == ".yaml"]
        total = sum(len(read(path).interactions) for path in complete)
    assert sent == total - recorded
    result.stdout.fnmatch_lines([f"{sent} requests sent, {recorded} requests replayed; *"])


def test_recording_holds_no_key(judge: Judge, pytester: pytest.Pytester) -> None:
    """Also where the server echoes it."""

    def script(request: Received, connection: Connection) -> None:
        bearer = request.headers.get("authorization", "")
        connection.answer(completion(bearer), headers={"x-echo": bearer})

    with serving(script) as server:
        judge("--llm-record", "--llm-report=report.json", "-k", "auth or json.", endpoint=server.base_url)
    files = files_below(pytester.path)
    assert len([path for path in files if path.suffix == ".yaml"]) > 5
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_missing_exchange_is_named_once_and_with_its_remedy(judge: Judge, pytester: pytest.Pytester) -> None:
    """Contracts that read it are errors in one line each, and the summary says what to do."""
    judge("--llm-record", "-k", "auth")
    (path,) = (path for path in files_below(pytester.path / "cassettes") if path.stem == "auth-none")
    path.unlink()
    result = judge("--llm-replay", "--llm-report=report.json", "-k", "auth")
    assert result.ret is pytest.ExitCode.TESTS_FAILED
    errors = result.parseoutcomes()["errors"]
    assert errors > 0
    name = path.relative_to(pytester.path)
    message = f"no cassette for the probe auth-none at {name}; record it with --llm-record"
    result.stdout.fnmatch_lines([f"{errors} contract* not judged: {message}"])
    assert "Traceback" not in result.stdout.str()
    assert "lab/__init__" not in result.stdout.str()
    reasons = {r["reason"] for r in report_of(pytester)["results"] if r["verdict"] == "inconclusive"}
    assert reasons == {f"not judged: {message}"}


def test_damaged_cassette_is_a_line_that_names_it(judge: Judge, pytester: pytest.Pytester) -> None:
    """It ends the run before anything is sent or judged, when it is met that early; else its contracts."""
    judge("--llm-record", "-k", "auth")
    for path in files_below(pytester.path / "cassettes"):
        path.write_text(path.read_text("utf-8")[:40])
    result = judge("--llm-replay")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.re_match_lines([r"ERROR: (--llm-replay: no cassettes below|cassette .*\.yaml: ).*record"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--llm-model=zzz"],
            "no cassettes of that model below cassettes; there are m\\x1b[[]2J at http://127*",
        ),
        (
            ["--llm-endpoint=groq"],
            "no cassettes of https://api.groq.com/openai/v1 below cassettes; there are *",
        ),
    ],
)
def test_replay_of_what_was_not_recorded_says_what_there_is(
    judge: Judge, pytester: pytest.Pytester, arguments: list[str], said: str
) -> None:
    """The user picks from the list, or records; a name in a cassette cannot fool a terminal."""
    with serving(answering) as server:
        judge("--llm-record", "-k", "auth.scheme", endpoint=server.base_url, model="m\x1b[2J")
    result = pytester.runpytest_inprocess("--llm-replay", *arguments)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --llm-replay: {said}"])


def test_replay_takes_the_targets_that_are_named(
    judge: Judge, pytester: pytest.Pytester, reference: Reference
) -> None:
    """All that were recorded, unless an endpoint or a model chooses; a folder may be named, too."""
    judge("--llm-record", "--llm-cassettes=tapes", f"--llm-model={SLASHED_MODEL}", "-k", "auth.scheme")
    replay = ["--llm-replay", "--llm-cassettes=tapes", "-k", "auth.scheme"]
    assert pytester.runpytest_inprocess(*replay).parseoutcomes()["passed"] == 2
    assert (
        pytester.runpytest_inprocess(*replay, f"--llm-model={SLASHED_MODEL}").parseoutcomes()["passed"] == 1
    )
    chosen = pytester.runpytest_inprocess(
        *replay, f"--llm-endpoint={reference.base_url}/", "--llm-model=reference-small"
    )
    assert chosen.parseoutcomes()["passed"] == 1


def test_replay_of_a_server_without_keys_remembers_that(pytester: pytest.Pytester) -> None:
    """Contracts about keys are unsupported in the replay as they were in the recording."""
    with serving(answering) as server:
        target = (f"--llm-endpoint={server.base_url}", "--llm-model=m")
        recorded = pytester.runpytest_inprocess(*target, "--llm-no-auth", "--llm-record", "-k", "auth")
    assert recorded.parseoutcomes()["skipped"] > 5
    replayed = pytester.runpytest_inprocess("--llm-replay", "-k", "auth")
    assert replayed.parseoutcomes() == recorded.parseoutcomes()


def test_replay_remembers_the_embedding_model(pytester: pytest.Pytester) -> None:
    """It need not be named again, and another one was not recorded."""
    with serving(answering) as server:
        target = (f"--llm-endpoint={server.base_url}", "--llm-model=m", "--llm-no-auth")
        recorded = pytester.runpytest_inprocess(
            *target, "--llm-embedding-model=e", "--llm-record", "-k", "embeddings.usage"
        )
    (asked,) = (json.loads(r.body) for r in server.received if r.path.endswith("/embeddings"))
    assert asked["model"] == "e"
    replay = ("--llm-replay", "-k", "embeddings.usage")
    assert pytester.runpytest_inprocess(*replay).parseoutcomes() == recorded.parseoutcomes()
    other = pytester.runpytest_inprocess(*replay, "--llm-embedding-model=f")
    other.stdout.fnmatch_lines(["*holds no answer to POST *"])
