"""Files that somebody else may have written."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
import yaml

from pytest_llmcompat import foreign
from pytest_llmcompat.foreign import leads_out, load_yaml, read_bounded


def bomb(levels: int, first: str, rest: str) -> str:
    """YAML each of whose lines names the one before ten times over."""
    lines = [first]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {rest.format(names=names)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (bomb(9, "a0: &a0 [x, x, x]", "[{names}]"), "aliases unfold to many times its size"),
        (bomb(9, f"a0: &a0 {'x' * 1000}", "[{names}]"), "aliases unfold to many times its size"),
        ("a: &a [1, *a]", "holds itself"),
        ("a: &a {b: {c: *a}}", "holds itself"),
        ("- a\n" * 600_000, "more than 250000 values"),
    ],
)
def test_small_text_that_takes_up_much_is_refused(text: str, problem: str) -> None:
    """In little time and memory."""
    started = time.process_time()
    with pytest.raises(ValueError, match=problem):
        load_yaml(text)
    assert time.process_time() - started < 20.0


@pytest.mark.parametrize(
    "text",
    [
        bomb(9, "a0: &a0 {k: v}", "{{<<: [{names}]}}"),
        "a: !!python/object/apply:os.system [id]",
        "a: !!python/name:os.system",
        "a: !!python/object/new:os.system [id]",
        "!!python/module:os",
        "a: !ruby/object:Gem::Installer {}",
    ],
)
def test_more_than_plain_data_is_refused(text: str) -> None:
    """Objects of any language, and merge keys, which old releases of PyYAML unfold."""
    with pytest.raises(yaml.constructor.ConstructorError):
        load_yaml(text)


def test_aliases_as_honest_writers_use_them_are_read() -> None:
    """vcrpy's own dumper writes a list that stands in two places once."""
    assert load_yaml("a: &h [gzip]\nb: *h\nc: {d: *h}") == {
        "a": ["gzip"],
        "b": ["gzip"],
        "c": {"d": ["gzip"]},
    }


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    """libyaml stops at a thousand levels."""
    with pytest.raises((yaml.YAMLError, RecursionError)):
        load_yaml("[" * 100_000 + "]" * 100_000)


def test_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as much of it as shows that it is."""
    monkeypatch.setattr(foreign, "_MOST_CHARACTERS", 1024 * 1024)
    path = tmp_path / "a"
    path.write_text("é" * 1024 * 1024)
    assert len(read_bounded(path)) == 1024 * 1024
    with path.open("w") as file:
        file.truncate(500 * 1024 * 1024)
    tracemalloc.start()
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_bounded(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 1024 * 1024


def test_link_leads_out_when_it_ends_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links within the folder are fine, and so is one that is the folder."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    outside.mkdir()
    (folder / "in").symlink_to(folder / "a")
    (folder / "out").symlink_to(outside)
    (folder / "up").symlink_to("..")
    (folder / "a" / "file").symlink_to(outside / "absent")
    (folder / "loop").symlink_to(folder / "loop")
    (tmp_path / "link").symlink_to(folder)
    names = ("a/x", "in/x", "out/x", "up/x", "a/file", "in/file", "loop", "absent/x", ".")
    led_out = [name for name in names if leads_out(folder, folder / name)]
    assert led_out == ["out/x", "up/x", "a/file", "in/file"]
    assert not leads_out(tmp_path / "link", tmp_path / "link" / "a")
    monkeypatch.chdir(tmp_path)
    assert leads_out(Path("folder"), Path("folder/out/x"))
