"""Parsed views of exchanges, kept for the next reader as long as there is room for them.

Many contracts read one view, so each is made once. But the views of a run's bodies may take many times the memory
of the bodies: beyond some megabytes the oldest are dropped, and made again if they are asked for again. Large views
are kept apart, so that one of them does not drive out all the small ones.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, overload

from pytest_llmcompat.limits import MIB

__all__ = ["View", "drop_large", "footprint", "text_size", "view"]

T = TypeVar("T")

# Measured with CPython 3.11 on 64 bits, rounded up: a dict with one key, a list, any other value with its slot.
_OBJECT, _ARRAY, _VALUE = 224, 96, 64
# One character beyond the ordinary ones makes Python keep all of a text with four bytes each.
_WIDEST: Final = 4
_LARGE: Final = MIB


def footprint(json: bytes) -> int:
    """About how many bytes of memory some JSON takes when it is parsed, its texts apart."""
    return _OBJECT * json.count(b"{") + _ARRAY * json.count(b"[") + _VALUE * json.count(b",")


def text_size(body: bytes | bytearray, *, is_ascii: bool | None = None) -> int:
    """The bytes of memory that a body takes at the most when it is decoded; is_ascii: when that is known."""
    return len(body) if (body.isascii() if is_ascii is None else is_ascii) else _WIDEST * len(body)


class _Shelf:
    """Views that may take `most` bytes together; the newest is kept whatever it takes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = self._dropped = 0
        self._kept: deque[tuple[weakref.ref[Any], str, int]] = deque()
        self._lock = threading.Lock()

    def make_room(self, size: int) -> None:
        """Drop the oldest views until one of `size` bytes fits, or until there is none left."""
        with self._lock:
            while self._kept and self._taken + size > self._most:
                oldest, name, freed = self._kept.popleft()
                self._taken -= freed
                self._dropped += freed
                if (there := oldest()) is not None:
                    there.__dict__.pop(name, None)
            is_time = self._dropped > 2 * self._most
            self._dropped = 0 if is_time else self._dropped
        if is_time:
            # Errors and clients refer to each other in circles, and so keep alive what they have read.
            gc.collect()

    def put(self, owner: Any, name: str, size: int) -> None:
        with self._lock:
            self._kept.append((weakref.ref(owner), name, size))
            self._taken += size


_SMALL_ONES: Final = _Shelf(32 * MIB)
_LARGE_ONES: Final = _Shelf(32 * MIB)


def drop_large() -> None:
    """Make room for somebody who makes large views of his own."""
    _LARGE_ONES.make_room(32 * MIB)


class View(Generic[T]):
    """An attribute that is made when it is first read, as `functools.cached_property`, but may be dropped again."""

    def __init__(self, make: Callable[[Any], T], size: Callable[[Any], int]) -> None:
        self._make, self._size = make, size
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> View[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> View[T] | T:
        if instance is None:
            return self
        size = self._size(instance)
        shelf = _LARGE_ONES if size > _LARGE else _SMALL_ONES
        shelf.make_room(size)
        value = self._make(instance)
        # The instance's own attribute goes before this one from now on.
        instance.__dict__[self._name] = value
        shelf.put(instance, self._name, size)
        return value


def view(size: Callable[[Any], int]) -> Callable[[Callable[[Any], T]], View[T]]:
    """Make a method a view. size: of the instance, about how many bytes of memory the view will take."""
    return lambda make: View(make, size)
