"""What the axes of a tensor stand for: the batch, rows and columns of positions, channels.

An axis is a tuple of atoms (letter, length), slowest first: "n" is the batch, with length None, "h" and "w"
are rows and columns, "c" is anything else. Flattened positions are one axis of two atoms. Following atoms
through reshapes, transposes and repeats gives the positions in tensors other than maps: tokens, groups of
channels, blocks of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from atlas.model.positions.windows import SAME, Taps

Atom = tuple[str, int | None]
Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]
Shape = tuple[int | None, ...]
POSITIONS = ("h", "w")


def map_axes(shape: Shape) -> Axes:
    """Return the axes of a map [n, h, w, c]."""
    return tuple(((letter, length),) for letter, length in zip("nhwc", (None, *shape[1:]), strict=True))


def plain_axes(shape: Shape) -> Axes:
    """Return the axes of a tensor without positions."""
    return tuple((("n", None),) if i == 0 else (("c", length),) for i, length in enumerate(shape))


def whole_axes(shape: Shape, operands: Sequence[Axes]) -> Axes:
    """Return the axes of a tensor that mixes all positions of `operands`: tokens if these are, or a map."""
    tokens = [axis for axes in operands for axis in axes if [a for a, _ in axis] == ["h", "w"]]
    made = list(plain_axes(shape))
    for axis in tokens:
        at = next((i for i, n in enumerate(shape) if i and n == length(axis)), None)
        if at is not None:
            made[at] = axis
            return tuple(made)
    if len(shape) == 4:
        return map_axes(shape)
    if len(shape) == 3:
        made[1] = (("h", shape[1]),)
    return tuple(made)


def letters(axes: Axes) -> frozenset[str]:
    """Return which of "h" and "w" a tensor has."""
    return frozenset(letter for axis in axes for letter, _ in axis if letter in POSITIONS)


def is_map(axes: Axes) -> bool:
    """Return whether a tensor is a map: [n, h, w, c]."""
    return len(axes) == 4 and [tuple(letter for letter, _ in axis) for axis in axes] == [
        ("n",),
        ("h",),
        ("w",),
        ("c",),
    ]


def where(axes: Axes) -> tuple[tuple[str, ...], ...]:
    """Return the "h" and "w" in each axis; tensors that agree in these have the same layout of positions."""
    return tuple(tuple(letter for letter, _ in axis if letter in POSITIONS) for axis in axes)


def length(axis: Axis) -> int:
    """Return the length of an axis, the batch counted as one."""
    return math.prod(n or 1 for _, n in axis)


@dataclass(slots=True)
class Regrouped:
    """What a reshape makes of a tensor."""

    axes: Axes
    """The axes of the result."""
    taps: dict[str, Taps] = field(default_factory=lambda: {"h": SAME, "w": SAME})
    """"h" and "w" -> the taps by which rows and columns of the result read those of the input."""


def regrouped(axes: Axes, shape: Shape) -> Regrouped | None:
    """Return a tensor's axes after a reshape, None where it splits rows or columns.

    `shape` has None for its first axis, which may combine the batch with other axes.
    """
    atoms = [atom for axis in axes for atom in axis if atom[1] != 1]
    if not shape or not atoms or atoms[0][0] != "n" or None in shape[1:]:
        return None
    total = math.prod(n or 1 for _, n in atoms)
    others = math.prod(int(n or 0) for n in shape[1:])
    if others == 0 or total % others:
        return None
    result = Regrouped(())
    queue = list(atoms)
    made: list[Axis] = [(queue.pop(0),)]
    for at, size in enumerate((total // others, *(int(n or 0) for n in shape[1:]))):
        axis = _take(queue, size, result.taps)
        if axis is None:
            return None
        if at == 0:
            made[0] += axis
        else:
            made.append(_fused(axis, result.taps) or (("c", 1),))
    if queue:
        return None
    result.axes = tuple(made)
    return result


def _take(queue: list[Atom], wanted: int, taps: dict[str, Taps]) -> Axis | None:
    """Take atoms with `wanted` entries in all from a queue, splitting the last if necessary."""
    atoms: list[Atom] = []
    while wanted > 1:
        if not queue:
            return None
        letter, n = queue.pop(0)
        size = int(n or 1)
        if size > wanted:
            if size % wanted or letter == "n":
                return None
            inner = size // wanted
            queue.insert(0, ("c", inner))
            if letter in taps:
                if taps[letter] != SAME:
                    return None
                taps[letter] = Taps(inner, 0, inner - 1)
            size = wanted
        elif wanted % size:
            return None
        atoms.append((letter, size))
        wanted //= size
    return tuple(atoms)


def _fused(axis: Axis, taps: dict[str, Taps]) -> Axis:
    """Return an axis with rows or columns, and the blocks within them, merged into one atom."""
    if len(axis) == 2 and axis[0][0] in POSITIONS and axis[1][0] == "c":
        letter, block = axis[0][0], int(axis[1][1] or 1)
        if taps[letter] == SAME:
            taps[letter] = Taps(per=block)
            return ((letter, int(axis[0][1] or 1) * block),)
    if len(axis) > 1 and not letters((axis,)):
        return (("c", length(axis)),)
    return axis


def broadcast(axes: Axes, shape: Sequence[int | None]) -> Axes:
    """Return axes broadcast to a shape with at least as many axes; axes of length 1 take its lengths."""
    lead: Axes = tuple((("c", n),) for n in shape[: len(shape) - len(axes)])
    out = []
    for axis, n in zip(axes, shape[len(lead) :], strict=True):
        batch = any(letter == "n" for letter, _ in axis)
        out.append(axis if batch or n is None or length(axis) == n else (("c", n),))
    return (*lead, *out)
