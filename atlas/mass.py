"""How much weight lies between each two neurons of a pair of layers, summed over positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.records import Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mass:
    """Sums of squares, of absolute values and of the values of every kernel, each [source, target]."""

    square: Doubles
    absolute: Doubles
    signed: Doubles


def mass_of(weights: Floats) -> Mass:
    """Return the sums of weights float32 [h, w, source, target], in float64.

    One position at a time, so that no second copy of the weights is ever in memory.
    """
    pair = weights.shape[2:]
    square, absolute, signed = np.zeros(pair), np.zeros(pair), np.zeros(pair)
    for position in np.ndindex(weights.shape[:2]):
        plane = weights[position].astype(np.float64)
        signed += plane
        square += plane * plane
        absolute += np.abs(plane, out=plane)
    return Mass(square, absolute, signed)
