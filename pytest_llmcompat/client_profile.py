"""Client profiles: which contracts well-known clients rely on, read off their code; the facts are in the JSON file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pytest_llmcompat.settings import WrongUsage

__all__ = ["ClientProfile", "Reliance", "is_needed", "is_used", "profile_of", "profiles"]

_FILE: Final = Path(__file__).with_name("client_profiles.json")


@dataclass(frozen=True, slots=True)
class Reliance:
    """One thing that a client does with an endpoint.

    contracts: ids, or globs over ids, that have to hold for it. why: what the client does.
    source: where its code shows that.
    """

    contracts: tuple[str, ...]
    why: str
    source: str

    def covers(self, contract_id: str) -> bool:
        """True for a contract that has to hold for it."""
        return any(fnmatchcase(contract_id, pattern) for pattern in self.contracts)


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What a client relies on.

    id: what `--llm-client` calls it. version: release or commit that was read. checked: on which day (ISO).
    needs: without these it does not do what it is for. uses: what it makes use of where it is there.
    """

    id: str
    name: str
    version: str
    checked: str
    needs: tuple[Reliance, ...]
    uses: tuple[Reliance, ...]


@cache
def profiles() -> Mapping[str, ClientProfile]:
    """All known clients by id, in the order of the ids."""
    document: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    libraries = {name: _reliances(entries, {}) for name, entries in document["libraries"].items()}
    every = (
        ClientProfile(
            id=client["id"],
            name=client["name"],
            version=client["version"],
            checked=client["checked"],
            needs=_reliances(client["needs"], libraries),
            uses=_reliances(client["uses"], libraries),
        )
        for client in document["clients"]
    )
    return MappingProxyType({profile.id: profile for profile in sorted(every, key=lambda each: each.id)})


def profile_of(name: str) -> ClientProfile:
    """The client that `--llm-client` names, in any case. Raises WrongUsage."""
    known = profiles()
    found = known.get(name.strip().lower())
    if found is None:
        close = difflib.get_close_matches(name.strip().lower(), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise WrongUsage(f"--llm-client: unknown client {name!r}; {hint}")
    return found


def is_needed(profile: ClientProfile, contract_id: str) -> bool:
    """True for a contract without which the client does not do what it is for."""
    return any(reliance.covers(contract_id) for reliance in profile.needs)


def is_used(profile: ClientProfile, contract_id: str) -> bool:
    """True for a contract of something that the client makes use of where it is there, and does not need."""
    return not is_needed(profile, contract_id) and any(
        reliance.covers(contract_id) for reliance in profile.uses
    )


def _reliances(entries: Iterable[Any], libraries: Mapping[str, tuple[Reliance, ...]]) -> tuple[Reliance, ...]:
    return tuple(reliance for entry in entries for reliance in _expanded(entry, libraries))


def _expanded(entry: Any, libraries: Mapping[str, tuple[Reliance, ...]]) -> Iterator[Reliance]:
    """A text stands for all that the library of this name relies on."""
    if isinstance(entry, str):
        yield from libraries[entry]
    else:
        yield Reliance(tuple(entry["contracts"]), entry["why"], entry["source"])
