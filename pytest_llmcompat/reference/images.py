"""Images in messages: what the model sees of them, which is their colour."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, Final

from pytest_llmcompat.reference.checks import check_object, check_string
from pytest_llmcompat.reference.defect import Defects, defect
from pytest_llmcompat.reference.errors import crash, invalid

__all__ = ["DROPPED", "NOT_COUNTED", "TOKENS", "check_image", "colour_of"]

REFUSED_500 = defect("image-500", "Images are answered 500.", row="D-V01")
DROPPED = defect("image-dropped", "Images do not reach the model and are not counted.", row="D-V01")
NOT_COUNTED = defect("image-not-counted", "Images are not in prompt_tokens.", row="D-U06")
LEGAL_TEXT_ONLY = defect(
    "legal-text-only", "The model reads no images: they are refused by name.", row="G-09", legal=True
)

# What OpenAI counts for an image of low detail.
TOKENS: Final = 85
_PREFIX: Final = "data:image/png;base64,"
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LONGEST: Final = 1 << 20
_COLOURS: Final = {
    "red": (255, 0, 0),
    "green": (0, 160, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
}


def check_image(name: str, part: dict[str, Any], defects: Defects) -> None:
    """Raises ApiError 400 unless the part holds an image that can be read: a PNG in a data: URI."""
    if REFUSED_500 in defects:
        raise crash()
    if LEGAL_TEXT_ONLY in defects:
        raise invalid("Invalid content type. image_url is only supported by certain models.", f"{name}.type")
    check_object(f"{name}.image_url", part.get("image_url"))
    url = part["image_url"].get("url")
    check_string(f"{name}.image_url.url", url)
    try:
        colour_of(url)
    except (ValueError, struct.error, zlib.error):
        raise invalid(
            "You uploaded an unsupported image. Only PNG images in data: URIs are read.",
            f"{name}.image_url.url",
            "image_parse_error",
        ) from None


def colour_of(url: str) -> str:
    """The name of the colour of an image's first pixel. Raises ValueError, struct.error and zlib.error."""
    png = base64.b64decode(url.removeprefix(_PREFIX), validate=True)
    if not url.startswith(_PREFIX) or not png.startswith(_SIGNATURE):
        raise ValueError("no PNG in a data: URI")
    depth, kind = struct.unpack(">8xBB", png[16:26])
    if (depth, kind) != (8, 2):
        raise ValueError("not eight bits of red, green and blue a pixel")
    first = zlib.decompressobj().decompress(_pixels(png), _LONGEST)[1:4]
    red, green, blue = first

    def distance(name: str) -> int:
        r, g, b = _COLOURS[name]
        return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2

    return min(_COLOURS, key=distance)


def _pixels(png: bytes) -> bytes:
    """The compressed lines of pixels: the data of all IDAT chunks."""
    found, position = b"", len(_SIGNATURE)
    while position < len(png):
        length, name = struct.unpack(">I4s", png[position : position + 8])
        if name == b"IDAT":
            found += png[position + 8 : position + 8 + length]
        position += 12 + length
    return found
