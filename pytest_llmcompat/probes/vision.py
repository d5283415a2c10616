"""Suite `vision`: a picture beside the text, and the same text without it."""

from __future__ import annotations

import re
from typing import Any, Final

from pytest_llmcompat.probe import Context, Probe
from pytest_llmcompat.probes.core import chat

__all__ = ["COLOUR", "PICTURE", "PROBES"]

COLOUR: Final = "red"
# A PNG of 64 × 64 red pixels (#e01010).
PICTURE: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAT0lEQVR42u3PQQkAAAgEsItw/dMZxQi+hcEKLNO+FgEBAQEB"
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQGBywLQTQDx3uY1cQAAAABJRU5ErkJggg=="
)
_QUESTION: Final = {"type": "text", "text": "What colour is the square in the picture? Answer with one word."}
_IMAGE: Final = {"type": "image_url", "image_url": {"url": PICTURE}}
# Names of models that see, where the list of models is silent.
_SEEING: Final = re.compile(
    r"(?<![a-z])(?:vl|vlm|vision|llava|pixtral|gpt-4o|gpt-4\.1|gpt-5|gemini|claude)(?![a-z])", re.IGNORECASE
)
# Where lists of models say what a model reads, as OpenRouter, Mistral and LiteLLM write it.
_SAYINGS: Final = (("architecture", "input_modalities"), ("input_modalities",), ("modalities",))
_FLAGS: Final = (("capabilities", "vision"), ("supports_vision",))


def _sees(context: Context) -> bool:
    """True when the list of models says that the model reads images, or its name does."""
    listing = context.exchanges["models-list"].json
    entries = listing.get("data") if isinstance(listing, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == context.model and _says_so(entry):
            return True
    return _SEEING.search(context.model) is not None


def _says_so(entry: dict[str, Any]) -> bool:
    listed = [_at(entry, path) for path in _SAYINGS]
    flagged = any(_at(entry, path) is True for path in _FLAGS)
    return flagged or any(isinstance(kinds, list) and "image" in kinds for kinds in listed)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _asked(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [_QUESTION, *parts]}]


PROBES: Final[tuple[Probe, ...]] = (
    Probe(
        "vision",
        "vision",
        body=chat(_asked(_IMAGE), max_tokens=8),
        parents=("models-list",),
        headroom=True,
        wanted=_sees,
    ),
    # The twin shows how many tokens the text has by itself.
    Probe(
        "vision-text",
        "vision",
        body=chat(_asked(), max_tokens=8),
        parents=("models-list", "vision"),
        requires="vision",
        headroom=True,
        wanted=_sees,
    ),
)
