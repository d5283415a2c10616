"""What the user asked for: command-line options over the configuration file, checked before anything is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.contract import Level
from pytest_llmcompat.limits import Limits
from pytest_llmcompat.suite import CASSETTES
from pytest_llmcompat.target import Latency

__all__ = ["REPORT_SUFFIXES", "SUITES", "Settings", "WrongUsage", "merge"]

REPORT_SUFFIXES: Final = (".json", ".md")
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
    """The options of a run, or of one of its named targets; each field is an option `--llm-…` and a key of the file.

    name: of the target in the file, None when it was typed. target: names of targets in the file, or `all`.
    endpoint: base URLs, `reference`, or preset names. model: model ids, or globs over those that are listed;
    empty to take the only one. embedding_model: id of the one that gives embeddings; None to take one listed.
    require_models: ids that the endpoint has to list.
    api_key_env: environment variable with the key; None for the preset's own or OPENAI_API_KEY.
    api_key: the key itself, for local use. record, replay: write or read cassettes below the folder
    `cassettes` (None for `cassettes` in the working directory).
    level: the weakest level whose broken contracts fail the run. report: paths of reports to write.
    client: clients whose contracts fail the run, whatever their level.
    suite: probe groups to run, all for none. header: `Name: value`. timeout: seconds one exchange may take;
    connect_timeout, first_byte_timeout, idle_timeout: seconds for its parts (see `Limits`; None for `timeout`).
    run_timeout: seconds after which nothing more is sent (None: see `run_seconds`).
    latency: seconds that answers may take. lint: recordings of other tools to judge in the place of an endpoint.
    no_auth: the server has no keys. concurrency: how many probes are under way at once.
    baseline: path of an earlier report; update_baseline: write it anew. baseline_strict: a contract that passed
    and is inconclusive now fails too. drift: what a shape other than the recorded one is: off, warn or fail.
    replaceable: `A=B`, target B has to keep what A keeps. strict_waivers: useless waivers fail the run.
    max_requests, max_tokens, max_cost (USD): budgets of the run. shard: `2/5`, the part of the contracts to judge.
    """

    name: str | None = None
    target: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    embedding_model: str | None = None
    require_models: tuple[str, ...] = ()
    api_key_env: str | None = None
    api_key: str | None = field(default=None, repr=False)
    record: bool = False
    replay: bool = False
    cassettes: str | None = None
    level: Level = Level.MUST
    report: tuple[str, ...] = ()
    suite: tuple[str, ...] = ()
    timeout: float = 60.0
    connect_timeout: float = 10.0
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    run_timeout: float | None = None
    header: tuple[str, ...] = field(default=(), repr=False)
    lint: tuple[str, ...] = ()
    no_auth: bool = False
    concurrency: int = 8
    latency: Latency = field(default_factory=Latency)
    client: tuple[str, ...] = ()
    baseline: str | None = None
    update_baseline: bool = False
    baseline_strict: bool = False
    drift: str = "warn"
    replaceable: tuple[str, ...] = ()
    strict_waivers: bool = False
    max_requests: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    shard: str | None = None

    @property
    def cassette_folder(self) -> Path:
        """Where cassettes lie; the ones that ship with the plugin are replayed where there are no others."""
        folder = Path(self.cassettes or "cassettes")
        if self.replay and self.cassettes is None and not folder.is_dir():
            return CASSETTES
        return folder

    @property
    def limits(self) -> Limits:
        """The limits of each exchange."""
        return Limits(
            connect=self.connect_timeout,
            first_byte=self.first_byte_timeout or self.timeout,
            idle=self.idle_timeout or self.timeout,
            total=self.timeout,
        )

    @property
    def run_seconds(self) -> float:
        """How long the run may send: half an hour for each target, or 30 exchanges that use up their time."""
        targets = len(self.endpoint) * max(1, len(self.model))
        return self.run_timeout or max(1800.0, 30 * self.timeout) * max(1, targets)

    @property
    def headers(self) -> dict[str, str]:
        """The further request headers, by name."""
        split = (line.partition(":") for line in self.header)
        return {name.strip(): value.strip() for name, _, value in split}


_LISTS: Final = frozenset(
    {
        "target",
        "endpoint",
        "model",
        "require_models",
        "report",
        "suite",
        "header",
        "lint",
        "client",
        "replaceable",
    }
)
_SPLIT: Final = frozenset({"target", "suite", "client"})
_FLAGS: Final = frozenset(
    {"record", "replay", "no_auth", "update_baseline", "baseline_strict", "strict_waivers"}
)
_TEXTS: Final = frozenset({"embedding_model", "api_key_env", "api_key", "cassettes", "baseline", "shard"})
_COUNTS: Final = frozenset({"concurrency", "max_requests", "max_tokens"})
_UNITS: Final = {"max_cost": "amount of USD above 0"}
# Of seconds and USD, and of counts.
_LARGEST: Final = (1e6, 1e12)
_DRIFTS: Final = ("off", "warn", "fail")
# Of these, the one on the command line puts those of the table out of force.
_RIVALS: Final = (
    ({"record"}, {"replay"}),
    ({"lint"}, {"endpoint", "model", "record", "replay", "target"}),
    ({"no_auth"}, {"api_key", "api_key_env"}),
)
# RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = frozenset({"authorization", "content-type", "content-length", "transfer-encoding"})


def merge(
    options: Mapping[str, Any], table: Mapping[str, Any], *, table_name: str, name: str | None = None
) -> Settings:
    """Settings from options (None, [] or False where not given) over a table of the configuration file.

    name: of the target that the table is about. Raises WrongUsage.
    """
    typed = {
        key: _checked(key, value, f"--llm-{key.replace('_', '-')}")
        for key, value in options.items()
        if value is not None and value is not False and value != []
    }
    given = {key: _checked(key, value, f"{table_name} {key}") for key, value in table.items()}
    for one, other in _RIVALS:
        for mine, theirs in ((one, other), (other, one)):
            if typed.keys() & mine:
                given = {key: value for key, value in given.items() if key not in theirs}
    settings = Settings(**(given | typed), name=name)
    _check_together(settings)
    return settings


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
    if name == "drift":
        if value not in _DRIFTS:
            raise WrongUsage(f"{where}: {value!r} is none of {', '.join(_DRIFTS)}")
        return value
    if name == "latency":
        return Latency(
            **{limit: _number(limit, seconds, f"{where} {limit}") for limit, seconds in value.items()}
        )
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
    parts = [part.strip() for v in values for part in (v.split(",") if name in _SPLIT else [v])]
    return tuple(dict.fromkeys(parts))


def _number(name: str, value: Any, where: str) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    whole = name in _COUNTS
    if isinstance(value, bool) or not 0 < number < _LARGEST[whole] or (whole and number != int(number)):
        what = "whole number above 0" if whole else _UNITS.get(name, "number of seconds above 0")
        raise WrongUsage(f"{where}: {value!r} is no {what}")
    return int(number) if whole else number


def _check_together(settings: Settings) -> None:
    if settings.record and settings.replay:
        raise WrongUsage("--llm-record and --llm-replay exclude each other: record first, replay later")
    if settings.no_auth and (settings.api_key or settings.api_key_env):
        raise WrongUsage("--llm-no-auth says that there are no keys: leave it out, or the key")
    if settings.update_baseline and settings.baseline is None:
        raise WrongUsage("--llm-update-baseline needs --llm-baseline=FILE: say which file to write")
    if settings.lint and (settings.endpoint or settings.record or settings.replay or settings.target):
        raise WrongUsage(
            "--llm-lint judges recordings: leave --llm-endpoint, --llm-record and --llm-replay out"
        )
    for suite in settings.suite:
        if suite not in SUITES:
            raise WrongUsage(f"--llm-suite: unknown suite {suite!r}; there are {', '.join(SUITES)}")
    for line in settings.header:
        _check_header(line)
    named = [("report", path) for path in settings.report] + [("lint", path) for path in settings.lint]
    for option, path in [*named, *([("cassettes", settings.cassettes)] if settings.cassettes else [])]:
        _check_name(option, path)
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


def _check_name(option: str, text: str) -> None:
    """Some texts name no file that could ever be there: they are too long, or hold a NUL."""
    try:
        Path(text).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise WrongUsage(f"--llm-{option}: {text[:60]!r} cannot be used: {problem}") from None


def _check_report(text: str) -> None:
    path = Path(text)
    if path.suffix.lower() not in REPORT_SUFFIXES:
        raise WrongUsage(f"--llm-report: {text}: end the path in {' or '.join(REPORT_SUFFIXES)}")
    if path.is_dir():
        raise WrongUsage(f"--llm-report: {text} is a folder; give the path of a file")
    if path.exists() and not path.is_file():
        raise WrongUsage(f"--llm-report: {text} is no ordinary file; give the path of one")
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
