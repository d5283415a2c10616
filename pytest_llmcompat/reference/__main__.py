"""Runs the reference by hand: `python -m pytest_llmcompat.reference --port 8080 --defect stream-without-done`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from pytest_llmcompat.reference.defect import DEFECTS, UnknownDefect
from pytest_llmcompat.reference.serving import DEFAULT_PAUSE, serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, or list the defects; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_llmcompat.reference", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port on the loopback interface (default: a free one)"
    )
    parser.add_argument(
        "--pause", type=float, default=DEFAULT_PAUSE, help="seconds between the chunks of a stream"
    )
    parser.add_argument(
        "--defect", action="append", default=[], metavar="NAME", help="break this; may be repeated"
    )
    parser.add_argument("--list-defects", action="store_true", help="print the defects and exit")
    chosen = parser.parse_args(arguments)
    if chosen.list_defects:
        for defect in DEFECTS.values():
            print(f"{defect.name:36} {defect.row:11} {defect.summary}")
        return 0
    try:
        _run(chosen)
    except (UnknownDefect, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(chosen: argparse.Namespace) -> None:
    with serve(chosen.defect, pause=chosen.pause, port=chosen.port) as reference:
        print(f"base URL  {reference.base_url}")
        print(f"key       {reference.key or '(none needed)'}")
        print(f"model     {reference.model}")
        print("Stop with Ctrl-C.", flush=True)
        stopped = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
