"""Endpoints as users type them, and the key that goes with each."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import pytest_llmcompat
from pytest_llmcompat.endpoint import REFERENCE, Endpoint, Preset, endpoint_of, presets, read_key
from pytest_llmcompat.settings import Settings, WrongUsage

LOCAL = Endpoint("localhost:8000", "http://localhost:8000/v1", "OPENAI_API_KEY")
KEYLESS = Endpoint("vllm", "http://localhost:8000/v1", "VLLM_API_KEY", keyless=True)
AZURE = "https://my-resource-2.openai.azure.com/openai/v1"
OWNED = [name for name, preset in presets().items() if "{resource}" in preset.base_url]


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


@pytest.mark.parametrize("text", [AZURE, f"{AZURE}/"])
def test_url_with_a_name_of_the_user_is_known_by_its_form(text: str) -> None:
    """Its preset's name and key variable go with it."""
    assert endpoint_of(text) == Endpoint("azure-openai", AZURE, "AZURE_OPENAI_API_KEY")


@pytest.mark.parametrize(
    "url",
    [
        "https://my-resource.openai.azure.com/openai",
        "https://my-resource.openai.azure.com.example.com/openai/v1",
        "https://example.com/my-resource.openai.azure.com/openai/v1",
        "http://my-resource.openai.azure.com/openai/v1",
    ],
)
def test_url_that_only_resembles_such_a_form_gets_no_key_of_it(url: str) -> None:
    """A key goes to nobody but whom it is for."""
    assert endpoint_of(url).key_variable == "OPENAI_API_KEY"


@pytest.mark.parametrize("name", OWNED)
def test_name_of_a_provider_with_addresses_of_users_says_what_to_type(name: str) -> None:
    """The form of the URL, in one line."""
    said = r"give https://RESOURCE\.\S+/v1 with the name of your resource"
    with pytest.raises(WrongUsage, match=said) as wrong:
        endpoint_of(name)
    assert str(wrong.value).isprintable()


@pytest.mark.parametrize("name", sorted(presets().keys() - set(OWNED)))
def test_every_other_name_is_an_endpoint(name: str) -> None:
    """What is typed as a name equals what is typed as a URL, but for the key."""
    endpoint = endpoint_of(name)
    assert endpoint.name == name
    assert endpoint_of(endpoint.base_url).base_url == endpoint.base_url


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


@pytest.mark.parametrize(
    ("settings", "environment", "key"),
    [
        (Settings(), {}, None),
        (Settings(), {"VLLM_API_KEY": ""}, None),
        (Settings(), {"OPENAI_API_KEY": "a"}, None),
        (Settings(), {"VLLM_API_KEY": "b"}, "b"),
        (Settings(api_key="typed"), {}, "typed"),
    ],
)
def test_server_without_keys_gets_one_only_when_it_is_meant(
    settings: Settings, environment: dict[str, str], key: str | None
) -> None:
    """Its own variable is taken; a key for somebody else is not."""
    assert read_key(settings, KEYLESS, environment) == key


def test_variable_that_was_named_has_to_be_set_for_a_server_without_keys_too() -> None:
    """Who names a variable wants a key."""
    with pytest.raises(WrongUsage, match="set the environment variable MINE"):
        read_key(Settings(api_key_env="MINE"), KEYLESS, {})


@pytest.mark.parametrize("key", ["s3cret\n", " s3cret", "s3\ncret", "s3 cret", "s3crét", "s3\x00cret"])
def test_key_that_no_header_can_carry_is_refused_and_not_repeated(key: str) -> None:
    """White space from copying is the usual reason, and servers answer it with a bare 401."""
    with pytest.raises(WrongUsage, match="the key in OPENAI_API_KEY") as wrong:
        read_key(Settings(), LOCAL, {"OPENAI_API_KEY": key})
    assert key.strip() not in str(wrong.value)


def test_presets_are_what_the_data_file_says() -> None:
    """Every entry has every key, in one order, and base URLs and names are distinct."""
    file = Path(pytest_llmcompat.__file__).with_name("presets.json")
    entries = json.loads(file.read_text("utf-8"), object_pairs_hook=list)
    names = [name for name, _ in entries]
    assert len(names) == len(set(names)) == len({preset.base_url for preset in presets().values()})
    assert REFERENCE not in names
    every = [field.name for field in fields(Preset)]
    for _, entry in entries:
        keys = [key for key, _ in entry]
        assert keys == (every if "keyless" in keys else every[:-1])


@pytest.mark.parametrize("name", presets())
def test_preset_is_sane(name: str) -> None:
    """A name that can be typed, a base URL that is sent to safely, a variable, and where it is from."""
    preset = presets()[name]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    place = urlsplit(preset.base_url)
    assert place.scheme == ("http" if place.hostname == "localhost" else "https")
    assert preset.keyless == (place.hostname == "localhost")
    assert not preset.base_url.endswith("/")
    assert re.fullmatch(r"[A-Z][A-Z_]*_(API_KEY|API_TOKEN|TOKEN)", preset.key_variable)
    assert preset.documentation.startswith("https://")
    assert preset.source
    assert date.fromisoformat(preset.checked).isoformat() == preset.checked
    assert "\n" not in preset.dialect
    assert preset.dialect == "" or preset.dialect.endswith(".")


def test_variables_are_distinct() -> None:
    """No provider is sent another one's key."""
    variables = [preset.key_variable for preset in presets().values()]
    assert len(variables) == len(set(variables))
