"""Files that somebody else may have written: read with bounds, as plain data, and inside of their folder."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_llmcompat.limits import MIB

if TYPE_CHECKING:
    import yaml

__all__ = ["leads_out", "load_yaml", "read_bounded"]

_MOST_CHARACTERS: Final = 64 * MIB
# Loading takes up to a kilobyte of memory for each value, however short it is.
_MOST_EVENTS: Final = 500_000
_SMALL: Final = MIB
# What aliases may unfold to: as many characters again and again as honest writers of YAML repeat.
_MOST_UNFOLDED: Final = 4
_MERGE: Final = "tag:yaml.org,2002:merge"


def read_bounded(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file. Raises OSError, UnicodeDecodeError, and ValueError for one that is too large."""
    with path.open(encoding=encoding) as file:
        text = file.read(_MOST_CHARACTERS + 1)
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it is larger than {_MOST_CHARACTERS // MIB} MiB")
    return text


def leads_out(folder: Path, path: Path) -> bool:
    """True when symbolic links below a folder lead from there to a place outside of it."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def load_yaml(text: str) -> Any:
    """The plain data of a YAML text; nothing in it is ever run.

    Raises yaml.YAMLError (a ConstructorError for more than plain data), RecursionError, and ValueError for a value
    that Python does not take and for a text that is small and takes up much.
    """
    import yaml

    loader = _loader()
    if len(text) > _SMALL:
        for count, _ in enumerate(yaml.parse(text, Loader=loader)):
            if count > _MOST_EVENTS:
                raise ValueError(f"it holds more than {_MOST_EVENTS // 2} values")
    data = yaml.load(text, Loader=loader)
    if _unfolded(data, {}) > _MOST_UNFOLDED * len(text) + MIB:
        raise ValueError("its aliases unfold to many times its size")
    return data


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Loads plain data, without merge keys: in old releases of PyYAML a few lines of them unfold to gigabytes."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            for key, _ in node.value:
                if key.tag == _MERGE:
                    raise yaml.constructor.ConstructorError(None, None, "a merge key", key.start_mark)

    return Loader


def _unfolded(value: Any, known: dict[int, int]) -> int:
    """About how many characters some data has when each alias is replaced by what it stands for."""
    if isinstance(value, (str, bytes)):
        return 1 + len(value)
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if id(value) not in known:
        # Who comes back here meanwhile has found a value within itself.
        known[id(value)] = -1
        inner = (*value, *value.values()) if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(entry, known) for entry in inner)
    if known[id(value)] < 0:
        raise ValueError("a value in it holds itself")
    return known[id(value)]
