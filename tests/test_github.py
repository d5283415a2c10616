"""What GitHub Actions is told: the summary of the step and annotations, in the form that its runner reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_llmcompat.plain import plain
from pytest_llmcompat.reporting.github import (
    LARGEST_SUMMARY,
    annotations_of,
    append_step_summary,
    tell_github,
)
from pytest_llmcompat.reporting.markdown import markdown_report
from pytest_llmcompat.reporting.result import NOT_JUDGED
from tests import reports
from tests.made_reports import broken, change, everything, gated, many, waiver
from tests.test_markup import HOSTILE


def parsed(command: str) -> tuple[str, str, str]:
    """(kind, title, message) as the runner reads them (actions/runner, ActionCommand.TryParseV2)."""
    information, _, message = command.removeprefix("::").partition("::")
    kind, _, properties = information.partition(" ")
    assert len(properties.split(",")) == 1
    name, _, title = properties.partition("=")
    assert name == "title"
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        title = title.replace(escape, character)
        if character not in ":,":
            message = message.replace(escape, character)
    return kind, title, message


def test_real_failures_are_errors() -> None:
    """Each says what is broken on which target, and the remedy; a warning below the level is none."""
    found = [parsed(command) for command in annotations_of(reports.real(reports.DEFECTS))]
    assert [(kind, title) for kind, title, _ in found] == [("error", f"MUST {id}") for id in reports.BROKEN]
    assert re.fullmatch(
        r"reference-small@127\.0\.0\.1:\d+: auth-none, status: found 200; expected 401\n"
        r"Fix: Answer 401 when the Authorization header is absent, before anything else is checked\.",
        found[0][2],
    )


def test_real_run_without_failures_has_no_annotations() -> None:
    """Nothing to say."""
    assert [*annotations_of(reports.real())] == []


def test_with_a_baseline_regressions_alone_are_errors() -> None:
    """What was broken before stays quiet."""
    document = gated(
        reports.result("a.b", "unsupported", gate="regression"),
        broken("a.c", gate="still broken"),
        regressions=[change("a.b", "pass", "unsupported")],
    )
    assert [*annotations_of(document)] == [
        "::error title=regression%2C MUST a.b::m@a: why a.b is unsupported",
    ]


def test_what_else_fails_the_run_is_an_error_and_what_may_fail_the_next_a_warning() -> None:
    """Faults of the whole run and contracts without a judgement; expired waivers and drift."""
    drift = {"probe": "chat-basic", "place": "body /id", "change": "gone", "was": "string", "now": None}
    document = reports.document(
        reports.result("a.b", "inconclusive", reason=f"{NOT_JUDGED}no recording"),
        reports.result("a.c", "inconclusive", reason=f"{NOT_JUDGED}no recording"),
        faults=["B cannot stand in for A"],
        waivers={"used": [], "expired": [waiver("a.*")], "unused": [waiver("a.d")]},
        drift=[
            {
                "target": "m@a",
                "recording": "m at a",
                "reason": "same",
                "compared": [],
                "changes": [drift] * 2,
            },
            {"target": "m@b", "recording": None, "reason": "none", "compared": [], "changes": []},
        ],
    )
    assert [parsed(command) for command in annotations_of(document)] == [
        ("error", "Fails the run", "B cannot stand in for A"),
        ("error", "2 contracts not judged", "no recording"),
        ("warning", "waiver of a.* has expired", "*, on 2026-01-31: agreed"),
        (
            "warning",
            "drift of m@a",
            "answers have another shape than recorded in 2 places, the first: gone in chat-basic, body /id",
        ),
    ]


@pytest.mark.parametrize("count", [10, 11, 300])
def test_no_more_annotations_than_github_shows(count: int) -> None:
    """Ten of each kind; beyond that the tenth says how many there are besides."""
    document = many(count) | {"waivers": {"expired": [waiver(f"a.b{number}") for number in range(count)]}}
    found = [parsed(command) for command in annotations_of(document)]
    for kind in ("error", "warning"):
        messages = [message for of, _, message in found if of == kind]
        assert len(messages) == 10
        last = f"{count - 9} more; the summary of the step has all of them"
        assert (messages[-1] == last) is (count > 10)


@pytest.mark.parametrize(
    "text", [*HOSTILE, "a,b=c::d%0A%3A,title=x", "x\n::add-mask::x\r::stop-commands::x", "x" * 9000]
)
def test_hostile_text_stays_within_its_annotation(text: str) -> None:
    """One line a command, one property, the text itself in title and message, and no more than the runner takes."""
    commands = [*annotations_of(everything(text))]
    assert [command.partition(" ")[0] for command in commands] == ["::error"] * 4 + ["::warning"] * 2
    for command in commands:
        assert command.isprintable()
        kind, title, message = parsed(command)
        assert kind in ("error", "warning")
        assert len(title) <= 255
        assert len(message) <= 4096
    assert parsed(commands[2])[2][:500] == plain(text)[:500]


def test_summary_is_appended_to_what_other_steps_wrote(tmp_path: Path) -> None:
    """With an end to their last line; two runs of one step both show."""
    file = tmp_path / "summary.md"
    document = reports.real(reports.DEFECTS)
    assert append_step_summary(file, document) is None
    assert file.read_text("utf-8") == markdown_report(document)
    file.write_text("é without an end", encoding="utf-8")
    assert append_step_summary(file, document) is None
    assert append_step_summary(str(file), document) is None
    assert file.read_text("utf-8") == "é without an end" + f"\n{markdown_report(document)}" * 2


def test_summary_never_exceeds_what_github_takes(tmp_path: Path) -> None:
    """A larger one would be thrown away whole; what does not fit any more is announced."""
    file = tmp_path / "summary.md"
    document = many(6000)
    said = [append_step_summary(file, document) for _ in range(5)]
    assert LARGEST_SUMMARY * 0.95 < file.stat().st_size <= LARGEST_SUMMARY < 2**20
    assert said[0] is None
    assert said[-1] == f"GITHUB_STEP_SUMMARY: {file} is full; this run is not in it"


@pytest.mark.parametrize("place", [".", "missing/summary.md", "file/summary.md"])
def test_summary_that_cannot_be_written_is_a_line_and_no_crash(tmp_path: Path, place: str) -> None:
    """The verdicts count, not the decoration."""
    (tmp_path / "file").write_text("")
    trouble = append_step_summary(tmp_path / place, reports.real())
    assert trouble is not None
    assert re.fullmatch(r"GITHUB_STEP_SUMMARY: .+ cannot be written: [A-Z].+", trouble)


def environment(file: Path, **further: str) -> dict[str, Any]:
    """Variables as GitHub Actions sets them."""
    return {"GITHUB_STEP_SUMMARY": str(file), **further}


def test_github_is_told_what_its_variables_ask_for(tmp_path: Path) -> None:
    """Elsewhere nothing is written, and no line is printed that only its runner understands."""
    document, file = reports.real(reports.DEFECTS), tmp_path / "summary.md"
    assert tell_github(document, {}) == []
    assert tell_github(document, {"GITHUB_ACTIONS": "false"}) == []
    assert tell_github(document, {"GITHUB_ACTIONS": "true"}) == [*annotations_of(document)]
    assert not file.exists()
    assert tell_github(document, environment(file)) == []
    assert file.exists()
    lines = tell_github(document, environment(tmp_path, GITHUB_ACTIONS="true"))
    assert lines[:-1] == [*annotations_of(document)]
    assert lines[-1].startswith("GITHUB_STEP_SUMMARY: ")
