"""Trying again what failed in passing: later each time, and never all at the same moment."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
# How often a host is asked the same thing, and sent what does not arrive whole.
ATTEMPTS = 7


class PassingError(Exception):
    """A failure that may be gone the next time; its text may be shown."""


@dataclass
class Patience:
    """How often and how long; `n_again` counts what was tried again.

    The n-th wait is `first` · 2^n seconds, `longest` at most, of which a random half to whole is waited.
    """

    attempts: int = ATTEMPTS
    first: float = 0.4
    longest: float = 20.0
    jitter: random.Random = field(default_factory=random.Random)
    n_again: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self, action: Callable[[], T]) -> T:
        """Return what an action returns; raises its last PassingError, and every other error at once."""
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
        """Return how long to wait after a failed attempt, the first being 0."""
        return float(min(self.longest, self.first * 2**attempt) * self.jitter.uniform(0.5, 1.0))

    def end(self) -> None:
        """Wait no more: what is under way fails the next time that it fails."""
        self._ended.set()
