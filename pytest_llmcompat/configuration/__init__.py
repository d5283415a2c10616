"""The configuration in a file: defaults for the options, named targets, waivers, prices.

It stands in `llmcompat.toml`, or in the table `[tool.llmcompat]` of a pyproject.toml.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.configuration.place import line_of
from pytest_llmcompat.configuration.validation import SCHEMA_FILE, first_fault
from pytest_llmcompat.plain import line
from pytest_llmcompat.price import Price
from pytest_llmcompat.settings import Settings, WrongUsage, merge
from pytest_llmcompat.waiver import Waiver, contradictions, waivers_of

__all__ = ["FILE_NAME", "SCHEMA_FILE", "STARTER_FILE", "Configuration", "read_configuration", "settings_of"]

FILE_NAME: Final = "llmcompat.toml"
STARTER_FILE: Final = Path(__file__).with_name("starter.toml")
_EVERY: Final = "all"
# What a named target says anew, whatever the defaults say.
_PLACE: Final = frozenset({"endpoint", "model", "embedding_model", "api_key_env", "no_auth", "header"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says.

    name: the file and table as messages call them. defaults: values of options by their names in `Settings`.
    targets: likewise for each named target. waivers: failures accepted in writing.
    prices: by model id or glob, USD per million tokens.
    """

    name: str = FILE_NAME
    defaults: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)


def read_configuration(*folders: Path) -> Configuration:
    """The configuration of the first folder that has one; an empty one when none has. Raises WrongUsage."""
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        own, project = folder / FILE_NAME, folder / "pyproject.toml"
        table = _table(project)
        if own.is_file():
            if table is not None:
                raise WrongUsage(
                    f"settings stand in both {FILE_NAME} and {project.name} [tool.llmcompat]; keep one of them"
                )
            return _configuration(own, _parsed(own), ())
        if table is not None:
            return _configuration(project, table, ("tool", "llmcompat"))
    return Configuration()


def settings_of(
    options: Mapping[str, Any], configuration: Configuration
) -> tuple[Settings, tuple[Settings, ...]]:
    """The settings of the run, and those of each target that `--llm-target` names, else of the run alone.

    Options go before what a target says, and that before the defaults. Raises WrongUsage.
    """
    if options.get("target") and options.get("endpoint"):
        raise WrongUsage(
            "--llm-target and --llm-endpoint exclude each other: a named target has its endpoint"
        )
    run = merge(options, configuration.defaults, table_name=configuration.name)
    if not run.target:
        return run, (run,)
    names = _chosen(run.target, configuration)
    shared = {name: value for name, value in configuration.defaults.items() if name not in _PLACE}
    return run, tuple(
        merge(
            options,
            shared | dict(configuration.targets[name]),
            table_name=f"{configuration.name} targets.{name}",
            name=name,
        )
        for name in names
    )


def _chosen(asked: Collection[str], configuration: Configuration) -> list[str]:
    known = configuration.targets
    if not known:
        raise WrongUsage(
            f"--llm-target: there are no targets; name some in {FILE_NAME} (`llmcompat init` writes one to begin with)"
        )
    for name in asked:
        if name != _EVERY and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)} and {_EVERY}"
            raise WrongUsage(f"--llm-target: {configuration.name} has no target {name!r}; {hint}")
    return list(known) if _EVERY in asked else [name for name in known if name in asked]


def _table(project: Path) -> Mapping[str, Any] | None:
    """The table `[tool.llmcompat]`, None when there is none."""
    if not project.is_file():
        return None
    tools = _parsed(project).get("tool", {})
    table = tools.get("llmcompat") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise WrongUsage(f"{project.name}: [tool.llmcompat] is not a table")
    return table


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise WrongUsage(f"{path.name} cannot be read: {line(str(error))}") from None


def _configuration(path: Path, table: Mapping[str, Any], prefix: tuple[str, ...]) -> Configuration:
    document = _normal(table)
    name = f"{path.name} [{'.'.join(prefix)}]" if prefix else path.name

    def refuse(place: tuple[str | int, ...], what: str) -> WrongUsage:
        number = line_of(path.read_text("utf-8"), (*prefix, *place))
        return WrongUsage(f"{path.name}, line {number}: {_spelled((*prefix, *place))}{what}")

    try:
        fault = first_fault(document)
    except RecursionError:
        raise WrongUsage(f"{path.name} cannot be read: it nests too deeply") from None
    if fault:
        raise refuse(*fault)
    waivers = waivers_of(document.pop("waivers", ()))
    if rivals := contradictions(waivers):
        again = waivers[rivals[0]]
        raise refuse(
            ("waivers", rivals[0]),
            f"{again.contract} on {again.target} is waived twice; keep one of the two waivers",
        )
    prices = {
        model: Price(price["input"], price["output"]) for model, price in document.pop("prices", {}).items()
    }
    targets = document.pop("targets", {})
    return Configuration(name, document, targets, waivers, prices)


def _spelled(place: tuple[str | int, ...]) -> str:
    """A place as it would be written in TOML; positions count from 1."""
    parts = [f"{part + 1}." if isinstance(part, int) else str(part) for part in place]
    return f"{' '.join(parts)}: " if parts else ""


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with underscores for dashes in the keys that are ours, and dates as texts."""
    normal = _keys(table)
    targets = normal.get("targets")
    if isinstance(targets, dict):
        normal["targets"] = {name: _keys(of) if isinstance(of, dict) else of for name, of in targets.items()}
    waivers = normal.get("waivers")
    if isinstance(waivers, list):
        normal["waivers"] = [_keys(of) if isinstance(of, dict) else of for of in waivers]
    return normal


def _keys(table: Mapping[str, Any]) -> dict[str, Any]:
    normal = {str(key).replace("-", "_"): _plain(value) for key, value in table.items()}
    if isinstance(latency := normal.get("latency"), dict):
        normal["latency"] = _keys(latency)
    return normal


def _plain(value: Any) -> Any:
    """A value of TOML as one of JSON: a day becomes a text."""
    return value.isoformat() if type(value) is date else value
