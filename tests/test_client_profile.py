"""Client profiles: the data is sound, and names are looked up kindly."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase

import pytest

from pytest_llmcompat.client_profile import (
    ClientProfile,
    Reliance,
    is_needed,
    is_used,
    profile_of,
    profiles,
)
from pytest_llmcompat.settings import WrongUsage
from pytest_llmcompat.suite import bundled_contracts

IDS = [contract.id for contract in bundled_contracts()]
EVERY = list(profiles().values())
MADE_UP = ClientProfile(
    "c", "C", "1", "2026-11-25", (Reliance(("a.*", "b.x"), "", ""),), (Reliance(("*.x",), "", ""),)
)


@pytest.mark.parametrize("profile", EVERY, ids=lambda profile: profile.id)
def test_each_pattern_of_a_profile_matches_a_contract(profile: ClientProfile) -> None:
    """A contract that was renamed does not drop out of a profile in silence."""
    patterns = {pattern for reliance in (*profile.needs, *profile.uses) for pattern in reliance.contracts}
    assert [p for p in patterns if not any(fnmatchcase(id, p) for id in IDS)] == []


@pytest.mark.parametrize("profile", EVERY, ids=lambda profile: profile.id)
def test_each_entry_of_a_profile_says_why_and_where_from(profile: ClientProfile) -> None:
    """A profile is a claim about somebody else's code: it has a version, a day and sources."""
    assert profile.needs
    assert profile.name
    assert profile.version
    assert date.fromisoformat(profile.checked) <= date.today()
    assert [r for r in (*profile.needs, *profile.uses) if not (r.contracts and r.why and r.source)] == []


def test_profiles_of_the_clients_that_users_ask_for_are_there() -> None:
    """SDKs, frameworks, agents and chat applications."""
    assert set(profiles()) >= {
        "openai-python",
        "openai-node",
        "ai-sdk",
        "langchain",
        "llama-index",
        "litellm",
        "codex-cli",
        "aider",
        "cline",
        "continue",
        "open-webui",
        "librechat",
    }


def test_library_stands_for_all_that_it_relies_on() -> None:
    """What goes through the official client needs what that client needs of a stream."""
    of_client = {id for id in IDS if is_needed(profile_of("openai-python"), id)}
    of_aider = {id for id in IDS if is_needed(profile_of("aider"), id)}
    assert "chat.stream.framing" in of_aider
    assert of_aider < of_client


def test_client_is_found_in_any_case() -> None:
    """People write names as they are written elsewhere."""
    assert profile_of(" Open-WebUI ") is profiles()["open-webui"]


@pytest.mark.parametrize(
    ("name", "hint"), [("clien", "did you mean 'cline'?"), ("xyzzy", "there are ai-sdk, aider, ")]
)
def test_unknown_client_is_refused_with_a_hint(name: str, hint: str) -> None:
    """The nearest name, or all of them."""
    with pytest.raises(WrongUsage, match="--llm-client: unknown client") as caught:
        profile_of(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("id", "needed", "used"),
    [("a.x", True, False), ("b.x", True, False), ("c.x", False, True), ("b.y", False, False)],
)
def test_globs_say_what_is_needed_and_what_is_used(id: str, needed: bool, used: bool) -> None:
    """What is needed is not called used as well."""
    assert (is_needed(MADE_UP, id), is_used(MADE_UP, id)) == (needed, used)
