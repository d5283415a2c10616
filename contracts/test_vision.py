"""Contracts on pictures and sound in messages: seen, counted, or refused."""

from __future__ import annotations

import re
from typing import Final

from pytest_llmcompat.answer import answered, came
from pytest_llmcompat.contract import MAY, SHOULD, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.probes.vision import COLOUR
from pytest_llmcompat.tokens import PROMPT, prompt_tokens, reported
from pytest_llmcompat.turn import turn
from pytest_llmcompat.verdict import expect, fail, inconclusive, unsupported, warn_unless

_SPEC_IMAGE: Final = "OpenAI's specification (openapi.yaml f85dbe2, line 31443): `image_url` parts"
# How a model that reads text only is told from a broken server.
_REFUSALS: Final = frozenset({400, 404, 405, 413, 415, 422, 501})


def _taken(vision: Exchange, chat_basic: Exchange) -> Exchange:
    """The exchange with the picture, unless the model does not read pictures."""
    answered(chat_basic)
    if came(vision).status in _REFUSALS:
        unsupported(f"the picture was refused with {vision.status}")
    return vision


def _named(vision: Exchange) -> bool:
    return re.search(rf"\b{COLOUR}\b", turn(vision).text, re.IGNORECASE) is not None


def _counted(vision: Exchange, vision_text: Exchange) -> bool:
    """True when the prompt tokens grow with the picture."""
    return prompt_tokens(vision) > prompt_tokens(vision_text)


@contract(
    "vision.data-uri",
    SHOULD,
    source=_SPEC_IMAGE,
    breaks="Programs that send pictures fail, or get answers about a picture that nobody has looked at.",
    fix="Read data: URIs in `image_url`; refuse them with 400 when the model reads text only.",
    catches=("image-500", "image-dropped"),
    cases="ollama/ollama#3690",
)
def test_picture_in_the_request_is_accepted(
    vision: Exchange, vision_text: Exchange, chat_basic: Exchange
) -> None:
    """A picture in a data: URI is read, or refused with a 4xx; it is neither dropped nor a server failure."""
    if _taken(vision, chat_basic).status == 500:
        fail(vision, "status", "200, or 400 when the model reads no pictures")
    answered(vision)
    if not _named(vision) and not _counted(vision, vision_text):
        fail(reported(vision), PROMPT, "more than for the text alone, or a 400")


@contract(
    "vision.seen",
    SHOULD,
    source="own rule: a plain red square is seen by each model that reads pictures",
    breaks="Answers about pictures are made up.",
    fix="Pass the picture to the model, decoded and in its size.",
    catches=("image-dropped",),
)
def test_picture_reaches_the_model(vision: Exchange, vision_text: Exchange, chat_basic: Exchange) -> None:
    """The model names the colour of a plain square, unless by its token counts it saw the picture."""
    answered(_taken(vision, chat_basic))
    if _named(vision):
        return
    if _counted(vision, vision_text):
        inconclusive("the picture was counted, and the model names another colour")
    answer = turn(vision)
    fail(*answer.text_at, f"{COLOUR}, the colour of the picture", answer.text)


@contract(
    "vision.usage-counted",
    SHOULD,
    source="own rule: what the model reads is what is counted",
    breaks="Budgets do not see the dearest part of the prompt.",
    fix="Count the tokens of the picture in `prompt_tokens`.",
    catches=("image-not-counted", "prompt-tokens-constant"),
    cases="BerriAI/litellm#6488",
)
def test_picture_is_counted(vision: Exchange, vision_text: Exchange, chat_basic: Exchange) -> None:
    """The prompt tokens grow with a picture; else it is a warning."""
    answered(_taken(vision, chat_basic))
    alone = prompt_tokens(vision_text)
    if not _named(vision) and prompt_tokens(vision) == alone:
        inconclusive("the picture did not reach the model (vision.data-uri judges that)")
    warn_unless(prompt_tokens(vision) > alone, reported(vision), PROMPT, f"more than {alone}, as without it")


@contract(
    "audio.input",
    MAY,
    source="OpenAI's specification (openapi.yaml f85dbe2, line 31371): `input_audio` parts",
    breaks="Programs take a missing feature for a failing server, and try again.",
    fix="Refuse `input_audio` with 400 when the model reads no audio.",
    catches=("audio-500",),
)
def test_audio_is_accepted_or_refused(audio_in: Exchange, chat_basic: Exchange) -> None:
    """An `input_audio` part is accepted, or refused with a 4xx; it is no failure of the server."""
    answered(chat_basic)
    status = came(audio_in).status
    if status in (401, 403, 429, 502, 503, 504, 529):
        inconclusive(f"audio-in was answered {status}")
    expect(status < 500, audio_in, "status", "200, or 400 when the model reads no audio")
