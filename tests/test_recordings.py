"""Recordings of other tools: every format gives the same exchange, and bad input one clear line."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_llmcompat.recordings import RecordingError, read_recordings, shelves_of

KEY = "sk-canary-77c1d0aa52e9b346"
URL = "https://api.example.com/v1/chat/completions"
SENT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
BODY = json.dumps({"id": "chatcmpl-1", "model": "m", "choices": []})
HEADERS = {"Content-Type": "application/json", "X-Request-Id": "req-1"}


def vcrpy(body: Any = None, **headers: Any) -> dict[str, Any]:
    """A cassette as vcrpy writes it."""
    listed = {name: [value] for name, value in (HEADERS | headers).items()}
    return {
        "version": 1,
        "interactions": [
            {
                "request": {
                    "method": "POST",
                    "uri": URL,
                    "body": json.dumps(SENT),
                    "headers": {"authorization": [f"Bearer {KEY}"]},
                },
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": listed,
                    "body": {"string": BODY if body is None else body},
                },
            }
        ],
    }


def parsed() -> dict[str, Any]:
    """A cassette of vcrpy whose writer keeps parsed bodies."""
    cassette = vcrpy()
    interaction = cassette["interactions"][0]
    del interaction["request"]["body"], interaction["response"]["body"]
    interaction["request"]["parsed_body"] = SENT
    interaction["response"]["parsed_body"] = json.loads(BODY)
    return cassette


def ruby() -> dict[str, Any]:
    """A cassette as VCR for Ruby writes it."""
    headers = {name: [value] for name, value in HEADERS.items()}
    return {
        "http_interactions": [
            {
                "request": {
                    "method": "post",
                    "uri": URL,
                    "body": {"encoding": "UTF-8", "string": json.dumps(SENT)},
                    "headers": {"Authorization": [f"Bearer {KEY}"]},
                },
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": headers,
                    "body": {"encoding": "ASCII-8BIT", "base64_string": base64.b64encode(BODY.encode())},
                },
                "recorded_at": "Tue, 04 Nov 2025 10:00:00 GMT",
            }
        ],
        "recorded_with": "VCR 6.3.1",
    }


def har() -> dict[str, Any]:
    """An archive as a browser exports it."""
    headers = [{"name": name, "value": value} for name, value in HEADERS.items()]
    return {
        "log": {
            "version": "1.2",
            "entries": [
                {
                    "request": {
                        "method": "POST",
                        "url": URL,
                        "headers": [{"name": "Authorization", "value": f"Bearer {KEY}"}],
                        "postData": {"mimeType": "application/json", "text": json.dumps(SENT)},
                    },
                    "response": {
                        "status": 200,
                        "headers": [*headers, {"name": "content-encoding", "value": "br"}],
                        "content": {"text": base64.b64encode(BODY.encode()).decode(), "encoding": "base64"},
                    },
                }
            ],
        }
    }


def lines() -> str:
    """One record, a line, and an empty one."""
    record = {
        "host": "api.example.com",
        "path": "/v1/chat/completions",
        "method": "POST",
        "request": SENT,
        "status": 200,
        "headers": {"content-type": "application/json", "x-request-id": "req-1"},
        "body": BODY,
    }
    return f"{json.dumps(record)}\n\n"


FORMATS: dict[str, Callable[[], str]] = {
    "vcrpy.yaml": lambda: yaml.safe_dump(vcrpy()),
    "vcrpy.json": lambda: json.dumps(vcrpy()),
    "parsed.yml": lambda: yaml.safe_dump(parsed()),
    "ruby.yml": lambda: yaml.safe_dump(ruby()),
    "browser.har": lambda: json.dumps(har()),
    "lines.jsonl": lines,
}


def written(folder: Path, name: str, text: str) -> Path:
    """A file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_exchange(name: str, tmp_path: Path) -> None:
    """Method, address, bodies, status and headers come through; where they lay is their name."""
    path = written(tmp_path, name, FORMATS[name]())
    (exchange,) = read_recordings([path]).exchanges
    assert (exchange.request.method, exchange.request.url, exchange.sent) == ("POST", URL, SENT)
    assert (exchange.status, exchange.json) == (200, json.loads(BODY))
    assert exchange.media_type == "application/json"
    assert exchange.header("x-request-id") == "req-1"
    assert (exchange.probe, exchange.target) == (f"{path}#1", "api.example.com")
    assert not exchange.live
    assert exchange.failure is None


@pytest.mark.parametrize("name", FORMATS)
def test_no_key_is_taken_over(name: str, tmp_path: Path) -> None:
    """Keys stay in the recording: neither evidence nor a curl command could show them."""
    (exchange,) = read_recordings([written(tmp_path, name, FORMATS[name]())]).exchanges
    assert KEY not in repr(exchange)
    assert KEY not in exchange.request.curl()


def test_key_that_the_server_echoed_is_hidden(tmp_path: Path) -> None:
    """A refusal may repeat the key of its request."""
    text = json.dumps(vcrpy(f'{{"error": {{"message": "bad key {KEY}"}}}}'))
    (exchange,) = read_recordings([written(tmp_path, "echo.json", text)]).exchanges
    assert KEY not in exchange.text


def test_packed_body_is_unpacked(tmp_path: Path) -> None:
    """vcrpy keeps bodies as they came over the wire."""
    text = yaml.safe_dump(vcrpy(gzip.compress(BODY.encode()), **{"content-encoding": "gzip"}))
    (exchange,) = read_recordings([written(tmp_path, "packed.yaml", text)]).exchanges
    assert exchange.text == BODY


def test_unpacked_body_under_a_coding_header_is_taken_as_it_is(tmp_path: Path) -> None:
    """Many recorders unpack the body and leave the header."""
    text = yaml.safe_dump(vcrpy(BODY, **{"content-encoding": "gzip"}))
    (exchange,) = read_recordings([written(tmp_path, "plain.yaml", text)]).exchanges
    assert exchange.text == BODY


def test_body_that_was_not_kept_proves_nothing(tmp_path: Path) -> None:
    """Browsers drop large and streamed bodies; the server is not blamed for it."""
    (exchange,) = read_recordings([written(tmp_path, "a.json", json.dumps(vcrpy("")))]).exchanges
    assert exchange.failure == "no body was recorded"


def test_answer_put_together_by_hand_proves_nothing(tmp_path: Path) -> None:
    """Headers that speak of another model than the body are not of this answer."""
    text = json.dumps(vcrpy(BODY.replace('"m"', '"gpt-4o-2024-08-06"'), **{"openai-model": "ada"}))
    (exchange,) = read_recordings([written(tmp_path, "a.json", text)]).exchanges
    assert str(exchange.failure).startswith("headers and body are of two answers")


def test_answer_written_by_hand_proves_nothing(tmp_path: Path) -> None:
    """Servers draw their ids; a test's author makes up others."""
    text = json.dumps(vcrpy(BODY.replace("chatcmpl-1", "msg_test_of_ours")))
    (exchange,) = read_recordings([written(tmp_path, "a.json", text)]).exchanges
    assert exchange.failure == "the answer was written by hand: it has the id msg_test_of_ours"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("notes.md", "some prose", "is no recording of a known format; give a cassette of vcrpy"),
        ("list.json", "[1]", "is no recording of a known format"),
        ("cut.json", '{"interactions": [', "is neither YAML nor JSON, or is cut short"),
        (
            "cut.jsonl",
            lines() + '{"host": "h"',
            "a record is damaged or lacks a part (line 3: JSONDecodeError",
        ),
        ("part.jsonl", '{"host": "h", "path": "/v1/models"}', "lacks a part (line 1: KeyError: 'status')"),
        ("part.json", '{"interactions": [{}]}', "a record is damaged or lacks a part (KeyError: 'request')"),
        ("odd.json", '{"interactions": [3]}', "a record is damaged or lacks a part"),
        ("code.yaml", "interactions: !!python/object/apply:os.getcwd []", "holds more than plain data"),
        ("torn.yaml", "interactions: [", "is neither YAML nor JSON, or is cut short"),
    ],
)
def test_bad_input_is_one_clear_line(name: str, text: str, problem: str, tmp_path: Path) -> None:
    """The line names the file and what is wrong with it; nothing in a file is ever run."""
    path = written(tmp_path, name, text)
    with pytest.raises(RecordingError) as raised:
        read_recordings([path])
    assert str(path) in str(raised.value)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_and_binary_files_are_bad_input(tmp_path: Path) -> None:
    """So are files that cannot be read as text."""
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordingError, match="is not UTF-8 text"):
        read_recordings([tmp_path / "binary.yaml"])
    with pytest.raises(RecordingError, match="No such file"):
        read_recordings([tmp_path / "nowhere.yaml"])


def test_body_packed_without_bounds_is_refused(tmp_path: Path) -> None:
    """A small file cannot fill the memory."""
    text = yaml.safe_dump(vcrpy(gzip.compress(bytes(80 * 2**20)), **{"content-encoding": "gzip"}))
    with pytest.raises(RecordingError, match="a body unpacks to more than 64 MB"):
        read_recordings([written(tmp_path, "bomb.yaml", text)])


def test_folder_gives_its_recordings_and_names_the_rest(tmp_path: Path) -> None:
    """Projects keep other YAML and JSON beside their cassettes."""
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep", "a.yaml", FORMATS["vcrpy.yaml"]())
    written(tmp_path, "b.jsonl", lines())
    other = written(tmp_path, "package.json", "{}")
    written(tmp_path, "notes.txt", "prose")
    recordings = read_recordings([tmp_path])
    assert len(recordings.exchanges) == 2
    assert recordings.passed_over == (other,)


def test_hosts_become_targets(tmp_path: Path) -> None:
    """Each host is on trial by itself, with the models that it was asked for."""
    both = lines() + lines().replace("api.example.com", "other.example.com:8443")
    shelves, _ = shelves_of([str(written(tmp_path, "a.jsonl", both))])
    assert [(s.target.id, s.target.endpoint, s.target.model) for s in shelves] == [
        ("api.example.com", "https://api.example.com", "m"),
        ("other.example.com:8443", "https://other.example.com:8443", "m"),
    ]
    assert [len(shelf.obtained()) for shelf in shelves] == [1, 1]


def test_recordings_without_the_api_are_bad_input(tmp_path: Path) -> None:
    """Judging nothing must not look like success."""
    path = written(tmp_path, "a.jsonl", lines().replace("chat/completions", "messages"))
    with pytest.raises(RecordingError, match="nothing of the OpenAI API is recorded there"):
        shelves_of([str(path)])
