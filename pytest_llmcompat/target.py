"""Targets: one endpoint × one model × one key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is on trial.

    id: short name that tests and reports show, `MODEL@HOST`.
    endpoint: base URL without a trailing slash, such as `https://api.example.com/v1`.
    model: id of the model asked for. embedding_model: likewise for embeddings; None to take one that is listed.
    key: bearer key, None for none; never shown.
    headers: further request headers, sent with each request.
    no_auth: the server is declared to have no keys.
    place: base URL under which cassettes lie when the endpoint's own changes from run to run; None otherwise.
    """

    id: str
    endpoint: str
    model: str
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_auth: bool = False
    place: str | None = None
    embedding_model: str | None = None
