"""Whose turn it is to record: two runs at once would put the parts of two conversations into one folder.

The lock is that of the operating system on the folder itself: no file of ours lies there, and it is gone with the
process that held it, however that ended. Where there are no such locks (Windows, some network file systems) nobody
waits; files are whole there, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["claimed"]


@contextmanager
def claimed(folders: Iterable[Path], waits: Callable[[Path], None]) -> Iterator[None]:
    """Hold some folders, which are made when they are not there, until the block ends.

    waits: told of each folder that another run holds, before its end is waited for. Raises OSError when a folder
    cannot be made.
    """
    with ExitStack() as held:
        # Everybody takes them in the same order, so that no two wait for each other.
        for folder in sorted(set(folders)):
            folder.mkdir(parents=True, exist_ok=True)
            if sys.platform != "win32":
                handle = os.open(folder, os.O_RDONLY)
                held.callback(os.close, handle)
                _lock(handle, folder, waits)
        yield


if sys.platform != "win32":
    import fcntl

    def _lock(handle: int, folder: Path, waits: Callable[[Path], None]) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits(folder)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            # This file system has no locks.
            return
