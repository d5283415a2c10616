"""Files that somebody else wrote, or that are damaged: cassettes, recordings to lint, settings."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import yaml
from hypothesis import example
from hypothesis import strategies as st

from pytest_llmcompat.cassette import CassetteError, Replay, read, recorded_targets
from pytest_llmcompat.configuration import Configuration, read_configuration
from pytest_llmcompat.configuration.validation import first_fault
from pytest_llmcompat.probes import PROBES
from pytest_llmcompat.recordings import RecordingError, read_recordings
from pytest_llmcompat.settings import Settings, WrongUsage, merge
from pytest_llmcompat.suite import CASSETTES
from pytest_llmcompat.target import Target
from tests.crash.processes import run
from tests.fuzz.answers import broken_bytes
from tests.fuzz.documents import broken_document, written
from tests.fuzz.profile import RANDOM, fuzzed
from tests.fuzz.samples import samples
from tests.fuzz.trial import answered_by, judge_one, judge_traffic, report_of

COMMAND: Final = "from pytest_llmcompat.command import main; raise SystemExit(main())"
SUFFIXES: Final = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".har", ".txt", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like those of cassettes, for files that are written anew for each example."""
    path = tmp_path_factory.mktemp("fuzzed") / "place" / "model"
    path.mkdir(parents=True)
    return path


@cache
def real_cassettes() -> tuple[bytes, ...]:
    """Some of the cassettes of the repository, the long ones left out."""
    found = (path.read_bytes() for path in sorted(CASSETTES.rglob("*.yaml")))
    return tuple(text for text in found if len(text) < 6000)[::7]


def damaged(random: Random) -> bytes:
    """A real cassette with its bytes damaged, or with another value in one place."""
    text = random.choice(real_cassettes())
    if random.random() < 0.5:
        return broken_bytes(random, text)
    # What JSON can say, YAML can.
    changed = broken_document(random, _as_json(yaml.safe_load(text)))
    return written(changed).encode(errors="surrogatepass")


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def read_as_cassette(path: Path) -> None:
    """Read a file as a cassette, play what is in it and judge that; the only trouble may be a CassetteError."""
    with suppress(CassetteError):
        recording = read(path)
        for request, answer in recording.interactions:
            Replay(recording).answer(request)
            sample = samples()[-1]
            played = answered_by(sample.exchange(recording.probe), answer)
            if recording.probe in PROBES:
                report_of(sample.target, [played], judge_one(sample, played))
    with suppress(CassetteError):
        recorded_targets(path.parent.parent.parent)


@fuzzed(st.binary(max_size=200))
@example(b"- !!python/object/apply:os.system ['true']")
@example(b"llmcompat: {format: 1}\nversion: 1\ninteractions: " + b"[" * 5000)
@example(b"a: &a [*a]")
@example(b"a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nllmcompat: *b\n")
@example(b"? [a]\n: 1\n")
@example(b"2026-13-45: 0x_")
def test_any_bytes_are_a_cassette_or_an_error_of_cassettes(folder: Path, text: bytes) -> None:
    """Nothing in a file makes the reader raise anything else."""
    path = folder / "chat-basic.yaml"
    path.write_bytes(text)
    read_as_cassette(path)


@fuzzed(RANDOM)
def test_damaged_cassettes_are_read_or_refused(folder: Path, random: Random) -> None:
    """A real cassette with one thing wrong."""
    path = folder / "chat-basic.yaml"
    path.write_bytes(damaged(random))
    read_as_cassette(path)


@pytest.mark.parametrize("value", [".nan", ".inf", "-1", "[1]", "{}", "x", "null"])
@pytest.mark.parametrize(
    "where", ["total: {}", "started: {}", "arrivals: [[{}, 5]]", "arrivals: [[0.1, {}]]"]
)
def test_times_that_no_answer_ever_had_are_refused(tmp_path: Path, where: str, value: str) -> None:
    """They would make a report that is no JSON, and verdicts on time that mean nothing."""
    text = next(text for text in map(bytes.decode, real_cassettes()) if "  arrivals: [[" in text)
    name = where.partition(":")[0]
    line = re.compile(rf"(?m)^    {name}: .*(?:\n     .*)*$")
    assert line.search(text)
    path = tmp_path / "chat-basic.yaml"
    path.write_text(line.sub(f"    {where.format(value)}", text, count=1), "utf-8")
    with pytest.raises(CassetteError, match="missing or damaged"):
        read(path)


def test_file_that_is_a_folder_is_no_cassette(tmp_path: Path) -> None:
    """A path that cannot be read is told like any other damage."""
    with pytest.raises(CassetteError):
        read(tmp_path)


def lint(path: Path) -> None:
    """What `llmcompat lint` does with a file, without the output; the only trouble may be a RecordingError."""
    with suppress(RecordingError):
        for exchange in read_recordings([path]).exchanges:
            target = Target(exchange.target, f"https://{exchange.target}", "")
            report_of(target, [exchange], judge_traffic(exchange))


@fuzzed(st.binary(max_size=200), st.sampled_from(SUFFIXES))
@example(
    b'{"log": {"entries": [{"request": {"method": "GET", "url": "http://[x/models"}, "response": {"status": 200}}]}}',
    ".har",
)
@example(b'{"interactions": 1}', ".json")
@example(b'{"interactions": [' * 3000, ".json")
@example(b'{"host": "h", "path": "/models", "status": ' + b"9" * 5000 + b', "body": ""}', ".jsonl")
@example(b'{"host": "h", "path": "/models", "status": 1e999, "body": ""}', ".jsonl")
def test_any_bytes_are_recordings_or_an_error_of_recordings(folder: Path, text: bytes, suffix: str) -> None:
    """Whatever the ending says."""
    path = folder / f"recording{suffix}"
    path.write_bytes(text)
    lint(path)


@fuzzed(RANDOM, st.sampled_from([".yaml", ".json"]))
def test_damaged_recordings_are_judged_or_refused(folder: Path, random: Random, suffix: str) -> None:
    """A real cassette with one thing wrong, its requests included."""
    path = folder / f"recording{suffix}"
    path.write_bytes(damaged(random))
    lint(path)


def test_lint_command_survives_every_file(folder: Path) -> None:
    """A folder of damaged files, and one by itself: a verdict or one line, never a traceback."""
    many = folder / "many"
    many.mkdir()
    for seed in range(60):
        (many / f"{seed}.yaml").write_bytes(damaged(Random(seed)))
    for paths in ([many], [many / "0.yaml"]):
        done = run(folder, [sys.executable, "-c", COMMAND, "lint", *map(str, paths)])
        assert done.status in (0, 1, 2)
        assert done.lines("Traceback") == done.lines("INTERNALERROR") == []


KEYS: Final = st.sampled_from([*Settings.__dataclass_fields__, "no-auth", "endpoints", ""])
LIKELY: Final = st.sampled_from(
    [
        10**400,
        "MUST",
        "core,tools",
        "Name: value",
        "r.json",
        "\0.json",
        "x" * 5000 + ".json",
        "1e999",
        "reference",
    ]
)
VALUES: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), LIKELY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@fuzzed(st.dictionaries(KEYS, VALUES, max_size=5), st.dictionaries(KEYS, VALUES, max_size=2))
@example({"timeout": 10**400}, {})
@example({"concurrency": float("inf")}, {"report": ["\0.json"]})
@example({"report": "x" * 5000 + ".json"}, {})
@example({"record": True, "cassettes": "x" * 5000}, {})
@example({"record": True, "cassettes": "a\0b"}, {})
@example({"replay": True, "cassettes": "a\0b"}, {})
@example({}, {"lint": ["x" * 5000]})
@example({"level": ["must"], "header": ["\ud800: x"]}, {})
def test_any_settings_are_settings_or_wrong_usage(table: dict[str, Any], options: dict[str, Any]) -> None:
    """Each value of each key, from a file or typed, is taken or refused in one line."""
    known = {key: value for key, value in options.items() if key in Settings.__dataclass_fields__}
    there = {key.replace("-", "_"): value for key, value in table.items()}
    fits = there if first_fault(there) is None else {}
    with suppress(WrongUsage):
        assert isinstance(merge(known, fits, table_name="pyproject.toml").headers, dict)


@fuzzed(
    st.one_of(
        st.binary(max_size=100),
        st.text(max_size=100).map(lambda text: f"[tool.llmcompat]\n{text}".encode(errors="surrogatepass")),
    )
)
@example(b"a = " + b"[" * 5000)
@example(b"tool = 1")
@example(b"[tool]\nllmcompat = []")
@example(b"[tool.llmcompat]\ntimeout = " + b"9" * 5000)
def test_any_bytes_are_a_table_or_wrong_usage(folder: Path, text: bytes) -> None:
    """A project's file may hold anything."""
    path = folder / "pyproject.toml"
    path.write_bytes(text)
    with suppress(WrongUsage):
        assert isinstance(read_configuration(folder), Configuration)
