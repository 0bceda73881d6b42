"""One neuron's weights to neurons of the layer before and the layer after, with their names.

Kernels are float32 [height, width]: expanded weights from the source's carrier, so that pooling on the
way does not blur them. A neuron may be a channel of the image, "input:0".
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atlas.analysis import connections
from atlas.analysis.weights import ExpandedWeights, pair_weights
from atlas.core.errors import LayerError, NeuronError
from atlas.core.neuron import INPUT, Neuron, neuron_of
from atlas.core.notebook_registry import Displayed
from atlas.core.records import Connections, Floats
from atlas.model.carriers import downstream_layer, upstream_layer
from atlas.model.graph.view import node_of
from atlas.model.network import Network, find_neuron

# Pairs of layers whose weights are kept, because users look at both sides of a neuron, then of the next.
_MOST_KEPT = 4


@dataclass(frozen=True, slots=True)
class Kernel(Displayed):
    """The expanded weights between two neurons."""

    source: Neuron
    """Neuron that the weights start from, or a channel of the image."""
    target: Neuron
    """Neuron that the weights lead to."""
    carrier: str
    """Node that the weights are taken from, or "input"."""
    weights: Floats
    """float32 [h, w]."""
    strength: float
    """L2 norm of the weights."""
    sign: int
    """Sign of the weights' sum: 1, -1 or 0."""
    peak: float
    """Largest absolute weight that the target has from any neuron of the source's layer."""
    share: float
    """Share of the target's squared L2 norm over all neurons of the source's layer, 0 to 1."""


@dataclass(frozen=True, slots=True)
class NeuronRow(Displayed):
    """The neurons of a layer that a neuron is connected to most, strongest first."""

    neuron: Neuron
    """Neuron that the row belongs to."""
    direction: str
    """Either "upstream" or "downstream"."""
    layer: str
    """Name of the layer of `neurons`, or "input"."""
    carrier: str
    """Node that the kernels are taken from, or "input"."""
    neurons: tuple[Neuron, ...]
    """The k strongest, or all of a smaller layer."""
    kernels: Floats
    """float32 [k, h, w], expanded weights."""
    strength: Floats
    """float32 [k], L2 norms of the kernels."""
    sign: NDArray[np.int32]
    """int32 [k], signs of the kernels' sums: 1, -1 or 0."""
    peak: float
    """Largest absolute weight over all candidates."""
    l2: float
    """Share of the squared L2 norm over all candidates that the k kernels hold, 0 to 1."""
    l1: float
    """Share of the L1 norm over all candidates that the k kernels hold, 0 to 1."""
    n_candidates: int
    """Number of neurons in `layer`."""


@dataclass(frozen=True, slots=True)
class PictureRow(Displayed):
    """Chosen neurons, each with a map."""

    neurons: tuple[Neuron, ...]
    """n neurons, in the order given."""
    maps: Floats | NDArray[np.uint8]
    """Signed float32 [n, h, w], or colours uint8 [n, h, w, 3]."""
    peak: float
    """Value of the last colour of the signed scale, 0 for colours."""
    rule: str
    """Sentence that says what the maps are, "" for none."""


def kernel(network: Network, source: str, target: str) -> Kernel:
    """Return the expanded weights between two neurons, like "mixed3a:147" and "mixed3b:379".

    Raises NeuronError or LayerError for names that do not exist, LayerError if no path leads from source to
    target, LinearizeError for a path that cannot be linearized.
    """
    start, end = neuron_named(network, source), neuron_named(network, target)
    tensor, weights = _weights(network, start.layer, end.layer)
    every = weights[..., end.index]
    pair = np.ascontiguousarray(every[..., start.index])
    squares = np.square(every, dtype=np.float64).sum((0, 1))
    total = float(squares.sum())
    return Kernel(
        source=start,
        target=end,
        carrier=tensor,
        weights=pair,
        strength=float(np.sqrt(squares[start.index])),
        sign=int(np.sign(pair.sum(dtype=np.float64))),
        peak=float(np.abs(every).max(initial=0.0)),
        share=float(squares[start.index]) / total if total else 0.0,
    )


def upstream(network: Network, neuron: str, k: int = 10, *, source: str | None = None) -> NeuronRow:
    """Return the k neurons of the layer before, or of `source`, that a neuron is connected to most.

    Raises the errors of `kernel`, and AtlasError for k < 1.
    """
    end = neuron_named(network, neuron)
    before = source or _before(network, end)
    before = before if before == INPUT else network.layer(before).name
    tensor, weights = _weights(network, before, end.layer)
    column = weights[..., end.index : end.index + 1]
    record = connections.upstream(column, source=before, target=end.layer, carrier=tensor, k=k)
    return _row(network, end, before, record)


def downstream(network: Network, neuron: str, k: int = 10, *, target: str | None = None) -> NeuronRow:
    """Return the k neurons of the layer after, or of `target`, that a neuron is connected to most.

    Raises the errors of `upstream`, and LayerError if there is no layer after.
    """
    start = neuron_named(network, neuron)
    after = network.layer(target or _after(network, start)).name
    tensor, weights = _weights(network, start.layer, after)
    column = weights[:, :, start.index : start.index + 1]
    record = connections.downstream(column, source=start.layer, target=after, carrier=tensor, k=k)
    return _row(network, start, after, record)


def neuron_row(
    network: Network, neurons: Sequence[str], maps: ArrayLike, *, peak: float | None = None, rule: str = ""
) -> PictureRow:
    """Return chosen neurons, each with its own map: signed [n, h, w], or colours uint8 [n, h, w, 3].

    `peak` None is the largest absolute value. Raises NeuronError for an unknown neuron or a wrong number of
    maps.
    """
    members = tuple(neuron_named(network, name) for name in neurons)
    array = np.asarray(maps)
    coloured = array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8
    if len(array) != len(members) or not (array.ndim == 3 or coloured):
        raise NeuronError(
            f"the maps of {len(members)} neurons",
            found=f"an array {array.shape} of {array.dtype}",
            expected=f"({len(members)}, h, w) of numbers or ({len(members)}, h, w, 3) of uint8",
        )
    if coloured:
        return PictureRow(members, array, 0.0, rule)
    signed = array.astype(np.float32)
    return PictureRow(members, signed, float(np.abs(signed).max(initial=0.0)) if peak is None else peak, rule)


def neuron_named(network: Network, alias: str) -> Neuron:
    """Return the neuron that an alias names, or for "input:0" a channel of the image."""
    layer, _, index = alias.strip().partition(":")
    if layer != INPUT or not index.isdecimal():
        return find_neuron(network, alias)
    n_channels = network.input_shape[2]
    if len(index) > 9 or int(index) >= n_channels:
        raise NeuronError(f"the image has no channel {index}", expected=f"0 to {n_channels - 1}")
    return neuron_at(network, INPUT, int(index))


def neuron_at(network: Network, layer: str, index: int) -> Neuron:
    """Return a neuron of a layer, or a channel of the image for "input"."""
    return Neuron(INPUT, INPUT, index) if layer == INPUT else neuron_of(network.layer(layer), index)


def _row(network: Network, neuron: Neuron, layer: str, record: Connections) -> NeuronRow:
    return NeuronRow(
        neuron=neuron,
        direction=record.direction,
        layer=layer,
        carrier=record.carrier,
        neurons=tuple(neuron_at(network, layer, index) for index in record.index[0].tolist()),
        kernels=record.kernel[0],
        strength=record.strength[0],
        sign=record.sign[0],
        peak=float(record.peak[0]),
        l2=float(record.l2[0]),
        l1=float(record.l1[0]),
        n_candidates=record.n_candidates,
    )


def _before(network: Network, neuron: Neuron) -> str:
    """Return the name of the layer before a neuron's layer."""
    if neuron.layer == INPUT:
        raise LayerError("no layer comes before the image", remedy="choose a neuron of a layer")
    return upstream_layer(network, network.layer(neuron.layer), ())


def _after(network: Network, neuron: Neuron) -> str:
    """Return the name of the layer after a neuron's layer."""
    if neuron.layer == INPUT:
        return network.trunk[0].name
    after = downstream_layer(network, network.layer(neuron.layer), ())
    if after is None:
        raise LayerError(f"no layer comes after {neuron.layer}", remedy="choose a neuron of an earlier layer")
    return after


_kept: list[tuple[weakref.ref[Network], ExpandedWeights]] = []


def _weights(network: Network, source: str, target: str) -> tuple[str, Floats]:
    """Return the node of the carrier and the expanded weights of a pair; the last few pairs are kept."""
    kept = [owner() is network and (source, target) == (one.source, one.target) for owner, one in _kept]
    if True in kept:
        _kept.append(_kept.pop(kept.index(True)))
    else:
        made = pair_weights(network, source, target)
        _kept[:] = [one for one in _kept if one[0]() is not None][1 - _MOST_KEPT :]
        _kept.append((weakref.ref(network), made))
    pair = _kept[-1][1]
    # In kernels the image is called "input", as by the user, whatever its node is called.
    return INPUT if source == INPUT else node_of(pair.carrier), pair.weights
