"""Kernels -> the facts next to their pictures: L1 norms of each sign, and the strongest weight."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from atlas.core.records import Floats
from atlas.site import wording

_ROWS = {-2: "top", 2: "bottom"}
_COLUMNS = {-2: "left", 2: "right"}
_BESIDE = {
    (0, 0): "at the centre",
    (-1, 0): "above the centre",
    (1, 0): "below the centre",
    (0, -1): "left of the centre",
    (0, 1): "right of the centre",
    (-1, -1): "above left of the centre",
    (-1, 1): "above right of the centre",
    (1, -1): "below left of the centre",
    (1, 1): "below right of the centre",
}


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Facts on k kernels, in their order."""

    positive: list[float]
    """[k], sums of the positive weights."""
    negative: list[float]
    """[k], sums of the absolute values of the negative weights."""
    strongest: list[str]
    """[k], the weight of the largest absolute value and its place: "+0.31 at the centre"."""


def kernel_facts(kernels: Floats) -> KernelFacts:
    """Return the facts on kernels float [k, h, w]."""
    k, h, w = kernels.shape
    flat = kernels.reshape(k, h * w)
    absolute = np.abs(flat)
    l1, net = absolute.sum(1), flat.sum(1)
    at = absolute.argmax(1)
    where = places(h, w)
    pairs = zip(flat[np.arange(k), at].tolist(), at.tolist(), strict=True)
    return KernelFacts(
        positive=((l1 + net) / 2).tolist(),
        negative=((l1 - net) / 2).tolist(),
        strongest=[f"{wording.signed_number(weight)}{where[i]}" for weight, i in pairs],
    )


@functools.cache
def places(h: int, w: int) -> tuple[str, ...]:
    """Return the place of each of a kernel's h * w positions in words, after a space: " at the centre".

    The only position of a kernel of one weight needs no words: its text is empty.
    """
    if h * w == 1:
        return ("",)
    return tuple(" " + _place(_fifth(row, h), _fifth(column, w)) for row in range(h) for column in range(w))


def _place(row: int, column: int) -> str:
    if abs(row) == 2 and abs(column) == 2:
        return f"in the {_ROWS[row]} {_COLUMNS[column]} corner"
    if abs(row) == 2:
        return f"at the {_ROWS[row]} edge"
    if abs(column) == 2:
        return f"at the {_COLUMNS[column]} edge"
    return _BESIDE[row, column]


def _fifth(at: int, n: int) -> int:
    """Return -2 for the first of n, 2 for the last, 0 for the middle (two if n is even), else -1 or 1."""
    if n == 1:
        return 0
    if at in (0, n - 1):
        return -2 if at == 0 else 2
    off = 2 * at - (n - 1)
    return 0 if abs(off) <= 1 else (1 if off > 0 else -1)
