"""Targets: one endpoint × one model × one key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Latency", "Secret", "Target"]


@dataclass(frozen=True, slots=True)
class Latency:
    """How many seconds answers may take; None for no limit.

    first_token: from sending to the first text of a stream. answer: to the end of any answer to `chat-basic`.
    """

    first_token: float | None = None
    answer: float | None = None


class Secret(str):
    """A text that is used like any other and that nobody sees who looks at a value which holds it."""

    def __repr__(self) -> str:
        """A placeholder: tracebacks, assertions, logs and debuggers show values by this."""
        return "[REDACTED-API-KEY]"


@dataclass(frozen=True, slots=True)
class Target:
    """What is on trial.

    id: short name that tests and reports show, `MODEL@HOST`, or `MODEL@NAME` of a target that has a name.
    endpoint: base URL without a trailing slash, such as `https://api.example.com/v1`.
    model: id of the model asked for. embedding_model: likewise for embeddings; None to take one that is listed.
    key: bearer key, None for none; never shown (see `Secret`).
    headers: further request headers, sent with each request; their values may be keys and are not shown either.
    no_auth: the server is declared to have no keys.
    name: of the target in the configuration file. require_models: ids that the endpoint has to list.
    latency: how long answers may take.
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
    name: str | None = None
    require_models: tuple[str, ...] = ()
    latency: Latency = field(default_factory=Latency)

    def __post_init__(self) -> None:
        """Hide the key and the further headers, wherever they go from here."""
        if self.key is not None:
            object.__setattr__(self, "key", Secret(self.key))
        hidden = {name: Secret(value) for name, value in self.headers.items()}
        object.__setattr__(self, "headers", hidden)
