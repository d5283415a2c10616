"""Targets: endpoints × models, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from pytest_llmcompat.matrix import targets_of
from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reference.models import SLASHED_MODEL
from pytest_llmcompat.settings import Settings, WrongUsage
from pytest_llmcompat.target import Target
from tests.plugin.conftest import Judge, report_of, verdicts_of
from tests.servers import Connection, Received, serving

pytest_plugins = ("pytester",)

NAMED = Settings(endpoint=("https://a.example/v1",), model=("m",), no_auth=True)


def found(settings: Settings, resources: ExitStack, *, sends: bool = True) -> list[Target]:
    """The targets of a run with some settings."""
    return [target for target, _ in targets_of([settings], resources, sends=sends)]


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    """Closed at the end, as by a run."""
    with ExitStack() as stack:
        yield stack


def listing(*ids: str) -> Any:
    """A server that lists models and has nothing else."""

    def script(_: Received, connection: Connection) -> None:
        connection.answer({"object": "list", "data": [{"id": id, "object": "model"} for id in ids]})

    return serving(script)


def test_every_endpoint_is_crossed_with_every_model(resources: ExitStack) -> None:
    """Two endpoints and two models are four targets, named by both."""
    settings = replace(NAMED, endpoint=("https://a.example/v1", "groq"), model=("m", "n/o"))
    assert [target.id for target in found(settings, resources)] == [
        "m@a.example",
        "n/o@a.example",
        "m@groq",
        "n/o@groq",
    ]


def test_embedding_model_goes_with_every_target(resources: ExitStack) -> None:
    """It is the model of another route, so it makes no target of its own."""
    settings = replace(NAMED, model=("m", "n"), embedding_model="e")
    targets = found(settings, resources)
    assert [(target.model, target.embedding_model) for target in targets] == [("m", "e"), ("n", "e")]


def test_same_target_named_twice_is_on_trial_once(resources: ExitStack) -> None:
    """A provider's name and its URL are one endpoint."""
    settings = replace(NAMED, endpoint=("groq", "https://api.groq.com/openai/v1/"))
    assert len(found(settings, resources)) == 1


def test_two_base_urls_on_one_host_are_told_apart(resources: ExitStack) -> None:
    """Ids that would clash hold the whole base URL."""
    settings = replace(NAMED, endpoint=("https://a.example/v1", "https://a.example/beta"))
    ids = [target.id for target in found(settings, resources)]
    assert ids == ["m@https://a.example/v1", "m@https://a.example/beta"]


def test_model_id_with_control_characters_is_escaped_in_the_target_id(resources: ExitStack) -> None:
    """Target ids go to terminals; the model asked for stays as it is."""
    (target,) = found(replace(NAMED, model=("a\x1b[31m\nb",)), resources)
    assert target.id == "a\\u001b[31m\\nb@a.example"
    assert target.model == "a\x1b[31m\nb"


def test_only_model_that_is_listed_is_taken(resources: ExitStack) -> None:
    """Without --llm-model, an endpoint with one model needs no choice."""
    with listing("solo") as server:
        (target,) = found(replace(NAMED, endpoint=(server.base_url,), model=()), resources)
    assert target.model == "solo"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["alpha", "beta"], "has 2 models; choose with --llm-model=ID: alpha, beta"),
        ([f"m{n}" for n in range(20)], "m10, m11 and 8 more"),
        ([], "lists no model; name one with --llm-model=ID"),
        (["a\x1b[31m", "b"], "a\\u001b[31m, b"),
    ],
)
def test_choice_between_models_is_the_users(resources: ExitStack, ids: list[str], said: str) -> None:
    """Several models, or none, are an error that lists what there is."""
    with listing(*ids) as server, pytest.raises(WrongUsage) as wrong:
        found(replace(NAMED, endpoint=(server.base_url,), model=()), resources)
    assert said in str(wrong.value)


def test_nothing_is_sent_before_all_endpoints_are_right(resources: ExitStack) -> None:
    """A mistake in the last endpoint costs no request at the first."""
    with listing("solo") as server:
        settings = replace(NAMED, endpoint=(server.base_url, "nonsense"), model=())
        with pytest.raises(WrongUsage, match="nonsense"):
            found(settings, resources)
    assert server.received == []


def test_model_stays_open_when_nothing_may_be_sent(resources: ExitStack) -> None:
    """Showing what would run needs no model list."""
    with listing("solo") as server:
        settings = replace(NAMED, endpoint=(server.base_url,), model=())
        (target,) = found(settings, resources, sends=False)
    assert server.received == []
    assert target.id == server.base_url.removeprefix("http://").removesuffix("/v1")


def test_suite_runs_once_for_each_target(
    judge: Judge, pytester: pytest.Pytester, reference: Reference
) -> None:
    """Test ids, results and summaries tell the targets of a matrix apart."""
    result = judge(
        "--llm-endpoint=reference",
        f"--llm-model={SLASHED_MODEL}",
        "-k",
        "auth.missing",
        "--llm-report=report.json",
        "-v",
    )
    report = report_of(pytester)
    host = reference.base_url.removeprefix("http://").removesuffix("/v1")
    ids = [f"{model}@{place}" for place in (host, "reference") for model in (reference.model, SLASHED_MODEL)]
    assert [target["id"] for target in report["targets"]] == ids
    assert verdicts_of(report) == {(id, "auth.missing-401"): "pass" for id in ids}
    assert {id: spent["contracts"] for id, spent in report["summary"]["targets"].items()} == dict.fromkeys(
        ids, 1
    )
    for id in ids:
        result.stdout.fnmatch_lines(
            [f"contracts/test_auth.py::auth.missing-401[[]{id}] PASSED*", f"*llmcompat: {id} =*"]
        )
