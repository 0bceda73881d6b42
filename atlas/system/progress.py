"""The progress of a stage: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from tqdm import tqdm

# Seconds between two plain lines.
LINE_SECONDS = 10.0
# How tqdm writes a bar, with our own time left.
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}, {rate_fmt}]"
Count = Callable[[int, int], object]


class Advance(Protocol):
    """What a bar is called with."""

    def __call__(self, n: int, cost: float | None = None, /) -> object:
        """Take note that `n` units were done just now; `cost` is theirs, `n` where it is not given."""


class _Pace:
    """How much of a stage's cost is done, and how long the rest will take."""

    def __init__(self, cost: float) -> None:
        self._cost, self._done, self.start = cost, 0.0, time.monotonic()

    def add(self, cost: float) -> None:
        self._done += cost

    def left(self, now: float) -> float | None:
        """Return the seconds left, None before anything is done."""
        if not self._done:
            return None
        return max(self._cost - self._done, 0.0) * (now - self.start) / self._done


class _Bar(tqdm):  # type: ignore[misc]
    """A bar whose time left is that of the costs, not of the units."""

    pace: _Pace

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values of `_FORMAT`."""
        left = self.pace.left(time.monotonic()) if hasattr(self, "pace") else None
        return {**super().format_dict, "left": "?" if left is None else self.format_interval(left)}


@contextmanager
def bar(stage: str, total: int, *, unit: str = "neurons", cost: float = 0.0) -> Iterator[Advance]:
    """Show a stage of `total` units; yield a function to call with the number of units just done.

    Where units take different times, `cost` is the sum of all of theirs, and the function is called with that
    of the units done, too: the time left follows the costs. A stage without units shows nothing.
    """
    if not total:
        yield lambda n, cost=None: None
    elif sys.stderr.isatty():
        with _Bar(
            total=total, desc=stage, unit=f" {unit}", dynamic_ncols=True, bar_format=_FORMAT
        ) as progress:
            progress.pace = _Pace(cost or total)

            def step(n: int, cost: float | None = None) -> None:
                progress.pace.add(n if cost is None else cost)
                progress.update(n)

            yield step
    else:
        yield from _lines(stage, total, unit, cost or total)


@contextmanager
def counter(stage: str, *, unit: str) -> Iterator[Count]:
    """Show a stage whose total is known only while it runs; yield a function to call with (done, total)."""
    with ExitStack() as stack:
        steps: list[Advance] = []
        before = 0

        def count(done: int, total: int) -> None:
            nonlocal before
            if not steps:
                steps.append(stack.enter_context(bar(stage, total, unit=unit)))
            steps[0](done - before)
            before = done

        yield count


def _lines(stage: str, total: int, unit: str, cost: float) -> Iterator[Advance]:
    pace, done = _Pace(cost), 0
    last = pace.start

    def step(n: int, cost: float | None = None) -> None:
        nonlocal done, last
        done += n
        pace.add(n if cost is None else cost)
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            rate, left = done / (now - pace.start), pace.left(now)
            tail = "" if left is None else f", {left:.0f} s left"
            _say(f"{stage}: {done} of {total} {unit}, {rate:.1f}/s{tail}")

    _say(f"{stage}: {total} {unit} to do")
    yield step
    _say(f"{stage}: {done} {unit} in {time.monotonic() - pace.start:.1f} s")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
