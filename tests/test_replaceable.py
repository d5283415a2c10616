"""Whether one target can stand in for another, and the lines that say so."""

from __future__ import annotations

import pytest

from pytest_llmcompat.contract import Level
from pytest_llmcompat.replaceable import one_of, pair_of, replaceable
from pytest_llmcompat.reporting.replacement import losses_in, verdict_on
from pytest_llmcompat.settings import WrongUsage
from tests.reports import BROKEN, DEFECTS, WARNED, Result, real, result

TARGETS = ["m@a", "m@b", "n@b", "x=y@c"]


def pair(verdict: str, level: str = "must", **further: object) -> tuple[list[Result], list[Result]]:
    """Results of two targets: the first keeps a contract of a level, and both keep another."""
    kept = result("a.kept", "pass")
    return [result("a.b", "pass", level=level), kept], [result("a.b", verdict, level=level, **further), kept]


def test_real_fallback_that_breaks_two_contracts() -> None:
    """The conclusion, then what breaks with its reason, then what is weaker and what is not settled."""
    good, bad = real()["results"], real(DEFECTS)["results"]
    replacement = replaceable(good, bad)
    assert not replacement.holds
    assert tuple(loss.contract for loss in replacement.lost) == BROKEN
    assert [loss.contract for loss in replacement.weaker] == [WARNED]
    assert {loss.contract for loss in replacement.unknown} >= {"chat.stream.nothing-after-done"}
    assert verdict_on(replacement, "good", "bad") == (
        "bad cannot stand in for good: 2 contracts that good keeps break"
    )
    lines = list(losses_in(replacement, "bad"))
    assert lines[:2] == [
        "breaks on bad:",
        "  MUST   auth.missing-401: fail; auth-none, status: found 200; expected 401",
    ]
    assert "kept in a weaker form, or broken below MUST on bad:" in lines
    assert "not settled on bad:" in lines
    assert [loss.contract for loss in replaceable(good, bad, Level.SHOULD).lost] == [*BROKEN, WARNED]
    back = replaceable(bad, good)
    assert back.holds
    assert verdict_on(back, "bad", "good") == "good can stand in for bad"
    assert list(losses_in(back, "good")) == []


@pytest.mark.parametrize("verdict", ["fail", "unsupported", "waived", "warn"])
def test_contract_that_counts_is_lost(verdict: str) -> None:
    """A waiver excuses a failure, but no client survives by it."""
    replacement = replaceable(*pair(verdict))
    assert [loss.contract for loss in replacement.lost] == ["a.b"]
    assert verdict_on(replacement, "A", "B") == "B cannot stand in for A: 1 contract that A keeps breaks"
    below = replaceable(*pair(verdict, "may"), Level.SHOULD)
    assert below.holds
    assert [loss.contract for loss in below.weaker] == ["a.b"]


def test_weaker_form_is_no_loss() -> None:
    """Clients survive it."""
    replacement = replaceable(*pair("warn", broken=False))
    assert replacement.holds
    assert [loss.contract for loss in replacement.weaker] == ["a.b"]


def test_what_is_not_settled_is_said() -> None:
    """Only what counts is in the conclusion, all is in the list."""
    open_must = replaceable(*pair("inconclusive"))
    assert open_must.holds
    assert verdict_on(open_must, "A", "B") == (
        "B can stand in for A as far as it is known: 1 contract is not settled on B"
    )
    open_may = replaceable(*pair("inconclusive", "may"))
    assert verdict_on(open_may, "A", "B") == "B can stand in for A"
    assert list(losses_in(open_may, "B")) == [
        "not settled on B:",
        "  MAY    a.b: inconclusive; why a.b is inconclusive",
    ]
    missing = replaceable(
        [result("a.b", "pass"), result("a.c", "pass"), result("a.d", "pass")], [result("a.b", "pass")]
    )
    assert missing.open == 2
    assert verdict_on(missing, "A", "B").endswith("2 contracts are not settled on B")
    assert "  MUST   a.c: not judged" in losses_in(missing, "B")


@pytest.mark.parametrize("theirs", [[], [result("a.b", "inconclusive")]])
def test_silence_is_no_compatibility(theirs: list[Result]) -> None:
    """A target of which nothing is known does not stand in."""
    replacement = replaceable([result("a.b", "pass")], theirs)
    assert not replacement.holds
    assert verdict_on(replacement, "A", "B") == (
        "whether B can stand in for A is not known: no contract that A keeps was settled on both"
    )


def test_what_the_first_does_not_keep_is_nobodys_loss() -> None:
    """Nobody relies on it."""
    first = [
        result("a.kept", "pass"),
        *(result(f"a.{v}", v) for v in ("fail", "warn", "unsupported", "waived")),
    ]
    second = [result("a.kept", "pass"), *(result(r["contract"], "fail") for r in first[1:])]
    replacement = replaceable(first, second)
    assert replacement.holds
    assert list(losses_in(replacement, "B")) == []


def test_long_lists_are_cut_but_for_what_breaks() -> None:
    """The report has them all; names of targets cannot steer the terminal."""
    first = [result(f"a.{number:02}", "pass") for number in range(30)]
    broken = replaceable(first, [result(r["contract"], "fail") for r in first])
    assert len(list(losses_in(broken, "B"))) == 31
    unknown = replaceable(first, [])
    assert next(losses_in(unknown, "B\x1b")) == "not settled on B\\x1b:"
    assert list(losses_in(unknown, "B"))[-1] == "  and 10 more, all in the report"
    assert len(list(losses_in(unknown, "B", whole=True))) == 31
    assert verdict_on(broken, "A\x1b", "B").isprintable()


@pytest.mark.parametrize(
    ("text", "expected"), [("m@a", "m@a"), ("*@a", "m@a"), ("n@*", "n@b"), ("x=*", "x=y@c")]
)
def test_one_target_is_named(text: str, expected: str) -> None:
    """By its id or a glob."""
    assert one_of(TARGETS, text, "compare") == expected


@pytest.mark.parametrize(
    ("text", "there"),
    [("m@*", "it fits m@a, m@b"), ("z", "there are m@a, m@b, n@b, x=y@c")],
)
def test_none_or_several_targets_are_named(text: str, there: str) -> None:
    """The line says what there is."""
    with pytest.raises(WrongUsage) as wrong:
        one_of(TARGETS, text, "compare")
    assert str(wrong.value) == (
        f"compare: {text!r} is not the id of one target, nor a glob that fits one; {there}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m@a=n@b", ("m@a", "n@b")),
        ("*@a = n@*", ("m@a", "n@b")),
        ("x=y@c=m@a", ("x=y@c", "m@a")),
        ("m@a=x=y@c", ("m@a", "x=y@c")),
    ],
)
def test_pair_is_read(text: str, expected: tuple[str, str]) -> None:
    """Ids may hold the sign that parts them."""
    assert pair_of(text, TARGETS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m@a", "write A=B, two targets of the run: B has to keep what A keeps"),
        ("=m@a", "write A=B, two targets of the run: B has to keep what A keeps"),
        ("m@a=*@a", "names m@a twice; name two targets"),
        (
            "m@a=z",
            "'z' is not the id of one target, nor a glob that fits one; there are m@a, m@b, n@b, x=y@c",
        ),
    ],
)
def test_what_is_no_pair(text: str, message: str) -> None:
    """One line that says what to write."""
    with pytest.raises(WrongUsage) as wrong:
        pair_of(text, TARGETS)
    assert str(wrong.value).startswith("--llm-replaceable: ")
    assert str(wrong.value).endswith(message)
