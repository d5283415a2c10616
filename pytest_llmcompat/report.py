"""The JSON report as it is read from a file: checked against its format, with its results by contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

from pytest_llmcompat.contract import Level
from pytest_llmcompat.evidence import shown
from pytest_llmcompat.plain import line
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.verdict import Outcome

__all__ = [
    "FORMAT",
    "SCHEMA_FILE",
    "Report",
    "Result",
    "is_weak_form",
    "read_report",
    "report_of",
]

FORMAT: Final = "llmcompat.report/1"
"""The key `schema` of the reports that this version writes and reads."""

SCHEMA_FILE: Final = Path(__file__).with_name("reporting") / "report.schema.json"

Result = Mapping[str, Any]
"""One entry of `results`: what one contract says of one target; docs/report.md names its keys."""

_FAMILY: Final = FORMAT.partition("/")[0]
# A thousand targets fit; what is larger is no report, and would fill the memory.
_LARGEST: Final = 512 * 2**20
# Reports nest half a dozen deep. Python's encoder, which writes one again, gives up at some hundreds.
_DEEPEST: Final = 50
_LONGEST_MESSAGE: Final = 160


@dataclass(frozen=True, slots=True)
class Report:
    """A report that fits its schema.

    path: where it was read, for messages. level: the weakest level that failed its run.
    targets: ids, in the order of the run. results: (target, contract) → result; the target is "" for a contract
    that reads none. document: the whole JSON value.
    """

    path: Path
    level: Level
    targets: tuple[str, ...]
    results: Mapping[tuple[str, str], Result]
    document: Mapping[str, Any]

    def of(self, target: str) -> list[Result]:
        """The results of a target."""
        return [result for (owner, _), result in self.results.items() if owner == target]


def read_report(path: str | Path, option: str) -> Report:
    """The report in a file. Raises WrongUsage with one line, which begins with the option that names the file."""
    return report_of(_parsed(Path(path), option), path, option)


def report_of(document: Any, path: str | Path, option: str) -> Report:
    """The report that a JSON value is. Raises WrongUsage as `read_report` does."""
    place = Path(path)
    if not isinstance(document, dict) or not str(document.get("schema")).startswith(f"{_FAMILY}/"):
        _refuse(option, place, f'is no report of pytest-llmcompat: it lacks "schema": "{FORMAT}"')
    if document["schema"] != FORMAT:
        _refuse(
            option,
            place,
            f"holds {shown(document['schema'])[1:-1]}, and this version reads {FORMAT}; write it anew with "
            f"--llm-report, or take the version of pytest-llmcompat that wrote it",
        )
    if _nests_too_deeply(document):
        _refuse(option, place, f"nests more than {_DEEPEST} deep, which no report does; write it anew")
    if (fault := _fault(document)) is not None:
        _refuse(option, place, f"does not fit the format {FORMAT}: {fault}; write it anew with --llm-report")
    targets = tuple(target["id"] for target in document["targets"])
    if twice := [id for id, count in Counter(targets).items() if count > 1]:
        _refuse(option, place, f"has the target {twice[0]} twice; write it anew with --llm-report")
    return Report(
        path=place,
        level=Level(document["summary"]["level"]),
        targets=targets,
        results=_by_key(document["results"], targets, place, option),
        document=document,
    )


def is_weak_form(result: Result) -> bool:
    """True for a warning about a claim that holds in a weaker form, which clients survive."""
    return result["verdict"] == Outcome.WARN and not result.get("broken", True)


def _parsed(path: Path, option: str) -> Any:
    try:
        with path.open("rb") as file:
            # A pipe has no size.
            large = path.stat().st_size > _LARGEST
            content = b"" if large else file.read(_LARGEST + 1)
    except IsADirectoryError:
        _refuse(option, path, "is a folder; give the path of a JSON report")
    except FileNotFoundError:
        _refuse(
            option, path, "does not exist; `pytest --llm-endpoint=… --llm-report=PATH.json` writes a report"
        )
    except (OSError, ValueError) as error:
        _refuse(option, path, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if large or len(content) > _LARGEST:
        _refuse(option, path, f"is larger than {_LARGEST // 2**20} MB, which no report is")
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        _refuse(option, path, f"is not UTF-8 (byte {error.start}); give a JSON report")
    except json.JSONDecodeError as error:
        where = f"(line {error.lineno}, column {error.colno})"
        _refuse(option, path, f"is no whole JSON text: {error.msg} {where}; write it anew with --llm-report")
    except RecursionError:
        _refuse(option, path, f"nests more than {_DEEPEST} deep, which no report does; write it anew")
    except ValueError as error:
        _refuse(option, path, f"is no JSON report: {error}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _nests_too_deeply(document: Any) -> bool:
    layer = [document]
    for _ in range(_DEEPEST):
        layer = [part for whole in layer for part in _parts(whole)]
        if not layer:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))


def _fault(document: Any) -> str | None:
    """The most telling thing that does not fit the schema, with its place; None when all does."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(document))
    if error is None:
        return None
    place = "".join(f"/{step}" for step in error.absolute_path)
    message = error.message
    if len(message) > _LONGEST_MESSAGE:
        message = (
            f"{error.validator} {shown(error.validator_value)[:_LONGEST_MESSAGE]} is what it has to keep"
        )
    return f"{place}: {message}" if place else message


def _by_key(
    results: Iterable[Result], targets: Sequence[str], path: Path, option: str
) -> dict[tuple[str, str], Result]:
    known = {*targets, ""}
    found: dict[tuple[str, str], Result] = {}
    for position, result in enumerate(results):
        target, contract = result["target"], result["contract"]
        if target not in known:
            _refuse(
                option, path, f"has a result of {target} (/results/{position}), which is none of its targets"
            )
        first = found.setdefault((target, contract), result)
        if first["verdict"] != result["verdict"]:
            _refuse(
                option,
                path,
                f"has {contract} on {target} twice, {first['verdict']} and {result['verdict']}; write it anew",
            )
    return found


def _refuse(option: str, path: Path, what: str) -> NoReturn:
    raise WrongUsage(line(f"{option}: {path} {what}")) from None
