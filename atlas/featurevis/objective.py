"""Where a neuron's value stands in the graph, and what is maximized of it.

A concatenated layer is taken apart: a neuron of a branch needs that branch alone. A negative variant
reads the value before the activation, because a ReLU's zero has no slope to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.model.backend import tf as tensorflow
from atlas.model.graph import PASSES, GraphView, node_of
from atlas.neuron import Layer

tf = tensorflow.compat.v1

ACTIVATIONS = frozenset({"Relu", "Relu6"})


@dataclass(frozen=True, slots=True)
class Branch:
    """A tensor that holds the neurons first … first + n - 1 of a layer as its channels, in order."""

    tensor: str
    first: int
    n_channels: int


def branches(view: GraphView, layer: Layer, *, positive: bool) -> tuple[Branch, ...]:
    """Return the branches of a layer, which hold each of its neurons once, in order.

    `view` must know the channel counts of concatenated tensors from their convolutions; where it does
    not, the layer is one branch.
    """
    tensors = _parts(view, layer.tensor)
    counts = [_n_channels(view, tensor) for tensor in tensors]
    if None in counts or sum(c for c in counts if c) != layer.n_channels:
        tensors, counts = (layer.tensor,), [layer.n_channels]
    sizes = [int(count or 0) for count in counts]
    firsts = np.cumsum([0, *sizes[:-1]]).tolist()
    before = [tensor if positive else _before_activation(view, tensor) for tensor in tensors]
    return tuple(Branch(*branch) for branch in zip(before, firsts, sizes, strict=True))


def _parts(view: GraphView, tensor: str) -> tuple[str, ...]:
    """Return the tensors that a concatenation of channels is made of; the tensor itself otherwise."""
    while view.op(tensor) in PASSES:
        tensor = view.inputs(tensor)[0]
    if view.op(tensor) != "ConcatV2":
        return (tensor,)
    *parts, axis = view.inputs(tensor)
    where = view.constant(axis)
    if where is None or int(where) not in (3, -1):
        return (tensor,)
    return tuple(leaf for part in parts for leaf in _parts(view, part))


def _n_channels(view: GraphView, tensor: str) -> int | None:
    """Return how many channels a tensor has, from the convolution that makes it; None if unknown."""
    name = node_of(tensor)
    while view.op(name) in ACTIVATIONS | PASSES | {"BiasAdd"}:
        name = node_of(view.inputs(name)[0])
    if view.op(name) != "Conv2D":
        return None
    kernel = view.constant(view.inputs(name)[1])
    return None if kernel is None else int(kernel.shape[-1])


def _before_activation(view: GraphView, tensor: str) -> str:
    while view.op(tensor) in ACTIVATIONS | PASSES:
        tensor = view.inputs(tensor)[0]
    return tensor


def values(tensor: Any, channels: Any, *, centre_only: bool) -> Any:
    """Return float32 [n]: of each batch entry its own channel, at the centre position or on average.

    The centre is position size // 2 of each axis (Lucid: objectives.neuron); a tensor without
    positions, [n, channel], gives the unit itself.
    """
    if tensor.shape.rank == 4:
        shape = tf.shape(tensor)
        positions = tensor[:, shape[1] // 2, shape[2] // 2] if centre_only else tf.reduce_mean(tensor, [1, 2])
    else:
        positions = tensor
    return tf.gather(tf.cast(positions, tf.float32), channels, batch_dims=1)


def channels_of(branch: Branch, neurons: Sequence[int]) -> list[int]:
    """Return the branch's channels that hold these neurons of the layer."""
    return [neuron - branch.first for neuron in neurons]
