"""The same fault in every answer of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from pytest_llmcompat.exchange import Exchange
from tests.fuzz.answers import event_text
from tests.fuzz.documents import Path, Raw, odd_text, paths_of, written
from tests.fuzz.samples import Sample, answer_of, samples
from tests.fuzz.trial import answered_by

__all__ = ["everywhere", "places"]


@cache
def places() -> tuple[Path, ...]:
    """The paths that lead somewhere in an answer of the reference; of arrays the first entries only."""
    found = {
        path
        for sample in samples()[:2]
        for exchange in sample.exchanges.values()
        for value in _documents(exchange)
        for path in paths_of(value)
        if all(step == 0 for step in path if isinstance(step, int))
    }
    return tuple(sorted(found, key=str))


def everywhere(random: Random, sample: Sample, path: Path) -> Sample:
    """A run whose answers have the same odd value at a path, where it leads somewhere."""
    odd = Raw(odd_text(random))
    return Sample(
        sample.target, {id: _with(exchange, path, odd) for id, exchange in sample.exchanges.items()}
    )


def _with(exchange: Exchange, path: Path, odd: Raw) -> Exchange:
    def changed(text: str) -> str:
        try:
            return written(_replaced(json.loads(text), path, odd))
        except ValueError:
            return text

    if exchange.is_json:
        body = changed(exchange.text)
    elif exchange.events:
        body = "".join(event_text(event, "\n", changed) for event in exchange.events)
    else:
        return exchange
    content = body.encode()
    arrivals = ((0.01, len(content)),)
    return answered_by(exchange, replace(answer_of(exchange), body=content, arrivals=arrivals))


def _replaced(value: Any, path: Path, odd: Raw) -> Any:
    if not path:
        return odd
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: _replaced(v, rest, odd) if key == step else v for key, v in value.items()}
    if isinstance(value, list):
        return [_replaced(v, rest, odd) if at == step else v for at, v in enumerate(value)]
    return value


def _documents(exchange: Exchange) -> Iterator[Any]:
    if exchange.is_json:
        yield exchange.json
    read: Callable[[str], Any] = json.loads
    for event in exchange.events:
        if event.data.startswith("{"):
            yield read(event.data)
