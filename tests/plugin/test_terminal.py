"""What users see: the progress line, the table, and what the run cost."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pytest_llmcompat.reference import Reference
from pytest_llmcompat.reporting.terminal import table
from tests.plugin.conftest import KEY, Judge

pytest_plugins = ("pytester",)


def screen(output: bytes) -> list[str]:
    """The lines that a terminal shows in the end: a carriage return starts a line over."""
    lines = re.sub(rb"\x1b\[[0-9;]*m", b"", output).decode().replace("\r\n", "\n").split("\n")
    return [_overwritten(line) for line in lines]


def _overwritten(line: str) -> str:
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def on_a_terminal(reference: Reference, cwd: os.PathLike[str], columns: int, *arguments: str) -> bytes:
    """What pytest writes to a terminal of some width."""
    main, side = pty.openpty()
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-p", "no:randomly"),
        *(f"--llm-endpoint={reference.base_url}", f"--llm-model={reference.model}", *arguments),
    ]
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, cwd=cwd, env=environment):
        os.close(side)
        output = b"".join(_read(main))
    os.close(main)
    return output


def _read(main: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:  # Linux says so when the other end is closed.
            return
        if not data:
            return
        yield data


def test_progress_rewrites_one_line_and_goes_away(pytester: pytest.Pytester, reference: Reference) -> None:
    """On a terminal, probes are counted up to their number, no line wraps, and nothing of it stays."""
    columns = 40
    output = on_a_terminal(reference, pytester.path, columns, "-k", "auth or json.")
    steps = re.findall(rb"llmcompat: (\d+) of (\d+) probes, ", output)
    total = int(steps[0][1])
    assert [(int(step), int(of)) for step, of in steps] == [(n, total) for n in range(1, total + 1)]
    assert max(len(part) for part in re.findall(rb"llmcompat: \d+ of[^\r\n]*", output)) < columns
    lines = screen(output)
    assert not [line for line in lines if "probes" in line]
    assert [line for line in lines if re.fullmatch(r"contracts/test_auth\.py \.{7} +\[ *\d+%\]", line)]


def test_progress_elsewhere_is_one_line(judge: Judge) -> None:
    """A log of continuous integration gets the number of probes, once."""
    result = judge("-k", "auth or json.")
    (line,) = (line for line in result.outlines if "probes" in line)
    assert re.fullmatch(r"llmcompat: \d+ probes on reference-small@127\.0\.0\.1:\d+", line)


def test_quiet_run_shows_no_progress(judge: Judge) -> None:
    """`-q` asks for less."""
    assert "probes" not in judge("-k", "auth", "-q").stdout.str()


def test_table_counts_verdicts_by_area() -> None:
    """Areas stand in order, nothing shows as a dot, and the last row sums up."""
    results = [{"area": area, "verdict": v} for area, v in (("b", "pass"), ("a", "fail"), ("b", "pass"))]
    assert [line.split() for line in table(results)] == [
        ["area", "pass", "fail", "warn", "unsupported", "inconclusive"],
        ["a", ".", "1", ".", ".", "."],
        ["b", "2", ".", ".", ".", "."],
        ["all", "2", "1", ".", ".", "."],
    ]


def test_summary_ends_with_requests_and_tokens(judge: Judge) -> None:
    """Users pay for both."""
    result = judge("-k", "auth.missing-401")
    result.stdout.re_match_lines(
        [
            r"=+ llmcompat: reference-small@127\.0\.0\.1:\d+ =+",
            r"area +pass +fail +warn +unsupported +inconclusive",
            r"auth +1 +\. +\. +\. +\.",
            r"all +1 +\. +\. +\. +\.",
            r"3 requests sent; \d+ prompt and \d+ completion tokens as the endpoint counts them",
        ],
        consecutive=True,
    )


def test_run_without_contracts_has_no_summary(judge: Judge, pytester: pytest.Pytester) -> None:
    """Nothing was judged, so there is nothing to sum up."""
    path = pytester.makepyfile("def test_ordinary(): pass")
    assert "llmcompat:" not in judge(str(path)).stdout.str()
