"""POST /images/generations, /audio/speech and /audio/transcriptions: a red dot, silence, and what is heard in it."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from email import message_from_bytes
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pytest_llmcompat.reference.auth import authorise
from pytest_llmcompat.reference.checks import check_object, check_string
from pytest_llmcompat.reference.defect import Faults, defect, spoil
from pytest_llmcompat.reference.errors import invalid
from pytest_llmcompat.reference.models import IMAGE_MODEL, SPEECH_MODEL, TRANSCRIPTION_MODEL, unknown_model
from pytest_llmcompat.reference.transport import answer_json, read_body, state_of

__all__ = ["create_image", "create_speech", "create_transcription"]

CREATED_MISSING = defect("image-created-missing", "Images have no created.", row="supplement")
DATA_TEXTS = defect("image-data-texts", "Images are texts in data, not objects.", row="supplement")
SPEECH_JSON = defect("speech-as-json", "Speech comes as base64 in JSON.", row="supplement")
SPEECH_EMPTY = defect("speech-empty", "Speech has no bytes.", row="supplement")
PLAIN_TEXT = defect("transcription-plain-text", "A transcription is plain text.", row="supplement")
TEXT_NULL = defect("transcription-text-null", "A silent recording gives null.", row="supplement")

# One frame of MPEG-1 layer III, 128 kbit/s at 44.1 kHz, with nothing in it.
_SILENT_FRAME: Final = b"\xff\xfb\x90\x00" + bytes(413)
_FRAMES: Final = 20


async def create_image(request: Request) -> Response:
    """POST /images/generations: one image, whatever the prompt."""
    await _check(request, IMAGE_MODEL, "prompt")
    answer = {
        "created": int(time.time()),
        "data": [{"b64_json": base64.b64encode(_red_dot()).decode()}],
    }
    return answer_json(spoil(answer, _IMAGE_FAULTS, state_of(request).defects))


async def create_speech(request: Request) -> Response:
    """POST /audio/speech: silence as MP3."""
    await _check(request, SPEECH_MODEL, "input", "voice")
    defects, sound = state_of(request).defects, _SILENT_FRAME * _FRAMES
    if SPEECH_JSON in defects:
        return answer_json({"audio": base64.b64encode(sound).decode()})
    return Response(b"" if SPEECH_EMPTY in defects else sound, media_type="audio/mpeg")


async def create_transcription(request: Request) -> Response:
    """POST /audio/transcriptions: nothing is heard in any recording."""
    authorise(request)
    fields = _fields(request.headers.get("content-type", ""), await request.body())
    for name in ("model", "file"):
        if not fields.get(name):
            raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    model = fields["model"].decode("utf-8", "replace").strip()
    if model != TRANSCRIPTION_MODEL:
        raise unknown_model(model)
    defects = state_of(request).defects
    if PLAIN_TEXT in defects:
        return PlainTextResponse("(silence)")
    return answer_json({"text": None if TEXT_NULL in defects else ""})


async def _check(request: Request, model: str, *texts: str) -> None:
    """Raises ApiError unless the request is to this model and has the texts that it needs."""
    authorise(request)
    body = await read_body(request)
    check_object("body", body)
    for name in ("model", *texts):
        if body.get(name) is None:
            raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
        check_string(name, body[name])
    if body["model"] != model:
        raise unknown_model(body["model"])


def _fields(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a form (RFC 7578), by name; none of anything else."""
    form = message_from_bytes(f"content-type: {content_type}\r\n\r\n".encode() + body)
    parts = form.walk() if form.is_multipart() else ()
    named = {str(part.get_param("name", header="content-disposition")): part for part in parts}
    return {name: part.get_payload(decode=True) or b"" for name, part in named.items()}


def _red_dot() -> bytes:
    """A PNG of one red pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff\x00\x00")
    chunks = ((b"IHDR", head), (b"IDAT", pixel), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_IMAGE_FAULTS: Final[Faults] = {
    CREATED_MISSING: lambda answer: answer.pop("created"),
    DATA_TEXTS: lambda answer: answer.update(data=[item["b64_json"] for item in answer["data"]]),
}
