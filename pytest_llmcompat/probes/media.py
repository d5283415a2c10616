"""Suite `opt-in`: images and speech, which are billed; sent only to models that the endpoint lists for them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from pytest_llmcompat.evidence import Document
from pytest_llmcompat.probe import Context, Probe, Unsendable

__all__ = ["PROBES"]

_BOUNDARY: Final = "llmcompat-boundary"


def _model(context: Context, *words: str) -> str:
    """The first listed model whose name holds one of the words."""
    listing = Document("models-list", "body", context.exchanges["models-list"].json)
    ids = [id for entry in listing.items("/data") if isinstance(id := entry.at("/id"), str)]
    for id in ids:
        if any(word in id.lower() for word in words):
            return id
    raise Unsendable(f"no listed model is called {' or '.join(words)}", unsupported=True)


def _image(context: Context) -> dict[str, Any]:
    return {"model": _model(context, "dall-e", "image"), "prompt": "A red square.", "n": 1}


def _speech(context: Context) -> dict[str, Any]:
    return {"model": _model(context, "tts"), "input": "hi", "voice": "alloy"}


def _silence() -> bytes:
    """Half a second of nearly nothing as a WAV file whose bytes are all ASCII, so that recordings stay readable."""
    rate, length = 8000, 4096
    shape = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVEfmt " + shape + b"data" + struct.pack("<I", length) + b"\x7f" * length
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _transcription(context: Context) -> bytes:
    model = _model(context, "whisper", "transcribe")
    named = f'Content-Disposition: form-data; name="model"\r\n\r\n{model}'.encode()
    file = (
        b'Content-Disposition: form-data; name="file"; filename="silence.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n" + _silence()
    )
    mark = f"--{_BOUNDARY}".encode()
    return b"\r\n".join([mark, named, mark, file, mark + b"--", b""])


def _asking(id: str, path: str, body: Callable[[Context], Any], **headers: str) -> Probe:
    return Probe(id, "opt-in", path=path, body=body, headers=headers, parents=("models-list",))


PROBES: Final[tuple[Probe, ...]] = (
    _asking("image", "/images/generations", _image),
    _asking("speech", "/audio/speech", _speech),
    _asking(
        "transcription",
        "/audio/transcriptions",
        _transcription,
        **{"content-type": f"multipart/form-data; boundary={_BOUNDARY}"},
    ),
)
