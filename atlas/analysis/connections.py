"""Expanded weights -> the strongest connections of every neuron, upstream and downstream.

Weights are float32 [height, width, source, target], in both directions. In this module, a *row* is a neuron
with a list of connections and a *candidate* is a neuron that the list may contain. Upstream, the rows are
targets and the candidates sources; downstream, the other way round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.norms import check_finite, mass_of
from atlas.core.errors import AtlasError
from atlas.core.records import Connections, Floats

Doubles = NDArray[np.float64]


def upstream(
    weights: Floats, *, source: str, target: str, carrier: str, cropped: float = 0.0, k: int = 50
) -> Connections:
    """Return, for each target neuron, its k strongest connections to source neurons.

    weights float32 [h, w, source, target]; `cropped` is the share of the L1 norm that the window cuts
    off and is only passed on; k is clipped to the number of source neurons. Connections of equal strength
    keep the order of their index. Raises AtlasError for a wrong shape, k < 1 or a value that is not
    finite.
    """
    _check(weights, source, target, k)
    about = {"source": source, "target": target, "carrier": carrier}
    return _strongest(weights, k, cropped, direction="upstream", **about)


def downstream(
    weights: Floats, *, source: str, target: str, carrier: str, cropped: float = 0.0, k: int = 50
) -> Connections:
    """Return, for each source neuron, its k strongest connections to target neurons.

    Takes the same array and arguments as `upstream` and raises the same errors.
    """
    _check(weights, source, target, k)
    about = {"source": source, "target": target, "carrier": carrier}
    return _strongest(weights.swapaxes(2, 3), k, cropped, direction="downstream", **about)


def _strongest(weights: Floats, k: int, cropped: float, **about: str) -> Connections:
    """Return the k strongest candidates of each row; weights [h, w, candidate, row].

    `about` holds the direction and the names of the pair.
    """
    sums = mass_of(weights)
    # Ranked in float32, as stored and shown: kernels of equal strength whose float64 sums differ only
    # by rounding (one the mirror image of another) keep the order of their index.
    strength = np.sqrt(sums.square).astype(np.float32)
    indices = np.argsort(-strength, axis=0, kind="stable")[:k].T
    rows = np.arange(weights.shape[3])[:, None]
    kernel = weights[:, :, indices, rows].transpose(2, 3, 0, 1)
    return Connections(
        **about,
        cropped=cropped,
        n_candidates=weights.shape[2],
        index=indices.astype(np.int32),
        strength=strength[indices, rows],
        sign=np.sign(sums.signed[indices, rows]).astype(np.int32),
        kernel=np.ascontiguousarray(kernel, np.float32),
        peak=_peak(weights),
        l2=_share(sums.square, indices, rows),
        l1=_share(sums.absolute, indices, rows),
    )


def _peak(weights: Floats) -> Floats:
    """Return the largest absolute weight of each row, without a copy of the weights."""
    peak = np.maximum(weights.max((0, 1, 2), initial=0), -weights.min((0, 1, 2), initial=0))
    return np.asarray(peak, np.float32)


def _share(sums: Doubles, indices: NDArray[np.intp], rows: NDArray[np.intp]) -> Floats:
    """Return the share of each row's `sums` [candidate, row] that `indices` hold, 0 if all sums are 0."""
    total = sums.sum(0)
    part = sums[indices, rows].sum(1)
    share: Doubles = np.divide(part, total, out=np.zeros_like(total), where=total > 0)
    return np.minimum(share, 1).astype(np.float32)


def _check(weights: Floats, source: str, target: str, k: int) -> None:
    if weights.ndim != 4:
        raise AtlasError(
            f"{source} to {target}: wrong axes of the expanded weights",
            found=weights.shape,
            expected="[height, width, source, target]",
        )
    if k < 1:
        raise AtlasError(f"{source} to {target}: wrong number of connections", found=k, expected="1 or more")
    check_finite(weights, source, target)
