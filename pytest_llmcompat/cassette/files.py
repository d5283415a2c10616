"""Cassette files: written whole or not at all, and read with distrust."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.cassette.conversion import (
    answer_of,
    extra_of,
    failed_of,
    request_of,
    vcr_request,
    vcr_response,
)
from pytest_llmcompat.cassette.dumping import dumped
from pytest_llmcompat.cassette.paths import check_inside
from pytest_llmcompat.cassette.recording import CassetteError, Recording, redacted
from pytest_llmcompat.foreign import load_yaml, read_bounded

__all__ = ["read", "recorded_targets", "write"]

_FORMAT: Final = 1


def recorded_targets(folder: Path) -> list[tuple[str, str, Path]]:
    """(endpoint, model, folder of its cassettes) of each target recorded below a folder.

    YAML files of other kinds are passed over. Raises CassetteError for a cassette without a readable header.
    """
    found = set()
    for path in sorted(folder.glob("*/*/*.yaml")):
        check_inside(folder, path)
        head = _head(path)
        if head is not None:
            found.add((head["endpoint"], head["model"], path.parent))
    return sorted(found)


def write(path: Path, recording: Recording, secrets: tuple[str, ...] = ()) -> None:
    """Write a recording, redacted; a reader sees the old file or the whole new one, never a part."""
    text = _serialized(redacted(recording, secrets))
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem[:40]}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Only one run records here at a time (see `claim`): what lies beside the cassette is of one that was killed.
    for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        left.unlink(missing_ok=True)


def read(path: Path) -> Recording:
    """Read a recording. Raises CassetteError, and FileNotFoundError when there is no file."""
    import yaml
    from vcr.serialize import deserialize  # type: ignore[import-untyped]

    text = _text(path)
    data = _loaded(path, text)
    head = _provenance(path, data)
    try:
        requests, responses, *_ = deserialize(text, _Serializer(data))
        extras = [interaction["llmcompat"] for interaction in data["interactions"]]
        interactions = [
            (request_of(request), answer_of(response, extra))
            for request, response, extra in zip(requests, responses, extras, strict=True)
        ]
        for failed in head.get("failures") or []:
            interactions.insert(int(failed["position"]), failed_of(failed))
        versions = {str(name): str(version) for name, version in (head.get("versions") or {}).items()}
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError, yaml.YAMLError) as error:
        raise CassetteError(
            path, f"a part of it is missing or damaged ({type(error).__name__}: {error})"
        ) from error
    if len(interactions) != head.get("requests"):
        raise CassetteError(path, "it does not hold as many requests as llmcompat.requests says")
    return Recording(
        head["probe"], head["recorded_at"], head["endpoint"], head["model"], versions, tuple(interactions)
    )


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise CassetteError(path, "it is no file", "remove it")
    try:
        return read_bounded(path)
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise CassetteError(path, "it is not UTF-8 text") from error
    except ValueError as error:
        raise CassetteError(path, str(error)) from error
    except OSError as error:
        raise CassetteError(path, f"it cannot be read ({error.strerror})", "make it readable") from error


def _loaded(path: Path, text: str) -> dict[str, Any]:
    import yaml

    try:
        data = load_yaml(text)
    except yaml.constructor.ConstructorError as error:
        problem = f"it holds more than plain data ({error.problem})"
        raise CassetteError(path, problem, "do not use it unless you know where it is from") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise CassetteError(path, f"it is cut short or no YAML ({_where(error)})") from error
    except ValueError as error:
        raise CassetteError(path, str(error)) from error
    if not isinstance(data, dict):
        raise CassetteError(path, "it is empty or cut short")
    return data


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else type(error).__name__


def _provenance(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """The checked header of a cassette."""
    from vcr.serialize import CASSETTE_FORMAT_VERSION

    head = data.get("llmcompat")
    if not isinstance(head, dict):
        raise CassetteError(path, "it lacks the key llmcompat, so another tool wrote it")
    if isinstance(model := head.get("model"), bytes):
        head = {**head, "model": model.decode("utf-8", "surrogatepass")}
    versions = (data.get("version"), head.get("format"))
    if versions != (CASSETTE_FORMAT_VERSION, _FORMAT):
        raise CassetteError(path, "its format is of another version than this release reads")
    for key in ("probe", "recorded_at", "endpoint", "model"):
        if not isinstance(head.get(key), str):
            raise CassetteError(path, f"llmcompat.{key} is missing or not a text")
    if not isinstance(data.get("interactions"), list):
        raise CassetteError(path, "the key interactions is missing or not a list")
    return head


def _head(path: Path) -> dict[str, Any] | None:
    """The header of a cassette without loading its interactions; None for a YAML file of another kind."""
    lines: list[str] = []
    for line in _text(path).splitlines(keepends=True):
        if line.startswith("interactions:"):
            break
        lines.append(line)
    if not any(line.startswith("llmcompat:") for line in lines):
        return None
    return _provenance(path, {**_loaded(path, "".join(lines)), "interactions": []})


def _writable(text: str) -> str | bytes:
    """A text as YAML can hold it: halves of surrogate pairs, which JSON can name, go only as bytes."""
    octets = text.encode("utf-8", "surrogatepass")
    return text if octets.decode("utf-8", "replace") == text else octets


def _serialized(recording: Recording) -> str:
    """A recording as text: provenance first, then what vcrpy reads."""
    from vcr.serialize import serialize
    from vcr.serializers.compat import convert_to_unicode  # type: ignore[import-untyped]

    head = {
        "format": _FORMAT,
        "recorded_at": recording.recorded_at,
        "probe": recording.probe,
        "endpoint": recording.endpoint,
        "model": _writable(recording.model),
        "versions": dict(sorted(recording.versions.items())),
        "requests": len(recording.interactions),
    }
    answered = [(request, answer) for request, answer in recording.interactions if answer.status]
    failures = [
        {
            "position": position,
            "request": convert_to_unicode(vcr_request(request)._to_dict()),
            **extra_of(answer),
        }
        for position, (request, answer) in enumerate(recording.interactions)
        if not answer.status
    ]
    if failures:
        head["failures"] = failures
    serializer = _Serializer(head=head, extras=[extra_of(answer) for _, answer in answered])
    requests = [vcr_request(request) for request, _ in answered]
    responses = [vcr_response(answer) for _, answer in answered]
    return str(serialize({"requests": requests, "responses": responses}, serializer))


@dataclass(frozen=True, slots=True)
class _Serializer:
    """What vcrpy calls to turn its data into text and back.

    data: the file as loaded already. head: what goes below `llmcompat` of the file.
    extras: what goes below `llmcompat` of each interaction.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    extras: list[dict[str, Any]] = field(default_factory=list)

    def deserialize(self, text: str) -> Mapping[str, Any]:
        del text
        return self.data

    def serialize(self, data: Mapping[str, Any]) -> str:
        interactions = [
            {**interaction, "llmcompat": extra}
            for interaction, extra in zip(data["interactions"], self.extras, strict=True)
        ]
        return dumped({"llmcompat": self.head, "version": data["version"], "interactions": interactions})
