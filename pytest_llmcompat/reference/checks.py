"""Checks of single values, with the messages and codes that OpenAI refuses them with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pytest_llmcompat.reference.errors import invalid

__all__ = [
    "check_array",
    "check_boolean",
    "check_choice",
    "check_integer",
    "check_number",
    "check_object",
    "check_string",
    "wrong_type",
]


def check_boolean(name: str, value: Any) -> None:
    """Raises ApiError unless the value is true or false."""
    if not isinstance(value, bool):
        raise wrong_type(name, value, "a boolean")


def check_string(name: str, value: Any) -> None:
    """Raises ApiError unless the value is a string."""
    if not isinstance(value, str):
        raise wrong_type(name, value, "a string")


def check_object(name: str, value: Any) -> None:
    """Raises ApiError unless the value is an object."""
    if not isinstance(value, dict):
        raise wrong_type(name, value, "an object")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raises ApiError unless the value is a number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, value, "a decimal")
    _check_range(name, value, low, high, "decimal")


def check_integer(name: str, value: Any, low: int, high: int) -> None:
    """Raises ApiError unless the value is a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value, "an integer")
    _check_range(name, value, low, high, "integer")


def check_array(name: str, value: Any, *, least: int = 0, most: int | None = None) -> None:
    """Raises ApiError unless the value is an array of a length from `least` to `most`."""
    if not isinstance(value, list):
        raise wrong_type(name, value, "an array")
    if len(value) < least:
        raise invalid(
            f"Invalid '{name}': empty array. Expected an array with minimum length {least}.",
            name,
            "empty_array",
        )
    if most is not None and len(value) > most:
        raise invalid(
            f"Invalid '{name}': array too long. Expected an array with maximum length {most}, "
            f"but got an array with length {len(value)} instead.",
            name,
            "array_above_max_length",
        )


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raises ApiError unless the value is one of the allowed strings."""
    check_string(name, value)
    if value not in allowed:
        supported = ", ".join(f"'{word}'" for word in allowed)
        raise invalid(f"Invalid value: '{value}'. Supported values are: {supported}.", name, "invalid_value")


def wrong_type(name: str, value: Any, expected: str) -> Exception:
    """The refusal of a value of another JSON type."""
    got = _KINDS.get(type(value), "something else")
    return invalid(
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.", name, "invalid_type"
    )


def _check_range(name: str, value: float, low: float, high: float, kind: str) -> None:
    if value < low:
        raise invalid(
            f"Invalid '{name}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead.",
            name,
            f"{kind}_below_min_value",
        )
    if value > high:
        raise invalid(
            f"Invalid '{name}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead.",
            name,
            f"{kind}_above_max_value",
        )


_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}
