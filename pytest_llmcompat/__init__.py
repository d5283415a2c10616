"""Will code written for the OpenAI API work against this endpoint?

The names here are what contracts of your own need; everything else is private to the plugin.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmcompat.answer import answered, body, completion, refused, require_feature, stream
    from pytest_llmcompat.contract import MAY, MUST, SHOULD, Level, contract
    from pytest_llmcompat.exchange import Exchange
    from pytest_llmcompat.target import Target
    from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn, warn_unless

__all__ = [
    "MAY",
    "MUST",
    "SHOULD",
    "Exchange",
    "Level",
    "Target",
    "answered",
    "body",
    "completion",
    "contract",
    "expect",
    "fail",
    "inconclusive",
    "refused",
    "require_feature",
    "stream",
    "unsupported",
    "warn",
    "warn_unless",
]

_HOMES = {
    "contract": ("MAY", "MUST", "SHOULD", "Level", "contract"),
    "exchange": ("Exchange",),
    "target": ("Target",),
    "verdict": ("expect", "fail", "inconclusive", "unsupported", "warn", "warn_unless"),
    "answer": ("answered", "body", "completion", "refused", "require_feature", "stream"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: pytest loads this package in every run of its users' environments."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps the name `contract` for the decorator, which an import of the module of that name would take."""

    def __setattr__(self, name: str, value: Any) -> None:
        taken = name == "contract" and isinstance(value, ModuleType)
        super().__setattr__(name, value.contract if taken else value)


sys.modules[__name__].__class__ = _Package
