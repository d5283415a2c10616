"""Tests of users' own: the clients, the target, the probes and the reference."""

from __future__ import annotations

import pytest

from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reference.models import SLASHED_MODEL
from tests.plugin.conftest import Judge
from tests.servers import completion, serving

pytest_plugins = ("pytester",)

CLIENTS = """
    import asyncio
    import openai

    MESSAGES = [{"role": "user", "content": "Count from 1 to 3."}]

    def test_sync(llm_client, llm_target):
        assert type(llm_client) is openai.OpenAI
        answer = llm_client.chat.completions.create(model=llm_target.model, messages=MESSAGES)
        assert answer.choices[0].message.content

    def test_async(llm_async_client, llm_target):
        assert type(llm_async_client) is openai.AsyncOpenAI

        async def ask():
            return await llm_async_client.chat.completions.create(model=llm_target.model, messages=MESSAGES)

        assert asyncio.run(ask()).choices[0].message.content
"""


def test_clients_reach_the_target(judge: Judge, pytester: pytest.Pytester) -> None:
    """The official clients work as they come out of the fixtures, and leave nothing open."""
    path = pytester.makepyfile(CLIENTS)
    judge(str(path), "-W", "error").assert_outcomes(passed=2)


def test_tests_that_read_a_target_run_once_for_each(judge: Judge, pytester: pytest.Pytester) -> None:
    """Ordinary tests are part of the matrix as soon as they ask for the target, however indirectly."""
    path = pytester.makepyfile(
        CLIENTS
        + """
    def test_probe(chat_basic):
        assert chat_basic.ok

    def test_family(stream_exchanges):
        assert all(exchange.ok for exchange in stream_exchanges if exchange.unsent is None)

    def test_other():
        pass
    """
    )
    result = judge(str(path), f"--llm-model={SLASHED_MODEL}", "-k", "not sync")
    result.assert_outcomes(passed=5, deselected=4)


def test_clients_bear_headers_and_no_key_where_there_is_none(pytester: pytest.Pytester) -> None:
    """What the suite sends to get in, the clients send as well."""
    path = pytester.makepyfile(CLIENTS)
    with serving(lambda _, connection: connection.answer(completion())) as server:
        result = pytester.runpytest_inprocess(
            f"--llm-endpoint={server.base_url}",
            "--llm-no-auth",
            "--llm-model=m",
            "--llm-header=X-Team: blue",
            str(path),
        )
    result.assert_outcomes(passed=2)
    of_clients = [
        request
        for request in server.received
        if request.headers["user-agent"].startswith(("OpenAI", "Async"))
    ]
    assert len(of_clients) == 2
    assert {request.headers["x-team"] for request in of_clients} == {"blue"}


def test_clients_are_skipped_without_an_endpoint(pytester: pytest.Pytester) -> None:
    """A file with such tests still runs for everybody."""
    path = pytester.makepyfile(CLIENTS)
    result = pytester.runpytest_inprocess("-rs", str(path))
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*needs --llm-endpoint"])


@pytest.mark.parametrize("by_table", [False, True])
def test_clients_are_skipped_in_a_replay(judge: Judge, pytester: pytest.Pytester, by_table: bool) -> None:
    """They would send; the reason says so."""
    judge("--llm-record", "-k", "auth.missing-401")
    path = pytester.makepyfile(CLIENTS)
    if by_table:
        pytester.makepyprojecttoml("[tool.llmcompat]\nreplay = true\n")
    result = judge("-rs", str(path), *([] if by_table else ["--llm-replay"]))
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED*llm_client would send, and --llm-replay forbids it",
            "SKIPPED*llm_async_client would send, and --llm-replay forbids it",
        ]
    )


def test_reference_serves_tests_without_an_endpoint(pytester: pytest.Pytester) -> None:
    """Client code can be tested against it offline; one server does for a whole run."""
    path = pytester.makepyfile(
        """
        import openai

        def test_first(llm_reference, request):
            request.config.cache.set("llmcompat/url", llm_reference.base_url)
            with openai.OpenAI(base_url=llm_reference.base_url, api_key=llm_reference.key) as client:
                assert llm_reference.model in {model.id for model in client.models.list()}

        def test_second(llm_reference, request):
            assert request.config.cache.get("llmcompat/url", None) == llm_reference.base_url
        """
    )
    pytester.runpytest_inprocess(str(path), "-W", "error").assert_outcomes(passed=2)


def test_contract_may_read_the_target_and_a_family(
    judge: Judge, pytester: pytest.Pytester, reference: Reference
) -> None:
    """Parameters of a contract are probes, families of probes, and the target."""
    path = pytester.makepyfile(
        f"""
        from pytest_llmcompat import MUST, contract

        @contract("fixtures.family", MUST, source="ours")
        def test_family(llm_target, error_exchanges, chat_basic):
            '''It is itself.'''
            assert llm_target.endpoint == {reference.base_url!r}
            assert len(error_exchanges) > 10
            assert chat_basic.target == llm_target.id
        """
    )
    judge(str(path)).assert_outcomes(passed=1)
