"""Norms of the kernel of each pair of neurons: sums over positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import AtlasError
from atlas.core.records import Floats

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mass:
    """Sums over every kernel."""

    square: Doubles
    """[source, target], sums of squares: the squared L2 norms."""
    absolute: Doubles
    """[source, target], sums of absolute values: the L1 norms."""
    signed: Doubles
    """[source, target], sums of the weights."""


def mass_of(weights: Floats) -> Mass:
    """Return the sums over every kernel of weights float32 [h, w, source, target], in float64.

    Adds one position at a time, so that no second copy of the weights is in memory.
    """
    pair = weights.shape[2:]
    square, absolute, signed = np.zeros(pair), np.zeros(pair), np.zeros(pair)
    for position in np.ndindex(weights.shape[:2]):
        plane = weights[position].astype(np.float64)
        signed += plane
        square += plane * plane
        absolute += np.abs(plane, out=plane)
    return Mass(square, absolute, signed)


def check_finite(weights: Floats, source: str, target: str) -> None:
    """Raise AtlasError when a target neuron's weights [h, w, source, target] are not all finite."""
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~np.isfinite(weights.sum((0, 1, 2), dtype=np.float64)))
    if bad.size:
        raise AtlasError(
            f"{target}:{bad[0]}: its expanded weights from {source} are not finite",
            found=f"{bad.size} such neurons",
            expected="none",
            remedy="check the model's weights",
        )
