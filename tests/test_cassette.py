"""Cassettes: whole, redacted, pleasant to review, and readable by anyone's vcrpy."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llmcompat.cassette import (
    CassetteError,
    Recording,
    Replay,
    path_of,
    read,
    recorded_targets,
    write,
)
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer

KEY = "sk-canary-0123456789abcdef"
BASE = "https://api.example.com/v1"
CHAT = f"{BASE}/chat/completions"
JSON = (("content-type", "application/json"),)
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "pong 🏓 日本"}, "finish_reason": "stop"}
    ],
}


def chunk(**choice: Any) -> bytes:
    """One event of a stream."""
    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "finish_reason": None, "delta": {}, **choice}]
    return f"data: {json.dumps({**data, 'choices': choices}, ensure_ascii=False)}\n\n".encode()


STREAM = b"".join(
    [
        chunk(delta={"role": "assistant", "content": ""}),
        chunk(delta={"content": "pong 🏓"}),
        chunk(finish_reason="stop"),
        b"data: [DONE]\n\n",
    ]
)


def chat_request(body: object = None, **changes: Any) -> Request:
    """A chat request as the lab keeps it."""
    headers = (("accept", "application/json"), ("authorization", "Bearer $OPENAI_API_KEY"), *JSON)
    content = body if isinstance(body, bytes) else json.dumps(body or {"model": "m", "messages": []}).encode()
    return replace(Request("POST", CHAT, headers, content), **changes)


def recording(*interactions: tuple[Request, Answer]) -> Recording:
    """A recording of some interactions with the usual provenance."""
    versions = {"pytest-llmcompat": "0.1.0", "vcrpy": "9.4.2"}
    return Recording("chat-basic", "2026-01-02T03:04:05+00:00", BASE, "m", versions, interactions)


def plain_answer(body: bytes = b"{}", **changes: Any) -> Answer:
    """A whole answer with times."""
    arrivals = ((0.1, len(body[:1])), (0.25, len(body[1:])))
    return replace(Answer(200, JSON, body, arrivals, 1767323045.5, 0.25), **changes)


def written(folder: Path, *interactions: tuple[Request, Answer]) -> Path:
    """The path of a cassette that holds some interactions."""
    path = folder / "host" / "m" / "chat-basic.yaml"
    write(path, recording(*interactions), secrets=(KEY,))
    return path


# --- round trip ---


def test_recording_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Provenance, requests, answers, order and times survive; headers come back sorted by name."""
    answers = [
        plain_answer(),
        plain_answer(b"oops", status=500, headers=()),
        plain_answer(STREAM, failure="cut"),
    ]
    path = written(tmp_path, *((chat_request({"n": n}), answer) for n, answer in enumerate(answers)))
    back = read(path)
    assert replace(back, interactions=()) == recording()
    assert [answer for _, answer in back.interactions] == answers
    assert [json.loads(request.body or b"") for request, _ in back.interactions] == [
        {"n": n} for n in range(1)
    ] + [
        {"n": 1},
        {"n": 2},
    ]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
        st.text("ab: #-\"'\\\n\r\t\x85\u2028\ufeff🏓", max_size=30).map(str.encode),
    ),
    sent=st.binary(max_size=30),
)
def test_any_bytes_come_back_exactly(tmp_path: Path, body: bytes, sent: bytes) -> None:
    """Bodies are bytes: invalid UTF-8, carriage returns, trailing blanks and odd line ends are all kept."""
    path = written(tmp_path, (chat_request(body=sent), plain_answer(body)))
    ((request, answer),) = read(path).interactions
    assert (request.body, answer.body) == (sent, body)


def test_header_with_several_values_keeps_their_order(tmp_path: Path) -> None:
    """A header may come twice, and its last value is the one that counts."""
    headers = (("x-b", "2"), ("x-a", "z"), ("x-a", "y"))
    path = written(tmp_path, (chat_request(), plain_answer(headers=headers)))
    assert read(path).interactions[0][1].headers == (("x-a", "z"), ("x-a", "y"), ("x-b", "2"))


def test_coded_answer_keeps_headers_that_came_twice(tmp_path: Path) -> None:
    """Also those that describe the coded body and stand apart."""
    headers = (("content-encoding", "identity"), ("content-encoding", "gzip"), ("content-length", "7"))
    path = written(tmp_path, (chat_request(), plain_answer(headers=headers)))
    assert read(path).interactions[0][1].headers == headers


def test_header_in_another_script_comes_back(tmp_path: Path) -> None:
    """Servers send UTF-8 in headers, though clients that vcrpy serves take only bytes for it."""
    path = written(tmp_path, (chat_request(), plain_answer(headers=(("x-region", "日本"),))))
    assert read(path).interactions[0][1].headers == (("x-region", "日本"),)


def test_failure_without_answer_keeps_its_place(tmp_path: Path) -> None:
    """vcrpy cannot hold a request without an answer; it stands apart and comes back in between."""
    failed = Answer(started=1.5, total=30.0, failure="nothing came for 30 s")
    path = written(
        tmp_path, (chat_request(), plain_answer()), (chat_request(), failed), (chat_request(), plain_answer())
    )
    assert [answer.failure for _, answer in read(path).interactions] == [None, "nothing came for 30 s", None]
    assert read(path).interactions[1][1] == failed
    assert len(yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]) == 2


def test_coded_body_is_stored_decoded_and_its_headers_come_back(tmp_path: Path) -> None:
    """The file holds what a plain client must see; a replay sees the headers that were sent."""
    headers = (("content-encoding", "gzip"), ("content-length", "999"), *JSON)
    path = written(tmp_path, (chat_request(), plain_answer(b'{"a": 1}', headers=headers)))
    stored = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"][0]["response"]["headers"]
    assert stored == {"content-length": ["8"], "content-type": ["application/json"]}
    assert read(path).interactions[0][1].headers == headers


# --- redaction and review ---


def test_written_file_holds_no_key_cookie_or_account(tmp_path: Path) -> None:
    """Whatever came in is redacted on writing, where nobody can forget it."""
    request = chat_request(
        {"user": KEY},
        url=f"{CHAT}?key={KEY}",
        headers=(("authorization", f"Bearer {KEY}"), ("x-echo", KEY), *JSON),
    )
    headers = (("set-cookie", "session=1234"), ("openai-organization", "acme-9"), ("x-echo", KEY))
    answer = plain_answer(f'{{"error": "key {KEY} of org-abc123"}}'.encode(), headers=headers)
    failed = Answer(failure=f"cannot connect with {KEY}")
    path = tmp_path / "c.yaml"
    write(
        path,
        replace(recording((request, answer), (request, failed)), endpoint=f"https://me:{KEY}@h/v1"),
        (KEY,),
    )
    text = path.read_text(encoding="utf-8")
    assert not [leak for leak in (KEY, "session=1234", "acme-9", "org-abc123", "me:") if leak in text]
    assert "Bearer [REDACTED-API-KEY]" in text


def test_bodies_stand_as_readable_blocks(tmp_path: Path) -> None:
    """A reviewer reads JSON and event streams without escapes, and other scripts as they are."""
    body = json.dumps(COMPLETION, ensure_ascii=False).encode()
    text = written(
        tmp_path, (chat_request(), plain_answer(body)), (chat_request(), plain_answer(STREAM))
    ).read_text(encoding="utf-8")
    assert '    body: |-\n      {"model": "m", "messages": []}\n' in text
    assert f"      string: |-\n        {body.decode()}\n" in text
    assert "        data: [DONE]\n\n" in text
    assert "    arrivals: [[0.1, 1], [0.25, " in text


def test_stream_with_carriage_returns_stands_line_by_line(tmp_path: Path) -> None:
    """A block cannot hold CRLF exactly, so the text is quoted, still one line each."""
    body = STREAM.replace(b"\n", b"\r\n")
    path = written(tmp_path, (chat_request(), plain_answer(body)))
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert r"data: [DONE]\r\n\ "[:-1] in lines
    assert read(path).interactions[0][1].body == body


def test_provenance_stands_at_the_top(tmp_path: Path) -> None:
    """The first lines say when, where and with what a cassette was recorded."""
    lines = written(tmp_path, (chat_request(), plain_answer())).read_text(encoding="utf-8").splitlines()
    assert lines[:6] == [
        "llmcompat:",
        "  format: 1",
        "  recorded_at: '2026-01-02T03:04:05+00:00'",
        "  probe: chat-basic",
        f"  endpoint: {BASE}",
        "  model: m",
    ]


def test_same_recording_gives_the_same_file(tmp_path: Path) -> None:
    """Writing what was read changes nothing, so re-recording shows real differences only."""
    path = written(tmp_path, (chat_request(), plain_answer(STREAM)), (chat_request(), Answer(failure="x")))
    before = path.read_bytes()
    write(path, read(path))
    assert path.read_bytes() == before


# --- atomicity ---


def test_failing_replace_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails at the last step changes nothing and leaves no rubbish."""
    path = written(tmp_path, (chat_request(), plain_answer(b"old")))
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            written(tmp_path, (chat_request(), plain_answer(b"new")))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_whole_text_is_ready_before_the_folder_is_touched(tmp_path: Path) -> None:
    """What cannot be written down fails before anything is on disk."""
    bad = replace(recording(), versions={"a": object()})  # type: ignore[dict-item]
    with pytest.raises(yaml.representer.RepresenterError):
        write(tmp_path / "new" / "c.yaml", bad)
    assert list(tmp_path.iterdir()) == []


# --- replay ---


def test_replay_plays_each_interaction_once_and_in_order() -> None:
    """Two answers to the same request (a retry) come in their order, and then there are none left."""
    first, second = plain_answer(b"1", status=429), plain_answer(b"2")
    replay = Replay(recording((chat_request(), first), (chat_request(), second)))
    assert [replay.answer(chat_request()) for _ in range(3)] == [first, second, None]


def test_replay_matches_another_host_port_and_spelling_of_the_body() -> None:
    """A recording serves wherever the endpoint now is, and JSON is compared by value."""
    replay = Replay(recording((chat_request({"a": 1, "b": [2]}), plain_answer())))
    moved = chat_request(url="http://127.0.0.1:9/v1/chat/completions", body=b'{"b":[2],\n"a":1}')
    assert replay.answer(moved) == plain_answer()


@pytest.mark.parametrize(
    "other",
    [
        chat_request(method="GET"),
        chat_request(url=f"{BASE}/completions"),
        chat_request(url=f"{CHAT}?after=x"),
        chat_request({"model": "other"}),
        chat_request(body=b"{broken"),
        chat_request(body=b"[" * 20_000),
    ],
)
def test_replay_has_no_answer_to_another_request(other: Request) -> None:
    """Method, path, query and body all decide; the interaction stays for the request that it belongs to."""
    replay = Replay(recording((chat_request(), plain_answer())))
    assert replay.answer(other) is None
    assert replay.answer(chat_request()) == plain_answer()


def test_replay_finds_a_request_whose_key_was_redacted(tmp_path: Path) -> None:
    """A key in URL or body is redacted on disk; told of the key, the replay redacts before it compares."""
    request = chat_request({"user": f"org-abc123 {KEY}"}, url=f"{CHAT}?api-key={KEY}")
    path = written(tmp_path, (request, plain_answer()))
    assert Replay(read(path), secrets=(KEY,)).answer(request) == plain_answer()


# --- where cassettes lie ---

NAMES = [
    "m",
    "M",
    "a/b",
    "a-b",
    "a_b",
    "../x",
    "x",
    "CON",
    "con",
    "con.yaml",
    "",
    ".",
    "..",
    "a\nb",
    "a b",
    "日本",
    "日",
]
NAMES += ["x" * 300, "x" * 301, "-rf", "~", "C:\\x", "m.", "m "]


def test_names_of_models_never_clash_nor_escape() -> None:
    """Each model has a folder of its own right below the endpoint's, also where case does not count."""
    paths = [path_of(Path("c"), Target("t", BASE, name), "chat-basic") for name in NAMES]
    assert len({str(path).lower() for path in paths}) == len(NAMES)
    for path in paths:
        assert path.parts[:2] == ("c", "api.example.com_v1")
        assert path.parts[3:] == ("chat-basic.yaml",)
        assert path.parts[2].isascii()
        assert path.parts[2].strip(". -~") == path.parts[2]
        assert len(path.parts[2]) < 100
        assert path.parts[2].partition(".")[0] not in {"con", "nul"}


def test_ordinary_names_stand_as_they_are() -> None:
    """Only a name that had to change bears a hash."""
    target = Target("t", "http://127.0.0.1:8080/v1", "gpt-4.1-mini")
    assert path_of(Path("c"), target, "chat-basic") == Path(
        "c/127.0.0.1+8080_v1/gpt-4.1-mini/chat-basic.yaml"
    )


ENDPOINTS = [
    "https://a/v1",
    "http://a/v1",
    "https://a:8/v1",
    "https://a/8/v1",
    "https://a-8/v1",
    "https://a/v1/b",
]
ENDPOINTS += ["https://a/v1_b", "https://a", "https://a/../v1", "http://[::1]:8/v1"]


def test_endpoints_never_clash() -> None:
    """Host, port and path all count; a trailing slash, the default port and a user name do not."""
    paths = [path_of(Path("c"), Target("t", endpoint, "m"), "p") for endpoint in ENDPOINTS]
    assert len(set(paths)) == len(ENDPOINTS)
    for same in ("https://a:443/v1", "https://A/v1/", "https://me:pw@a/v1"):
        assert path_of(Path("c"), Target("t", same, "m"), "p") == paths[0]


@pytest.mark.parametrize("model", ["m\ud800", "\udfff\ud800", "\ufffd", "🏓", "a: b\n\x00\x1b"])
def test_name_of_a_model_comes_back_whatever_it_is(tmp_path: Path, model: str) -> None:
    """JSON can name halves of surrogate pairs, and YAML cannot."""
    path = path_of(tmp_path, Target("t", BASE, model), "chat-basic")
    write(path, replace(recording((chat_request(), plain_answer())), model=model))
    assert read(path).model == model
    assert [found for _, found, _ in recorded_targets(tmp_path)] == [model]


def test_recorded_targets_are_found_without_an_endpoint(tmp_path: Path) -> None:
    """`--llm-replay` alone knows what was recorded; files of other tools in the folder do no harm."""
    for endpoint, model in (("https://b/v1", "m"), ("https://a/v1", "x/y"), ("https://a/v1", "m")):
        for probe in ("chat-basic", "models-list"):
            path = path_of(tmp_path, Target("t", endpoint, model), probe)
            write(path, replace(recording((chat_request(), plain_answer())), endpoint=endpoint, model=model))
    stranger = tmp_path / "other" / "tool" / "x.yaml"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("interactions: []\nversion: 1\n", encoding="utf-8")
    found = recorded_targets(tmp_path)
    assert [(endpoint, model) for endpoint, model, _ in found] == [
        ("https://a/v1", "m"),
        ("https://a/v1", "x/y"),
        ("https://b/v1", "m"),
    ]
    assert all(path == path_of(tmp_path, Target("t", e, m), "p").parent for e, m, path in found)
    assert recorded_targets(tmp_path / "absent") == []


# --- damaged files ---


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1\n", "version: 2\n", "another version"),
        ("  format: 1\n", "  format: 9\n", "another version"),
        ("  probe: chat-basic\n", "", "llmcompat.probe is missing"),
        ("  model: m\n", "  model: 7\n", "llmcompat.model is missing or not a text"),
        ("llmcompat:\n  format", "provenance:\n  format", "lacks the key llmcompat"),
        ("interactions:\n", "interruptions:\n", "interactions is missing"),
        ("    method: POST\n", "", "missing or damaged"),
        ("      code: 200\n", "", "missing or damaged"),
        ("      code: 200\n", "      code: ok\n", "missing or damaged"),
        ("    body: |-\n", "    body: [\n", "cut short or no YAML"),
        ("  requests: 1\n", "  requests: 2\n", "as many requests as"),
        ("  model: m\n", "  model: !!python/object/apply:os.getcwd []\n", "more than plain data"),
        ("  model: m\n", "  model: !!python/tuple [m]\n", "more than plain data"),
    ],
)
def test_damaged_cassette_is_refused_in_one_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """The message names the file, the damage and the remedy, and nothing in the file is ever run."""
    path = written(tmp_path, (chat_request(), plain_answer()))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CassetteError, match=problem) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"just text", b"- 1\n", b"a: [[[[", b"[" * 5000])
def test_file_that_is_no_cassette_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, the reader gets a CassetteError."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(CassetteError):
        read(path)


def test_cassette_cut_after_any_line_is_refused(tmp_path: Path) -> None:
    """A file cut at the end of any line never reads as a shorter recording of other answers."""
    answer = plain_answer(b"one\ntwo\nthree")
    whole = recording(
        (chat_request(), answer), (chat_request(), Answer(failure="x")), (chat_request(), answer)
    )
    path = tmp_path / "c.yaml"
    write(path, whole)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for count in range(len(lines) - 1):
        path.write_text("".join(lines[:count]), encoding="utf-8")
        with pytest.raises(CassetteError):
            read(path)


# --- anyone's vcrpy ---


def test_plain_vcrpy_serves_the_openai_client(tmp_path: Path) -> None:
    """Without this package a written file answers create() and stream=True of the official client."""
    import openai
    import vcr  # type: ignore[import-untyped]

    body = json.dumps(COMPLETION, ensure_ascii=False).encode()
    gzipped = (
        ("content-encoding", "gzip"),
        ("content-length", "17"),
        ("x-region", "日本"),
        ("transfer-encoding", "chunked"),
        *JSON,
    )
    path = written(
        tmp_path,
        (chat_request({"model": "m", "messages": []}), plain_answer(body, headers=gzipped)),
        (chat_request(), Answer(failure="connection reset")),
        (
            chat_request({"stream": True}),
            plain_answer(STREAM, headers=(("content-type", "text/event-stream"),)),
        ),
        (
            chat_request(),
            plain_answer(STREAM.replace(b"\n", b"\r\n"), headers=(("content-type", "text/event-stream"),)),
        ),
    )
    messages: list[Any] = [{"role": "user", "content": "ping"}]
    with (
        vcr.use_cassette(str(path), record_mode="none") as cassette,
        openai.OpenAI(base_url=BASE, api_key="x", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(model="m", messages=messages)
        streams = [
            list(client.chat.completions.create(model="m", messages=messages, stream=True)) for _ in range(2)
        ]
        assert cassette.all_played
    assert answer.choices[0].message.content == "pong 🏓 日本"
    for stream in streams:
        assert "".join(part.choices[0].delta.content or "" for part in stream) == "pong 🏓"
