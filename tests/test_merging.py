"""Joining the reports of several jobs."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from pytest_llmcompat.merging import merged
from pytest_llmcompat.probes import FAMILIES
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.shard import Shard, part_of
from pytest_llmcompat.suite import bundled_contracts
from tests.reports import DEFECTS, Document, document, exchange, real, report, result, verdicts
from tests.test_baseline import valid

PASSIVE = ["chat"]
PRECEDENCE = ("fail", "waived", "warn", "pass", "unsupported", "inconclusive")


def join(*documents: Document) -> Document:
    """The join of documents, as files a.json, b.json and so on; it fits the schema."""
    return valid(
        merged([report(made, f"{name}.json") for made, name in zip(documents, "abcdef", strict=False)])
    )


def refusal(*documents: Document) -> str:
    """The line that documents get which cannot be joined."""
    with pytest.raises(WrongUsage) as wrong:
        join(*documents)
    assert str(wrong.value).isprintable()
    return str(wrong.value)


def sharded(whole: Document, count: int) -> list[Document]:
    """The parts of a real report that shards would have found; guests have found nothing."""
    made = []
    for number in range(1, count + 1):
        part = part_of(bundled_contracts(), FAMILIES, Shard(number, count))
        results = [dict(r) for r in whole["results"] if r["contract"] in part.all]
        for guest in (r for r in results if r["contract"] in part.guests):
            guest |= {"verdict": "inconclusive", "broken": False, "reason": "nothing of the kind is recorded"}
            guest |= {"evidence": [], "explanation": "", "probes": []}
        probes = {probe for r in results for probe in r["probes"]}
        made.append(
            document(
                *results,
                targets=[target["id"] for target in whole["targets"]],
                exchanges=[e for e in whole["exchanges"] if e["probe"] in probes],
                shard=f"{number}/{count}",
            )
        )
    return made


@pytest.mark.parametrize("count", [2, 5])
def test_shards_of_a_real_report_join_to_the_whole(count: int) -> None:
    """Verdict by verdict, and with the evidence; what several shards sent is counted as often."""
    whole = real(DEFECTS)
    parts = sharded(whole, count)
    made = join(*reversed(parts))
    assert verdicts(made) == verdicts(whole)
    evidence = {r["contract"]: r["evidence"] for r in whole["results"]}
    assert {r["contract"]: r["evidence"] for r in made["results"]} == evidence
    assert {e["probe"] for e in made["exchanges"]} == {p for r in whole["results"] for p in r["probes"]}
    assert "shard" not in made
    (target,) = (entry["id"] for entry in whole["targets"])
    spent = made["summary"]["targets"][target]
    for key in ("requests", "prompt_tokens", "completion_tokens"):
        assert spent[key] == sum(part["summary"]["targets"][target][key] for part in parts)


def test_real_reports_of_two_selections_join() -> None:
    """Two servers are two targets, in the order of the files."""
    one, other = real((), "-k", "models.list"), real()
    made = join(one, other)
    assert made["targets"] == one["targets"] + other["targets"]
    assert verdicts(made) == verdicts(one) | verdicts(other)
    assert made["generated"] == min(one["generated"], other["generated"])
    assert (join(one)["results"], join(one)["exchanges"]) == (one["results"], one["exchanges"])


def test_reports_of_one_target_join() -> None:
    """Contracts that agree are taken once; what was sent twice was paid for twice."""
    one = document(result("a.b", "pass"), result("a.c", "fail"))
    other = document(result("a.b", "pass", reason=""), result("a.d", "pass", probes=["chat-n2"]))
    made = join(one, other)
    assert list(verdicts(made).values()) == ["pass", "fail", "pass"]
    assert [(e["probe"], e["requests"], e["prompt_tokens"]) for e in made["exchanges"]] == [
        ("chat-basic", 2, 10),
        ("chat-n2", 1, 5),
    ]
    assert made["summary"]["targets"]["m@a"]["requests"] == 3


def test_recording_that_two_jobs_replay_was_paid_for_once() -> None:
    """A live exchange goes before a recorded one, and an unknown count adds nothing."""
    recorded = exchange(live=False)
    one = document(result("a.b", "pass"), exchanges=[recorded])
    other = document(result("a.c", "pass"), exchanges=[recorded])
    assert join(one, other)["exchanges"] == [recorded]
    sent = exchange(prompt_tokens=None, status=201)
    live = document(result("a.d", "pass"), exchanges=[sent])
    more = document(result("a.e", "pass"), exchanges=[exchange()])
    assert join(one, live)["exchanges"] == [sent]
    assert join(one, live, more)["exchanges"] == [
        sent | {"requests": 2, "prompt_tokens": 5, "completion_tokens": 4}
    ]


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(PRECEDENCE, 2)))
def test_passive_contracts_are_joined(one: str, other: str) -> None:
    """Each job has judged other exchanges; the gravest verdict is that on all of them."""
    first, second = (
        document(result("a.b", verdict, passive=PASSIVE, probes=[probe]))
        for verdict, probe in ((one, "chat-basic"), (other, "chat-n2"))
    )
    (made,) = join(first, second)["results"]
    assert made["verdict"] == min(one, other, key=PRECEDENCE.index)
    assert made["probes"] == ["chat-basic", "chat-n2"]


def test_evidence_of_passive_contracts_is_joined() -> None:
    """That of all jobs in which the contract broke alike, each place once."""

    def found(where: str) -> dict[str, Any]:
        return {"probe": "chat-basic", "where": where, "found": "1", "expected": "2"}

    first, second, third = (
        document(result("a.b", verdict, passive=PASSIVE, evidence=evidence, claim=f"claim {verdict}"))
        for verdict, evidence in (
            ("fail", [found("/a"), found("/b")]),
            ("fail", [found("/b"), found("/c")]),
            ("warn", [found("/d")]),
        )
    )
    (made,) = join(third, first, second | {"generated": "2026-01-01T00:00:00Z"})["results"]
    assert [evidence["where"] for evidence in made["evidence"]] == ["/a", "/b", "/c"]


def test_contract_that_reads_families_differs_between_shards_alone() -> None:
    """Every shard judges it on what it has sent; two whole runs contradict each other."""
    first, second = document(result("a.b", "pass")), document(result("a.b", "fail"))
    assert verdicts(join(first | {"shard": "1/2"}, second | {"shard": "2/2"})) == {("m@a", "a.b"): "fail"}
    assert refusal(first, second) == (
        "a.b on m@a is pass in a.json and fail in b.json; merge reports that do not overlap"
    )
    assert "a.b on m@a is pass" in refusal(
        first | {"shard": "1/2"}, document(shard="2/2"), second | {"shard": "1/2"}
    )


def test_missing_shards_are_named() -> None:
    """A job that never ran would go unnoticed otherwise."""
    one, four = document(result("a.b", "pass"), shard="1/5"), document(result("a.c", "pass"), shard="4/5")
    assert refusal(one, four) == ("of m@a, 3 shards (2/5 …) are missing; give the reports of all 5 jobs")
    assert refusal(one | {"shard": "1/2"}) == "of m@a, shard 2/2 is missing; give the reports of all 2 jobs"
    assert refusal(one, four | {"shard": "1/2"}) == (
        "a.json is shard 1/5 of m@a and b.json is shard 1/2; merge shards of one run"
    )
    other_target = document(result("a.b", "pass", target="m@b"), targets=["m@b"], shard="2/2")
    assert refusal(one | {"shard": "1/2"}, other_target) == (
        "of m@a, shard 2/2 is missing; give the reports of all 2 jobs"
    )


def test_what_a_job_concluded_is_not_taken_for_the_whole() -> None:
    """Its gate, for one, spoke of its part alone; `llmcompat diff` says it of the joined report."""
    gate = {"baseline": "b.json", "strict": False, "targets": {}}
    made = join(
        document(result("a.b", "pass", gate="same"), gate=gate, faults=["…"]), document(result("a.c", "pass"))
    )
    assert set(made) == {"schema", "generated", "tool", "targets", "results", "exchanges", "summary"}
    assert not any("gate" in r for r in made["results"])


def test_reports_that_do_not_belong_together() -> None:
    """Another level gives other verdicts, another version other contracts; one report twice costs twice."""
    one = document(result("a.b", "pass"))
    assert refusal(one, document(result("a.c", "pass"), level="should")) == (
        "a.json was judged at level must and b.json at level should; merge reports of one level and one version"
    )
    own_level = document(result("a.c", "pass"))
    own_level["summary"]["targets"]["m@a"]["level"] = "may"
    assert refusal(one, own_level) == (
        "a.json was judged on m@a at level must and b.json on m@a at level may; "
        "merge reports of one level and one version"
    )
    assert join(own_level)["summary"]["targets"]["m@a"]["level"] == "may"
    newer = document(result("a.c", "pass"), tool={"name": "pytest-llmcompat", "version": "1.1"})
    assert refusal(one, newer) == (
        "a.json was judged by version 1.0 and b.json by version 1.1; merge reports of one level and one version"
    )
    assert refusal(one, document(), json.loads(json.dumps(one))) == (
        "a.json and c.json are the same report; give each once"
    )
