"""Starting and stopping: at once, on a free port, by hand as well."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from pytest_llmcompat.reference import UnknownDefect, serve
from pytest_llmcompat.reference.__main__ import main


def test_unknown_defect_is_an_error_with_close_names() -> None:
    """A typo is answered with the names that were meant."""
    with pytest.raises(UnknownDefect, match="stream-without-done"), serve(["stream-without-don"]):
        pass


def test_taken_port_is_an_error() -> None:
    """A port that something listens on is not shared silently."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        serve(port=taken.getsockname()[1]),
    ):
        pass


def test_servers_run_side_by_side_and_leave_nothing() -> None:
    """Each has its own port, and is gone with its context."""
    before = threading.active_count()
    with serve() as one, serve(["models-empty"]) as other:
        headers = {"authorization": f"Bearer {one.key}"}
        assert httpx.get(f"{one.base_url}/models", headers=headers).json()["data"]
        assert httpx.get(f"{other.base_url}/models", headers=headers).json()["data"] == []
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{one.base_url}/models")


def test_stops_at_once_in_the_middle_of_a_stream() -> None:
    """An open stream and an idle connection do not hold the server up, and see their connection closed."""
    with httpx.Client() as http:
        with serve(pause=5) as slow:
            headers = {"authorization": f"Bearer {slow.key}"}
            http.get(f"{slow.base_url}/models", headers=headers)
            body = {"model": slow.model, "messages": [{"role": "user", "content": "hi"}], "stream": True}
            request = http.build_request(
                "POST", f"{slow.base_url}/chat/completions", json=body, headers=headers
            )
            answer = http.send(request, stream=True)
            parts = answer.iter_raw()
            next(parts)
            started = time.perf_counter()
        assert time.perf_counter() - started < 0.2
        with pytest.raises(httpx.TransportError):
            next(parts)
        answer.close()


def test_runs_by_hand_until_interrupted() -> None:
    """The command prints where it listens, serves, and ends on an interrupt with status 0."""
    command = [sys.executable, "-m", "pytest_llmcompat.reference", "--pause", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = dict(process.stdout.readline().split(maxsplit=1) for _ in range(1))
        url = told["base"].removeprefix("URL").strip()
        assert httpx.get(f"{url}/models").status_code == 401
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_command_lists_the_defects(capsys: pytest.CaptureFixture[str]) -> None:
    """--list-defects prints names with what they do, and starts nothing."""
    assert main(["--list-defects"]) == 0
    assert "stream-without-done" in capsys.readouterr().out


def test_command_refuses_an_unknown_defect(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name ends the command with status 2 and one line."""
    assert main(["--defect", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
