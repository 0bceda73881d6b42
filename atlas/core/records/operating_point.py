"""The operating point: the images over which tensors that are not linear take their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from posixpath import dirname

from atlas.core.node_names import shown_name
from atlas.core.records.arrays import Floats

# Part of each note on a tensor that is held at an operating point.
HELD = "is held at its mean over"


def held_note(node: str, how: str, other: str) -> str:
    """Return the note that a node is held: "gate, a factor of block, is held at its mean over".

    Modules, or scopes, stand for their ops: an op has a name of its own in TensorFlow's graphs alone.
    """
    place, of = (shown_name(dirname(name) or name) for name in (node, other))
    return f"{place}, {how} {of}, {HELD}" if place != of else f"{how} {of} {HELD}"


@dataclass(frozen=True)
class OperatingPoint:
    """The images over which gates and statistics are averaged."""

    what: str
    """What the images are, in words."""
    images: Callable[[], Iterable[Floats]]
    """Yields images [h, w, c] in 0 to 1; called when they are needed."""
