"""Pre-flight: one diagnosis instead of hundreds of red tests."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from pytest_llmcompat.reference import Reference
from tests.plugin.conftest import Judge, files_below
from tests.servers import Connection, Received, completion, refusal, serving

pytest_plugins = ("pytester",)

Script = Callable[[Received, Connection], None]
NOT_FOUND = {"detail": "Not Found"}
# The one retry of a passing fault need not wait then.
AT_ONCE = {"retry-after": "0"}


def diagnosis(result: pytest.RunResult, key: str) -> str:
    """The one line with which a run ends, checked for what holds of each."""
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    lines = [line for line in [*result.outlines, *result.errlines] if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("ERROR: ")
    assert lines[0].isprintable()
    assert key not in lines[0]
    return lines[0].removeprefix("ERROR: ")


def answering(models: tuple[int, Any], chat: tuple[int, Any] | None = None, *, below: str = "/v1") -> Script:
    """A server with the routes /models and /chat/completions below a base path, and no others."""
    routes = {f"{below}/models": models, f"{below}/chat/completions": chat or models}

    def script(request: Received, connection: Connection) -> None:
        status, body = routes.get(request.path, (404, NOT_FOUND))
        connection.answer(body, status, AT_ONCE)

    return script


def listed(*ids: str) -> dict[str, Any]:
    """A model list."""
    return {"object": "list", "data": [{"id": id, "object": "model"} for id in ids]}


def test_endpoint_where_nothing_listens_is_unreachable(judge: Judge, key: str) -> None:
    """A server that is not running is the usual reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    said = diagnosis(judge(endpoint=f"http://127.0.0.1:{free}/v1"), key)
    assert said.startswith(f"cannot reach http://127.0.0.1:{free}/v1: cannot connect")
    assert "is the server running, and are host and port right?" in said


def test_https_to_a_plain_server_is_a_tls_failure(judge: Judge, reference: Reference, key: str) -> None:
    """The scheme is often the mistake."""
    said = diagnosis(judge(endpoint=reference.base_url.replace("http:", "https:")), key)
    assert said.startswith("no secure connection to https://")
    assert "whether the server speaks https at all" in said


def test_connection_that_breaks_at_once_may_want_https(judge: Judge, key: str) -> None:
    """A server that expects TLS hangs up on plain HTTP."""
    with serving(lambda _, connection: connection.close()) as server:
        said = diagnosis(judge("--llm-timeout=5", endpoint=server.base_url), key)
    assert "the connection broke" in said
    assert said.endswith("Or does it want https?")


def test_silent_server_is_told_from_an_absent_one(judge: Judge, key: str) -> None:
    """It takes connections, so host and port are right."""

    def silent(_: Received, connection: Connection) -> None:
        connection.gone()
        connection.close()

    with serving(silent) as server:
        said = diagnosis(judge("--llm-timeout=0.1", endpoint=server.base_url), key)
    assert "no answer had come after 0.1 s" in said
    assert "(--llm-timeout); the server takes connections but is silent" in said


@pytest.mark.parametrize(
    ("typed", "below"),
    [
        ("", "/v1"),
        ("", "/openai/v1"),
        ("/api", "/v1"),
        ("/v2", "/v1"),
        ("/api/v1", "/api"),
        ("/v1/chat/completions", "/v1"),
        ("/v1/models", "/v1"),
    ],
)
def test_wrong_base_url_is_answered_with_the_one_that_works(
    judge: Judge, key: str, typed: str, below: str
) -> None:
    """The usual variants of a base URL are tried, and the right one is named ready for copying."""
    with serving(answering((200, listed("m")), (200, completion()), below=below)) as server:
        origin = server.base_url.removesuffix("/v1")
        said = diagnosis(judge(endpoint=f"{origin}{typed}"), key)
    assert f"no OpenAI API at {origin}{typed} (404 for /models)" in said
    assert said.endswith(f"there is one at {origin}{below}: use --llm-endpoint={origin}{below}")


def test_base_url_may_show_itself_by_wanting_another_key(judge: Judge, key: str) -> None:
    """A 401 in an API's envelope is an API, too."""
    with serving(answering((401, refusal("bad key")), below="/openai/v1")) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    assert "/openai/v1: use --llm-endpoint=" in said


def test_pages_of_a_web_application_are_no_api(judge: Judge, key: str) -> None:
    """A catch-all route that answers 200 with HTML to everything does not pass for an API."""

    def script(request: Received, connection: Connection) -> None:
        if request.path == "/api/v1/models":
            connection.answer(listed("m"))
        else:
            connection.answer(b"<!doctype html><title>Chat</title>", headers={"content-type": "text/html"})

    with serving(script) as server:
        origin = server.base_url.removesuffix("/v1")
        said = diagnosis(judge(endpoint=f"{origin}/api"), key)
    assert f"there is one at {origin}/api/v1" in said


def test_redirect_is_answered_with_where_it_leads(judge: Judge, key: str) -> None:
    """A base URL that has moved on the same host is found behind its redirect."""

    def script(request: Received, connection: Connection) -> None:
        if request.path.startswith("/new/v3/"):
            connection.answer(listed("m"))
        else:
            connection.answer(b"", 308, {"location": f"/new/v3/{request.path.removeprefix('/v1/')}"})

    with serving(script) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    assert said.endswith("/new/v3")


def test_key_is_not_taken_to_another_host_by_a_redirect(judge: Judge, key: str) -> None:
    """A redirect to elsewhere is not followed, for the key would go along."""
    with serving(answering((200, listed("m")))) as elsewhere:
        away = elsewhere.base_url.replace("127.0.0.1", "localhost")

        def script(_: Received, connection: Connection) -> None:
            connection.answer(b"", 302, {"location": f"{away}/models"})

        with serving(script) as server:
            diagnosis(judge(endpoint=server.base_url), key)
    assert elsewhere.received == []


def test_host_without_any_api_says_what_was_tried(judge: Judge, key: str) -> None:
    """When no variant works, the user sees which ones were tried and what a base URL is."""
    with serving(answering((404, NOT_FOUND))) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    origin = server.base_url.removesuffix("/v1")
    assert f"also tried: {origin}/v1/v1, {origin}/v1/openai/v1, {origin}, {origin}/openai/v1" in said
    assert "the routes /models and /chat/completions are appended to" in said


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("models", [(200, listed("m")), (401, refusal("who?")), (404, NOT_FOUND)])
def test_refused_key_gets_the_check_list(
    judge: Judge, key: str, status: int, models: tuple[int, Any]
) -> None:
    """Every usual reason for a refused key is named; the key that the server echoes is not."""

    def script(request: Received, connection: Connection) -> None:
        if request.method == "GET":
            connection.answer(models[1], models[0])
        else:
            connection.answer(refusal(f"no: {request.headers['authorization']}"), status)

    with serving(script) as server:
        said = diagnosis(judge(endpoint=server.base_url), key)
    assert f"refuses the key ({status}: " in said
    assert "[REDACTED-API-KEY]" in said
    for reason in ("white space", "for this base URL", "expired", "allow-list"):
        assert reason in said


def test_key_wanted_under_no_auth_says_so(pytester: pytest.Pytester, reference: Reference, key: str) -> None:
    """Whoever says --llm-no-auth to a server with keys is told to drop it."""
    result = pytester.runpytest_inprocess(
        f"--llm-endpoint={reference.base_url}", "--llm-no-auth", "--llm-model=m"
    )
    assert "wants a key (401: " in diagnosis(result, key)


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ((404, refusal("The model `gtp-4` does not exist")), "closest: gpt-4, gpt-4o"),
        ((400, {"error": "Invalid Model: gtp-4"}), "closest: gpt-4, gpt-4o"),
        ((404, {"error": {"message": "?", "code": "model_not_found"}}), "closest: gpt-4, gpt-4o"),
    ],
)
def test_unknown_model_is_answered_with_the_closest_names(
    judge: Judge, key: str, chat: tuple[int, Any], said: str
) -> None:
    """A typing error is the usual reason; servers say so in many ways."""
    with serving(answering((200, listed("gpt-4o", "whisper", "gpt-4")), chat)) as server:
        told = diagnosis(judge(endpoint=server.base_url, model="gtp-4"), key)
    assert 'does not have the model "gtp-4"' in told
    assert said in told


def test_unknown_model_without_a_close_name_is_answered_with_the_list(judge: Judge, key: str) -> None:
    """What there is helps when nothing is close."""
    with serving(answering((200, listed("alpha", "beta")), (404, refusal("no model zzz")))) as server:
        assert diagnosis(judge(endpoint=server.base_url, model="zzz"), key).endswith("it lists alpha, beta")


def test_model_that_is_listed_but_refused_is_judged(judge: Judge) -> None:
    """Such a server breaks contracts, which is what the suite is for."""
    with serving(answering((200, listed("m")), (404, refusal("the model m is asleep")))) as server:
        result = judge("-k", "models.", endpoint=server.base_url, model="m")
    assert result.parseoutcomes()["passed"] > 0


@pytest.mark.parametrize("models", [(404, NOT_FOUND), (500, b"oops"), (403, refusal("admins only"))])
def test_endpoint_without_a_model_list_is_judged_when_it_chats(judge: Judge, models: tuple[int, Any]) -> None:
    """Several providers have no /models, or lock it."""
    with serving(answering(models, (200, completion()))) as server:
        result = judge("-k", "chat.message-role", endpoint=server.base_url, model="m")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ((500, b"\x1b[31moops"), "500: "),
        ((503, refusal("loading")), '503: "loading"'),
        ((429, refusal("insufficient quota")), '429: "insufficient quota"'),
    ],
)
def test_endpoint_that_does_not_work_now_is_not_judged(
    judge: Judge, key: str, chat: tuple[int, Any], said: str
) -> None:
    """With every chat request failing, hundreds of contracts would be inconclusive."""
    with serving(answering((200, listed("m")), chat)) as server:
        told = diagnosis(judge(endpoint=server.base_url, model="m"), key)
    assert "gives no answer to a plain chat request" in told
    assert said in told
    assert "try again later" in told


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ((404, NOT_FOUND), "name a model with --llm-model=ID if it cannot list them"),
        (
            (503, refusal("loading")),
            'does not list its models (503: "loading"); name one with --llm-model=ID',
        ),
        ((401, refusal("who?")), "refuses the key (401"),
    ],
)
def test_model_list_that_fails_when_no_model_is_named_says_so(
    pytester: pytest.Pytester, key: str, models: tuple[int, Any], said: str
) -> None:
    """Without a list, the model has to come from the user."""
    with serving(answering(models, (404, NOT_FOUND))) as server:
        result = pytester.runpytest_inprocess(f"--llm-endpoint={server.base_url}")
    assert said in diagnosis(result, key)


def test_good_endpoint_pays_nothing_for_pre_flight(judge: Judge) -> None:
    """The two exchanges are those of probes that the suite sends anyway."""
    with serving(answering((200, listed("m")), (200, completion()))) as server:
        judge("-k", "models.list-object or chat.message-role", endpoint=server.base_url, model="m")
    assert sorted(request.method for request in server.received) == ["GET", "POST"]


def test_failed_pre_flight_leaves_no_cassettes(judge: Judge, pytester: pytest.Pytester, key: str) -> None:
    """Else the next try would replay the refusal."""
    with serving(answering((200, listed("m")), (401, refusal("bad key")))) as server:
        diagnosis(judge("--llm-record", endpoint=server.base_url, model="m"), key)
        assert files_below(pytester.path) == []
        server.script = answering((200, listed("m")), (200, completion()))
        result = judge("--llm-record", "-k", "chat.message-role", endpoint=server.base_url, model="m")
    assert result.parseoutcomes()["passed"] == 1


def test_failed_pre_flight_keeps_earlier_cassettes(judge: Judge, pytester: pytest.Pytester, key: str) -> None:
    """A bad day of the endpoint does not cost what was recorded on a good one."""
    with serving(answering((200, listed("m")), (200, completion()))) as server:
        judge("--llm-record", "-k", "chat.message-role", endpoint=server.base_url, model="m")
        chat, models = files_below(pytester.path / "cassettes")
        chat.unlink()
        server.script = answering((200, listed("m")), (401, refusal("bad key")))
        diagnosis(judge("--llm-record", endpoint=server.base_url, model="m"), key)
    assert files_below(pytester.path / "cassettes") == [models]
