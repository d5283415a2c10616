"""Suite `json`: response formats."""

from __future__ import annotations

from typing import Any, Final

from pytest_llmcompat.probe import Probe
from pytest_llmcompat.probes.core import chat, user

__all__ = ["MOOD_SCHEMA", "PROBES"]

MOOD_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}, "n": {"type": "integer"}},
    "required": ["mood", "n"],
    "additionalProperties": False,
}

# The prompt asks for prose on purpose: only an enforced schema gives JSON.
_FEELING: Final = [user("Tell me in one sentence how you feel.")]


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": schema}}


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "err-json-schema",
        "json",
        body=chat(_FEELING, response_format=_format({"type": "objekt"}), max_tokens=1),
        negative=True,
    ),
    Probe(
        "err-json-name",
        "json",
        body=chat(
            _FEELING,
            response_format={"type": "json_schema", "json_schema": {"schema": MOOD_SCHEMA}},
            max_tokens=1,
        ),
        negative=True,
    ),
    Probe(
        "err-json-type",
        "json",
        body=chat(_FEELING, response_format={"type": "llmcompat"}, max_tokens=1),
        negative=True,
    ),
    Probe(
        "json-object",
        "json",
        body=chat(
            [user("Give a JSON object with key city = Rome.")],
            response_format={"type": "json_object"},
            max_tokens=60,
        ),
        headroom=True,
    ),
    Probe(
        "json-schema",
        "json",
        body=chat(_FEELING, response_format=_format(MOOD_SCHEMA), max_tokens=60),
        headroom=True,
    ),
    Probe(
        "json-schema-stream",
        "json",
        body=chat(_FEELING, response_format=_format(MOOD_SCHEMA), max_tokens=60, stream=True),
        parents=("json-schema",),
        requires="json-schema",
        headroom=True,
    ),
)
