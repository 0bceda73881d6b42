"""Similarity of a layer's neurons: cosines of their expanded weights, nearest neighbours, a linear order.

Weights are float32 [height, width, source, target]; a neuron is an index of the last axis. The similarity of
two neurons is the cosine of the angle between their weights from all sources at all positions: 1 for the same
pattern, 0 for nothing in common, -1 for the negative. A neuron whose weights are all zero has cosine 0 with
every other.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from threadpoolctl import ThreadpoolController

from atlas.analysis.leaf_order import leaf_order
from atlas.core.errors import AtlasError
from atlas.core.records import Floats, Ints

Doubles = NDArray[np.float64]

# Up to this number of neurons scipy orders the leaves, so that orders of former versions stay. It takes 31 s
# for 2,048, and does not always find the best order (github.com/scipy/scipy/issues/11227).
_BY_SCIPY = 1024
# Of 2,048 neurons, random or with structure, 32 gave the best order of all or one 0.01 % longer.
_ENDS = 32


def cosines(weights: Floats) -> Floats:
    """Return the cosine of every two target neurons, float32 [target, target], symmetric.

    Sums are float64 and add one position at a time, so that no second copy of the weights is in memory.
    """
    gram = np.zeros((weights.shape[3],) * 2)
    with _threads().limit(limits=1):
        for position in np.ndindex(weights.shape[:2]):
            plane = weights[position].astype(np.float64)
            gram += plane.T @ plane
    norm = np.sqrt(np.diagonal(gram))
    scale = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)
    gram *= scale[:, None]
    gram *= scale
    # Rounded as stored: neurons whose similarities differ only by rounding are tied.
    return np.clip((gram + gram.T) / 2, -1, 1).astype(np.float32)


def nearest(cosine: Floats, k: int) -> tuple[Ints, Floats]:
    """Return each neuron's k most similar others and the cosines, int32 and float32 [n, k], best first.

    Ties keep the order of their index; k is clipped to the n - 1 others. Raises AtlasError for k < 1.
    """
    if k < 1:
        raise AtlasError("wrong number of look-alikes", found=k, expected="1 or more")
    indices = np.empty((len(cosine), min(k, len(cosine) - 1)), np.int32)
    # Row by row: the order of all others takes twice the memory of the cosines.
    for neuron, row in enumerate(cosine):
        order = np.argsort(-row, kind="stable")
        indices[neuron] = order[order != neuron][: indices.shape[1]]
    return indices, np.take_along_axis(cosine, indices, 1)


def similarity_order(cosine: Floats) -> Ints:
    """Return a permutation that puts similar neurons next to each other, int32 [n].

    Average linkage on 1 - cosine, with leaves ordered to minimize the sum of distances between
    neighbours (`atlas.analysis.leaf_order`); the end with the smaller index comes first.
    """
    n = len(cosine)
    if n < 3:
        return np.arange(n, dtype=np.int32)
    distance = 1 - cosine.astype(np.float64)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=n <= _BY_SCIPY)
    leaves = (
        leaves_list(tree).astype(np.int32) if n <= _BY_SCIPY else leaf_order(tree, distance, n_ends=_ENDS)
    )
    return leaves if leaves[0] < leaves[-1] else np.ascontiguousarray(leaves[::-1])


@functools.cache
def _threads() -> ThreadpoolController:
    # One thread, so that the order of sums does not depend on the machine.
    return ThreadpoolController()
