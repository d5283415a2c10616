"""GitHub Actions: the summary of a step, and annotations of what fails it.

What the runner does with both was read off actions/runner: it throws away a summary that is larger than 1 MiB, shows
ten annotations of each kind for a step, and cuts a message after 4096 characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_llmcompat.escaping import workflow
from pytest_llmcompat.plain import line
from pytest_llmcompat.reporting.markdown import LARGEST, markdown_report
from pytest_llmcompat.reporting.replacement import plural
from pytest_llmcompat.reporting.shipping import Failure, failures, faults, missing

__all__ = ["LARGEST_SUMMARY", "annotations_of", "append_step_summary", "tell_github"]

LARGEST_SUMMARY: Final = 1_000_000
"""Bytes that the file of a summary may have, whoever has written into it."""

# Less would not hold the answer.
_SMALLEST: Final = 4096
_MOST: Final = 10
_LONGEST_REASON: Final = 1000
_LONGEST_TITLE: Final = 120

_Annotation = tuple[str, str]


def tell_github(document: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Append to the summary of the step, if there is one, and give the lines to print.

    environment: of the process; nothing happens unless GitHub Actions has set its variables.
    """
    lines: list[str] = []
    if environment.get("GITHUB_ACTIONS") == "true":
        lines += annotations_of(document)
    if path := environment.get("GITHUB_STEP_SUMMARY"):
        trouble = append_step_summary(path, document)
        lines += [trouble] if trouble else []
    return lines


def append_step_summary(path: str | Path, document: Mapping[str, Any]) -> str | None:
    """Append the report in Markdown to a file, which never becomes larger than `LARGEST_SUMMARY`.

    Gives a line that says why nothing was written, None when all went well.
    """
    file = Path(path)
    try:
        there = file.stat().st_size if file.exists() else 0
        room = min(LARGEST, LARGEST_SUMMARY - there - 1)
        if room < _SMALLEST:
            return f"GITHUB_STEP_SUMMARY: {line(str(file))} is full; this run is not in it"
        # What stands there may lack the end of its line.
        text = ("\n" if there else "") + markdown_report(document, largest=room)
        with file.open("ab") as stream:
            stream.write(text.encode())
    except OSError as error:
        return line(f"GITHUB_STEP_SUMMARY: {file} cannot be written: {error.strerror}")
    return None


def annotations_of(document: Mapping[str, Any]) -> Iterator[str]:
    """Workflow commands: an error for each reason why the run fails, a warning for what may fail the next.

    With a baseline, regressions alone are errors. Of each kind there are no more than GitHub shows; the last then
    says how many there are besides.
    """
    yield from _commands("error", [*_errors(document)])
    yield from _commands("warning", [*_warnings(document)])


def _errors(document: Mapping[str, Any]) -> Iterator[_Annotation]:
    for failure in failures(document):
        yield _failed(failure)
    for fault in faults(document):
        yield "Fails the run", fault
    for reason, count in missing(document).most_common():
        yield f"{plural(count, 'contract')} not judged", reason


def _failed(failure: Failure) -> _Annotation:
    result = failure.result
    kind = "regression, " if failure.is_regression else ""
    about = f"{result['target']}: " if result["target"] else ""
    fix = f"\nFix: {line(result['fix'])}" if result["fix"] else ""
    return (
        f"{kind}{result['level'].upper()} {result['contract']}",
        f"{about}{_shortened(result['reason'], _LONGEST_REASON)}{_shortened(fix, _LONGEST_REASON)}",
    )


def _warnings(document: Mapping[str, Any]) -> Iterator[_Annotation]:
    for waiver in document.get("waivers", {}).get("expired", ()):
        yield (
            f"waiver of {waiver['contract']} has expired",
            f"{waiver['target']}, on {waiver['expires']}: {waiver['reason']}",
        )
    for target in document.get("drift", ()):
        if changes := target["changes"]:
            first = changes[0]
            yield (
                f"drift of {target['target']}",
                f"answers have another shape than recorded in {plural(len(changes), 'place')}, the first: "
                f"{first['change']} in {first['probe']}, {first['place']}",
            )


def _commands(kind: str, found: list[_Annotation]) -> Iterator[str]:
    shown = found if len(found) <= _MOST else found[: _MOST - 1]
    for title, message in shown:
        yield f"::{kind} title={_title(title)}::{workflow(_shortened(message, 2 * _LONGEST_REASON))}"
    if more := len(found) - len(shown):
        yield f"::{kind} title=llmcompat::{more} more; the summary of the step has all of them"


def _title(text: str) -> str:
    return workflow(_shortened(line(text), _LONGEST_TITLE), parameter=True)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2]} …"
