"""Recording and replaying: the same exchanges again, without a socket, and without the key."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llmcompat.cassette import CassetteError, path_of, read, recorded_targets
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.pace import Pace
from pytest_llmcompat.lab.sources import RecordingSource, ReplayingSource
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import MissingExchange
from tests.servers import (
    Connection,
    Received,
    Server,
    Time,
    completion,
    refusal,
    serving,
    target_of,
)

KEY = "sk-canary-0123456789"
STREAM = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n' * 4 + b"data: [DONE]\n\n"


def lively(request: Received, connection: Connection) -> None:
    """A server with a dialect, a stream, a passing fault and the habit to echo the key."""
    body = request.json if request.body[:1] == b"{" and request.body[-1:] == b"}" else {}
    if "authorization" not in request.headers or not body.get("messages"):
        connection.answer(refusal("bad request"), 400, {"set-cookie": "session=abc"})
    elif "max_tokens" in body:
        connection.answer(refusal("use max_completion_tokens", "max_tokens"), 400)
    elif body.get("stream"):
        connection.begin(200, {"content-type": "text/event-stream"})
        for part in (STREAM[:70], STREAM[70:], b""):
            connection.chunk(part)
    else:
        connection.answer(completion(f"you are {request.headers['authorization']}"))


@contextmanager
def recording(server: Server, folder: Path, **changes: Any) -> Iterator[Lab]:
    """A lab that records."""
    target = target_of(server, **changes)
    lab = Lab(target, RecordingSource(target, folder), pace=Time().pace())
    try:
        yield lab
    finally:
        lab.close()


def replaying(target: Target, folder: Path) -> Lab:
    """A lab that replays."""
    return Lab(target, ReplayingSource(target, folder))


def essence(exchange: Exchange) -> Exchange:
    """An exchange without what a recording may change: whether it is live, and the order of headers."""
    request = replace(exchange.request, headers=())
    rounded = tuple((round(seconds, 6), length) for seconds, length in exchange.arrivals)
    return replace(
        exchange,
        request=request,
        headers=tuple(sorted(exchange.headers)),
        live=True,
        arrivals=rounded,
        started=round(exchange.started, 6),
        total=round(exchange.total, 6),
    )


def test_replay_gives_the_exchanges_of_the_recording_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, body, times, refusals and number of requests are the same, and no socket is made."""
    with serving(lively) as server, recording(server, tmp_path) as lab:
        lab.prefetch(PROBES, 4)
        recorded = lab.obtained()
        target = lab.target

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", forbidden)
    lab = replaying(replace(target, key=None), tmp_path)
    lab.prefetch(PROBES, 4)
    assert len(recorded) == len(PROBES)
    assert [essence(exchange) for exchange in lab.obtained()] == [essence(exchange) for exchange in recorded]
    assert not any(exchange.live for exchange in lab.obtained())


def test_no_file_holds_key_or_cookie(tmp_path: Path) -> None:
    """Whatever the server echoes, cassettes can be committed; further headers are secrets as well."""
    headers = {"api-key": "azure-secret-42"}
    with serving(lively) as server, recording(server, tmp_path, headers=headers) as lab:
        lab.prefetch(PROBES, 4)
    text = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.yaml"))
    assert "you are Bearer" in text
    assert not [secret for secret in (KEY, "session=abc", "azure-secret-42") if secret in text]


def test_next_recording_run_sends_only_what_is_missing(tmp_path: Path) -> None:
    """A run that died half-way is completed; what is there is replayed, the dialect included."""
    with serving(lively) as server:
        with recording(server, tmp_path) as lab:
            lab.exchange("chat-basic")
        server.received.clear()
        with recording(server, tmp_path) as lab:
            basic, length = lab.exchange("chat-basic"), lab.exchange("chat-length")
        assert (basic.live, length.live, len(server.received)) == (False, True, 1)
        assert length.sent["max_completion_tokens"] == 6


def test_run_that_dies_in_a_probe_leaves_only_whole_files(tmp_path: Path) -> None:
    """Interrupted between two requests of a probe, the probes before are kept and this one is not begun."""

    class Interrupted(Pace):
        def wait(self, seconds: float) -> bool:
            raise KeyboardInterrupt(seconds)

    def script(request: Received, connection: Connection) -> None:
        if request.json["max_tokens"] == 6:
            connection.answer({}, 503)
        else:
            connection.answer(completion())

    with serving(script) as server:
        target = target_of(server)
        lab = Lab(target, RecordingSource(target, tmp_path), pace=Interrupted())
        with pytest.raises(KeyboardInterrupt):
            lab.exchange("chat-length")
        lab.close()
    assert len(server.received) == 2
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["chat-basic.yaml"]
    assert read(path_of(tmp_path, target, "chat-basic")).interactions[0][1].status == 200


def test_probe_that_was_not_sent_leaves_no_file_and_replays_as_unsent(tmp_path: Path) -> None:
    """There is nothing to record of it, and a replay comes to the same end by itself."""

    def script(request: Received, connection: Connection) -> None:
        if "tools" in request.json:
            connection.answer(refusal("no tools here", "tools"), 400)
        else:
            connection.answer(completion())

    with serving(script) as server, recording(server, tmp_path) as lab:
        live = lab.exchange("tool-stream")
        target = lab.target
    assert not path_of(tmp_path, target, "tool-stream").exists()
    replayed = replaying(target, tmp_path).exchange("tool-stream")
    assert live.unsent
    assert (replayed.unsent, replayed.unsupported) == (live.unsent, live.unsupported)


def test_failure_of_the_transport_is_recorded_and_replayed(tmp_path: Path) -> None:
    """A reset connection and its retry are a result like any other."""
    with serving(lambda _, connection: connection.reset()) as server, recording(server, tmp_path) as lab:
        live = lab.exchange("models-list")
        target = lab.target
    replayed = replaying(target, tmp_path).exchange("models-list")
    assert live.failure is not None
    assert (replayed.status, replayed.failure, replayed.requests) == (0, live.failure, 2)


def test_missing_cassette_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A replay says which probe it lacks and where it looked."""
    target = Target("t", "http://h/v1", "m")
    with pytest.raises(MissingExchange) as caught:
        replaying(target, tmp_path).exchange("models-list")
    path = path_of(tmp_path, target, "models-list")
    assert (
        str(caught.value) == f"no cassette for the probe models-list at {path}; record it with --llm-record"
    )


def test_request_that_has_changed_since_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A probe that now asks something else is not answered with what was said to another question."""
    with serving(lively) as server, recording(server, tmp_path) as lab:
        lab.exchange("chat-basic")
        target = lab.target
    path = path_of(tmp_path, target, "chat-basic")
    path.write_text(path.read_text("utf-8").replace('"seed": 7', '"seed": 8'), "utf-8")
    with pytest.raises(
        MissingExchange, match=r"holds no answer to POST .* as the probe chat-basic sends it now"
    ):
        replaying(target, tmp_path).exchange("chat-basic")


def test_damaged_cassette_is_an_error_of_its_probe_alone(tmp_path: Path) -> None:
    """The others replay."""
    with serving(lively) as server, recording(server, tmp_path) as lab:
        lab.prefetch(["models-list", "err-json"], 2)
        target = lab.target
    path_of(tmp_path, target, "models-list").write_text("llmcompat:\n", "utf-8")
    lab = replaying(target, tmp_path)
    with pytest.raises(CassetteError):
        lab.exchange("models-list")
    assert lab.exchange("err-json").status == 400


def test_target_with_a_lasting_place_is_recorded_under_it(tmp_path: Path) -> None:
    """The port of the reference changes from run to run; its cassettes do not."""
    texts = []
    for run in ("first", "second"):
        folder = tmp_path / run
        with serving(lively) as server, recording(server, folder, place="http://reference/v1") as lab:
            lab.exchange("route-no-v1")
        (path,) = folder.rglob("*.yaml")
        texts.append(path.read_text("utf-8"))
        assert [(endpoint, model) for endpoint, model, _ in recorded_targets(folder)] == [
            ("http://reference/v1", "m")
        ]
        assert server.base_url.removesuffix("/v1") not in texts[-1]
    uris = [[i["request"]["uri"] for i in yaml.safe_load(text)["interactions"]] for text in texts]
    assert uris == [["http://reference/chat/completions"]] * 2


def test_recording_under_concurrency_gives_each_probe_its_own_answers(tmp_path: Path) -> None:
    """Eight probes at once do not get into each other's files."""

    def echo(request: Received, connection: Connection) -> None:
        connection.answer({"asked": request.body.decode("utf-8", "replace")})

    with serving(echo) as server, recording(server, tmp_path) as lab:
        lab.prefetch(PROBES, 8)
        paths = {id: path_of(tmp_path, lab.target, id) for id in PROBES}
    for id, path in paths.items():
        if not path.exists():
            continue
        recorded = read(path)
        assert recorded.probe == id
        for request, answer in recorded.interactions:
            assert json.loads(answer.body)["asked"] == request.body.decode("utf-8", "replace")
    assert sum(path.exists() for path in paths.values()) > len(PROBES) // 2
