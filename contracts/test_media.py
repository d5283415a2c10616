"""Contracts on images and speech; the requests are billed, so they are sent only when asked for."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import answered, body
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2)"


@contract(
    "images.shape",
    MAY,
    source=f"{_SPECIFICATION}, line 42170: ImagesResponse",
    breaks="`client.images.generate().data[0]` has neither an image nor a URL.",
    fix='Answer {"created": …, "data": [{"b64_json": …}]}, or `url` in place of b64_json.',
    catches=("image-created-missing", "image-data-texts"),
)
def test_image_comes_as_base64_or_url(image: Exchange) -> None:
    """POST /images/generations gives images as base64 or as URLs."""
    answered(image, "model")
    expect(image.is_json, image, "body", "a JSON object")
    expect_conforms(body(image), "images")


@contract(
    "audio.speech",
    MAY,
    source=f"{_SPECIFICATION}: the 200 of /audio/speech is the file itself",
    breaks="`client.audio.speech.create().write_to_file()` writes a file that no player opens.",
    fix="Send the bytes of the sound with a media type such as audio/mpeg.",
    catches=("speech-as-json", "speech-empty"),
)
def test_speech_comes_as_sound(speech: Exchange) -> None:
    """POST /audio/speech gives the bytes of a sound, declared as such."""
    answered(speech, "model", "voice")
    sound = speech.media_type.startswith("audio/") or speech.media_type == "application/octet-stream"
    expect(sound, speech, "header content-type", "audio/mpeg, or another media type of sound")
    expect(speech.body != b"", speech, "body", "the bytes of a sound", "nothing")


@contract(
    "audio.transcription",
    MAY,
    source=f"{_SPECIFICATION}, line 37191: `text` is required",
    breaks="`client.audio.transcriptions.create().text` raises, or is None.",
    fix='Answer {"text": …}, with an empty text where nothing is said.',
    catches=("transcription-plain-text", "transcription-text-null"),
)
def test_transcription_is_a_text(transcription: Exchange) -> None:
    """POST /audio/transcriptions gives an object with the text."""
    answered(transcription, "model", "file")
    document = body(transcription)
    expect(transcription.is_json, transcription, "body", "a JSON object with `text`")
    expect(isinstance(document.at("/text"), str), document, "/text", "a text, empty for silence")
