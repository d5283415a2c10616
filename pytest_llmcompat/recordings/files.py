"""Files and folders of recordings: which format each is of, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.foreign import leads_out, load_yaml, read_bounded
from pytest_llmcompat.plain import line
from pytest_llmcompat.recordings.har import records_of_har
from pytest_llmcompat.recordings.lines import records_of_lines
from pytest_llmcompat.recordings.record import Record, RecordingError, exchange_of
from pytest_llmcompat.recordings.ruby_vcr import records_of_ruby_vcr
from pytest_llmcompat.recordings.vcrpy import records_of_vcrpy

__all__ = ["Recordings", "read_recordings"]

_LINES: Final = frozenset({".jsonl", ".ndjson"})
_SUFFIXES: Final = frozenset({*_LINES, ".yaml", ".yml", ".json", ".har"})
_FORMATS: Final = "a cassette of vcrpy or of VCR for Ruby, a HAR file or JSON Lines"


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was found below some paths.

    exchanges: in the order of paths and records; their `probe` is FILE#NUMBER, their `target` the host.
    passed_over: files of a folder that are no recordings.
    """

    exchanges: tuple[Exchange, ...]
    passed_over: tuple[Path, ...]


def read_recordings(paths: Iterable[Path]) -> Recordings:
    """The exchanges of files, and of all recordings below folders. Raises RecordingError.

    A file that was named must be a recording; in a folder what is none is passed over.
    """
    exchanges: list[Exchange] = []
    passed_over: list[Path] = []
    for path in paths:
        if path.is_dir():
            for below in sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file()):
                try:
                    if leads_out(path, below):
                        raise RecordingError(line(f"{below} is a link that leads out of {path}"))
                    exchanges += _exchanges(below)
                except RecordingError:
                    passed_over.append(below)
        else:
            exchanges += _exchanges(path)
    return Recordings(tuple(exchanges), tuple(passed_over))


def _exchanges(path: Path) -> list[Exchange]:
    try:
        return [
            exchange_of(
                record, line(f"{path}#{number}"), line(urlsplit(record.url).netloc.rpartition("@")[2]) or "?"
            )
            for number, record in enumerate(_records(path), 1)
        ]
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        problem = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        raise RecordingError(line(f"{path}: a record is damaged or lacks a part ({problem})")) from error


def _records(path: Path) -> Iterator[Record]:
    text = _text(path)
    if path.suffix in _LINES:
        return records_of_lines(text)
    data = _parsed(path, text)
    if isinstance(data, dict):
        log = data.get("log")
        if isinstance(log, dict) and isinstance(log.get("entries"), list):
            return records_of_har(log["entries"])
        if isinstance(data.get("http_interactions"), list):
            return records_of_ruby_vcr(data["http_interactions"])
        if isinstance(data.get("interactions"), list):
            return records_of_vcrpy(data["interactions"])
    raise RecordingError(line(f"{path} is no recording of a known format; give {_FORMATS}"))


def _text(path: Path) -> str:
    try:
        return read_bounded(path, "utf-8-sig")
    except UnicodeDecodeError:
        raise RecordingError(line(f"{path} is not UTF-8 text; give {_FORMATS}")) from None
    except ValueError as error:
        raise RecordingError(line(f"{path} cannot be read: {error}")) from None
    except OSError as error:
        raise RecordingError(line(f"{path} cannot be read: {error.strerror}")) from None


def _parsed(path: Path, text: str) -> Any:
    """JSON or YAML as plain data."""
    import yaml

    try:
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text)
        return load_yaml(text)
    except yaml.constructor.ConstructorError as error:
        raise RecordingError(line(f"{path} holds more than plain data ({error.problem})")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecordingError(line(f"{path} is neither YAML nor JSON, or is cut short ({error})")) from None
