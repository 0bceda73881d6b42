"""Interpolation as a matrix: how much of each input position each position of a resized axis takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from atlas.model.positions.windows import Span


def interpolation(node: Any, sizes: tuple[int, int], made: Span, read: Span, *, clipped: bool) -> Floats:
    """Return float32 [made, read]: the weights by which positions `made` are interpolated from those `read`.

    `sizes` are the lengths of the axis before and after. Beyond the border TensorFlow repeats the last
    position; `clipped` keeps that, otherwise the axis continues past the border as it does inside.
    """
    if clipped:
        return _measured(node, sizes)[made[0] : made[1], read[0] : read[1]]
    matrix = np.zeros((made[1] - made[0], read[1] - read[0]), np.float32)
    full = _measured(node, sizes)
    for row, position in enumerate(range(*made)):
        inner, moved = _alike(position, sizes, aligned=_flags(node).get("align_corners", False))
        for column, weight in enumerate(full[inner]):
            if weight and 0 <= column + moved - read[0] < matrix.shape[1]:
                matrix[row, column + moved - read[0]] += weight
    return matrix


def _alike(position: int, sizes: tuple[int, int], *, aligned: bool) -> tuple[int, int]:
    """Return a position of the same phase far from the border, and the shift between their inputs.

    Where corners are `aligned`, the distances between the first and the last position count.
    """
    before, after = sizes
    steps = (before - 1, after - 1) if aligned and after > 1 else sizes
    common = int(np.gcd(*steps))
    shift, period = (n // common for n in steps)
    turns = after // 2 // period - position // period if period else 0
    inner = position + turns * period
    if not 0 <= inner < after:
        return min(max(position, 0), after - 1), 0
    return inner, -turns * shift


def _measured(node: Any, sizes: tuple[int, int]) -> Floats:
    """Return float32 [after, before]: TensorFlow's resizing of a one-hot axis at each position."""
    resize = getattr(tf.raw_ops, node.op)
    single = np.eye(sizes[0], dtype=np.float32)[:, :, None, None]
    return np.asarray(resize(images=single, size=[sizes[1], 1], **_flags(node)))[:, :, 0, 0].T


def _flags(node: Any) -> dict[str, bool]:
    names = ("align_corners", "half_pixel_centers")
    return {name: bool(node.attr[name].b) for name in names if name in node.attr}
