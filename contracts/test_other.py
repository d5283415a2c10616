"""Contracts on what else the API has: moderations, files and batches."""

from __future__ import annotations

from typing import Final

from pytest_llmcompat.answer import answered, body
from pytest_llmcompat.contract import MAY, contract
from pytest_llmcompat.exchange import Exchange
from pytest_llmcompat.schema import expect_conforms
from pytest_llmcompat.verdict import expect

_SPECIFICATION: Final = "OpenAI's specification (openapi.yaml f85dbe2, line {line}): {name}"
_LISTS: Final = "openai-python 3.57 pagination.py: SyncCursorPage reads `data`"


@contract(
    "moderations.shape",
    MAY,
    source=_SPECIFICATION.format(line=35888, name="CreateModerationResponse"),
    breaks="Guards that ask `results[0].flagged` before they pass a text on raise, or let everything pass.",
    fix="Answer with id, model and `results` of `flagged`, `categories` and `category_scores`.",
    catches=("moderations-bare-array", "moderations-flagged-missing", "moderations-scores-missing"),
    passive="moderations",
)
def test_moderation_flags_by_category(moderation: Exchange) -> None:
    """POST /moderations says of each text whether it is flagged, and in which categories."""
    answered(moderation, "model")
    expect(moderation.is_json, moderation, "body", "a JSON object")
    expect_conforms(body(moderation), "moderation")


@contract(
    "files.list",
    MAY,
    source=f"{_SPECIFICATION.format(line=42852, name='ListFilesResponse')}; {_LISTS}",
    breaks="`client.files.list()` finds no files, or raises.",
    fix='Answer GET /files with {"object": "list", "data": […]}.',
    catches=("files-bare-array", "files-object-missing"),
)
def test_files_come_as_list_object(files_list: Exchange) -> None:
    """GET /files gives a list object."""
    _expect_list(files_list)


@contract(
    "batches.list",
    MAY,
    source=f"{_SPECIFICATION.format(line=30363, name='ListBatchesResponse')}; {_LISTS}",
    breaks="`client.batches.list()` finds no batches, or raises.",
    fix='Answer GET /batches with {"object": "list", "data": […]}.',
    catches=("batches-bare-array", "batches-data-null"),
)
def test_batches_come_as_list_object(batches_list: Exchange) -> None:
    """GET /batches gives a list object."""
    _expect_list(batches_list)


def _expect_list(exchange: Exchange) -> None:
    answered(exchange)
    expect(exchange.is_json, exchange, "body", "a JSON object")
    expect_conforms(body(exchange), "list")
