"""The progress of a stage: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tqdm import tqdm

# Seconds between two plain lines.
LINE_SECONDS = 10.0
Step = Callable[[int], object]
Count = Callable[[int, int], object]


@contextmanager
def bar(stage: str, total: int, *, unit: str = "neurons") -> Iterator[Step]:
    """Show a stage of `total` units; yield a function to call with the number of units just done.

    A stage without units shows nothing.
    """
    if not total:
        yield lambda n: None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=stage, unit=f" {unit}", dynamic_ncols=True) as progress:
            yield progress.update
    else:
        yield from _lines(stage, total, unit)


@contextmanager
def counter(stage: str, *, unit: str) -> Iterator[Count]:
    """Show a stage whose total is known only while it runs; yield a function to call with (done, total)."""
    with ExitStack() as stack:
        steps: list[Step] = []
        before = 0

        def count(done: int, total: int) -> None:
            nonlocal before
            if not steps:
                steps.append(stack.enter_context(bar(stage, total, unit=unit)))
            steps[0](done - before)
            before = done

        yield count


def _lines(stage: str, total: int, unit: str) -> Iterator[Step]:
    start = last = time.monotonic()
    done = 0

    def step(n: int) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if rate else ""
            _say(f"{stage}: {done} of {total} {unit}, {rate:.1f}/s{left}")

    _say(f"{stage}: {total} {unit} to do")
    yield step
    _say(f"{stage}: {done} {unit} in {time.monotonic() - start:.1f} s")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
