"""Good parameters that the healthy reference takes, and that defects make it refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pytest_llmcompat.reference.defect import Defect, Defects, defect
from pytest_llmcompat.reference.errors import crash, invalid

__all__ = ["LEGAL_DIALECTS", "refuse_parameters"]

SEED = defect("seed-refused", "seed is refused.", row="D-C17")
STOP_LIST = defect("stop-list-refused", "stop as a list is refused.", row="D-C16")
COMMON = defect("common-params-refused", "metadata and store are refused as extra.", row="D-C21")
NULL = defect("null-params-refused", "temperature null is refused.", row="D-C21")
ABOVE_ONE = defect("temperature-above-one-refused", "A temperature above 1 is refused.", row="D-C25")
NEED_TOP = defect("logprobs-need-top", "logprobs without top_logprobs are answered 500.", row="D-C14")
LEGAL_UNSUPPORTED = defect(
    "legal-unsupported-400", "n, logprobs and stream_options are refused by name.", row="G-09", legal=True
)
LEGAL_REASONING_DIALECT = defect(
    "legal-max-tokens-refused",
    "max_tokens, temperature, stop, logprobs, n and seed are refused by name.",
    row="G-18",
    legal=True,
)

LEGAL_DIALECTS: Final = frozenset({LEGAL_UNSUPPORTED, LEGAL_REASONING_DIALECT})

_UNSUPPORTED: Final = "Unsupported parameter: '{name}' is not supported with this model."


def _given(value: Any) -> bool:
    return value is not None


def _several(value: Any) -> bool:
    return value not in (None, 1)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_null(value: Any) -> bool:
    return value is None


def _above_one(value: Any) -> bool:
    return value is not None and value > 1


# Which defect refuses which parameter, when, and with what message.
_REFUSALS: Final[tuple[tuple[Defect, str, Callable[[Any], bool], str], ...]] = (
    (SEED, "seed", _given, "The parameter 'seed' is not supported."),
    (STOP_LIST, "stop", _is_list, "'stop' must be a string."),
    (COMMON, "metadata", _given, "metadata: extra inputs are not permitted (extra_forbidden)."),
    (COMMON, "store", _given, "store: extra inputs are not permitted (extra_forbidden)."),
    (NULL, "temperature", _is_null, "'temperature' must be a number."),
    (ABOVE_ONE, "temperature", _above_one, "temperature must be <= 1"),
    (LEGAL_UNSUPPORTED, "n", _several, _UNSUPPORTED),
    (LEGAL_UNSUPPORTED, "logprobs", _given, _UNSUPPORTED),
    (LEGAL_UNSUPPORTED, "stream_options", _given, _UNSUPPORTED),
    (LEGAL_UNSUPPORTED, "reasoning_effort", _given, _UNSUPPORTED),
    (LEGAL_UNSUPPORTED, "functions", _given, _UNSUPPORTED),
    (
        LEGAL_REASONING_DIALECT,
        "max_tokens",
        _given,
        _UNSUPPORTED + " Use 'max_completion_tokens' instead.",
    ),
    (LEGAL_REASONING_DIALECT, "temperature", _several, _UNSUPPORTED),
    (LEGAL_REASONING_DIALECT, "stop", _given, _UNSUPPORTED),
    (LEGAL_REASONING_DIALECT, "logprobs", _given, _UNSUPPORTED),
    (LEGAL_REASONING_DIALECT, "n", _several, _UNSUPPORTED),
    (LEGAL_REASONING_DIALECT, "seed", _given, _UNSUPPORTED),
)


def refuse_parameters(body: dict[str, Any], defects: Defects) -> None:
    """Raises ApiError for a good parameter that a defect refuses."""
    for fault, name, applies, message in _REFUSALS:
        if fault in defects and name in body and applies(body[name]):
            raise invalid(message.format(name=name), name, "unsupported_parameter")
    if NEED_TOP in defects and body.get("logprobs") and body.get("top_logprobs") is None:
        raise crash()
