"""Budgets: how much a run may send, and a ledger that lets no request go out which could exceed that."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from pytest_llmcompat.exchange import Exchange, Request
from pytest_llmcompat.lab import Source
from pytest_llmcompat.price import Price
from pytest_llmcompat.probe import Probe
from pytest_llmcompat.usage import tokens_of
from pytest_llmcompat.wire import Answer, Line, Withheld

__all__ = ["Budget", "BudgetedSource", "Ledger", "Spending", "worst_case"]

# A token of English or of JSON is about four bytes long; of other scripts it is shorter.
_BYTES_PER_TOKEN: Final = 2
# What a request without a cap of its own may be answered with.
_UNCAPPED: Final = 4096
_CAPS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_GENERATES: Final = ("/completions", "/responses")


@dataclass(frozen=True, slots=True)
class Spending:
    """Requests, tokens of prompts and of completions together, and USD."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def plus(self, other: Spending) -> Spending:
        """The sum of two."""
        return Spending(self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost)

    def minus(self, other: Spending) -> Spending:
        """What is left when another is given back."""
        return Spending(self.requests - other.requests, self.tokens - other.tokens, self.cost - other.cost)


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may spend; None for no limit. cost: USD."""

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None

    def refusal(self, spent: Spending, wanted: Spending) -> str | None:
        """Why a request may not go out that could take `wanted` when this much is spent; None when it may."""
        total = spent.plus(wanted)
        if self.requests is not None and total.requests > self.requests:
            return f"the budget of {self.requests} requests is spent (--llm-max-requests)"
        if self.tokens is not None and total.tokens > self.tokens:
            return (
                f"{spent.tokens} of {self.tokens} tokens are spent, and the next request may take "
                f"{wanted.tokens} (--llm-max-tokens)"
            )
        if self.cost is not None and total.cost > self.cost:
            return (
                f"{spent.cost:.4f} of {self.cost:g} USD are spent, and the next request may cost "
                f"{wanted.cost:.4f} (--llm-max-cost)"
            )
        return None


class Ledger:
    """What a run has spent; shared by threads, and by worker processes through a file.

    A request is entered with the most that it could take before it goes out, and with what it took afterwards.
    After the first refusal nothing goes out any more, so that no larger probe is passed over for a smaller one.
    """

    def __init__(self, budget: Budget, file: Path | None = None) -> None:
        self.budget = budget
        self._file, self._lock = file, threading.Condition()
        self._entered, self._refusal, self._open = Spending(), "", 0

    def enter(self, most: Spending) -> None:
        """Enter a request that is about to go out. Raises Withheld when the budget does not allow it."""
        with self._lock:
            while True:
                with self._shared():
                    self._read()
                    refusal = self._refusal or self.budget.refusal(self._entered, most)
                    if not refusal:
                        self._entered, self._open = self._entered.plus(most), self._open + 1
                        self._write()
                        return
                    if self._refusal or not self._open:
                        self._refusal = refusal
                        self._write()
                        raise Withheld(refusal)
                # What is under way may turn out to take less than it could.
                self._lock.wait()

    def settle(self, most: Spending, took: Spending) -> None:
        """The request is over: what it took replaces the most that it could take."""
        with self._lock:
            with self._shared():
                self._read()
                self._entered, self._open = self._entered.minus(most).plus(took), self._open - 1
                self._write()
            self._lock.notify_all()

    @property
    def spent(self) -> Spending:
        """What all requests took so far."""
        with self._lock, self._shared():
            self._read()
            return self._entered

    def _shared(self) -> AbstractContextManager[object]:
        return nullcontext() if self._file is None else FileLock(f"{self._file}.lock")

    def _read(self) -> None:
        if self._file is not None and self._file.exists():
            requests, tokens, cost, refusal = json.loads(self._file.read_text("utf-8"))
            self._entered, self._refusal = Spending(requests, tokens, cost), refusal

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps([*astuple(self._entered), self._refusal]), "utf-8")


def worst_case(request: Request, price: Price | None) -> Spending:
    """The most that a request may take: its body as a prompt, and the longest answer that it allows."""
    if request.method != "POST":
        return Spending(requests=1)
    prompt = len(request.body) // _BYTES_PER_TOKEN
    completion = _longest_answer(request)
    return Spending(1, prompt + completion, price.of(prompt, completion) if price else 0.0)


def _longest_answer(request: Request) -> int:
    if not request.url.rstrip("/").endswith(_GENERATES):
        return 0
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return 0
    sent = body if isinstance(body, dict) else {}
    caps = [sent[name] for name in _CAPS if isinstance(sent.get(name), int)]
    choices = sent.get("n") if isinstance(sent.get("n"), int) else 1
    return max(0, max(caps, default=_UNCAPPED)) * max(1, choices or 1)


class BudgetedSource:
    """A source whose live requests are entered into a ledger. price: of the target's model."""

    def __init__(self, source: Source, ledger: Ledger, price: Price | None) -> None:
        self._source, self._ledger, self._price = source, ledger, price

    def open(self, probe: Probe) -> Line:
        """A line of the source; what is only replayed costs nothing."""
        line = self._source.open(probe)
        return _BudgetedLine(line, self._ledger, self._price) if line.live else line

    def close(self) -> None:
        """Release the connections of the source."""
        self._source.close()


class _BudgetedLine:
    live = True

    def __init__(self, line: Line, ledger: Ledger, price: Price | None) -> None:
        self._line, self._ledger, self._price = line, ledger, price

    def send(self, request: Request, probe: Probe) -> Answer:
        most = worst_case(request, self._price)
        self._ledger.enter(most)
        took = most
        try:
            answer = self._line.send(request, probe)
            took = _took(request, answer, most, self._price)
        finally:
            self._ledger.settle(most, took)
        return answer

    def close(self) -> None:
        self._line.close()


def _took(request: Request, answer: Answer, most: Spending, price: Price | None) -> Spending:
    """What a request took: the usage of its answer; nothing when it was refused; the most when nobody says."""
    if answer.status >= 400:
        return Spending(requests=1)
    exchange = Exchange("", "", request, answer.status, answer.headers, answer.body)
    counted = tokens_of(exchange)
    if counted is None:
        return most
    return Spending(1, sum(counted), price.of(*counted) if price else 0.0)
