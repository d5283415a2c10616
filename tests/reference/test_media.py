"""Images and speech: real files of each kind, as small as they can be."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import openai
import pytest

from pytest_llmcompat.reference.models import IMAGE_MODEL, SPEECH_MODEL, TRANSCRIPTION_MODEL


def test_image_is_a_png(client: openai.OpenAI) -> None:
    """One image comes, as base64."""
    answer = client.images.generate(model=IMAGE_MODEL, prompt="A red square.")
    (image,) = answer.data or []
    assert base64.b64decode(image.b64_json or "").startswith(b"\x89PNG\r\n\x1a\n")
    assert answer.created > 0


def test_speech_is_an_mp3(client: openai.OpenAI) -> None:
    """The bytes begin with the mark of an MPEG frame."""
    speech = client.audio.speech.create(model=SPEECH_MODEL, voice="alloy", input="hi")
    assert speech.content.startswith(b"\xff\xfb")
    assert speech.response.headers["content-type"] == "audio/mpeg"


def test_recording_is_transcribed(client: openai.OpenAI) -> None:
    """The form of the official client is read, and nothing is heard."""
    heard = client.audio.transcriptions.create(model=TRANSCRIPTION_MODEL, file=("a.wav", b"RIFF\xff\x80"))
    assert heard.text == ""


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/images/generations", {"model": IMAGE_MODEL}, 400, "prompt"),
        ("/images/generations", {"prompt": "a"}, 400, "model"),
        ("/images/generations", {"model": SPEECH_MODEL, "prompt": "a"}, 404, None),
        ("/audio/speech", {"model": SPEECH_MODEL, "input": "a"}, 400, "voice"),
        ("/audio/speech", {"model": SPEECH_MODEL, "input": 7, "voice": "alloy"}, 400, "input"),
        ("/audio/transcriptions", {"model": TRANSCRIPTION_MODEL}, 400, "model"),
    ],
)
def test_bad_request_is_refused_with_its_field(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    """What is missing is named; JSON is no form."""
    answer = http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize(
    ("model", "files", "status"),
    [(TRANSCRIPTION_MODEL, {}, 400), ("nobody", {"file": b"x"}, 404), ("", {"file": b"x"}, 400)],
)
def test_bad_form_is_refused(http: httpx.Client, model: str, files: dict[str, bytes], status: int) -> None:
    """A form without a file, or for another model, is not transcribed."""
    form: dict[str, Any] = {**{name: (name, data) for name, data in files.items()}, "model": (None, model)}
    assert http.post("/audio/transcriptions", files=form).status_code == status
