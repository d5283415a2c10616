"""Endpoints as users type them, and the key that goes with each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pytest_llmcompat
from pytest_llmcompat.endpoint import Endpoint, endpoint_of, presets, read_key
from pytest_llmcompat.settings import Settings, WrongUsage

LOCAL = Endpoint("localhost:8000", "http://localhost:8000/v1", "OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("text", "name", "base_url"),
    [
        ("https://api.example.com/v1", "api.example.com", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "api.example.com", "https://api.example.com/v1"),
        ("http://localhost:8000/v1", "localhost:8000", "http://localhost:8000/v1"),
        ("http://[::1]:8000", "::1:8000", "http://[::1]:8000"),
        ("https://api.deepseek.com/v1", "deepseek", "https://api.deepseek.com/v1"),
    ],
)
def test_url_is_taken_as_it_is(text: str, name: str, base_url: str) -> None:
    """A base URL loses its last slash; its host is its name, unless it is a known provider's."""
    assert endpoint_of(text) == Endpoint(name, base_url, "OPENAI_API_KEY")


def test_name_of_a_provider_brings_base_url_and_key_variable() -> None:
    """Users need not look either up."""
    assert endpoint_of("deepseek") == Endpoint("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deepsek", "did you mean 'deepseek'?"),
        ("Reference", "did you mean 'reference'?"),
        ("api.example.com/v1", "did you mean 'https://api.example.com/v1'?"),
        ("localhost:8000/v1", "did you mean 'http://localhost:8000/v1'?"),
        ("127.0.0.1:8000", "did you mean 'http://127.0.0.1:8000'?"),
        ("ftp://example.com", "neither a URL (https://…/v1) nor a known name"),
        ("whatever", "names: reference, openai"),
        ("https://", "neither a URL"),
        ("https://host:port/v1", "is no URL"),
        ("https://[::1/v1", "is no URL"),
        ("https://a.example/v1?api-version=1", "without user name, query or fragment"),
        ("https://a.example/\x1b[31m", "neither a URL"),
    ],
)
def test_text_that_is_no_endpoint_is_refused_with_a_hint(text: str, said: str) -> None:
    """The likely intention is named."""
    with pytest.raises(WrongUsage) as wrong:
        endpoint_of(text)
    assert said in str(wrong.value)
    assert str(wrong.value).isprintable()


@pytest.mark.parametrize("scheme", ["https", "ftp"])
def test_password_in_a_url_is_refused_and_not_repeated(scheme: str) -> None:
    """Terminals and logs of continuous integration keep what they are shown."""
    with pytest.raises(WrongUsage) as wrong:
        endpoint_of(f"{scheme}://me:s3cret@example.com/v1")
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize(
    ("settings", "environment", "key"),
    [
        (Settings(), {"OPENAI_API_KEY": "a"}, "a"),
        (Settings(api_key_env="MINE"), {"OPENAI_API_KEY": "a", "MINE": "b"}, "b"),
        (Settings(api_key="typed"), {"OPENAI_API_KEY": "a"}, "typed"),
        (Settings(no_auth=True), {"OPENAI_API_KEY": "a"}, None),
    ],
)
def test_key_comes_from_where_the_user_says(
    settings: Settings, environment: dict[str, str], key: str | None
) -> None:
    """The typed key, the named variable, the endpoint's own variable, or none at all."""
    assert read_key(settings, LOCAL, environment) == key


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": ""}])
def test_missing_key_names_variable_and_ways_out(environment: dict[str, str]) -> None:
    """A server without keys is the usual reason."""
    with pytest.raises(WrongUsage) as wrong:
        read_key(Settings(), LOCAL, environment)
    assert "set the environment variable OPENAI_API_KEY" in str(wrong.value)
    assert "--llm-no-auth" in str(wrong.value)


@pytest.mark.parametrize("key", ["s3cret\n", " s3cret", "s3\ncret", "s3 cret", "s3crét", "s3\x00cret"])
def test_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str) -> None:
    """White space from copying is the usual reason, and servers answer it with a bare 401."""
    with pytest.raises(WrongUsage, match="the key in OPENAI_API_KEY") as wrong:
        read_key(Settings(), LOCAL, {"OPENAI_API_KEY": key})
    assert key.strip() not in str(wrong.value)


def test_presets_are_whole_and_say_where_they_come_from() -> None:
    """Each provider has a usable base URL, a variable and a source."""
    file = Path(pytest_llmcompat.__file__).with_name("presets.json")
    assert presets() == json.loads(file.read_text("utf-8"))
    for preset in presets().values():
        assert endpoint_of(preset["base_url"]).base_url == preset["base_url"]
        assert preset["key_variable"].endswith("_API_KEY")
        assert preset["source"]
