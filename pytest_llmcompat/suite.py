"""The bundled suite on disk: where contracts and cassettes lie, and how contracts are imported."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from pytest_llmcompat.contract import Contract, registered

__all__ = ["CASSETTES", "CONTRACTS", "bundled_contracts", "contract_files", "load"]

_PACKAGE: Final = Path(__file__).resolve().parent


def _data(name: str) -> Path:
    """A data folder: inside the package in a wheel, beside it in a checkout or an editable install."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


CONTRACTS: Final = _data("contracts")
CASSETTES: Final = _data("cassettes")


def contract_files() -> tuple[Path, ...]:
    """The modules of the suite, one an area."""
    return tuple(sorted(CONTRACTS.glob("[!_]*.py")))


def load(path: Path) -> ModuleType:
    """Import a module of the suite as `pytest_llmcompat.contracts.…`, so that it shadows no user's module."""
    name = f"pytest_llmcompat.contracts.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import the contracts of {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def bundled_contracts() -> tuple[Contract, ...]:
    """All contracts of the bundled suite, in the order of their ids."""
    modules = {load(path).__name__ for path in contract_files()}
    return tuple(c for c in registered() if c.judgement.__module__ in modules)
