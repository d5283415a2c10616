"""What pytest is about to show, send to other processes or write into files, without the keys of the run.

And without what a terminal or a build service would obey: whatever quotes the endpoint is foreign text.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pytest_llmcompat.plain import line, plain, printed
from pytest_llmcompat.redaction import redact_shown

__all__ = ["clean_error", "clean_interrupt", "clean_report", "clean_value", "clean_warning"]

Secrets = tuple[str, ...]


def clean_report(
    report: pytest.TestReport | pytest.CollectReport, secrets: Secrets, *, contract: bool = False
) -> None:
    """Clean tracebacks (`--showlocals` shows much), reasons, properties, and what a test has printed.

    contract: what failed is a contract, so all of its text is of the suite or quotes the endpoint.
    """
    report.sections = [(name, printed(redact_shown(text, secrets))) for name, text in report.sections]
    if isinstance(report, pytest.TestReport):
        report.user_properties = clean_value(report.user_properties, secrets)
        if hasattr(report, "wasxfail"):
            report.wasxfail = line(redact_shown(report.wasxfail, secrets))
    if isinstance(report.longrepr, tuple):
        path, number, reason = report.longrepr
        report.longrepr = (path, number, line(redact_shown(reason, secrets)))
    elif report.longrepr is not None:
        clean = redact_shown(report.longreprtext, secrets)
        clean = plain(clean.expandtabs()) if contract else printed(clean)
        if clean != report.longreprtext:
            report.longrepr = clean


def clean_value(value: Any, secrets: Secrets) -> Any:
    """A value made of dicts, lists, tuples and texts, with clean texts; anything else goes by its text.

    Half a surrogate pair is shown as an escape: it has no bytes, and could not be sent to another process.
    """
    if isinstance(value, dict):
        return {name: clean_value(inner, secrets) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clean_value(inner, secrets) for inner in value)
    shown = str(value)
    clean = redact_shown(shown, secrets).encode("utf-8", "backslashreplace").decode()
    return value if clean == shown else clean


def clean_warning(warning: warnings.WarningMessage, secrets: Secrets) -> None:
    """Clean a warning before it is counted, shown, or sent to the main process."""
    clean = plain(redact_shown(str(warning.message), secrets))
    if clean != str(warning.message):
        warning.message = Warning(clean)


def clean_error(error: Any, secrets: Secrets) -> None:
    """Clean the representation that pytest has made of an exception (`ExceptionRepr`)."""
    shown = str(error)
    clean = printed(redact_shown(shown, secrets))
    if clean != shown:
        # Its text is what it writes to a terminal.
        error.toterminal = lambda terminal: terminal.write(clean)
    if error.reprcrash is not None:
        error.reprcrash.message = printed(redact_shown(error.reprcrash.message, secrets))


def clean_interrupt(excinfo: pytest.ExceptionInfo[BaseException], secrets: Secrets) -> None:
    """Clean what pytest will show of the exception that ended the session."""
    shown = excinfo.getrepr

    def clean(*arguments: Any, **named: Any) -> Any:
        error = shown(*arguments, **named)
        clean_error(error, secrets)
        return error

    vars(excinfo)["getrepr"] = clean
