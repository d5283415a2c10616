"""What the user asked for: command-line options over `[tool.llmcompat]`, checked before anything is sent."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_llmcompat.contract import Level

__all__ = ["REFERENCE", "SUITES", "Settings", "WrongUsage", "endpoint_of", "read_key", "read_table"]

REFERENCE: Final = "reference"
SUITES: Final = ("core", "tools", "json")


class WrongUsage(ValueError):
    """An option or a setting that cannot be used; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run; each field is an option `--llm-…` and a key of `[tool.llmcompat]`.

    endpoint: base URLs, `reference`, or preset names. model: model ids; empty to take the only one listed.
    api_key_env: environment variable with the key; None for the preset's own or OPENAI_API_KEY.
    api_key: the key itself, for local use. record, replay: write or read cassettes below `cassettes`.
    level: the weakest level whose broken contracts fail the run. report: paths of JSON reports to write.
    suite: probe groups to run, all for none. timeout: seconds one exchange may take. header: `Name: value`.
    no_auth: the server has no keys. concurrency: how many probes are under way at once.
    """

    endpoint: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    api_key_env: str | None = None
    api_key: str | None = field(default=None, repr=False)
    record: bool = False
    replay: bool = False
    cassettes: str = "cassettes"
    level: Level = Level.MUST
    report: tuple[str, ...] = ()
    suite: tuple[str, ...] = ()
    timeout: float = 60.0
    header: tuple[str, ...] = field(default=(), repr=False)
    no_auth: bool = False
    concurrency: int = 8

    @property
    def headers(self) -> dict[str, str]:
        """The further request headers, by name."""
        split = (line.partition(":") for line in self.header)
        return {name.strip(): value.strip() for name, _, value in split}


_LISTS: Final = frozenset({"endpoint", "model", "report", "suite", "header"})
_FLAGS: Final = frozenset({"record", "replay", "no_auth"})
_TEXTS: Final = frozenset({"api_key_env", "api_key", "cassettes"})


def read_table(path: Path) -> dict[str, Any]:
    """The table `[tool.llmcompat]` of a pyproject.toml, {} when there is none. Raises WrongUsage."""
    try:
        table = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("llmcompat", {})
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path.name} cannot be read: {error}") from None
    if not isinstance(table, dict):
        raise WrongUsage(f"{path.name}: [tool.llmcompat] is not a table")
    return {str(key).replace("-", "_"): value for key, value in table.items()}


def merge(options: Mapping[str, Any], table: Mapping[str, Any], *, table_name: str) -> Settings:
    """Settings from options (None or empty where not given) over a table. Raises WrongUsage."""
    known = {f.name for f in fields(Settings)} - {"api_key"}
    for key in table:
        if key not in known:
            raise WrongUsage(f"{table_name}: unknown key {key!r} in [tool.llmcompat]{_did_you_mean(key, known)}")
    given = {
        name: _checked(name, value, f"{table_name} [tool.llmcompat] {name}") for name, value in table.items()
    }
    for name, value in options.items():
        if value not in (None, [], (), False, ""):
            given[name] = _checked(name, value, f"--llm-{name.replace('_', '-')}")
    settings = Settings(**given)
    _check_together(settings)
    return settings


def _checked(name: str, value: Any, where: str) -> Any:
    if name in _LISTS:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(v, str) and v.strip() for v in values):
            raise WrongUsage(f"{where}: give a text or a list of texts")
        values = [part.strip() for v in values for part in (v.split(",") if name == "suite" else [v])]
        return tuple(dict.fromkeys(values))
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise WrongUsage(f"{where}: give true or false")
        return value
    if name in _TEXTS:
        if not isinstance(value, str) or not value:
            raise WrongUsage(f"{where}: give a text")
        return value
    if name == "level":
        try:
            return Level(str(value).lower())
        except ValueError:
            raise WrongUsage(f"{where}: {value!r} is no level; give must, should or may") from None
    return _number(name, value, where)


def _number(name: str, value: Any, where: str) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    whole = name == "concurrency"
    if isinstance(value, bool) or not 0 < number < 1e6 or (whole and number != int(number)):
        raise WrongUsage(f"{where}: {value!r} is no {'whole number above 0' if whole else 'number of seconds above 0'}")
    return int(number) if whole else number


def _check_together(settings: Settings) -> None:
    if settings.record and settings.replay:
        raise WrongUsage("--llm-record and --llm-replay exclude each other: record first, replay later")
    for suite in settings.suite:
        if suite not in SUITES:
            raise WrongUsage(f"--llm-suite: unknown suite {suite!r}; there are {', '.join(SUITES)}")
    for line in settings.header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip() or not (line.isprintable() and name.isascii()):
            raise WrongUsage("--llm-header: write a header as 'Name: value'")
        if name.strip().lower() in {"authorization", "content-type"}:
            raise WrongUsage(
                f"--llm-header: {name.strip()} is set by the suite; give a key with --llm-api-key-env=NAME"
            )
    for path in settings.report:
        if not path.endswith(".json"):
            raise WrongUsage(f"--llm-report: {path}: the only format is JSON so far; end the path in .json")
        if not Path(path).resolve().parent.is_dir():
            raise WrongUsage(f"--llm-report: {path}: the folder does not exist; create it first")


def _did_you_mean(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send, and which variable holds the key by default."""

    name: str
    base_url: str
    key_variable: str


def endpoint_of(text: str, presets: Mapping[str, Mapping[str, str]]) -> Endpoint:
    """The endpoint that a user typed: a URL or the name of a preset. Raises WrongUsage."""
    if text in presets:
        preset = presets[text]
        return Endpoint(text, preset["base_url"].rstrip("/"), preset["key_variable"])
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        close = difflib.get_close_matches(text, [*presets, REFERENCE], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"presets: {', '.join([REFERENCE, *presets])}"
        raise WrongUsage(f"--llm-endpoint: {text!r} is neither a URL (https://…/v1) nor a known name; {hint}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise WrongUsage(
            f"--llm-endpoint: {parts.scheme}://{parts.hostname}: give the base URL without user name, query or "
            "fragment; keys go into --llm-api-key-env=NAME"
        )
    return Endpoint(parts.netloc, text.rstrip("/"), "OPENAI_API_KEY")


def read_key(settings: Settings, endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key for an endpoint, None for none. Raises WrongUsage when it is missing or cannot be a header."""
    if settings.no_auth:
        return None
    if settings.api_key is not None:
        return _sane(settings.api_key, "--llm-api-key")
    variable = settings.api_key_env or endpoint.key_variable
    key = environment.get(variable)
    if not key:
        raise WrongUsage(
            f"no key for {endpoint.name}: set the environment variable {variable}, name another with "
            "--llm-api-key-env=NAME, or say --llm-no-auth if the server has no keys"
        )
    return _sane(key, variable)


def _sane(key: str, where: str) -> str:
    if key != key.strip():
        raise WrongUsage(f"the key in {where} has white space around it; remove it")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise WrongUsage(f"the key in {where} holds characters that no HTTP header can carry; copy it again")
    return key
