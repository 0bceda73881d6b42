"""Where what is not linear is taken: at its mean over some images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from atlas.core.records.arrays import Floats

# Stands in each note on a tensor that is taken at an operating point.
HELD = "is held at its mean over"


@dataclass(frozen=True)
class OperatingPoint:
    """The images over which gates and statistics are averaged."""

    what: str
    """What the images are, in words."""
    images: Callable[[], Iterable[Floats]]
    """Yields images [h, w, c] in 0 to 1; called when they are needed."""
