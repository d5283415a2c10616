"""Cassettes that came by a pull request: they are read, and otherwise nothing happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llmcompat.reference import Reference
from tests.plugin.conftest import Judge, files_below

pytest_plugins = ("pytester",)

SELECT = ("-k", "json.object or models.list")


@pytest.fixture
def cassette(judge: Judge, pytester: pytest.Pytester) -> Path:
    """A recorded cassette of `chat-basic`, among others."""
    judge("--llm-record", *SELECT)
    (path,) = (pytester.path / "cassettes").rglob("chat-basic.yaml")
    return path


def owning(path: Path) -> str:
    """YAML that makes a file when objects in it are constructed."""
    return f"!!python/object/apply:os.system ['touch {path}']"


def _link_file(cassette: Path, outside: Path) -> None:
    target = outside / "secret.yaml"
    cassette.rename(target)
    cassette.symlink_to(target)


def _link_model(cassette: Path, outside: Path) -> None:
    cassette.parent.rename(outside / "model")
    cassette.parent.symlink_to(outside / "model")


def _link_endpoint(cassette: Path, outside: Path) -> None:
    folder = cassette.parents[1]
    folder.rename(outside / "endpoint")
    folder.symlink_to("../outside/endpoint")


@pytest.mark.parametrize("link", [_link_file, _link_model, _link_endpoint])
@pytest.mark.parametrize("mode", ["--llm-replay", "--llm-record"])
def test_link_out_of_the_folder_is_not_followed(
    judge: Judge, pytester: pytest.Pytester, cassette: Path, link: Callable[[Path, Path], None], mode: str
) -> None:
    """Neither to read nor to write, be it a file, a model or an endpoint."""
    outside = pytester.mkdir("outside")
    link(cassette, outside)
    before = {path: path.read_bytes() for path in files_below(outside)}
    result = judge(mode, "-k", "json.object or stream.done")
    assert {path: path.read_bytes() for path in files_below(outside)} == before
    shown = " ".join((result.stdout.str() + result.stderr.str()).split())
    assert "a symbolic link leads out of cassettes; remove the link" in shown
    assert "INTERNALERROR" not in shown
    assert result.ret != pytest.ExitCode.OK or "not judged" in shown


def test_folder_itself_may_be_a_link(judge: Judge, pytester: pytest.Pytester, cassette: Path) -> None:
    """Where the user's own folder lies is the user's affair."""
    del cassette
    (pytester.path / "cassettes").rename(pytester.path / "elsewhere")
    (pytester.path / "cassettes").symlink_to("elsewhere")
    result = judge("--llm-replay", *SELECT)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1\n", "version: {owned}\n", "more than plain data"),
        ("interactions:\n", "interactions:\n- {owned}\n", "more than plain data"),
        ("interactions:\n", "interactions:\n- &a [*a]\n", "holds itself"),
    ],
)
def test_cassette_that_constructs_objects_is_refused(
    judge: Judge, pytester: pytest.Pytester, cassette: Path, old: str, new: str, problem: str
) -> None:
    """In one line each, by replay and by lint; nothing is run."""
    owned = pytester.path / "owned"
    cassette.write_text(cassette.read_text().replace(old, new.format(owned=owning(owned)), 1))
    for result in (
        judge("--llm-replay", *SELECT),
        pytester.runpython_c(f"from pytest_llmcompat.command import main; main(['lint', {str(cassette)!r}])"),
    ):
        shown = " ".join((result.stdout.str() + result.stderr.str()).split())
        assert problem in shown
        assert "Traceback" not in shown
    assert not owned.exists()


def test_pipe_in_the_place_of_a_cassette_is_refused(judge: Judge, cassette: Path) -> None:
    """Reading from it would wait for ever."""
    cassette.unlink()
    os.mkfifo(cassette)
    result = judge("--llm-replay", *SELECT)
    assert "it is no file; remove it" in " ".join((result.stdout.str() + result.stderr.str()).split())


def test_lint_passes_over_links_that_lead_out(
    pytester: pytest.Pytester, cassette: Path, reference: Reference
) -> None:
    """In a folder; a file that is named may be anything."""
    del reference
    outside = pytester.mkdir("outside")
    inside = pytester.mkdir("inside")
    cassette.rename(outside / "a.yaml")
    (inside / "b.yaml").symlink_to(outside / "a.yaml")
    (inside / "c.yaml").write_text((outside / "a.yaml").read_text())
    result = pytester.runpytest_inprocess("--llm-lint=inside", "-q")
    result.stdout.fnmatch_lines(["no recordings, passed over: inside/b.yaml"])
    assert result.parseoutcomes()["passed"] > 0
