"""Repeating actions that failed temporarily, with exponential backoff and random jitter."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
# Most attempts at one request, and at sending a file that does not arrive complete.
ATTEMPTS = 7


class PassingError(Exception):
    """A temporary failure: another attempt may succeed. Its message contains no secrets."""


@dataclass
class Patience:
    """How often to repeat an action, and how long to wait before each repetition.

    The wait after attempt n = 0, 1, … is min(`longest`, `first` · 2^n) seconds, times a random number from
    0.5 to 1.
    """

    attempts: int = ATTEMPTS
    """Most attempts, the first one included."""
    first: float = 0.4
    """Longest wait after the first attempt, in seconds."""
    longest: float = 20.0
    """Upper limit of every wait, in seconds."""
    jitter: random.Random = field(default_factory=random.Random)
    """Source of the random part of waits, so that many threads do not repeat at the same moment."""
    n_again: int = 0
    """Number of attempts that were repetitions, over all actions."""
    _ended: threading.Event = field(default_factory=threading.Event)
    """Set by `end`, which interrupts all waits."""

    def run(self, action: Callable[[], T]) -> T:
        """Return the result of an action; raise its last PassingError, and any other error at once."""
        for attempt in range(self.attempts - 1):
            try:
                return action()
            except PassingError:
                if self._ended.is_set():
                    raise
                self.n_again += 1
                self._ended.wait(self.seconds(attempt))
        return action()

    def seconds(self, attempt: int) -> float:
        """Return how many seconds to wait after failed attempt number `attempt`, from 0."""
        return float(min(self.longest, self.first * 2**attempt) * self.jitter.uniform(0.5, 1.0))

    def end(self) -> None:
        """End all waits and allow no more repetitions: the next failure of each action is final."""
        self._ended.set()
