"""Memory that was freed goes back to the system, whatever the C library's habits are."""

from __future__ import annotations

import ctypes
import platform
from typing import Final

__all__ = ["return_freed_blocks"]

# malloc.h of the GNU C library.
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024


def return_freed_blocks() -> None:
    """Let glibc return each block of 128 KiB or more to the system when it is freed; elsewhere nothing is done.

    By default the threshold grows with the blocks that are freed (mallopt(3), «dynamic mmap threshold»): after a
    few long answers, blocks of many megabytes stay with the process.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
