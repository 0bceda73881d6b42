"""How far a stage is: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

# Seconds between two plain lines.
LINE_SECONDS = 10.0
Step = Callable[[int], None]


@contextmanager
def bar(stage: str, total: int, *, unit: str = "neurons") -> Iterator[Step]:
    """Show a stage of `total` units; call what this yields with the number of units just done."""
    if sys.stderr.isatty():
        with tqdm(total=total, desc=stage, unit=f" {unit}", dynamic_ncols=True) as shown:
            yield lambda n: shown.update(n) and None
        return
    yield from _lines(stage, total, unit)


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
            left = (total - done) / rate if rate else 0
            print(f"{stage}: {done} of {total} {unit}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr)

    yield step
    seconds = time.monotonic() - start
    print(f"{stage}: {done} {unit} in {seconds:.1f} s", file=sys.stderr, flush=True)
