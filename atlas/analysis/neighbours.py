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

# Pairs of layers whose weights are kept: a neuron is looked at from both sides, and so is the next one.
_MOST_KEPT = 4


@dataclass(frozen=True, slots=True)
class Kernel(Displayed):
    """The expanded weights between two neurons, float32 [h, w], taken from `carrier`.

    `strength` is the L2 norm, `sign` that of the sum; `peak` the largest absolute weight that the target
    has from any neuron of the source's layer, and `share` what part of all their squared mass this is.
    """

    source: Neuron
    target: Neuron
    carrier: str
    weights: Floats
    strength: float
    sign: int
    peak: float
    share: float


@dataclass(frozen=True, slots=True)
class NeuronRow(Displayed):
    """The neurons of `layer` that a neuron is connected to most, strongest first.

    `direction` is "upstream" or "downstream"; kernels float32 [k, h, w] are taken from `carrier`; strength
    [k] their L2 norms, sign [k] int32 those of their sums. `peak` is the largest absolute weight over all
    `n_candidates` neurons of the layer; `l2` and `l1` the shares of squared and absolute mass shown.
    """

    neuron: Neuron
    direction: str
    layer: str
    carrier: str
    neurons: tuple[Neuron, ...]
    kernels: Floats
    strength: Floats
    sign: NDArray[np.int32]
    peak: float
    l2: float
    l1: float
    n_candidates: int


@dataclass(frozen=True, slots=True)
class PictureRow(Displayed):
    """Chosen neurons, each with a map: float32 [n, h, w] signed, or colours uint8 [n, h, w, 3].

    `peak` is the value that has the last colour of the signed scale, 0 for colours; `rule` says in words
    what the maps are.
    """

    neurons: tuple[Neuron, ...]
    maps: Floats | NDArray[np.uint8]
    peak: float
    rule: str


def kernel(network: Network, source: str, target: str) -> Kernel:
    """Return the expanded weights between two neurons, like "mixed3a:147" and "mixed3b:379".

    Raises NeuronError or LayerError for what does not exist, LayerError where no way leads from source
    to target, LinearizeError for a way that cannot be linearized.
    """
    start, end = neuron_named(network, source), neuron_named(network, target)
    tensor, weights = _weights(network, start.layer, end.layer)
    every = weights[..., end.index]
    own = np.ascontiguousarray(every[..., start.index])
    squares = np.square(every, dtype=np.float64).sum((0, 1))
    total = float(squares.sum())
    return Kernel(
        source=start,
        target=end,
        carrier=tensor,
        weights=own,
        strength=float(np.sqrt(squares[start.index])),
        sign=int(np.sign(own.sum(dtype=np.float64))),
        peak=float(np.abs(every).max(initial=0.0)),
        share=float(squares[start.index]) / total if total else 0.0,
    )


def upstream(network: Network, neuron: str, k: int = 10, *, source: str | None = None) -> NeuronRow:
    """Return the k neurons of the layer before, or of `source`, that a neuron is connected to most.

    Raises the errors of `kernel`, and AtlasError for k < 1.
    """
    found = neuron_named(network, neuron)
    before = source or _before(network, found)
    before = before if before == INPUT else network.layer(before).name
    tensor, weights = _weights(network, before, found.layer)
    chosen = weights[..., found.index : found.index + 1]
    record = connections.upstream(chosen, source=before, target=found.layer, carrier=tensor, k=k)
    return _row(network, found, before, record)


def downstream(network: Network, neuron: str, k: int = 10, *, target: str | None = None) -> NeuronRow:
    """Return the k neurons of the layer after, or of `target`, that a neuron is connected to most.

    Raises the errors of `upstream`, and LayerError where there is no layer after.
    """
    found = neuron_named(network, neuron)
    after = network.layer(target or _after(network, found)).name
    tensor, weights = _weights(network, found.layer, after)
    chosen = weights[:, :, found.index : found.index + 1]
    record = connections.downstream(chosen, source=found.layer, target=after, carrier=tensor, k=k)
    return _row(network, found, after, record)


def neuron_row(
    network: Network, neurons: Sequence[str], maps: ArrayLike, *, peak: float | None = None, rule: str = ""
) -> PictureRow:
    """Return chosen neurons, each above a map of its own: signed [n, h, w], or colours uint8 [n, h, w, 3].

    `peak` None is the largest absolute value. Raises NeuronError for an unknown neuron or another number
    of maps.
    """
    found = tuple(neuron_named(network, name) for name in neurons)
    given = np.asarray(maps)
    coloured = given.ndim == 4 and given.shape[3] == 3 and given.dtype == np.uint8
    if len(given) != len(found) or not (given.ndim == 3 or coloured):
        raise NeuronError(
            f"the maps of {len(found)} neurons",
            found=f"an array {given.shape} of {given.dtype}",
            expected=f"({len(found)}, h, w) of numbers or ({len(found)}, h, w, 3) of uint8",
        )
    if coloured:
        return PictureRow(found, given, 0.0, rule)
    signed = given.astype(np.float32)
    return PictureRow(found, signed, float(np.abs(signed).max(initial=0.0)) if peak is None else peak, rule)


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
    """Return the name of the layer before a neuron's own."""
    if neuron.layer == INPUT:
        raise LayerError("no layer comes before the image", remedy="choose a neuron of a layer")
    return upstream_layer(network, network.layer(neuron.layer), ())


def _after(network: Network, neuron: Neuron) -> str:
    """Return the name of the layer after a neuron's own."""
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
    # Kernels name the image as the user does, whatever its node is called.
    return INPUT if source == INPUT else node_of(pair.carrier), pair.weights
