"""Log records without keys, whoever writes them and wherever they go.

At DEBUG httpcore and the official client log the headers of answers, in which servers may echo the key; and what
users' tests log nobody knows. A record is cleaned when it is made, before any handler, file or plugin sees it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pytest_llmcompat.plain import plain
from pytest_llmcompat.redaction import redact_text

__all__ = ["clean_logs"]

# These quote the endpoint.
_HOSTILE: Final = frozenset({"httpcore", "httpcore2", "httpx", "httpx2", "openai", "hpack"})
_FORMATTER: Final = logging.Formatter()


@contextmanager
def clean_logs(secrets: Iterable[str]) -> Iterator[None]:
    """Until the block ends, no log record holds one of these secrets, nor control characters of an endpoint."""
    hidden = tuple(dict.fromkeys(secrets))
    make = logging.getLogRecordFactory()

    def make_clean(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        _clean(record, hidden)
        return record

    logging.setLogRecordFactory(make_clean)
    try:
        yield
    finally:
        # Whoever has put another one on top of ours goes on with it.
        if logging.getLogRecordFactory() is make_clean:
            logging.setLogRecordFactory(make)


def _clean(record: logging.LogRecord, secrets: tuple[str, ...]) -> None:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, LookupError):
        # Arguments that do not fit are for the handlers to complain about; they show them.
        given = record.args if isinstance(record.args, tuple) else (record.args,)
        record.args = tuple(redact_text(str(argument), secrets) for argument in given)
        record.msg = redact_text(str(record.msg), secrets)
        return
    clean = redact_text(message, secrets)
    if record.name.partition(".")[0] in _HOSTILE:
        clean = plain(clean)
    if clean != message:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        trace = _FORMATTER.formatException(record.exc_info)
        if (cleaned := redact_text(trace, secrets)) != trace:
            record.exc_text = cleaned
