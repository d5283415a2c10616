"""Cassettes: exchanges on disk as ordinary vcrpy files, redacted, written whole or not at all.

What vcrpy has no place for stands in keys that it ignores: provenance and failures of the transport in
`llmcompat` at the top of the file, times in `llmcompat` of each interaction. HTTP answers come as decoded
bodies, so the headers that described the coded ones stand in `llmcompat` too (`coded`).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pytest_llmcompat.exchange import Headers, Request
from pytest_llmcompat.redaction import redact_answer, redact_bytes, redact_headers, redact_text, redact_url
from pytest_llmcompat.target import Target
from pytest_llmcompat.wire import Answer

if TYPE_CHECKING:
    import yaml

__all__ = ["CassetteError", "Recording", "Replay", "path_of", "read", "recorded_targets", "write"]

_VcrRequest = Any  # vcrpy has no types
_FORMAT: Final = 1
_CODING: Final = "content-encoding"
_LONGEST_SLUG: Final = 80
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")
_RECORD_AGAIN: Final = "delete it and record it again with --llm-record"


class CassetteError(Exception):
    """A cassette cannot be used: it is cut short, damaged, of another version, or not to be trusted.

    path: the file. problem: what is wrong with it. remedy: what to do.
    """

    def __init__(self, path: Path, problem: str, remedy: str = _RECORD_AGAIN) -> None:
        super().__init__(" ".join(f"cassette {path}: {problem}; {remedy}".split()))
        self.path, self.problem, self.remedy = path, problem, remedy


@dataclass(frozen=True, slots=True)
class Recording:
    """What one probe met at one target.

    probe: id of the probe. recorded_at: ISO 8601 date and time in UTC.
    endpoint: base URL. model: id of the model. versions: name → version of what took part.
    interactions: the requests with their answers, in the order in which they were sent.
    """

    probe: str
    recorded_at: str
    endpoint: str
    model: str
    versions: Mapping[str, str] = field(default_factory=dict)
    interactions: tuple[tuple[Request, Answer], ...] = ()


class Replay:
    """Plays each interaction of a recording once, in order; not for use from several threads.

    secrets: keys that requests may bear in their URL or body, which the recording holds redacted.
    """

    def __init__(self, recording: Recording, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = secrets
        self._left = [(_vcr_request(request), answer) for request, answer in recording.interactions]

    def answer(self, request: Request) -> Answer | None:
        """The first answer not yet played to a request with this method, path, query and body, or None."""
        from vcr import matchers  # type: ignore[import-untyped]

        wanted = _vcr_request(_redacted(request, self._secrets))
        on = (matchers.method, matchers.path, matchers.query, _same_body)
        for index, (recorded, answer) in enumerate(self._left):
            if matchers.requests_match(wanted, recorded, on):
                del self._left[index]
                return answer
        return None


def path_of(folder: Path, target: Target, probe_id: str) -> Path:
    """Where the cassette of a probe lies: folder/ENDPOINT/MODEL/PROBE.yaml; no two targets share one."""
    parts = urlsplit(target.endpoint)
    place = parts.netloc.rpartition("@")[2].lower()
    port = "80" if parts.scheme == "http" else "443"
    place = f"{place}:{port}" if port == "80" and not re.search(r":\d+$", place) else place
    place = place.removesuffix(":443")
    endpoint = _slug(f"{place}{parts.path.rstrip('/')}", {"/": "_", ":": "+"})
    return folder / endpoint / _slug(target.model) / f"{_slug(probe_id)}.yaml"


def recorded_targets(folder: Path) -> list[tuple[str, str, Path]]:
    """(endpoint, model, folder of its cassettes) of each target recorded below a folder.

    YAML files of other kinds are passed over. Raises CassetteError for a cassette without a readable header.
    """
    found = set()
    for path in sorted(folder.glob("*/*/*.yaml")):
        head = _head(path)
        if head is not None:
            found.add((head["endpoint"], head["model"], path.parent))
    return sorted(found)


def write(path: Path, recording: Recording, secrets: tuple[str, ...] = ()) -> None:
    """Write a recording, redacted; a reader sees the old file or the whole new one, never a part."""
    text = _dumped(_redacted_recording(recording, secrets))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=".tmp")
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
            (_request(request), _answer(response, extra))
            for request, response, extra in zip(requests, responses, extras, strict=True)
        ]
        for failed in head.get("failures") or []:
            interactions.insert(int(failed["position"]), _failure(failed))
        versions = {str(name): str(version) for name, version in (head.get("versions") or {}).items()}
    except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise CassetteError(
            path, f"a part of it is missing or damaged ({type(error).__name__}: {error})"
        ) from error
    if len(interactions) != head.get("requests"):
        raise CassetteError(path, "it does not hold as many requests as llmcompat.requests says")
    return Recording(
        head["probe"], head["recorded_at"], head["endpoint"], head["model"], versions, tuple(interactions)
    )


def _slug(text: str, names: Mapping[str, str] | None = None) -> str:
    """A safe file name; what is not in the text word for word gets a hash, so that no two texts share a name.

    names: characters that always become another one, which itself then counts as a change.
    """
    names = names or {}
    kept = "".join(names.get(c, c) if c not in names.values() else "-" for c in text.lower())
    kept = re.sub(r"[^a-z0-9._+-]+", "-", kept)
    safe = kept.strip("-. ")[:_LONGEST_SLUG].rstrip("-. ") or "x"
    safe = f"x-{safe}" if _DEVICES.match(safe) else safe
    back = {new: old for old, new in names.items()}
    if "".join(back.get(c, c) for c in safe) == text:
        return safe
    return f"{safe}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CassetteError(path, "it is not UTF-8 text") from error


def _loaded(path: Path, text: str) -> dict[str, Any]:
    """The plain data of a YAML text; nothing in it is ever run."""
    import yaml

    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.constructor.ConstructorError as error:
        problem = f"it holds more than plain data ({error.problem})"
        raise CassetteError(path, problem, "do not use it unless you know where it is from") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CassetteError(path, f"it is cut short or no YAML ({_where(error)})") from error
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


def _redacted(request: Request, secrets: tuple[str, ...]) -> Request:
    return Request(
        request.method,
        redact_url(request.url, secrets),
        redact_headers(request.headers, secrets),
        redact_bytes(request.body, secrets),
    )


def _redacted_recording(recording: Recording, secrets: tuple[str, ...]) -> Recording:
    return Recording(
        recording.probe,
        recording.recorded_at,
        redact_url(recording.endpoint, secrets),
        redact_text(recording.model, secrets),
        recording.versions,
        tuple(
            (_redacted(sent, secrets), redact_answer(answer, secrets))
            for sent, answer in recording.interactions
        ),
    )


def _same_body(mine: _VcrRequest, recorded: _VcrRequest) -> bool:
    """vcrpy's matcher: equal as JSON when both say that they are JSON, else byte by byte."""
    from vcr import matchers

    if mine.body == recorded.body:
        return True
    try:
        matchers.body(mine, recorded)
    except (AssertionError, RecursionError):
        return False
    return True


def _vcr_request(request: Request) -> _VcrRequest:
    import vcr.request  # type: ignore[import-untyped]

    headers: dict[str, str] = {}
    for name, value in sorted(request.headers, key=lambda header: header[0]):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return vcr.request.Request(request.method, request.url, request.body, headers)


def _vcr_response(answer: Answer) -> dict[str, Any]:
    try:
        message = HTTPStatus(answer.status).phrase
    except ValueError:
        message = ""
    headers: dict[str, list[str | bytes]] = {}
    for name, value in sorted(answer.headers, key=lambda header: header[0]):
        if name != _CODING:
            # Clients that vcrpy serves refuse a text that is not ASCII, and take bytes.
            headers.setdefault(name, []).append(value if value.isascii() else value.encode())
    if _CODING in dict(answer.headers) and "content-length" in headers:
        headers["content-length"] = [str(len(answer.body))]
    return {
        "status": {"code": answer.status, "message": message},
        "headers": headers,
        "body": {"string": answer.body},
    }


def _extra(answer: Answer) -> dict[str, Any]:
    """What vcrpy has no place for; times to the microsecond."""
    coded = dict(answer.headers)
    extra: dict[str, Any] = {} if answer.failure is None else {"failure": answer.failure}
    extra |= {"started": round(answer.started, 6), "total": round(answer.total, 6)}
    if _CODING in coded:
        extra["coded"] = {name: coded[name] for name in (_CODING, "content-length") if name in coded}
    return {**extra, "arrivals": [[round(seconds, 6), length] for seconds, length in answer.arrivals]}


def _request(request: _VcrRequest) -> Request:
    body = request.body or b""
    if not isinstance(body, bytes):
        raise TypeError("a request body is neither text nor bytes")
    headers = sorted((str(name).lower(), str(value)) for name, value in request.headers.items())
    return Request(str(request.method), str(request.uri), tuple(headers), body)


def _answer(response: Mapping[str, Any], extra: Mapping[str, Any]) -> Answer:
    coded = extra.get("coded") or {}
    headers = [
        (str(name).lower(), value.decode() if isinstance(value, bytes) else str(value))
        for name, values in response["headers"].items()
        if name not in coded
        for value in ([values] if isinstance(values, str) else values)
    ]
    body = response["body"]["string"] or b""
    if not isinstance(body, bytes):
        raise TypeError("an answer body is neither text nor bytes")
    return _timed(int(response["status"]["code"]), (*headers, *coded.items()), body, extra)


def _timed(status: int, headers: Headers, body: bytes, extra: Mapping[str, Any]) -> Answer:
    return Answer(
        status=status,
        headers=tuple(sorted(headers, key=lambda header: header[0])),
        body=body,
        arrivals=tuple((float(seconds), int(length)) for seconds, length in extra["arrivals"]),
        started=float(extra.get("started", 0.0)),
        total=float(extra.get("total", 0.0)),
        failure=extra.get("failure"),
    )


def _failure(failed: Mapping[str, Any]) -> tuple[Request, Answer]:
    import vcr.request

    return _request(vcr.request.Request._from_dict(failed["request"])), _timed(0, (), b"", failed)


def _dumped(recording: Recording) -> str:
    """A recording as text: provenance first, then what vcrpy reads."""
    from vcr.serialize import serialize
    from vcr.serializers.compat import convert_to_unicode  # type: ignore[import-untyped]

    head = {
        "format": _FORMAT,
        "recorded_at": recording.recorded_at,
        "probe": recording.probe,
        "endpoint": recording.endpoint,
        "model": recording.model,
        "versions": dict(sorted(recording.versions.items())),
        "requests": len(recording.interactions),
    }
    answered = [(request, answer) for request, answer in recording.interactions if answer.status]
    failures = [
        {
            "position": position,
            "request": convert_to_unicode(_vcr_request(request)._to_dict()),
            **_extra(answer),
        }
        for position, (request, answer) in enumerate(recording.interactions)
        if not answer.status
    ]
    if failures:
        head["failures"] = failures
    serializer = _Serializer(head=head, extras=[_extra(answer) for _, answer in answered])
    requests = [_vcr_request(request) for request, _ in answered]
    responses = [_vcr_response(answer) for _, answer in answered]
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
        import yaml

        interactions = [
            {**interaction, "llmcompat": extra}
            for interaction, extra in zip(data["interactions"], self.extras, strict=True)
        ]
        whole = {"llmcompat": self.head, "version": data["version"], "interactions": interactions}
        text: str = yaml.dump(whole, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110)
        return text.rstrip("\n") + "\n"


@cache
def _dumper() -> type[yaml.SafeDumper]:
    """A YAML dumper whose files are pleasant to review, and come back byte for byte."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Long texts as literal blocks; where those are not exact, quoted line by line."""

        def ignore_aliases(self, data: object) -> bool:
            del data
            return True

        def represent_text(self, text: str) -> yaml.ScalarNode:
            style = None
            if '"' in text or "\n" in text or not text.isprintable():
                style = "|" if _LITERAL.fullmatch(text) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

        def represent_list(self, items: Iterable[Any]) -> yaml.SequenceNode:
            entries = list(items)
            pairs = bool(entries) and all(isinstance(entry, list) for entry in entries)
            return self.represent_sequence("tag:yaml.org,2002:seq", entries, flow_style=pairs)

        def write_double_quoted(self, text: str, split: bool = True) -> None:
            self.write_indicator('"', True)
            lines = re.findall(r"[^\n]*\n|[^\n]+", text) if split else [text]
            for number, line in enumerate(lines):
                if number:
                    self.stream.write("\\")
                    self.write_indent()
                    self.stream.write("\\" if line.startswith(" ") else "")
                escaped = _UNQUOTABLE.sub(_escape, line)
                self.stream.write(escaped)
                self.column += len(escaped)
            self.write_indicator('"', False)

    Dumper.add_representer(str, Dumper.represent_text)
    Dumper.add_representer(list, Dumper.represent_list)
    return Dumper


# Lines of printable characters that neither start a block with white space nor end in it: editors keep these.
_PRINTABLE: Final = r"[ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]"
_LITERAL: Final = re.compile(rf"(?! )(?:{_PRINTABLE}*(?<! )\n)*(?:{_PRINTABLE}*(?<! ))?")
_UNQUOTABLE: Final = re.compile(rf'["\\]|(?!{_PRINTABLE}).', re.DOTALL)
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", '"': '\\"', "\\": "\\\\"}


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
