"""What the user asked for: command-line options over `[tool.llmcompat]`, checked before anything is sent."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.contract import Level
from pytest_llmcompat.suite import CASSETTES

__all__ = ["SUITES", "Settings", "WrongUsage", "merge", "read_table"]

SUITES: Final = (
    "core",
    "tools",
    "json",
    "embeddings",
    "legacy",
    "other",
    "reasoning",
    "vision",
    "responses",
    "extra",
    "opt-in",
)


class WrongUsage(ValueError):
    """An option or a setting that cannot be used; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run; each field is an option `--llm-…` and a key of `[tool.llmcompat]`.

    endpoint: base URLs, `reference`, or preset names. model: model ids; empty to take the only one listed.
    embedding_model: id of the one that gives embeddings; None to take one that is listed.
    api_key_env: environment variable with the key; None for the preset's own or OPENAI_API_KEY.
    api_key: the key itself, for local use. record, replay: write or read cassettes below the folder
    `cassettes` (None for `cassettes` in the working directory).
    level: the weakest level whose broken contracts fail the run. report: paths of JSON reports to write.
    suite: probe groups to run, all for none. timeout: seconds one exchange may take. header: `Name: value`.
    lint: recordings of other tools to judge in the place of an endpoint.
    no_auth: the server has no keys. concurrency: how many probes are under way at once.
    """

    endpoint: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    embedding_model: str | None = None
    api_key_env: str | None = None
    api_key: str | None = field(default=None, repr=False)
    record: bool = False
    replay: bool = False
    cassettes: str | None = None
    level: Level = Level.MUST
    report: tuple[str, ...] = ()
    suite: tuple[str, ...] = ()
    timeout: float = 60.0
    header: tuple[str, ...] = field(default=(), repr=False)
    lint: tuple[str, ...] = ()
    no_auth: bool = False
    concurrency: int = 8

    @property
    def cassette_folder(self) -> Path:
        """Where cassettes lie; the ones that ship with the plugin are replayed where there are no others."""
        folder = Path(self.cassettes or "cassettes")
        if self.replay and self.cassettes is None and not folder.is_dir():
            return CASSETTES
        return folder

    @property
    def headers(self) -> dict[str, str]:
        """The further request headers, by name."""
        split = (line.partition(":") for line in self.header)
        return {name.strip(): value.strip() for name, _, value in split}


_LISTS: Final = frozenset({"endpoint", "model", "report", "suite", "header", "lint"})
_FLAGS: Final = frozenset({"record", "replay", "no_auth"})
_TEXTS: Final = frozenset({"embedding_model", "api_key_env", "api_key", "cassettes"})
# Of these, the one on the command line puts those of the table out of force.
_RIVALS: Final = (
    ({"record"}, {"replay"}),
    ({"lint"}, {"endpoint", "model", "record", "replay"}),
    ({"no_auth"}, {"api_key", "api_key_env"}),
)
# RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = frozenset({"authorization", "content-type", "content-length", "transfer-encoding"})


def read_table(path: Path) -> dict[str, Any]:
    """The table `[tool.llmcompat]` of a pyproject.toml, {} when there is none. Raises WrongUsage."""
    try:
        tools = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise WrongUsage(f"{path.name} cannot be read: {error}") from None
    table = tools.get("llmcompat", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise WrongUsage(f"{path.name}: [tool.llmcompat] is not a table")
    return {str(key).replace("-", "_"): value for key, value in table.items()}


def merge(options: Mapping[str, Any], table: Mapping[str, Any], *, table_name: str) -> Settings:
    """Settings from options (None, [] or False where not given) over a table. Raises WrongUsage."""
    where = f"{table_name} [tool.llmcompat]"
    _check_keys(table, where)
    typed = {
        name: _checked(name, value, f"--llm-{name.replace('_', '-')}")
        for name, value in options.items()
        if value is not None and value is not False and value != []
    }
    given = {name: _checked(name, value, f"{where} {name}") for name, value in table.items()}
    for one, other in _RIVALS:
        for mine, theirs in ((one, other), (other, one)):
            if typed.keys() & mine:
                given = {name: value for name, value in given.items() if name not in theirs}
    settings = Settings(**(given | typed))
    _check_together(settings)
    return settings


def _check_keys(table: Mapping[str, Any], where: str) -> None:
    known = {f.name for f in fields(Settings)} - {"api_key"}
    for key in table:
        if key == "api_key":
            raise WrongUsage(
                f"{where}: a key does not belong into a file; put it into the environment and name the "
                "variable with api_key_env"
            )
        if key not in known:
            raise WrongUsage(f"{where}: unknown key {key!r}{_did_you_mean(key, known)}")


def _checked(name: str, value: Any, where: str) -> Any:
    if name in _LISTS:
        return _texts(name, value, where)
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise WrongUsage(f"{where}: give true or false")
        return value
    if name in _TEXTS:
        if not isinstance(value, str) or not value:
            raise WrongUsage(f"{where}: give a text that is not empty")
        return value
    if name == "level":
        try:
            return Level(str(value).lower())
        except ValueError:
            raise WrongUsage(f"{where}: {value!r} is no level; give must, should or may") from None
    return _number(name, value, where)


def _texts(name: str, value: Any, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(v, str) and v.strip() for v in values):
        raise WrongUsage(f"{where}: give a text that is not empty, or a list of such texts")
    parts = [part.strip() for v in values for part in (v.split(",") if name == "suite" else [v])]
    return tuple(dict.fromkeys(parts))


def _number(name: str, value: Any, where: str) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    whole = name == "concurrency"
    if isinstance(value, bool) or not 0 < number < 1e6 or (whole and number != int(number)):
        raise WrongUsage(
            f"{where}: {value!r} is no {'whole number above 0' if whole else 'number of seconds above 0'}"
        )
    return int(number) if whole else number


def _check_together(settings: Settings) -> None:
    if settings.record and settings.replay:
        raise WrongUsage("--llm-record and --llm-replay exclude each other: record first, replay later")
    if settings.no_auth and (settings.api_key or settings.api_key_env):
        raise WrongUsage("--llm-no-auth says that there are no keys: leave it out, or the key")
    if settings.lint and (settings.endpoint or settings.record or settings.replay):
        raise WrongUsage(
            "--llm-lint judges recordings: leave --llm-endpoint, --llm-record and --llm-replay out"
        )
    for suite in settings.suite:
        if suite not in SUITES:
            raise WrongUsage(f"--llm-suite: unknown suite {suite!r}; there are {', '.join(SUITES)}")
    for line in settings.header:
        _check_header(line)
    for path in settings.report:
        _check_report(path)
    if settings.record:
        _check_writable(settings.cassette_folder)


def _check_header(line: str) -> None:
    """The value may be a secret, so the message never repeats it."""
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name.strip()) or not value.strip() or not line.isprintable():
        raise WrongUsage("--llm-header: write a header as 'Name: value'")
    if name.strip().lower() in _OURS:
        raise WrongUsage(
            f"--llm-header: {name.strip()} is set by the suite; give a key with --llm-api-key-env=NAME"
        )


def _check_report(text: str) -> None:
    path = Path(text)
    if path.suffix.lower() != ".json":
        raise WrongUsage(f"--llm-report: {text}: the only format is JSON so far; end the path in .json")
    if path.is_dir():
        raise WrongUsage(f"--llm-report: {text} is a folder; give the path of a file")
    if not path.resolve().parent.is_dir():
        raise WrongUsage(f"--llm-report: {text}: the folder does not exist; create it first")
    if not os.access(path.resolve().parent, os.W_OK):
        raise WrongUsage(f"--llm-report: {text}: nothing can be written into that folder")


def _check_writable(folder: Path) -> None:
    """A recording run needs a folder that is there or can be made."""
    lowest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not lowest.is_dir():
        raise WrongUsage(f"--llm-cassettes: {lowest} is no folder")
    if not os.access(lowest, os.W_OK):
        raise WrongUsage(f"--llm-cassettes: nothing can be written into {lowest}")


def _did_you_mean(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"
