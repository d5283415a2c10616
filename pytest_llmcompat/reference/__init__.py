"""The embedded reference: a small server that keeps every contract, and breaks any one of them when told to.

It stands alone: it imports nothing else of the package, so that what it proves is not judged by its own judge.
"""

from __future__ import annotations

from pytest_llmcompat.reference.defect import DEFECTS, Defect, UnknownDefect
from pytest_llmcompat.reference.serving import Reference, serve

__all__ = ["DEFECTS", "Defect", "Reference", "UnknownDefect", "serve"]
