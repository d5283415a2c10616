"""Content codings removed in small steps, so that a few bytes which swell to gigabytes never do so at once.

RFC 9110 section 8.4.1 has the codings; «deflate» is read with and without the zlib header, as clients do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["CODINGS", "Decoding", "Undecodable"]

CODINGS: Final = "gzip, deflate"
"""What is asked for: their decoded length comes step by step, whatever else is installed."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_STEP: Final = 64 * 1024
# A server that needs more has none of the usual reasons for it.
_MOST_CODINGS: Final = 3


class Undecodable(ValueError):
    """The body is not in the coding that its head names."""


class Decoding:
    """The codings of one body, in the order in which they come off; unknown ones stay on, as in httpx.

    header: the value of `content-encoding`. Raises Undecodable when it names more codings than anybody needs.
    """

    def __init__(self, header: str) -> None:
        names = [name.strip().lower() for name in reversed(header.split(","))]
        coded = [name for name in names if name and name != "identity"]
        if len(coded) > _MOST_CODINGS:
            raise Undecodable(f"it has {len(coded)} content codings, and at most {_MOST_CODINGS} are read")
        self._stages: list[_Stage] = []
        for name in coded:
            if name not in ("gzip", "x-gzip", "deflate"):
                break
            self._stages.append(_Stage(name))

    def decode(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """The next bytes of the body in steps of at most 64 KiB: (bytes, whether they are of the body itself).

        Steps of the stages between are given too, empty of meaning but not of length: their sum has to be
        bounded like that of the body. Raises Undecodable.
        """
        return self._through(data, 0)

    def _through(self, data: bytes, stage: int) -> Iterator[tuple[bytes, bool]]:
        if stage == len(self._stages):
            yield data, True
            return
        for step in self._stages[stage].steps(data):
            if stage + 1 < len(self._stages):
                yield step, False
            yield from self._through(step, stage + 1)

    @property
    def unfinished(self) -> str | None:
        """The coding whose end has not come, though its beginning has; None when there is none."""
        return next((stage.name for stage in self._stages if stage.unfinished), None)


class _Stage:
    """One coding."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._object = zlib.decompressobj(zlib.MAX_WBITS if name == "deflate" else _GZIP)
        self._begun = False

    @property
    def unfinished(self) -> bool:
        return self._begun and not self._object.eof

    def steps(self, data: bytes) -> Iterator[bytes]:
        """What comes of some bytes; what follows the end of the coding is left out, as clients do."""
        full = False
        while (data or full) and not self._object.eof:
            step = self._step(data)
            data = self._object.unconsumed_tail
            # All bytes may be taken in while there is more to give.
            full = len(step) == _STEP
            if step:
                yield step

    def _step(self, data: bytes) -> bytes:
        begun, self._begun = self._begun, True
        try:
            return self._object.decompress(data, _STEP)
        except zlib.error as error:
            if self.name != "deflate" or begun:
                raise Undecodable(f"it is no {self.name}: {error}") from None
        self._object = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._object.decompress(data, _STEP)
        except zlib.error as error:
            raise Undecodable(f"it is no deflate: {error}") from None
