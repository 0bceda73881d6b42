"""Statistics of each neuron's expanded weights from the layer before, and which neurons look alike.

Weights are float32 [height, width, source, target]; every statistic is of one target neuron over all of
its weights. What each one is stands in `atlas.core.records.LayerStatistics`. Source: L2 and L1 sort the
neurons of the notebook behind "Visualizing Weights"; the effective number of inputs is the participation
ratio of physics (Bell and Dean, 1970).
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
    """The neurons of a layer whose weights from `source` are most like one neuron's, best first.

    similarity float32 [k]: the cosines.
    """

    neuron: Neuron
    source: str
    neurons: tuple[Neuron, ...]
    similarity: Floats


def statistics(network: Network, layer: str, k: int = 8) -> LayerStatistics:
    """Return the statistics of all neurons of a layer, with the k most alike of each.

    Raises LayerError for an unknown layer, LinearizeError where no linear way leads to it.
    """
    found = pair_weights(network, None, layer)
    carrier = node_of(found.carrier)
    return layer_statistics(
        found.weights, network.layer(found.target), source=found.source, carrier=carrier, k=k
    )


def lookalikes(network: Network, neuron: str, k: int = 8) -> Lookalikes:
    """Return the k neurons of its layer that are most like a neuron ("mixed3b:379"), fewer in a small one.

    Alike by the cosine of their expanded weights, over all sources and positions. Raises NeuronError or
    LayerError for an unknown neuron, AtlasError for k < 1.
    """
    asked = find_neuron(network, neuron)
    layer = network.layer(asked.layer)
    found = pair_weights(network, None, layer.name)
    picked, similarity = nearest(cosines(found.weights), k)
    others = tuple(neuron_of(layer, int(i)) for i in picked[asked.index])
    return Lookalikes(asked, found.source, others, similarity[asked.index])


def layer_statistics(
    weights: Floats, layer: Layer, *, source: str, carrier: str, k: int = 8
) -> LayerStatistics:
    """Return the statistics of a layer's neurons; weights float32 [h, w, source, target].

    Raises AtlasError for a wrong shape, k < 1 or a value that is not finite.
    """
    _check(weights, layer, source)
    mass = mass_of(weights)
    l2, l1 = np.sqrt(mass.square.sum(0)), mass.absolute.sum(0)
    measures = {
        "l2": l2,
        "l1": l1,
        "crispness": _ratio(l2, l1),
        "balance": np.clip(_ratio(mass.signed.sum(0), l1), -1, 1),
        "n_inputs": _participation(mass.square),
    }
    cosine = cosines(weights)
    picked, similarity = nearest(cosine, k)
    kept = {name: values.astype(np.float32) for name, values in measures.items()}
    branches = [layer.branch_of(index) for index in range(layer.n_channels)]
    return LayerStatistics(
        layer=layer.name,
        source=source,
        carrier=carrier,
        branch=tuple(b.name if b else "" for b in branches) if any(branches) else (),
        branch_index=np.array([i - b.first if b else -1 for i, b in enumerate(branches)], np.int32),
        percentile=np.stack([percentiles(values) for values in kept.values()], -1),
        order=similarity_order(cosine),
        nearest=picked,
        similarity=similarity,
        **kept,
    )


def percentiles(values: Floats) -> Floats:
    """Return, for each value, what share of the others is smaller, 0 to 100, equal ones counted half.

    A value without others is in the middle: 50.
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
    # Relative to the largest, as squares of squares leave the range of float64 before float32 is at its end.
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
