"""The text of docs/clients.md: what readiness means, and what each client relies on, from the profiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from pytest_llmcompat.client_profile import ClientProfile, Reliance, profiles
from pytest_llmcompat.contract import Contract

__all__ = ["client_page"]

_INTRODUCTION: Final = """\
# Clients

Which contracts well-known clients rely on, read off their code on the day named with each. It is a snapshot: clients
change, and an entry says which release or commit was read. `pytest_llmcompat/client_profiles.json` has the entries.

| | when |
|---|---|
| READY | all that the client needs is judged and holds, and so does what it uses, as far as that was judged |
| READY WITH LIMITS | something that it uses is broken or not supported, or part of what it needs is not settled |
| NOT READY | something that it needs is broken or not supported |
| NOT KNOWN | nothing that it needs is broken, but some of it was not judged, or nothing of one entry is settled |

- *Needs* are what its code cannot do without in its main use; *uses* are the features that it makes use of where they
  are there. Needs are few on purpose: a contract is among them only if the code fails without it.
- A warning counts as broken if the claim is broken below the level of the run, and not if it is kept in a form that
  clients survive. A waived failure counts as broken: the client meets it all the same.
- Nothing is sent by the clients themselves. READY says that nothing they rely on was found broken, and no more.
- None of these clients needs `[DONE]`: each takes the end of the body for the end of the stream.
"""


def client_page(contracts: Iterable[Contract]) -> str:
    """The whole page."""
    every = list(contracts)
    lines = [_INTRODUCTION, "| client | read | needs | uses |", "|---|---|--:|--:|"]
    for profile in profiles().values():
        needs, uses = (len(_covered(every, part)) for part in (profile.needs, profile.uses))
        lines.append(f"| [{profile.name}](#{profile.id}) | {profile.version} | {needs} | {uses} |")
    for profile in profiles().values():
        lines += ["", *_section(profile, every)]
    return "\n".join(lines) + "\n"


def _section(profile: ClientProfile, contracts: list[Contract]) -> Iterator[str]:
    yield f"## {profile.id}"
    yield ""
    yield f"{profile.name}, {profile.version}, read {profile.checked}."
    for title, reliances in (("Needs", profile.needs), ("Uses", profile.uses)):
        yield ""
        yield f"**{title}**"
        yield ""
        for reliance in reliances:
            links = ", ".join(_link(contract) for contract in _covered(contracts, [reliance]))
            yield f"- {reliance.why[:1].upper()}{reliance.why[1:]}: {links}. *{reliance.source}*"


def _covered(contracts: list[Contract], reliances: Iterable[Reliance]) -> list[Contract]:
    """The contracts of some entries, each once, in the order in which the entries name them."""
    patterns = [pattern for reliance in reliances for pattern in reliance.contracts]
    found = [c for pattern in patterns for c in contracts if fnmatchcase(c.id, pattern)]
    return list({contract.id: contract for contract in found}.values())


def _link(contract: Contract) -> str:
    return f"[{contract.id}](contracts/{contract.area}.md#{contract.id.replace('.', '')})"
