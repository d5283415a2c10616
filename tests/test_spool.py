"""Exchanges shared by the processes of a run: whole, private, and each probe sent once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmcompat.exchange import Exchange, Refusal, Request
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.lab.spool import Spool, decode, encode
from pytest_llmcompat.probes import PROBES
from tests.servers import PATIENCE, Connection, Received, completion, serving, target_of

WORKER = """
import sys
from pathlib import Path
from pytest_llmcompat.lab import Lab
from pytest_llmcompat.lab.sources import LiveSource
from pytest_llmcompat.lab.spool import Spool
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.target import Target

folder, endpoint = sys.argv[1:]
target = Target("t", endpoint, "m")
lab = Lab(target, LiveSource(target), store=Spool(Path(folder), target.id))
print("ready", flush=True)
sys.stdin.readline()
lab.prefetch(PROBES, 4)
print(" ".join(str(lab.exchange(id).status) for id in PROBES))
lab.close()
"""


def made(**changes: object) -> Exchange:
    """An exchange."""
    request = Request("POST", "http://h/v1", (("a", "b"),), b"\xff{}")
    return Exchange("chat-basic", "t", request, **changes)  # type: ignore[arg-type]


def test_processes_that_ask_at_once_send_each_probe_once(tmp_path: Path) -> None:
    """Two workers need every probe; together they send what one alone would, and both get all exchanges."""

    def healthy(_: Received, connection: Connection) -> None:
        connection.answer(completion())

    with serving(healthy) as server:
        target = target_of(server, id="alone")
        lab = Lab(target, LiveSource(target))
        lab.prefetch(PROBES, 4)
        lab.close()
        alone = len(server.received)
        server.received.clear()
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), server.base_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        outputs = [worker.communicate("go\n", timeout=6 * PATIENCE)[0] for worker in workers]
    assert len(server.received) == alone
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()) == len(PROBES)
    assert {exchange.probe for exchange in Spool(tmp_path, "t").exchanges()} == set(PROBES)


def test_second_asker_waits_for_the_first(tmp_path: Path) -> None:
    """While one process sends a probe, another that needs it does not send it as well."""
    sending, sent_again = threading.Event(), threading.Event()

    def first() -> Exchange:
        sending.set()
        sent_again.wait(0.3)
        return made(status=200)

    def second() -> Exchange:
        sent_again.set()
        return made(status=500)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(Spool(tmp_path, "t").once, "chat-basic", first)
        assert sending.wait(PATIENCE)
        other = pool.submit(Spool(tmp_path, "t").once, "chat-basic", second)
        assert [each.result(PATIENCE).status for each in (one, other)] == [200, 200]


def test_exchange_of_another_process_is_not_sent_again(tmp_path: Path) -> None:
    """What lies in the folder counts, whoever put it there."""
    first = Spool(tmp_path, "t").once("chat-basic", lambda: made(status=200, body=b"a"))

    def never() -> Exchange:
        raise AssertionError("sent again")

    assert Spool(tmp_path, "t").once("chat-basic", never) == first


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    """A probe that could not be had is tried again by the next process that needs it."""

    def fail() -> Exchange:
        raise LookupError("no cassette")

    spool = Spool(tmp_path, "t")
    with pytest.raises(LookupError, match="no cassette"):
        spool.once("chat-basic", fail)
    assert spool.exchanges() == ()
    assert spool.once("chat-basic", made) == made()


def test_targets_do_not_mix(tmp_path: Path) -> None:
    """Two targets of one run have exchanges of their own, whatever their ids look like."""
    one, other = Spool(tmp_path, "a/../b@h"), Spool(tmp_path, "b@h")
    one.once("chat-basic", lambda: made(status=200))
    assert other.once("chat-basic", lambda: made(status=500)).status == 500


def test_folder_is_private(tmp_path: Path) -> None:
    """Answers may hold what others on the machine must not read."""
    Spool(tmp_path / "run", "t").once("chat-basic", made)
    (folder,) = (tmp_path / "run").iterdir()
    assert folder.stat().st_mode & 0o077 == 0


@settings(deadline=None, max_examples=60)
@given(
    body=st.binary(max_size=50),
    headers=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3).map(tuple),
    arrivals=st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 99)), max_size=3).map(tuple),
    text=st.one_of(st.none(), st.text(max_size=8)),
    numbers=st.tuples(st.integers(0, 599), st.integers(0, 99), st.floats(0, 1e10)),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_any_exchange_comes_back_as_it_was(
    body: bytes,
    headers: tuple[tuple[str, str], ...],
    arrivals: tuple[tuple[float, int], ...],
    text: str | None,
    numbers: tuple[int, int, float],
    flags: tuple[bool, bool],
) -> None:
    """Bytes, times and reasons survive the way through JSON."""
    exchange = made(
        status=numbers[0],
        requests=numbers[1],
        started=numbers[2],
        total=numbers[2],
        body=body,
        headers=headers,
        arrivals=arrivals,
        failure=text,
        unsent=text,
        unsupported=flags[0],
        live=flags[1],
        refused={"n": Refusal(400, text or "")},
    )
    assert decode(json.loads(json.dumps(encode(exchange)))) == exchange
