"""A layer's sheet: a picture of each neuron's NMF maps, with similar neurons next to each other."""

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
    """The tiles of a layer's neurons."""

    layer: str
    """Name of the neurons' layer."""
    source: str
    """Name of the layer that the weights come from, or "input"."""
    order: Ints
    """int32 [n], the neurons, those with similar weights next to each other."""
    tiles: Bytes
    """uint8 [n, h, w, 3], in that order, each neuron's maps in the hues of `factor_colours`, on black."""
    error: tuple[float, ...]
    """[n], in that order, the relative L2 error of each factorization."""


def sheet(
    network: Network,
    layer: str,
    neurons: Sequence[int] | None = None,
    *,
    n_factors: int = 3,
    seed: int = 0,
) -> NmfSheet:
    """Return the sheet of a layer, or of some of its neurons; each is factorized alone, as on its page.

    Raises LayerError or NeuronError for names that do not exist, AtlasError for a wrong number of factors.
    """
    pair = pair_weights(network, None, layer)
    target = network.layer(pair.target)
    indices = set(range(target.n_channels) if neurons is None else neurons)
    for index in indices:
        neuron_of(target, index)
    order = np.array([i for i in similarity_order(cosines(pair.weights)) if int(i) in indices], np.int32)
    records = [
        nmf.factorize(pair.weights[..., i], source=pair.source, n_factors=n_factors, seed=seed) for i in order
    ]
    size = pair.weights.shape[:2]
    tiles = [_tile(record, size) for record in records]
    return NmfSheet(
        layer=target.name,
        source=pair.source,
        order=order,
        tiles=np.stack(tiles) if tiles else np.zeros((0, *size, 3), np.uint8),
        error=tuple(record.error for record in records),
    )


def _tile(record: Factorization, size: tuple[int, ...]) -> Bytes:
    """Return a neuron's maps as one picture, black for a neuron without factors."""
    if not record.factors:
        return np.zeros((*size, 3), np.uint8)
    return factor_colours(np.stack([np.asarray(factor.map, np.float32) for factor in record.factors], -1))
