"""Checks of the parameters of a chat request, as OpenAI refuses them: 400 with the parameter's name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pytest_llmcompat.reference.checks import (
    check_array,
    check_boolean,
    check_choice,
    check_integer,
    check_number,
    check_object,
    check_string,
)
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import checked, crash, invalid
from pytest_llmcompat.reference.functions import modernise
from pytest_llmcompat.reference.messages import check_messages
from pytest_llmcompat.reference.models import CHAT_MODELS, DEFAULT_MODEL, unknown_model
from pytest_llmcompat.reference.reasoning import EFFORTS, check_effort
from pytest_llmcompat.reference.refusals import refuse_parameters
from pytest_llmcompat.reference.response_format import check_format
from pytest_llmcompat.reference.toolbox import check_tools

__all__ = ["check_chat"]

NON_OBJECT_500 = defect("non-object-body-500", "A body that is no object is answered 500.", row="D-E06")
MISSING_MESSAGES_500 = defect("missing-messages-500", "Missing messages are answered 500.", row="D-E06")
MISSING_MODEL_200 = defect("missing-model-200", "Without a model the default one answers.", row="D-E07")
MISSING_MODEL_500 = defect("missing-model-500", "A missing model is answered 500.", row="D-E07")
TEMPERATURE_200 = defect(
    "temperature-out-of-range-200", "A temperature out of range is accepted.", row="D-E08"
)
UNKNOWN_SERVED = defect(
    "unknown-model-served", "The default model answers for an unknown one, with its own name.", row="D-M01"
)
UNKNOWN_ECHOED = defect(
    "unknown-model-echoed", "The default model answers for an unknown one, with that one's name.", row="D-M01"
)
UNKNOWN_500 = defect("unknown-model-500", "An unknown model is answered 500.", row="D-M01")
UNKNOWN_CODE_OTHER = defect(
    "unknown-model-code-other", "An unknown model gets the code «not_found_error».", row="D-M01"
)
UNKNOWN_CODE_NULL = defect("unknown-model-code-null", "An unknown model gets no code.", row="D-M01")

UNKNOWN_PARAMETER_500 = defect(
    "unknown-param-500", "A parameter that nobody knows is answered 500.", row="D-C22"
)

_MOST: Final = 2**31


def _check_stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    check_array(name, value, most=4)
    for position, word in enumerate(value):
        check_string(f"{name}[{position}]", word)


def _check_stream_options(name: str, value: Any) -> None:
    check_object(name, value)
    for option in ("include_usage", "include_obfuscation"):
        if value.get(option) is not None:
            check_boolean(f"{name}.{option}", value[option])


def _check_metadata(name: str, value: Any) -> None:
    check_object(name, value)
    for key, text in value.items():
        check_string(f"{name}.{key}", text)


def _check_logit_bias(name: str, value: Any) -> None:
    check_object(name, value)
    for key, bias in value.items():
        check_number(f"{name}.{key}", bias, -100, 100)


# Null means absent for each of these. Parameters that stand nowhere here are ignored.
_RULES: Final[dict[str, Callable[[str, Any], None]]] = {
    "temperature": partial(check_number, low=0, high=2),
    "top_p": partial(check_number, low=0, high=1),
    "presence_penalty": partial(check_number, low=-2, high=2),
    "frequency_penalty": partial(check_number, low=-2, high=2),
    "n": partial(check_integer, low=1, high=128),
    "max_tokens": partial(check_integer, low=1, high=_MOST),
    "max_completion_tokens": partial(check_integer, low=1, high=_MOST),
    "seed": partial(check_integer, low=-(2**63), high=2**63 - 1),
    "logprobs": check_boolean,
    "top_logprobs": partial(check_integer, low=0, high=20),
    "logit_bias": _check_logit_bias,
    "stop": _check_stop,
    "stream": check_boolean,
    "stream_options": _check_stream_options,
    "store": check_boolean,
    "metadata": _check_metadata,
    "user": check_string,
    "safety_identifier": check_string,
    "prompt_cache_key": check_string,
    "service_tier": partial(check_choice, allowed=("auto", "default", "flex", "scale", "priority")),
    "parallel_tool_calls": check_boolean,
    "reasoning_effort": partial(check_choice, allowed=EFFORTS),
}
# A parameter of the left is allowed only beside the one of the right.
_PARTNERS: Final = {"top_logprobs": "logprobs", "stream_options": "stream", "parallel_tool_calls": "tools"}


def check_chat(body: Any, defects: Defects) -> None:
    """Raises ApiError 400, or 404 for a model that is not served.

    Where a defect lets a bad request pass, what cannot be read is taken out of the body.
    """
    with checked(defects, crashing=NON_OBJECT_500):
        check_object("body", body)
    if body.get("model") is None and MISSING_MODEL_200 in defects:
        body["model"] = DEFAULT_MODEL
    for name, crashing in (("model", MISSING_MODEL_500), ("messages", MISSING_MESSAGES_500)):
        with checked(defects, crashing=crashing):
            _check_given(body, name)
    check_string("model", body["model"])
    check_messages(body["messages"], defects)
    for name, check in _RULES.items():
        if body.get(name) is not None:
            with checked(defects, silent=TEMPERATURE_200 if name == "temperature" else None):
                check(name, body[name])
    _check_combinations(body)
    if UNKNOWN_PARAMETER_500 in defects and any(name.startswith("llmcompat") for name in body):
        raise crash()
    check_effort(body, defects)
    modernise(body, defects)
    check_tools(body, defects)
    check_format(body, defects)
    _check_model(body, defects)
    refuse_parameters(body, defects)


def _check_given(body: dict[str, Any], name: str) -> None:
    if body.get(name) is None:
        raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _check_combinations(body: dict[str, Any]) -> None:
    for name, partner in _PARTNERS.items():
        if body.get(name) is not None and not body.get(partner):
            raise invalid(f"'{name}' is only allowed when '{partner}' is specified.", name)
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )


def _check_model(body: dict[str, Any], defects: Defects) -> None:
    if body["model"] in CHAT_MODELS or UNKNOWN_ECHOED in defects:
        return
    if UNKNOWN_SERVED in defects:
        body["model"] = DEFAULT_MODEL
        return
    if UNKNOWN_500 in defects:
        raise crash()
    code: str | None = "model_not_found"
    if UNKNOWN_CODE_OTHER in defects:
        code = "not_found_error"
    if UNKNOWN_CODE_NULL in defects:
        code = None
    raise unknown_model(body["model"], code)
