"""The scanner finds the canary in each form that it is said to find."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from pytest_llmcompat.cassette import Recording, write
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.wire import Answer
from tests.hostile.scanning import CANARY, canaries_in, canaries_in_file

FORMS = {
    "plain": CANARY,
    "quoted": quote(CANARY, safe=""),
    "quoted twice": quote(quote_plus(CANARY)),
    "every byte quoted": "".join(f"%{byte:02x}" for byte in CANARY.encode()),
    "escaped": "".join(f"\\u{ord(c):04X}" for c in CANARY),
    "solidus escaped": json.dumps(CANARY).replace("/", "\\/"),
    "entities": "".join(f"&#{ord(c)};" for c in CANARY),
    "html": html.escape(CANARY),
    "hexadecimal": CANARY.encode().hex(),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 at 1": base64.b64encode(f"a{CANARY}b".encode()).decode(),
    "base64 at 2": base64.urlsafe_b64encode(f"ab{CANARY}c".encode()).decode(),
    "base64 in lines": "\n    ".join(base64.encodebytes(CANARY.encode() * 3).decode().splitlines()),
}


@pytest.mark.parametrize("form", FORMS)
def test_canary_is_found_in_each_form(form: str) -> None:
    """Whatever stands around it."""
    assert canaries_in(f'{{"x": "{FORMS[form]}", "y": 1}}\n'.encode())


def test_bytes_without_the_canary_hold_none() -> None:
    """The half of it is none, and neither is text that decodes to something else."""
    assert canaries_in(f"{CANARY[:20]} %41 \\u0041 &amp; {'00' * 40} \xff\xfe".encode("latin-1")) == []


@pytest.mark.parametrize("template", ['{"choices":[{"delta":{"content":%s}}]}', '{"id":%s}', "%s"])
def test_canary_that_events_hold_together_is_found_in_a_cassette(tmp_path: Path, template: str) -> None:
    """No event alone holds it; a client that joins their fields has it all the same."""
    parts = [CANARY[start : start + 4] for start in range(0, len(CANARY), 4)]
    texts = parts if template == "%s" else [json.dumps(part) for part in parts]
    body = "".join(f"data: {template % text}\n\n" for text in texts).encode()
    path = tmp_path / "probe.yaml"
    request = Request("GET", "http://127.0.0.1/v1/models", (), b"")
    answer = Answer(status=200, body=body, arrivals=((0.1, len(body)),))
    write(path, Recording("p", "2026-01-01T00:00:00+00:00", "e", "m", {}, ((request, answer),)))
    assert not canaries_in(path.read_bytes())
    assert canaries_in_file(path)
