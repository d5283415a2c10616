"""Contracts on optional parameters of a chat request: documented ones are accepted."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, require_feature
from pytest_llmcompat.contract import SHOULD, contract
from pytest_llmcompat.exchange import Exchange, Refusal
from pytest_llmcompat.verdict import fail, unsupported

_COMMON: Final = (
    "user",
    "store",
    "metadata",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
)
# «'seed' is not supported with this model», as OpenAI says of its reasoning models.
_OF_THE_MODEL: Final = re.compile(
    r"\b(?:with|by|for) (?:this|the) model\b|\bmodel does ?n[o']t support\b", re.IGNORECASE
)


@contract(
    "chat.temperature-range",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 44539): `temperature` from 0 to 2",
    breaks="Presets that were made for OpenAI's range are refused.",
    fix="Accept 0 to 2; scale or clamp it when the engine's range is another.",
    catches=("temperature-above-one-refused",),
    cases=("stdapi-ai/stdapi.ai#224", "mnfst/modelparams.dev#232"),
)
def test_temperature_goes_up_to_two(chat_basic: Exchange, chat_n2: Exchange) -> None:
    """A `temperature` between 1 and 2 is accepted."""
    require_feature(chat_basic, "temperature")
    refusal = chat_n2.refused.get("temperature")
    if refusal is not None:
        fail(chat_n2, "status", "a temperature of 1.6 accepted, as 0 is", _said(refusal))
    answered(chat_n2, "temperature")


@contract(
    "chat.seed-accepted",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33105): `seed`, deprecated",
    breaks="Evaluations and tests that ask for repeatable answers get a 400.",
    fix="Accept `seed`; ignore it when the engine has none.",
    catches=("seed-refused",),
)
def test_seed_is_accepted(chat_basic: Exchange) -> None:
    """`seed` is accepted."""
    _expect_accepted(chat_basic, "seed")
    answered(chat_basic)


@contract(
    "chat.common-params-tolerated",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 33105)",
    breaks="Frameworks send some of these with every request: nothing works at all.",
    fix="Accept documented parameters at their neutral values, and ignore those without a meaning for you.",
    catches=("common-params-refused",),
    cases=("mistralai/platform-docs-public#7", "Gitlawb/openclaude#739"),
)
def test_common_parameters_are_accepted(chat_params: Exchange) -> None:
    """`user`, `store`, `metadata`, `top_p`, the penalties and `service_tier` cause no error."""
    _expect_accepted(chat_params, *_COMMON)
    answered(chat_params)


@contract(
    "chat.null-params-tolerated",
    SHOULD,
    source="OpenAI's specification (openapi.yaml f85dbe2): `temperature` is a number or null",
    breaks="Clients that write unset options as null get a 400.",
    fix="Take null for «not set» wherever the specification allows null.",
    catches=("null-params-refused",),
)
def test_null_means_unset(chat_basic: Exchange, chat_params: Exchange) -> None:
    """A nullable parameter may be sent as null."""
    require_feature(chat_basic, "temperature")
    refusal = chat_params.refused.get("temperature")
    if refusal is not None:
        fail(chat_params, "status", "`temperature: null` accepted", _said(refusal))
    answered(chat_params, "temperature")


def _expect_accepted(exchange: Exchange, *parameters: str) -> None:
    """Break the contract when a parameter was refused, other than for what the model is."""
    refused = {name: exchange.refused[name] for name in parameters if name in exchange.refused}
    ours = [name for name, refusal in refused.items() if not _OF_THE_MODEL.search(refusal.message)]
    if ours:
        fail(exchange, "status", f"{', '.join(ours)} accepted", _said(refused[ours[0]]))
    if refused:
        unsupported(f"the model does not take {', '.join(refused)}")


def _said(refusal: Refusal) -> str:
    return f"{refusal.status}: {refusal.message}"
