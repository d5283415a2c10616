"""Playing a recording to whoever sends the same requests again."""

from __future__ import annotations

from pytest_llmcompat.cassette.conversion import VcrRequest, vcr_request
from pytest_llmcompat.cassette.recording import Recording, redacted_request
from pytest_llmcompat.exchange import Request
from pytest_llmcompat.wire import Answer

__all__ = ["Replay"]


class Replay:
    """Plays each interaction of a recording once, in order; not for use from several threads.

    secrets: keys that requests may bear in their URL or body, which the recording holds redacted.
    """

    def __init__(self, recording: Recording, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = secrets
        self._left = [(vcr_request(request), answer) for request, answer in recording.interactions]

    def answer(self, request: Request) -> Answer | None:
        """The first answer not yet played to a request with this method, path, query and body, or None."""
        from vcr import matchers  # type: ignore[import-untyped]

        wanted = vcr_request(redacted_request(request, self._secrets))
        on = (matchers.method, matchers.path, matchers.query, _same_body)
        for index, (recorded, answer) in enumerate(self._left):
            if matchers.requests_match(wanted, recorded, on):
                del self._left[index]
                return answer
        return None


def _same_body(mine: VcrRequest, recorded: VcrRequest) -> bool:
    """vcrpy's matcher: equal as JSON when both say that they are JSON, else byte by byte."""
    from vcr import matchers

    if mine.body == recorded.body:
        return True
    try:
        matchers.body(mine, recorded)
    except (AssertionError, RecursionError):
        return False
    return True
