"""Views: made once while there is room, and never the reason why a run takes more memory than it may."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc

import pytest

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.limits import MIB
from pytest_llmcompat.views import drop_large, footprint, text_size

LARGE = json.dumps([{"id": f"model-{number}"} for number in range(30_000)]).encode()


def exchange(body: bytes) -> Exchange:
    """An exchange whose answer has a body."""
    return Exchange("p", "t", Request("GET", "http://h", (), b""), 200, body=body)


def test_view_is_made_once() -> None:
    """Contracts share what one of them has parsed."""
    small = exchange(b'{"a": [1]}')
    assert small.json is small.json
    assert small.blocks is small.blocks


def test_large_view_is_shared_too() -> None:
    """A list of models is read by many contracts one after the other."""
    large = exchange(LARGE)
    assert large.json is large.json


def test_views_of_many_large_bodies_do_not_add_up() -> None:
    """One contract after the other reads all of them: what they hold together is that of a few."""
    many = [exchange(LARGE) for _ in range(12)]
    gc.collect()
    tracemalloc.start()
    try:
        for each in many:
            assert len(each.json) == 30_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 * MIB
    assert many[0].json == many[1].json


def test_dropped_view_is_made_again() -> None:
    """Nobody notices but the clock."""
    large = exchange(LARGE)
    before = large.json
    drop_large()
    assert large.json is not before
    assert large.json == before


def test_small_views_stay_when_large_ones_come_and_go() -> None:
    """Eighty small exchanges are not parsed again for each contract because of one large one."""
    small = exchange(b'{"a": 1}')
    before = small.json
    for _ in range(5):
        assert exchange(LARGE).is_json
    assert small.json is before


def in_memory(value: object) -> int:
    """The bytes of memory of a JSON value without its texts' characters."""
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(in_memory(entry) for entry in value.values())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(in_memory, value))
    return sys.getsizeof(value) - (len(value) if isinstance(value, str) else 0)


@pytest.mark.parametrize(
    "entry", ["{}", "[]", '"ab"', "1.5", "123456", '{"a": 1}', "[1]", '{"a": {"b": []}}']
)
def test_footprint_is_no_less_than_what_json_takes(entry: str) -> None:
    """What the estimate lets through must fit."""
    body = f"[{', '.join([entry] * 5000)}]".encode()
    assert footprint(body) >= in_memory(json.loads(body))


def test_text_of_wide_characters_takes_four_times_as_much() -> None:
    """One of them is enough."""
    assert text_size(b"x" * 1000) == 1000
    body = ("x" * 1000 + "😀").encode()
    assert text_size(body) >= sys.getsizeof(body.decode()) - 100
