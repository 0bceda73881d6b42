"""A layer's sheet: a picture of each neuron's NMF maps, with neurons of like weights beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.analysis import nmf
from atlas.analysis.similarity import cosines, similarity_order
from atlas.analysis.weights import pair_weights
from atlas.core.neuron import neuron_of
from atlas.core.notebook_registry import Displayed
from atlas.core.records import Factorization, Ints
from atlas.drawing.images import factor_colours
from atlas.model.network import Network

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class NmfSheet(Displayed):
    """The tiles of a layer's neurons.

    order [n] int32: the neurons, those of like weights from `source` beside each other;
    tiles [n, h, w, 3] uint8: in that order, each neuron's maps in the hues of `factor_colours`, on black;
    error [n]: in that order, the relative L2 error of each factorization.
    """

    layer: str
    source: str
    order: Ints
    tiles: Bytes
    error: tuple[float, ...]


def sheet(
    network: Network,
    layer: str,
    neurons: Sequence[int] | None = None,
    *,
    n_factors: int = 3,
    seed: int = 0,
) -> NmfSheet:
    """Return the sheet of a layer, or of some of its neurons; each is factorized alone, as on its page.

    Raises LayerError or NeuronError for what does not exist, AtlasError for a wrong number of factors.
    """
    found = pair_weights(network, None, layer)
    target = network.layer(found.target)
    shown = set(range(target.n_channels) if neurons is None else neurons)
    for index in shown:
        neuron_of(target, index)
    order = np.array([i for i in similarity_order(cosines(found.weights)) if int(i) in shown], np.int32)
    factored = [
        nmf.factorize(found.weights[..., i], source=found.source, n_factors=n_factors, seed=seed)
        for i in order
    ]
    size = found.weights.shape[:2]
    tiles = [_tile(one, size) for one in factored]
    return NmfSheet(
        layer=target.name,
        source=found.source,
        order=order,
        tiles=np.stack(tiles) if tiles else np.zeros((0, *size, 3), np.uint8),
        error=tuple(one.error for one in factored),
    )


def _tile(record: Factorization, size: tuple[int, ...]) -> Bytes:
    """Return a neuron's maps in one picture, black where it has none."""
    if not record.factors:
        return np.zeros((*size, 3), np.uint8)
    return factor_colours(np.stack([np.asarray(factor.map, np.float32) for factor in record.factors], -1))
