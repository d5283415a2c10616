"""Redaction: no key, cookie or account id survives, in whatever form a server echoes it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmcompat.probes.core import WRONG_KEY
from pytest_llmcompat.redaction import (
    KEY_MARKER,
    redact_answer,
    redact_bytes,
    redact_headers,
    redact_shown,
    redact_text,
    redact_url,
)
from pytest_llmcompat.wire import Answer
from tests.canary import traces

CANARY = 'sk-canary-7/Q+x&"Zt\\4=v ü9'

CODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda key: quote(key, safe=""),
    "url, lower-case hex": lambda key: quote(key, safe="").replace("%2F", "%2f").replace("%5C", "%5c"),
    "url, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "url, every character": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "form": quote_plus,
    "json": lambda key: json.dumps(key),
    "json, unicode kept": lambda key: json.dumps(key, ensure_ascii=False),
    "json in json": lambda key: json.dumps(json.dumps({"key": key})),
    "json, slash escaped": lambda key: json.dumps(key).replace("/", "\\/"),
    "json, every character": lambda key: "".join(f"\\u{ord(character):04X}" for character in key),
    "html": html.escape,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64, url-safe": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64, unpadded": lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
    "base64, url-coded": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal, upper case": lambda key: key.encode().hex().upper(),
    "sha256": lambda key: hashlib.sha256(key.encode()).hexdigest(),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_canary_key_is_replaced_in_every_coded_form(coding: str) -> None:
    """Whatever coding a server puts the key in, neither text nor bytes keep it."""
    coded = CODINGS[coding](CANARY)
    text = f"Incorrect API key: {coded}; see the docs."
    assert redact_text(text, [CANARY]).replace('"', "").replace("\\", "") in {
        f"Incorrect API key: {KEY_MARKER}; see the docs.",
        f"Incorrect API key: {{key: {KEY_MARKER}}}; see the docs.",
    }
    assert redact_bytes(text.encode(), [CANARY]) == redact_text(text, [CANARY]).encode()


@pytest.mark.parametrize("before", range(80))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\r\\n"])
def test_key_inside_wrapped_base64_is_replaced_wherever_the_line_ends(before: int, end: str) -> None:
    """MIME ends a line every 76 characters; in JSON that is an escape."""
    coded = base64.encodebytes(b"." * before + CANARY.encode() + b"." * 40).decode().replace("\n", end)
    left = redact_text(coded, [CANARY])
    assert KEY_MARKER in left
    assert traces(CANARY, left.encode()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'Bearer sk-canary-01...tail'", f"'Bearer {KEY_MARKER}...tail'"),
        ("'head...6789abcdef' 'sk-c...x'", f"'head...{KEY_MARKER}' '{KEY_MARKER}...x'"),
        ("'sk-...ef' 'canary...6789a'", "'sk-...ef' 'canary...6789a'"),
        ("sk-canary-0123456789abcdef...", f"{KEY_MARKER}..."),
    ],
)
def test_part_of_a_key_that_a_shortened_value_shows_is_replaced(text: str, shown: str) -> None:
    """pytest leaves out the middle of long values; a few characters tell nothing."""
    assert redact_shown(text, ["sk-canary-0123456789abcdef"]) == shown


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_key_in_a_body_of_two_bytes_a_character_is_replaced(coding: str) -> None:
    """RFC 8259 forbids such JSON, and some servers send it."""
    key = "sk-canary-5f1e+8c07/d2b94a63=~ZqX>?"
    body = f'{{"error": "{key}"}}'.encode(coding)
    assert traces(key, body) != []
    assert traces(key, redact_bytes(body, [key])) == []


def test_key_in_the_name_of_a_header_is_replaced() -> None:
    """Names come in lower case."""
    headers = ((f"x-{'sk-Canary-0123456789'.lower()}", "1"),)
    assert redact_headers(headers, ["sk-Canary-0123456789"]) == ((f"x-{KEY_MARKER}", "1"),)


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "user:x"])
def test_key_inside_longer_base64_is_replaced_at_every_alignment(before: str) -> None:
    """Basic credentials hold the key behind a user name; its base64 then looks different."""
    key = "sk-canary-0123456789abcdef"
    coded = base64.b64encode(f"{before}{key}:tail".encode()).decode()
    left = redact_text(coded, [key]).replace(KEY_MARKER, "")
    assert KEY_MARKER in redact_text(coded, [key])
    assert len(left) < len(coded) - 30


@settings(deadline=None, max_examples=50)
@given(
    key=st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=8, max_size=16),
    around=st.tuples(st.binary(max_size=30), st.binary(max_size=30)),
)
def test_no_key_survives_between_arbitrary_bytes(key: str, around: tuple[bytes, bytes]) -> None:
    """Bodies need not be text; the key goes all the same, and going over it again changes nothing."""
    body = around[0] + key.encode() + around[1]
    once = redact_bytes(body, [key])
    assert key.encode() not in once.replace(KEY_MARKER.encode(), b"") or key in KEY_MARKER


def test_keys_in_which_one_begins_another_are_replaced_whole() -> None:
    """The longest key goes first, so no tail of it stays."""
    assert redact_text("sk-aaaaaaaa-bbbb", ["sk-aaaaaaaa", "sk-aaaaaaaa-bbbb"]) == KEY_MARKER


def test_white_space_around_a_key_does_not_hide_it() -> None:
    """A key read with its newline is found in bodies without it."""
    assert redact_text("key sk-canary-0123456789", ["sk-canary-0123456789\n"]) == f"key {KEY_MARKER}"


@pytest.mark.parametrize("key", ["", " ", "x", "none", "EMPTY", "test"])
def test_dummy_keys_leave_answers_alone(key: str) -> None:
    """A server without keys is given any word as key; that word must not garble what it answers."""
    text = '{"tool_choice": "none", "content": "EMPTY test x"}'
    assert redact_text(text, [key]) == text


def test_short_key_is_replaced_only_as_a_whole_word() -> None:
    """`sk-1234` is a key that people use; `sk-12345` is another text."""
    assert redact_text("sk-1234, sk-12345, task-1234", ["sk-1234"]) == f"{KEY_MARKER}, sk-12345, task-1234"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Rate limit for organization org-abc123 on", "Rate limit for organization org-REDACTED on"),
        ("project `proj_Zk39fjw0Q`", "project `proj_REDACTED`"),
        ('{"org":"org-9aBcDeFgHiJkLmNoPqRsTuVw"}', '{"org":"org-REDACTED"}'),
        (
            "org-mode, org-level, my-org-abc123 and proj_name",
            "org-mode, org-level, my-org-abc123 and proj_name",
        ),
    ],
)
def test_account_ids_are_replaced_and_words_like_them_are_not(text: str, redacted: str) -> None:
    """Organisation and project ids identify the customer; they need no secret to be found."""
    assert redact_text(text) == redacted
    assert redact_text(redacted) == redacted


@pytest.mark.parametrize(
    ("name", "value", "redacted"),
    [
        ("authorization", "Bearer anything at all", f"Bearer {KEY_MARKER}"),
        ("Authorization", "basic dTpw", f"basic {KEY_MARKER}"),
        ("authorization", "sk-no-scheme", KEY_MARKER),
        ("authorization", f"Bearer {WRONG_KEY}", f"Bearer {WRONG_KEY}"),
        ("proxy-authorization", "Basic dTpw", f"Basic {KEY_MARKER}"),
        ("api-key", "abc", KEY_MARKER),
        ("x-api-key", "abc", KEY_MARKER),
        ("x-goog-api-key", "abc", KEY_MARKER),
        ("ocp-apim-subscription-key", "abc", KEY_MARKER),
        ("x-auth-token", "abc", KEY_MARKER),
        ("cookie", "a=b", "[REDACTED-COOKIE]"),
        ("set-cookie", "__cf_bm=abc; path=/", "[REDACTED-COOKIE]"),
        ("openai-organization", "acme-x1y2z3", "org-REDACTED"),
        ("openai-project", "proj_abc123", "proj_REDACTED"),
        ("x-debug", "key sk-canary-0123456789", f"key {KEY_MARKER}"),
        ("x-ratelimit-remaining-tokens", "42", "42"),
        ("idempotency-key", "llmcompat-chat-basic", "llmcompat-chat-basic"),
        ("www-authenticate", "Bearer", "Bearer"),
    ],
)
def test_header_that_identifies_somebody_gets_a_placeholder(name: str, value: str, redacted: str) -> None:
    """Credentials, cookies and account names go by the name of the header, everything else by its value."""
    assert redact_headers(((name, value),), ["sk-canary-0123456789"]) == ((name, redacted),)


def test_url_loses_user_information_and_key_parameters() -> None:
    """A URL may bear credentials too; without any it stays as it is."""
    url = "https://me:pw@h.example:1/v1/models?api-version=2&api-key=abc&limit=1"
    assert redact_url(url) == f"https://h.example:1/v1/models?api-version=2&api-key={KEY_MARKER}&limit=1"
    assert redact_url("https://h.example/v1?a=%20b&c=") == "https://h.example/v1?a=%20b&c="


def test_answer_that_echoes_the_key_keeps_its_length_header_and_arrivals_in_step() -> None:
    """After redaction content-length and arrivals still describe the body; later events keep their times."""
    key = "sk-canary-0123456789"
    parts = [
        b"data: a\n\n",
        f"data: {key}\n\n".encode(),
        b"data: ",
        f"{key[:9]}".encode(),
        f"{key[9:]}\n\n".encode(),
    ]
    body = b"".join(parts)
    answer = Answer(
        status=401,
        headers=(("content-length", str(len(body))), ("x-echo", key)),
        body=body,
        arrivals=tuple((float(number), len(part)) for number, part in enumerate(parts)),
        failure=f"broke after {key}",
    )
    redacted = redact_answer(answer, [key])
    assert redacted.body == f"data: a\n\ndata: {KEY_MARKER}\n\ndata: {KEY_MARKER}\n\n".encode()
    assert redacted.headers == (("content-length", str(len(redacted.body))), ("x-echo", KEY_MARKER))
    assert [length for _, length in redacted.arrivals] == [9, 26, 6, 0, 20]
    assert redacted.failure == f"broke after {KEY_MARKER}"


def test_answer_without_secrets_comes_back_unchanged() -> None:
    """Redaction of a clean answer is the identity."""
    answer = Answer(200, (("content-type", "application/json"),), b'{"a": 1}', ((0.1, 8),), 1.0, 0.2)
    assert redact_answer(answer, [CANARY]) == answer


def test_large_hostile_body_is_redacted_in_bounded_time() -> None:
    """Near misses of every form repeat through a megabyte; the time stays linear."""
    body = (b"\\" * 50 + b"sk-canary-%7 \\u0073k org-" + b"a" * 15) * 10_000
    started = time.perf_counter()
    redact_bytes(body, [CANARY])
    assert time.perf_counter() - started < 5.0
