"""The text of docs/providers.md: the endpoints that are known by name, from the presets."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.endpoint import Preset, presets

__all__ = ["provider_page"]

_INTRODUCTION: Final = """\
# Providers

Names that `--llm-endpoint` knows. A name brings the base URL and the environment variable that holds the key;
`--llm-api-key-env=NAME` names another variable, and any other endpoint is given by its URL. Local servers need no key
unless the variable is set.

What is said to be different is read off the documentation that is named below, as it was on that day; it is no
verdict, and no complete list. No server was asked: `pytest --llm-endpoint=NAME` does that.
`pytest_llmcompat/presets.json` has the entries.
"""


def provider_page() -> str:
    """The whole page."""
    lines = [_INTRODUCTION, "| name | base URL | key | said to be different |", "|---|---|---|---|"]
    lines += [_row(name, preset) for name, preset in presets().items()]
    lines += ["", "## Where this is from", ""]
    lines += [f"- {name}, {preset.checked}: {preset.source}" for name, preset in presets().items()]
    return "\n".join(lines) + "\n"


def _row(name: str, preset: Preset) -> str:
    key = f"`{preset.key_variable}`{', if set' if preset.keyless else ''}"
    cells = (f"[{name}]({preset.documentation})", f"`{preset.base_url}`", key, preset.dialect)
    return f"| {' | '.join(cells)} |"
