"""The report in Markdown: the answer first, what matters after it, and nothing obeyed that an endpoint says."""

from __future__ import annotations

import re

import pytest

from pytest_llmcompat.reporting.markdown import LARGEST, markdown_report
from pytest_llmcompat.reporting.result import NOT_JUDGED
from tests import reports
from tests.made_reports import broken, change, everything, gated, many
from tests.test_markup import HOSTILE, Seen, links, read

OURS = {"details", "summary", "sub"}
WHY = "<details><summary>claim, evidence, who breaks, how to mend and to reproduce it</summary>"


def first_line(document: reports.Document) -> str:
    """What a reviewer in a hurry reads."""
    return markdown_report(document).splitlines()[0]


def test_real_failures_come_first_and_are_explained() -> None:
    """Claim, evidence, who breaks, the remedy and a command stand folded below each; the healthy rest is counted."""
    text = markdown_report(reports.real(reports.DEFECTS))
    assert text.startswith("**Do not ship:** 2 contracts failed (10 pass, 2 fail, 1 warn, ")
    for contract in reports.BROKEN:
        block = text[text.index(f"\n**MUST** `{contract}` on `reference-small@") :]
        assert f"\n\n{WHY}\n\n" in block
        block = block[: block.index("</details>")]
        assert [t for t in ("Claim", "Evidence", "Breaks", "Fix") if f"\n- **{t}:** " in block] == [
            "Claim",
            "Evidence",
            "Breaks",
            "Fix",
        ]
        assert "\n```sh\ncurl -sS -i -X POST http://127.0.0.1:" in block
    assert re.search(
        r"<details><summary>1 warning</summary>\n\n- SHOULD `auth.scheme` on `reference-small@", text
    )
    assert text.index(reports.BROKEN[-1]) < text.index("1 warning")


def test_real_run_without_failures_may_ship() -> None:
    """The answer says how much was judged."""
    assert re.fullmatch(
        r"\*\*May ship:\*\* no contract failed \(\d+ pass(, \d+ inconclusive)?\)", first_line(reports.real())
    )


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        (reports.document(), "Not known whether it may ship:** no contract failed (nothing judged)"),
        (
            reports.document(reports.result("a.b", "inconclusive"), reports.result("a.c", "unsupported")),
            "Not known whether it may ship:** no contract failed (1 unsupported, 1 inconclusive)",
        ),
        (
            reports.document(
                reports.result("a.b", "pass"),
                reports.result("a.c", "inconclusive", reason=f"{NOT_JUDGED}no file"),
            ),
            "Not known whether it may ship:** 1 contract not judged; no contract failed (1 pass, 1 inconclusive)",
        ),
        (
            reports.document(broken("a.b"), reports.result("a.c", "pass")),
            "Do not ship:** 1 contract failed (1 pass, 1 fail)",
        ),
        (
            reports.document(reports.result("a.b", "pass"), faults=["B cannot stand in for A"]),
            "Do not ship:** B cannot stand in for A; no contract failed (1 pass)",
        ),
        (
            gated(broken("a.b", gate="still broken"), reports.result("a.c", "pass", gate="same")),
            "May ship:** no regression against baseline\\.json (1 pass, 1 fail)",
        ),
        (
            gated(
                reports.result("a.b", "unsupported", gate="regression"),
                broken("a.c", gate="still broken"),
                regressions=[change("a.b", "pass", "unsupported")],
            ),
            "Do not ship:** 1 regression against baseline\\.json (1 fail, 1 unsupported)",
        ),
    ],
)
def test_first_line_says_whether_it_may_ship(document: reports.Document, answer: str) -> None:
    """By the document alone: regressions, failures, faults of the whole run, or nothing judged."""
    assert first_line(document) == f"**{answer}"


def test_target_without_a_baseline_fails_by_its_verdicts() -> None:
    """Beside a target that the baseline knows, whose old failures are known."""
    document = reports.document(
        broken("a.b", gate="still broken"),
        broken("a.b", target="m@new"),
        targets=["m@a", "m@new"],
        gate={
            "baseline": "baseline.json",
            "targets": {"m@a": {"compared_with": "m@old", "known": []}, "m@new": {"compared_with": None}},
        },
    )
    text = markdown_report(document)
    assert text.startswith("**Do not ship:** 1 contract failed")
    assert text.count("**MUST** `a.b` on `m@new`") == 1
    assert "**MUST** `a.b` on `m@a`" not in text
    assert "`m@new` is not in the baseline" in text
    assert "`m@a` is compared with `m@old`" in text


def test_changes_since_the_baseline_are_listed() -> None:
    """Regressions are open to the eye, the rest is folded."""
    document = gated(
        reports.result("a.b", "unsupported", gate="regression"),
        regressions=[change("a.b", "pass", "unsupported")],
        weaker=[change("a.w", "pass", "warn")],
        known=[change("a.k", "fail", "fail")],
        improvements=[change("a.i", "fail", "pass")],
        new=[{**change("a.n", "", "fail"), "was": None}],
        unsettled=[change("a.u", "pass", "inconclusive")],
        removed=["a.r"],
    )
    text = markdown_report(document)
    assert (
        "### Regressions against `baseline.json`\n\n**MUST** `a.b` on `m@a` (pass → unsupported): why a"
        in text
    )
    for summary, item in (
        ("1 weaker than before", "MUST `a.w` on `m@a`: pass → warn; because of warn"),
        ("1 known: broken before, and now", "MUST `a.k` on `m@a`: fail; because of fail"),
        ("1 improved", "MUST `a.i` on `m@a`: fail → pass; because of pass"),
        ("1 new", "MUST `a.n` on `m@a`: none → fail; because of fail"),
        ("1 no longer settled", "MUST `a.u` on `m@a`: pass → inconclusive; because of inconclusive"),
        ("1 no longer there", "`a.r` on `m@a`"),
    ):
        assert f"<details><summary>{summary}</summary>\n\n- {item}\n\n</details>" in text


def test_every_section_is_there() -> None:
    """Waivers, drift, clients, replaceability, the budget and the warnings, in this order."""
    text = markdown_report(everything())
    parts = [
        "This is shard words alone",
        "### Regressions against `words`",
        "### Failed",
        "### Fails the run besides\n\n- words",
        "### Not judged\n\n- 1 × words",
        "### Expired waivers\n\n- `words` on `words` until words (words, words)\n",
        "<summary>2 failures waived</summary>",
        "<summary>2 waivers of no use</summary>",
        "### Drift of `words`",
        "| words | `words` | `words` |  | words\\, words\\, words\\, words and 2 more |",
        "<summary>Clients: 1 NOT READY, 1 READY</summary>",
        "| `words` | `words` | NOT READY | words (and 1 more) |",
        "Replacement: words\n\n<details><summary>3 differences</summary>\n\n- not kept: MUST `words`; words",
        "Spent: 80 of 100 requests, 9 tokens, 0.5 USD.",
        "<summary>1 warning</summary>",
        "<sub>words words, words</sub>",
    ]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    assert text.count("and in 1 more places, all in the JSON report") == 2


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 5000])
def test_hostile_text_changes_nothing_of_the_report(text: str) -> None:
    """In every place of every section: same lines, same elements, no link, no mention, and nothing endless."""
    report, harmless = markdown_report(everything(text)), markdown_report(everything())
    assert all(character.isprintable() or character in "\n\u2060" for character in report)
    assert len(report) < 200_000
    for seen, same in zip(read_lines(report), read_lines(harmless), strict=True):
        assert (seen.elements, seen.bare) == (same.elements, same.bare), seen.written
        assert {*seen.elements} <= OURS
        assert not links(seen)


def read_lines(report: str) -> list[Seen]:
    """The lines of a report outside of blocks of code."""
    found, fence = [], ""
    for line in report.splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif opening := re.fullmatch("(`{3,})sh", line):
            fence = opening[1]
        else:
            found.append(read(line))
    assert fence == ""
    return found


def test_command_with_backticks_stays_in_its_block() -> None:
    """The fence is longer than any that a command holds, and a command that is too long to show is left out."""
    fence = "`" * 5
    document = reports.document(
        broken("a.b") | {"explanation": f"Reproduce: curl '{fence}'\nReproduce: curl {'x' * 9000}"}
    )
    text = markdown_report(document)
    assert f"{fence}`sh\ncurl '{fence}'\n{fence}`" in text
    assert "x" * 9 not in text


def test_explanations_end_before_the_report_is_too_large() -> None:
    """Every failure is still named, MUST first, and the sections after them are there."""
    text = markdown_report(many(1000))
    assert LARGEST // 3 < len(text.encode()) < LARGEST
    assert text.startswith("**Do not ship:** 1000 contracts failed")
    assert "\n\nThe JSON report explains these, which would fill too much room here:\n\n- **" in text
    named = re.findall(r"\*\*(MUST|SHOULD|MAY)\*\* `a\.b(\d+)`", text)
    assert {int(number) for _, number in named} == {*range(1000)}
    assert [level for level, _ in named] == sorted(
        (level for level, _ in named), key=["MUST", "SHOULD", "MAY"].index
    )
    assert text.rstrip().endswith("</sub>")


@pytest.mark.parametrize("largest", [5_000, 50_000, LARGEST])
def test_report_is_never_larger_than_asked_for(largest: int) -> None:
    """What is left out at the end is said; no element stays open."""
    text = markdown_report(many(6000), largest=largest)
    assert len(text.encode()) <= largest
    assert text.startswith("**Do not ship:** 6000 contracts failed")
    assert text.endswith("*The rest is left out here, to keep this short; the JSON report has all of it.*\n")
    assert text.count("<details>") == text.count("</details>")
