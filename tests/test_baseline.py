"""The baseline: which results it excuses, and how it is written anew."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from pytest_llmcompat.baseline import Baseline, match, updated
from pytest_llmcompat.change import Change
from pytest_llmcompat.report import SCHEMA_FILE
from tests.reports import (
    BROKEN,
    DEFECTS,
    WARNED,
    Document,
    contracts,
    document,
    exchange,
    real,
    report,
    result,
    verdicts,
)

VALIDATOR = Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))


def valid(made: Document) -> Document:
    """A joint document that fits the schema, and whose summary, results and exchanges fit each other."""
    VALIDATOR.validate(made)
    again = document(
        *made["results"],
        targets=[target["id"] for target in made["targets"]],
        level=made["summary"]["level"],
        exchanges=made["exchanges"],
    )
    clients = {id: its.pop("clients", None) for id, its in made["summary"]["targets"].items()}
    levels = {id: of_target.pop("level") for id, of_target in made["summary"]["targets"].items()}
    assert made["summary"] == again["summary"]
    for id, level in levels.items():
        known = {} if clients[id] is None else {"clients": clients[id]}
        made["summary"]["targets"][id] |= {"level": level, **known}
    there = [(e["target"], e["probe"]) for e in made["exchanges"]]
    assert len(there) == len(set(there))
    assert {(r["target"], probe) for r in made["results"] for probe in r["probes"]} <= set(there)
    assert made["results"] == sorted(made["results"], key=lambda r: (r["target"], r["contract"]))
    return made


@pytest.mark.parametrize(
    ("known", "targets", "expected"),
    [
        (["m@a"], ["m@a"], {"m@a": "m@a"}),
        (["m@a:1"], ["m@a:2"], {"m@a:2": "m@a:1"}),
        (["gpt-4@a"], ["gpt-5@a"], {"gpt-5@a": "gpt-4@a"}),
        (["org/m@2@a"], ["org/m@2@b"], {"org/m@2@b": "org/m@2@a"}),
        (["m@a"], ["n@b"], {"n@b": None}),
        (["a"], ["b"], {"b": None}),
        (["m@a", "n@a"], ["n@a"], {"n@a": "n@a"}),
        (["m@a", "n@a"], ["m@b"], {"m@b": None}),
        (["m@a"], ["m@a", "m@b"], {"m@a": "m@a", "m@b": None}),
        ([], ["m@a"], {"m@a": None}),
    ],
)
def test_target_is_found_in_the_baseline(
    known: list[str], targets: list[str], expected: dict[str, str | None]
) -> None:
    """By its id; a lone target may have moved, but a model elsewhere under another name is another target."""
    assert match(known, targets) == expected


def test_gate_on_a_real_upgrade_to_another_port() -> None:
    """What the upgrade breaks is a regression; what was broken before fails nothing."""
    good, bad = report(real()), real(DEFECTS)
    (target,) = (entry["id"] for entry in bad["targets"])
    assert target not in good.targets
    baseline = Baseline.of(good, [target])
    changes = {r["contract"]: baseline.gate(r) for r in bad["results"]}
    regressions = {id for id, d in changes.items() if d is not None and d.change is Change.REGRESSION}
    assert regressions == set(BROKEN)
    again = Baseline.of(report(bad), [target])
    changes = {r["contract"]: again.gate(r) for r in bad["results"]}
    kinds = {id: d.change for id, d in changes.items() if d is not None and d.change is not Change.SAME}
    assert kinds == dict.fromkeys(BROKEN, Change.STILL_BROKEN)


def test_gate_of_single_results() -> None:
    """The plugin asks for one at a time."""
    earlier = report(document(result("a.b", "pass"), result("own.x", "pass", target="")))
    baseline = Baseline.of(earlier, ["m@a", "n@b"])
    strict = Baseline.of(earlier, ["m@a"], strict=True)
    gated = baseline.gate(result("a.b", "unsupported"))
    assert gated is not None
    assert (gated.change, gated.old) == (Change.REGRESSION, earlier.results["m@a", "a.b"])
    for made, result_of, expected in (
        (baseline, result("a.new", "fail"), Change.NEW),
        (baseline, result("a.b", "inconclusive"), Change.UNSETTLED),
        (strict, result("a.b", "inconclusive"), Change.REGRESSION),
        (baseline, result("own.x", "fail", target=""), Change.REGRESSION),
    ):
        gated = made.gate(result_of)
        assert gated is not None
        assert gated.change is expected
    assert baseline.gate(result("a.b", "fail", target="n@b")) is None


def test_comparison_of_a_selection_names_only_what_is_really_gone() -> None:
    """Contracts of a user's own that this run did not load may well exist; a target may be unknown."""
    earlier = report(
        document(
            *(result(id, "pass") for id in ("chat.id", "chat.gone", "acme.own")),
            result("chat.id", "pass", target="m@b"),
            targets=["m@a", "m@b"],
        )
    )
    baseline = Baseline.of(earlier, ["m@a", "m@c"])
    comparison = baseline.comparison("m@a", [result("chat.object", "pass")], {"chat.id", "chat.object"})
    assert comparison is not None
    assert {d.contract: d.change.value for d in comparison.differences} == {
        "chat.object": "new",
        "chat.id": "left out",
        "chat.gone": "removed",
        "acme.own": "left out",
    }
    assert baseline.comparison("m@c", [], contracts()) is None


def test_first_baseline_is_the_report_of_the_run() -> None:
    """There is nothing to keep; what it said of itself alone, such as its shard, does not matter later."""
    made = document(result("a.b", "fail", gate="new"), shard="1/2", gate={})
    first = valid(updated(None, made, loaded=contracts()))
    expected = document(result("a.b", "fail"))
    expected["summary"]["targets"]["m@a"]["level"] = "must"
    assert first == expected


def test_update_after_a_real_upgrade_accepts_what_is_settled() -> None:
    """The target's new id replaces the old one; what depends on a broken contract keeps its earlier verdict."""
    good, bad = real(), real(DEFECTS)
    made = valid(updated(report(good), bad, loaded=contracts()))
    (target,) = (entry["id"] for entry in bad["targets"])
    assert made["targets"] == bad["targets"]
    assert {key[0] for key in verdicts(made)} == {target}
    assert {id for (_, id), verdict in verdicts(made).items() if verdict in ("fail", "warn")} == {
        *BROKEN,
        WARNED,
    }
    before = {id: verdict for (_, id), verdict in verdicts(good).items()}
    unsettled = {id for (_, id), verdict in verdicts(bad).items() if verdict == "inconclusive"}
    stayed = {id for id in unsettled if before[id] == "pass"}
    assert stayed
    assert {verdicts(made)[target, id] for id in stayed} == {"pass"}
    strict = valid(updated(report(good), bad, loaded=contracts(), strict=True))
    assert verdicts(strict) == verdicts(bad)


def test_update_by_a_selection_keeps_the_rest() -> None:
    """The exchanges on which kept results rest stay, too; the others go."""
    whole, part = real(), real((), "-k", "models.list")
    (target,) = (entry["id"] for entry in part["targets"])
    made = valid(updated(report(whole), part, loaded=contracts()))
    assert {id for _, id in verdicts(made)} == {id for _, id in verdicts(whole)}
    assert len(made["exchanges"]) <= len(whole["exchanges"])
    assert made["generated"] == part["generated"]
    assert verdicts(made) == {(target, id): verdict for (_, id), verdict in verdicts(whole).items()}


def test_update_by_one_target_of_a_matrix_keeps_the_others() -> None:
    """Ids are the same there, so nothing is renamed; a further target is added."""
    earlier = document(
        *(result("chat.id", "pass", target=id) for id in ("m@a", "m@b")), targets=["m@a", "m@b"]
    )
    made = valid(updated(report(earlier), document(result("chat.id", "fail")), loaded=contracts()))
    assert verdicts(made) == {("m@a", "chat.id"): "fail", ("m@b", "chat.id"): "pass"}
    assert made["summary"]["targets"]["m@b"]["level"] == "must"
    third = document(result("chat.id", "pass", target="m@c"), targets=["m@c"])
    made = valid(updated(report(earlier), third, loaded=contracts()))
    assert [target["id"] for target in made["targets"]] == ["m@a", "m@b", "m@c"]
    assert len(made["results"]) == 3


def test_update_drops_what_exists_no_more() -> None:
    """Neither its result nor the exchange that it alone read stays; a user's own contracts do."""
    earlier = document(
        result("chat.gone", "pass", probes=["chat-gone"]), result("acme.own", "pass", probes=["chat-own"])
    )
    made = valid(updated(report(earlier), document(result("chat.id", "pass")), loaded=contracts()))
    assert verdicts(made) == {("m@a", "acme.own"): "pass", ("m@a", "chat.id"): "pass"}
    assert [e["probe"] for e in made["exchanges"]] == ["chat-basic", "chat-own"]


@pytest.mark.parametrize("strict", [False, True])
def test_outage_does_not_displace_what_was_settled(strict: bool) -> None:
    """Unless the user says that silence is a loss."""
    earlier = document(*(result(f"a.{v}", v) for v in ("pass", "fail", "unsupported", "inconclusive")))
    silent = document(
        *(result(r["contract"], "inconclusive", reason="HTTP 503") for r in earlier["results"]),
        exchanges=[exchange(status=503, requests=2, prompt_tokens=None)],
    )
    made = valid(
        updated(report(earlier), silent, loaded=[r["contract"] for r in earlier["results"]], strict=strict)
    )
    kept = {id: verdict for (_, id), verdict in verdicts(made).items()}
    if strict:
        assert set(kept.values()) == {"inconclusive"}
    else:
        assert kept == {f"a.{v}": v for v in ("pass", "fail", "unsupported", "inconclusive")}
    (of_today,) = (r for r in made["results"] if r["contract"] == "a.inconclusive")
    assert of_today["reason"] == "HTTP 503"
    assert made["summary"]["targets"]["m@a"]["requests"] == 2
