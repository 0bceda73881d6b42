"""The operating point: the images over which tensors that are not linear take their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from atlas.core.records.arrays import Floats

# Part of each note on a tensor that is held at an operating point.
HELD = "is held at its mean over"


@dataclass(frozen=True)
class OperatingPoint:
    """The images over which gates and statistics are averaged."""

    what: str
    """What the images are, in words."""
    images: Callable[[], Iterable[Floats]]
    """Yields images [h, w, c] in 0 to 1; called when they are needed."""
