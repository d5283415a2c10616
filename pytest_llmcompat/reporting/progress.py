"""The progress line while probes run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmcompat.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmcompat.run import Run

__all__ = ["progress_line"]


@contextmanager
def progress_line(config: pytest.Config, run: Run, probes: Mapping[str, Iterable[str]]) -> Iterator[None]:
    """Count the exchanges still to come of some probes (target id → ids); nothing in worker processes and with `-q`.

    On a terminal, one line that is rewritten and goes away; elsewhere, one line.
    """
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    there = {(exchange.target, exchange.probe) for exchange in run.exchanges()}
    coming = {(id, probe_id) for id, probe_ids in probes.items() for probe_id in probe_ids} - there
    if terminal is None or hasattr(config, "workerinput") or terminal.verbosity < 0 or not coming:
        yield
        return
    if not terminal.isatty:
        names = ", ".join(target.id for target in run.targets)
        recorded = "recorded " if run.settings.replay else ""
        terminal.write_line(f"llmcompat: {len(coming)} {recorded}probes on {names}")
        yield
        return
    done, lock, width = count(1), Lock(), config.get_terminal_writer().fullwidth

    def show(exchange: Exchange) -> None:
        if (exchange.target, exchange.probe) in coming:
            with lock:
                text = f"llmcompat: {next(done)} of {len(coming)} probes, {exchange.probe}"
                # A line that wraps could not be taken back.
                terminal.rewrite(text[: width - 1], erase=True)

    run.watchers.append(show)
    try:
        yield
    finally:
        run.watchers.remove(show)
        terminal.rewrite("", erase=True)
