"""The command-line options `--llm-…`; what they mean stands in `settings`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["add_options", "given", "hide_key", "hide_typed_key", "is_asked_for", "sends"]

_STARTERS = ("endpoint", "target", "record", "replay", "lint")
# pytest then answers a question about itself and runs nothing.
_QUESTIONS = ("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
_HIDDEN_KEY = "[REDACTED-API-KEY]"


def add_options(parser: pytest.Parser) -> None:
    """Add the group `llmcompat` to pytest's options."""
    group = parser.getgroup("llmcompat", "contracts of an OpenAI-compatible endpoint (pytest-llmcompat)")
    several: dict[str, Any] = {"action": "append", "default": []}
    flag: dict[str, Any] = {"action": "store_true", "default": False}
    for name, metavar, settings, text in (
        ("endpoint", "URL", several, "base URL (https://…/v1), `reference` or a known name; repeatable"),
        ("target", "NAME", several, "target of llmcompat.toml, or `all`; repeatable"),
        (
            "model",
            "ID",
            several,
            "model to ask for, or a glob over /models; repeatable. Default: the only one listed",
        ),
        (
            "embedding-model",
            "ID",
            {},
            "model to ask for embeddings. Default: the first listed that is called so",
        ),
        ("api-key-env", "NAME", {}, "variable with the key. Default: OPENAI_API_KEY or the provider's"),
        ("api-key", "KEY", {}, "the key itself, for local use; other users of the machine can see it"),
        ("record", None, flag, "write a cassette for each probe; those already recorded are not sent again"),
        ("replay", None, flag, "judge the cassettes; no network at all"),
        ("cassettes", "DIR", {}, "folder of the cassettes. Default: cassettes"),
        ("level", "LEVEL", {}, "weakest level whose broken contracts fail: must (default), should or may"),
        (
            "client",
            "NAME",
            several,
            "let the contracts that a client relies on fail, and no others; repeatable",
        ),
        ("report", "PATH", several, "write a report; its ending says which kind (.json, .md); repeatable"),
        ("baseline", "FILE", {}, "an earlier JSON report: only what has become worse fails"),
        ("update-baseline", None, flag, "accept this run: write the baseline anew"),
        ("baseline-strict", None, flag, "what passed and is inconclusive now fails too"),
        ("drift", "MODE", {}, "answers of another shape than recorded: off, warn (default) or fail"),
        ("strict-waivers", None, flag, "waivers that have expired or that nothing needs fail the run"),
        ("replaceable", "A=B", several, "fail unless target B keeps every contract that A keeps; repeatable"),
        ("max-requests", "N", {}, "budget: send no more requests than this"),
        ("max-tokens", "N", {}, "budget: use no more tokens than this"),
        ("max-cost", "USD", {}, "budget: spend no more than this"),
        (
            "shard",
            "N/M",
            {},
            "judge the Nth of M parts of the contracts; `llmcompat merge` joins the reports",
        ),
        (
            "suite",
            "NAMES",
            several,
            "probe groups to send: core, tools, json, embeddings… Default: all but opt-in",
        ),
        ("timeout", "SECONDS", {}, "how long one exchange may take. Default: 60"),
        ("connect-timeout", "SECONDS", {}, "how long its connection may take to open. Default: 10"),
        (
            "first-byte-timeout",
            "SECONDS",
            {},
            "how long its answer may take to begin. Default: --llm-timeout",
        ),
        ("idle-timeout", "SECONDS", {}, "longest silence within an answer. Default: --llm-timeout"),
        ("run-timeout", "SECONDS", {}, "after that nothing more is sent. Default: 1800 for each target"),
        ("header", "'NAME: VALUE'", several, "further request header; repeatable"),
        ("no-auth", None, flag, "the server has no keys; contracts about keys are unsupported"),
        ("concurrency", "N", {}, "probes under way at once. Default: 8"),
        (
            "lint",
            "PATH",
            several,
            "judge recordings: vcrpy, VCR, HAR, JSON Lines, or a folder; nothing is sent",
        ),
        ("list", None, flag, "list the contracts and end; nothing is sent"),
    ):
        shown = {} if metavar is None else {"metavar": metavar}
        group.addoption(f"--llm-{name}", dest=f"llm_{name.replace('-', '_')}", help=text, **settings, **shown)


def given(config: pytest.Config) -> Mapping[str, Any]:
    """The options by their names in `settings.Settings`; None, [] or False where they were not given."""
    return {
        name.removeprefix("llm_"): value
        for name, value in vars(config.option).items()
        if name.startswith("llm_") and name != "llm_list"
    }


def is_asked_for(config: pytest.Config) -> bool:
    """True when an endpoint is given, or when the table names one and any other option is typed.

    Raises pytest.UsageError for an option typed without an endpoint; in addopts it may wait for one.
    """
    if any(getattr(config.option, name, False) for name in _QUESTIONS):
        return False
    if any(getattr(config.option, f"llm_{name}") for name in _STARTERS):
        return True
    for name in (str(argument).partition("=")[0] for argument in config.invocation_params.args):
        if name.startswith("--llm-"):
            if _file_has_endpoint(config):
                return True
            raise pytest.UsageError(
                f"{name} needs --llm-endpoint=URL (or --llm-endpoint=reference to try it offline), or "
                "--llm-target=NAME"
            )
    return False


def _file_has_endpoint(config: pytest.Config) -> bool:
    from pytest_llmcompat.configuration import read_configuration
    from pytest_llmcompat.settings import WrongUsage

    try:
        return "endpoint" in read_configuration(config.invocation_params.dir, config.rootpath).defaults
    except WrongUsage as wrong:
        raise pytest.UsageError(str(wrong)) from None


def sends(config: pytest.Config) -> bool:
    """False when pytest only shows what it would run."""
    return not (config.option.collectonly or config.option.setupplan)


def hide_key(config: pytest.Config) -> None:
    """Take keys off the options as plugins and other processes see them (pytest-xdist passes them on)."""
    for options in (config.option, config.known_args_namespace):
        options.llm_api_key = None
        options.llm_header = [_shown_header(line) for line in options.llm_header or []]
    hide_typed_key(config)


def hide_typed_key(config: pytest.Config) -> None:
    """Take keys off the command line, which pytest writes into the file of `--debug`, and plugins into theirs."""
    sys.argv[:] = _hidden(sys.argv)
    seen = config.invocation_params
    config.invocation_params = pytest.Config.InvocationParams(
        args=_hidden(seen.args), plugins=seen.plugins, dir=seen.dir
    )


def _hidden(arguments: Iterable[Any]) -> list[Any]:
    hidden: list[Any] = []
    for argument in arguments:
        name, equals, value = str(argument).partition("=")
        if name in _BEARING_KEYS and equals:
            hidden.append(f"{name}={_BEARING_KEYS[name](value)}")
        elif hidden and hidden[-1] in _BEARING_KEYS:
            hidden.append(_BEARING_KEYS[hidden[-1]](str(argument)))
        else:
            hidden.append(argument)
    return hidden


def _shown_header(line: str) -> str:
    """A header `NAME: VALUE` without its value, when that is a credential."""
    from pytest_llmcompat.redaction import is_credential

    name = line.partition(":")[0]
    return f"{name}: {_HIDDEN_KEY}" if is_credential(name.strip()) else line


# What may be shown of the values of options that bear keys.
_BEARING_KEYS: Mapping[str, Callable[[str], str]] = {
    "--llm-api-key": lambda _: _HIDDEN_KEY,
    "--llm-header": _shown_header,
}
