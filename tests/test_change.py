"""What has become of a verdict, and the lines that say so."""

from __future__ import annotations

import itertools

import pytest

from pytest_llmcompat.change import Change, change_of, compare_results
from pytest_llmcompat.contract import Level
from pytest_llmcompat.reporting.changes import change_line, changes_in, conclusion, match_lines
from pytest_llmcompat.verdict import Outcome
from tests.reports import BROKEN, DEFECTS, WARNED, Result, real, result

# Rows are the earlier verdict, columns the later one; «warn» is broken below the level, «weak» a weaker form.
TABLE = """
              pass         fail         warn    weak    unsupported   inconclusive  waived
pass          same         regression   weaker  weaker  regression    unsettled     weaker
fail          improvement  broken       broken  broken  broken        unsettled     broken
warn          improvement  broken       same    same    broken        unsettled     broken
weak          improvement  regression   same    same    broken        unsettled     broken
unsupported   improvement  broken       broken  broken  same          unsettled     broken
inconclusive  settled      settled      settled settled settled       same          settled
waived        improvement  regression   broken  broken  broken        unsettled     same
"""


def cells() -> list[tuple[str, str, str]]:
    """(earlier, later, change) of each cell."""
    head, *rows = (line.split() for line in TABLE.strip().splitlines())
    return [(row[0], later, change) for row in rows for later, change in zip(head, row[1:], strict=True)]


def one(verdict: str) -> Result:
    """A result with a verdict of the table."""
    return result("a.b", "warn", broken=False) if verdict == "weak" else result("a.b", verdict)


def test_table_is_whole() -> None:
    """Each pair of verdicts has a cell."""
    verdicts = [*(outcome.value for outcome in Outcome), "weak"]
    assert sorted(cell[:2] for cell in cells()) == sorted(itertools.product(verdicts, repeat=2))


@pytest.mark.parametrize(("earlier", "later", "expected"), cells())
def test_change_between_two_verdicts(earlier: str, later: str, expected: str) -> None:
    """A regression is what clients lose, or what a waiver that has ended excused."""
    assert change_of(one(earlier), one(later)).value == expected.replace("broken", "still broken")


def test_strict_comparison_takes_silence_for_a_loss() -> None:
    """Of what passed alone."""
    assert change_of(one("pass"), one("inconclusive"), strict=True) is Change.REGRESSION
    assert change_of(one("fail"), one("inconclusive"), strict=True) is Change.UNSETTLED
    assert change_of(one("inconclusive"), one("inconclusive"), strict=True) is Change.SAME


def test_results_without_a_partner() -> None:
    """A contract that was not chosen is not removed."""
    comparison = compare_results(
        [result("a.gone", "pass"), result("a.unchosen", "pass"), result("a.same", "pass")],
        [result("a.same", "pass"), result("a.new", "fail")],
        existing={"a.unchosen", "a.same", "a.new"},
    )
    assert {d.contract: d.change.value for d in comparison.differences} == {
        "a.gone": "removed",
        "a.unchosen": "left out",
        "a.same": "same",
        "a.new": "new",
    }


def test_strongest_levels_come_first() -> None:
    """Then ids; the level is the later one."""
    old = [result("a.b", "pass", level="may"), result("a.c", "pass"), result("a.a", "pass", level="should")]
    new = [result("a.b", "fail"), result("a.c", "fail"), result("a.a", "fail", level="should")]
    differences = compare_results(old, new).differences
    assert [(d.level, d.contract) for d in differences] == [
        (Level.MUST, "a.b"),
        (Level.MUST, "a.c"),
        (Level.SHOULD, "a.a"),
    ]


def test_upgrade_of_a_real_server_is_told_in_a_few_lines() -> None:
    """What breaks comes first, then what depends on it, each with its reason."""
    good, bad = real(), real(DEFECTS)
    comparison = compare_results(good["results"], bad["results"])
    assert [d.contract for d in comparison.of(Change.REGRESSION)] == list(BROKEN)
    assert [d.contract for d in comparison.of(Change.WEAKER)] == [WARNED]
    count = len(good["results"])
    unsettled = len(comparison.of(Change.UNSETTLED))
    assert unsettled > 0
    assert conclusion([comparison], "baseline.json") == (
        f"2 regressions against baseline.json: {count} contracts compared, 1 weaker, {unsettled} no longer settled"
    )
    lines = list(changes_in(comparison))
    assert lines[:2] == [
        "regressions:",
        "  MUST   auth.missing-401: pass → fail; auth-none, status: found 200; expected 401",
    ]
    assert lines[2].startswith(
        "  MUST   chat.stream.done-sentinel: pass → fail; stream-basic, end of the body"
    )
    assert "weaker than before: broken below the level, kept in a weaker form, or waived:" in lines
    assert any(line.startswith("  SHOULD auth.scheme: pass → warn; ") for line in lines)
    back = compare_results(bad["results"], good["results"])
    assert conclusion([back], "bad.json") == (
        f"no regression against bad.json: {count} contracts compared, 3 improved, {unsettled} settled now"
    )
    assert "  MUST   auth.missing-401: fail → pass" in changes_in(back)


def test_same_report_twice_has_no_lists() -> None:
    """A reader in a hurry reads one line."""
    results = real()["results"]
    comparison = compare_results(results, results)
    assert list(changes_in(comparison)) == []
    assert (
        conclusion([comparison], "a.json")
        == f"no regression against a.json: {len(results)} contracts compared"
    )


def test_long_lists_are_cut_but_for_regressions() -> None:
    """An outage unsettles hundreds; all of them are in the report."""
    ids = [f"a.{number:02}" for number in range(50)]
    old = [result(id, "pass") for id in ids]
    outage = compare_results(old, [result(id, "inconclusive") for id in ids])
    assert list(changes_in(outage))[-1] == "  and 30 more, all in the report"
    assert len(list(changes_in(outage))) == 22
    assert len(list(changes_in(outage, whole=True))) == 51
    broken = compare_results(old, [result(id, "fail") for id in ids])
    assert len(list(changes_in(broken))) == 51


def test_counts_of_several_targets_are_summed() -> None:
    """The conclusion is one for the whole matrix."""
    one_of_each = compare_results([result("a.b", "pass"), result("a.d", "fail")], [result("a.b", "fail")])
    new = compare_results([], [result("a.c", "pass")])
    assert conclusion([one_of_each, new], "x") == (
        "1 regression against x: 1 contract compared, 1 new, 1 no longer there"
    )


def test_text_of_a_report_cannot_steer_the_terminal() -> None:
    """A report may quote an endpoint, or have been written by one; long reasons are cut."""
    hostile = result("a.\x1b[2J\nb", "fail", reason="\x1b]0;owned\x07" + "x" * 1000)
    (difference,) = compare_results([], [hostile]).differences
    line = change_line(difference)
    assert line.startswith("MUST   a.\\x1b[2J b: (none) → fail; \\x1b]0;owned\\x07xxx")
    assert line.isprintable()
    assert len(line) < 250


def test_lines_on_targets() -> None:
    """Those with an earlier target of the same id need none."""
    matches = {"m@a": "m@a", "m@b": None, "m@c": "m@d"}
    assert list(match_lines(matches, "base.json")) == [
        "m@b is not in base.json: its verdicts alone count",
        "m@c is compared with m@d, the only target in base.json",
    ]
