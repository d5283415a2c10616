"""JUnit files: which contract of which target a test case is, and XML that any reader takes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pytest_llmcompat.contract import Level
from tests.plugin.conftest import Judge, report_of, verdicts_of
from tests.servers import Connection, Received, completion, serving

pytest_plugins = ("pytester",)

PROPERTIES = ["llmcompat.contract", "llmcompat.level", "llmcompat.target", "llmcompat.verdict"]
# Neither XML 1.0 nor a terminal takes these; the last two end what XML quotes.
HOSTILE = "\x00\x07\x1b[2J\x0b\x85\ufffe\ud800 ]]> </failure>&bogus;"


def hostile(request: Received, connection: Connection) -> None:
    """Some answers are right, some wrong, some refusals; all of them hold what XML cannot."""
    if request.headers.get("authorization") is None:
        connection.answer({"error": {"message": HOSTILE, "type": HOSTILE, "param": None, "code": None}}, 401)
    elif request.method == "GET":
        connection.answer({"object": HOSTILE, "data": [{"id": HOSTILE}]})
    elif b"response_format" in request.body:
        connection.answer(
            {"error": {"message": f"no response_format {HOSTILE}", "param": "response_format"}}, 400
        )
    else:
        connection.answer(completion(object=HOSTILE, system_fingerprint=HOSTILE))


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "workers"])
def test_junit_file_bears_the_properties_of_every_verdict(
    judge: Judge, pytester: pytest.Pytester, workers: list[str]
) -> None:
    """Failed, skipped and passed cases alike, from whichever process; what an endpoint says breaks no XML."""
    with serving(hostile) as server:
        judge(
            "--junitxml=junit.xml",
            "--llm-report=report.json",
            "--llm-suite=core,json",
            "-k",
            "auth.missing or chat.object or chat.id or json. or models.list",
            *workers,
            endpoint=server.base_url,
        )
    (suite,) = ElementTree.parse(pytester.path / "junit.xml").getroot()
    found = {}
    for case in suite.iter("testcase"):
        properties = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        assert sorted(properties) == PROPERTIES
        assert Level(properties["llmcompat.level"]) in Level
        contract, target, verdict = (properties[f"llmcompat.{n}"] for n in ("contract", "target", "verdict"))
        assert outcome_of(case) == {"fail": "failure", "pass": "", "warn": ""}.get(verdict, "skipped")
        found[target, contract] = verdict
    assert found == verdicts_of(report_of(pytester))
    assert {"fail", "pass", "unsupported"} <= {*found.values()}


def outcome_of(case: ElementTree.Element) -> str:
    """What a case holds besides its properties; "" when it passed. What an endpoint said is shown as escapes."""
    others = [child for child in case if child.tag != "properties"]
    for child in others:
        said = (child.get("message") or "") + (child.text or "")
        assert all(character.isprintable() or character == "\n" for character in said)
    return "".join(child.tag for child in others)


def test_hostile_text_stands_in_the_file_as_escapes(judge: Judge, pytester: pytest.Pytester) -> None:
    """A reader sees what came, and no more of it than of any other failure."""
    with serving(hostile) as server:
        judge("--junitxml=junit.xml", "-k", "chat.object", endpoint=server.base_url)
    failures = [*ElementTree.parse(pytester.path / "junit.xml").getroot().iter("failure")]
    assert failures
    assert all("\\u001b[2J" in (failure.text or "") for failure in failures)
