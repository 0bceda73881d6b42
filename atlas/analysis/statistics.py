"""Statistics of each neuron's expanded weights from the layer before, and the most similar neurons.

Weights are float32 [height, width, source, target]; every statistic is of one target neuron over all of
its weights. `atlas.core.records.LayerStatistics` defines each. Source: the notebook behind "Visualizing
Weights" sorts neurons by L2 and L1 norm; the effective number of inputs is the participation ratio of physics
(Bell and Dean, 1970).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.norms import check_finite, mass_of
from atlas.analysis.similarity import cosines, nearest, similarity_order
from atlas.analysis.weights import pair_weights
from atlas.core.errors import AtlasError
from atlas.core.neuron import Layer, Neuron, neuron_of
from atlas.core.notebook_registry import Displayed
from atlas.core.records import Floats, LayerStatistics
from atlas.model.graph.view import node_of
from atlas.model.network import Network, find_neuron

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lookalikes(Displayed):
    """The neurons of a layer whose weights are most similar to one neuron's, best first."""

    neuron: Neuron
    """Neuron that the others are compared with."""
    source: str
    """Name of the layer that the weights come from, or "input"."""
    neurons: tuple[Neuron, ...]
    """The k most similar other neurons of its layer."""
    similarity: Floats
    """float32 [k], cosines of the expanded weights, -1 to 1."""


def statistics(network: Network, layer: str, k: int = 8) -> LayerStatistics:
    """Return the statistics of all neurons of a layer, with the k most similar neurons of each.

    Raises LayerError for an unknown layer, LinearizeError if no linear twin leads to it.
    """
    pair = pair_weights(network, None, layer)
    carrier = node_of(pair.carrier)
    return layer_statistics(
        pair.weights, network.layer(pair.target), source=pair.source, carrier=carrier, k=k
    )


def lookalikes(network: Network, neuron: str, k: int = 8) -> Lookalikes:
    """Return the k neurons most similar to a neuron ("mixed3b:379") in its layer, fewer in a small layer.

    Similarity is the cosine of the expanded weights, over all sources and positions. Raises NeuronError or
    LayerError for an unknown neuron, AtlasError for k < 1.
    """
    reference = find_neuron(network, neuron)
    layer = network.layer(reference.layer)
    pair = pair_weights(network, None, layer.name)
    indices, similarity = nearest(cosines(pair.weights), k)
    others = tuple(neuron_of(layer, int(i)) for i in indices[reference.index])
    return Lookalikes(reference, pair.source, others, similarity[reference.index])


def layer_statistics(
    weights: Floats, layer: Layer, *, source: str, carrier: str, k: int = 8
) -> LayerStatistics:
    """Return the statistics of a layer's neurons; weights float32 [h, w, source, target].

    Raises AtlasError for a wrong shape, k < 1 or a value that is not finite.
    """
    _check(weights, layer, source)
    sums = mass_of(weights)
    l2, l1 = np.sqrt(sums.square.sum(0)), sums.absolute.sum(0)
    measures = {
        "l2": l2,
        "l1": l1,
        "crispness": _ratio(l2, l1),
        "balance": np.clip(_ratio(sums.signed.sum(0), l1), -1, 1),
        "n_inputs": _participation(sums.square),
    }
    cosine = cosines(weights)
    indices, similarity = nearest(cosine, k)
    columns = {name: values.astype(np.float32) for name, values in measures.items()}
    branches = [layer.branch_of(index) for index in range(layer.n_channels)]
    return LayerStatistics(
        layer=layer.name,
        source=source,
        carrier=carrier,
        branch=tuple(b.name if b else "" for b in branches) if any(branches) else (),
        branch_index=np.array([i - b.first if b else -1 for i, b in enumerate(branches)], np.int32),
        percentile=np.stack([percentiles(values) for values in columns.values()], -1),
        order=similarity_order(cosine),
        nearest=indices,
        similarity=similarity,
        **columns,
    )


def percentiles(values: Floats) -> Floats:
    """Return, for each value, the percentage of the others that are smaller; equal ones count half.

    A single value gets 50.
    """
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, "left")
    equal = np.searchsorted(ordered, values, "right") - below - 1
    n_others = len(values) - 1
    share = (below + equal / 2) / n_others if n_others else np.full(len(values), 0.5)
    return (100 * share).astype(np.float32)


def _participation(square: Doubles) -> Doubles:
    """Return the effective number of sources: 1 when one holds all, the number of sources when all are equal.

    square [source, target]: the squared L2 norms of the kernels.
    """
    # Divided by the largest, because fourth powers of large float32 numbers exceed the range of float64.
    peak = square.max(0)
    share = _ratio(square, np.broadcast_to(peak, square.shape))
    return _ratio(share.sum(0) ** 2, (share**2).sum(0))


def _ratio(top: Doubles, bottom: Doubles) -> Doubles:
    """Return top / bottom, 0 where bottom is 0."""
    ratio: Doubles = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return ratio


def _check(weights: Floats, layer: Layer, source: str) -> None:
    if weights.ndim != 4 or weights.shape[3] != layer.n_channels:
        raise AtlasError(
            f"{source} to {layer.name}: wrong axes of the expanded weights",
            found=weights.shape,
            expected=f"[height, width, source, {layer.n_channels}]",
        )
    check_finite(weights, source, layer.name)
