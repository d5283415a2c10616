"""The time of a run: what is not asked in time is not judged, and nobody takes that for a pass."""

from __future__ import annotations

import time

import pytest

from tests.plugin.conftest import Judge, report_of
from tests.plugin.test_preflight import diagnosis
from tests.servers import PATIENCE, Connection, Received, completion, serving

pytest_plugins = ("pytester",)

SELECTED = ("-k", "chat.stop or chat.length or models.list", "--llm-report=report.json")


def silent_later(request: Received, connection: Connection) -> None:
    """Serve the two requests of pre-flight, and leave all others hanging."""
    if request.path.endswith("/models"):
        connection.answer({"object": "list", "data": [{"id": "m", "object": "model"}]})
    elif b'"seed"' in request.body and b"stop" not in request.body and b"pong" in request.body:
        connection.answer(completion())
    else:
        connection.gone()
        connection.close()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_run_ends_with_its_time_and_fails(
    judge: Judge, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """What came is judged, the rest is inconclusive with the reason, the report is whole, the exit status is 1."""
    began = time.monotonic()
    with serving(silent_later) as server:
        result = judge("--llm-run-timeout=2", *SELECTED, *workers, endpoint=server.base_url, model="m")
    assert time.monotonic() - began < 2 + PATIENCE
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines_random(
        [r"fails the run: \d+ probes were given up: the time was up \(--llm-run-timeout\)"]
    )
    report = report_of(pytester)
    assert report["summary"]["fail"] == 0
    reasons = {r["contract"]: r["reason"] for r in report["results"] if r["verdict"] == "inconclusive"}
    assert "was given up: the run's time of 2 s was up (--llm-run-timeout)" in reasons["chat.stop-applied"]
    assert {r["verdict"] for r in report["results"] if r["contract"] == "models.list-object"} == {"pass"}


def test_run_in_time_does_not_speak_of_it(judge: Judge) -> None:
    """The default is out of everybody's way."""
    result = judge("-k", "models.list-object")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*--llm-run-timeout*")


def test_pre_flight_has_no_more_time_than_the_run(judge: Judge, key: str) -> None:
    """A silent endpoint is told at the latest when the run is over."""

    def silent(_: Received, connection: Connection) -> None:
        connection.gone()
        connection.close()

    with serving(silent) as server:
        said = diagnosis(judge("--llm-run-timeout=0.3", endpoint=server.base_url), key)
    assert "cannot be judged: models-list was given up: the run's time of 0.3 s was up" in said


def test_endpoint_that_only_throttles_is_diagnosed(judge: Judge, key: str) -> None:
    """429 for ever is one line, not hundreds of skipped contracts."""

    def throttled(_: Received, connection: Connection) -> None:
        connection.answer({"error": {"message": "slow down"}}, 429, {"retry-after": "3600"})

    with serving(throttled) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    assert 'gives no answer to a plain chat request (429: "slow down")' in said


def test_guesses_at_the_base_url_are_cheap(judge: Judge, key: str) -> None:
    """Nine other base URLs are tried; one that is silent or down is not tried twice, nor waited for."""

    def script(request: Received, connection: Connection) -> None:
        if request.path.startswith("/wrong/"):
            connection.answer(b"", 404)
        else:
            connection.answer(b"", 503, {"retry-after": "30"})

    began = time.monotonic()
    with serving(script) as server:
        origin = server.base_url.removesuffix("/v1")
        said = diagnosis(judge(endpoint=f"{origin}/wrong"), key)
        guesses = [request.path for request in server.received if not request.path.startswith("/wrong/")]
    assert "no OpenAI API at" in said
    assert len(guesses) == len(set(guesses)) > 2
    assert time.monotonic() - began < 2 * PATIENCE


def test_endpoint_whose_chat_is_too_much_is_diagnosed(judge: Judge, key: str) -> None:
    """The limit that the plain request hit is in the one line that the run ends with."""

    def script(request: Received, connection: Connection) -> None:
        if request.method == "GET":
            connection.answer({"object": "list", "data": []})
        else:
            connection.begin(200, {"content-type": "application/json"})
            while True:
                connection.chunk(b" " * 60_000)

    with serving(script) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    assert "the body is longer than 4194304 bytes; more is not read" in said
