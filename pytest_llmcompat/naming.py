"""Names of models: when two of them are the same model under a longer or shorter form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Final

from pytest_llmcompat.answer import body
from pytest_llmcompat.exchange import Exchange

__all__ = ["is_glob", "listed_ids", "matching", "same_model", "words_of"]

# Words of an alias that the dated name of the model has not.
_ALIAS: Final = frozenset({"latest"})


def listed_ids(models_list: Exchange) -> frozenset[str]:
    """The ids that GET /models lists; none when it was refused."""
    entries = body(models_list).items("/data") if models_list.ok else []
    ids = [entry.at("/id") for entry in entries]
    return frozenset(id for id in ids if isinstance(id, str))


def is_glob(name: str) -> bool:
    """True for a pattern over the ids of models, such as `gpt-*`; brackets stand in ids and mean nothing."""
    return "*" in name or "?" in name


def matching(glob: str, listed: Iterable[str]) -> list[str]:
    """The listed ids that a pattern is about, in their order."""
    pattern = glob.replace("[", "[[]")
    return [id for id in listed if fnmatchcase(id, pattern)]


def same_model(asked: str, name: str, listed: Collection[str]) -> bool:
    """True for the same model under a longer or shorter form of its name.

    Such are `gpt-4o-2024-08-06` for gpt-4o, `gpt-4-1106-vision-preview` for gpt-4-vision-preview,
    `openai/gpt-4o` for gpt-4o and the reverse, `llama-3.3-70b` for llama3.3-70b. Another listed model is
    the same one only when nothing but numbers was added (`gpt-4o-mini` is no form of gpt-4o).
    """
    asked, name = asked.casefold(), name.casefold()
    if name.endswith(f"/{asked}") or asked.endswith(f"/{name}") or _letters(asked) == _letters(name):
        return True
    of_asked, of_name = set(words_of(asked)) - _ALIAS, set(words_of(name)) - _ALIAS
    if name in {id.casefold() for id in listed}:
        return of_asked <= of_name and all(word.isdigit() for word in of_name - of_asked)
    return of_asked <= of_name or of_name <= of_asked


def words_of(name: str) -> list[str]:
    """The parts of a name between its separators, in lower case."""
    return re.findall(r"[^\W_]+", name.casefold())


def _letters(name: str) -> str:
    return "".join(words_of(name))
