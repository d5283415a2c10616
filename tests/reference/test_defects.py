"""Defects: declared once, used, and each a change. What the illegal ones break is proved in tests/test_proof.py."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

import pytest_llmcompat.reference
from pytest_llmcompat.reference import DEFECTS, Reference, serve
from pytest_llmcompat.reference.defect import defect
from pytest_llmcompat.reference.models import DEFAULT_MODEL, EMBEDDING_MODEL

PACKAGE = Path(pytest_llmcompat.reference.__file__).parent
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.glob("*.py")}
VARIANTS = sorted(name for name, declared in DEFECTS.items() if declared.legal)
NOISE = {"date", "openai-processing-ms", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"}
CLOCKS = re.compile(rb'"(?:created(?:_at)?|completed_at)":\d+')

# One red pixel.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAA"
    "AElFTkSuQmCC"
)
COUNT: list[Any] = [{"role": "user", "content": "Count from 1 to 5, separated by spaces."}]
CITIES: list[Any] = [{"role": "user", "content": "What is the weather in Rome and in Oslo?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}
BODIES: list[dict[str, Any]] = [
    {"messages": COUNT, "max_tokens": 40},
    {"messages": COUNT, "n": 2},
    {"messages": COUNT, "stream": True, "stream_options": {"include_usage": True}},
    {"messages": CITIES, "tools": TOOLS, "stream": True},
    {"messages": CITIES, "tools": TOOLS, "tool_choice": NAMED},
    {"messages": [{"role": "user", "content": "Count from 1 to 5, separated by commas."}]},
    {"messages": [{"role": "user", "content": "Count from 1 to 5, separated by lines."}], "stream": True},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}]},
]

BESIDE_CHAT: list[tuple[str, dict[str, Any]]] = [
    ("/embeddings", {"model": EMBEDDING_MODEL, "input": "a fox", "dimensions": 8}),
    ("/embeddings", {"model": EMBEDDING_MODEL, "input": ["a", "b"]}),
    ("/completions", {"model": DEFAULT_MODEL, "prompt": "1 2 3", "stream": True}),
    ("/responses", {"model": DEFAULT_MODEL, "input": "hi", "stream": True}),
]


def observed(reference: Reference) -> list[tuple[int, dict[str, str], bytes, bool]]:
    """Status, headers, body, and whether it came in several parts, of a fixed series of requests."""
    seen = []
    with httpx.Client(base_url=reference.base_url) as http:
        requests = [
            http.build_request(
                "POST",
                "/chat/completions",
                json={"model": reference.model, **body},
                headers={"authorization": f"Bearer {reference.key}"},
            )
            for body in BODIES
        ]
        requests += [
            http.build_request("POST", path, json=body, headers={"authorization": f"Bearer {reference.key}"})
            for path, body in BESIDE_CHAT
        ]
        requests.append(http.build_request("GET", "/models", headers={"authorization": "Bearer sk-short"}))
        for request in requests:
            answer = http.send(request, stream=True)
            parts = list(answer.iter_raw())
            headers = {name: value for name, value in answer.headers.items() if name not in NOISE}
            seen.append((answer.status_code, headers, CLOCKS.sub(b"", b"".join(parts)), len(parts) > 1))
    return seen


@pytest.fixture(scope="module")
def healthy() -> list[tuple[int, dict[str, str], bytes, bool]]:
    """What is observed on a healthy reference."""
    with serve(pause=0.005) as reference:
        return observed(reference)


def test_two_healthy_servers_answer_alike(healthy: list[Any]) -> None:
    """The reference is deterministic, ids included; only clocks differ."""
    with serve(pause=0.005) as reference:
        assert observed(reference) == healthy


@pytest.mark.parametrize("name", VARIANTS)
def test_legal_variant_changes_an_answer(healthy: list[Any], name: str) -> None:
    """A guard that changes nothing guards nothing."""
    with serve([name], pause=0.005) as reference:
        assert observed(reference) != healthy


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_declaration_is_complete(name: str) -> None:
    """Names are words in lower case, legal ones say so, and each has a row and a sentence."""
    declared = DEFECTS[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
    assert declared.legal is name.startswith("legal-")
    assert re.fullmatch(r"(D-[A-Z]|G-)\d\d|supplement|own", declared.row)
    assert re.fullmatch(r"[^\n]{10,100}\.", declared.summary)


def test_name_can_be_declared_only_once() -> None:
    """Two meanings of one name are refused at import."""
    with pytest.raises(ValueError, match="stream-without-done"):
        defect("stream-without-done", "Twice.", row="D-S06")


def test_every_declared_defect_is_used() -> None:
    """No switch hangs in the air: each constant is read somewhere."""
    declared = {
        target.id
        for tree in MODULES.values()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and ast.unparse(node.value.func) == "defect"
    }
    for stem, tree in MODULES.items():
        own = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
        names = {target.id for target in own if isinstance(target, ast.Name)} & declared
        used = Counter(
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )
        imported = {
            alias.name
            for other in MODULES.values()
            for node in ast.walk(other)
            if isinstance(node, ast.ImportFrom) and node.module == f"pytest_llmcompat.reference.{stem}"
            for alias in node.names
        }
        assert {name for name in names if not used[name] and name not in imported} == set()


def test_reference_stands_alone() -> None:
    """It imports nothing else of the package, so its judge cannot have shaped it."""
    imported = {
        node.module or ""
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    own = {name for name in imported if name.startswith("pytest_llmcompat")}
    assert own
    assert all(name.startswith("pytest_llmcompat.reference") for name in own)
