"""Objectives: the tensor that holds a neuron's value, and the quantity to maximize.

A concatenated layer is split into its branches, because a neuron needs only its own branch. A negative
variant reads the value before the activation, because the slope of a ReLU at zero is zero.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from atlas.core.neuron import Layer
from atlas.core.records import Ints
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.branches import ChannelRange, channel_ranges, convolved_channels
from atlas.model.graph.ops import PASSES
from atlas.model.graph.view import GraphView

tf = tensorflow.compat.v1

ACTIVATIONS = frozenset({"Relu", "Relu6"})
# Lucid: objectives._dot_cossim; TINY keeps the gradient of a vector's length finite at zero.
LUCID_EPSILON, LUCID_FLOOR, TINY = 1e-4, 0.1, 1e-30


def branches(view: GraphView, layer: Layer, *, positive: bool) -> tuple[ChannelRange, ...]:
    """Return the branches of a layer, which hold each of its neurons once, in order.

    `view` must give the channel counts of concatenated tensors from their convolutions; otherwise the layer
    is one branch.
    """
    ranges = channel_ranges(view, layer.tensor, layer.n_channels, functools.partial(convolved_channels, view))
    if positive:
        return ranges
    return tuple(replace(branch, tensor=_before_activation(view, branch.tensor)) for branch in ranges)


def _before_activation(view: GraphView, tensor: str) -> str:
    while view.op(tensor) in ACTIVATIONS | PASSES:
        tensor = view.inputs(tensor)[0]
    return tensor


@dataclass(frozen=True, slots=True)
class ChannelObjective:
    """The value of one neuron of a branch, another for each batch entry."""

    branch: ChannelRange
    """Tensor of the branch, and the neurons of the layer that its channels hold."""

    @property
    def tensor(self) -> str:
        """The name of the tensor that holds the values."""
        return self.branch.tensor

    def placeholder(self, batch: int) -> Any:
        """Return the placeholder for channels, int32 [batch]."""
        return tf.placeholder(tf.int32, [batch])

    def channels(self, neurons: Sequence[int]) -> Ints:
        """Return the branch's channels that hold these neurons of the layer, int32 [n]."""
        return np.asarray(neurons, np.int32) - np.int32(self.branch.first)

    def values(self, at: Any, channels: Any) -> Any:
        """Return float32 [n]: from values [n, channel], that of each batch entry's own channel."""
        return tf.gather(tf.cast(at, tf.float32), channels, batch_dims=1)


@dataclass(frozen=True, slots=True)
class DirectionObjective:
    """The values of a tensor along one direction, another for each batch entry.

    `cosine_power` above 0 weights the dot product by the cosine between the values and the direction:
    dot * max(0.1, cosine) ** power (Lucid: objectives.direction_neuron, its floor and its epsilon).
    """

    tensor: str
    """Name of the tensor that holds the values."""
    n_channels: int
    """Number of channels of the tensor and entries of a direction."""
    cosine_power: float = 0.0
    """0 or more; 0 gives the dot product alone."""

    def placeholder(self, batch: int) -> Any:
        """Return the placeholder for directions, float32 [batch, channel]."""
        return tf.placeholder(tf.float32, [batch, self.n_channels])

    def values(self, at: Any, directions: Any) -> Any:
        """Return float32 [n]: the objective of values [n, channel] along each batch entry's direction."""
        at = tf.cast(at, tf.float32)
        dot = tf.reduce_sum(at * directions, -1)
        if not self.cosine_power:
            return dot
        lengths = [tf.sqrt(tf.reduce_sum(x * x, -1) + TINY) + LUCID_EPSILON for x in (at, directions)]
        return dot * tf.maximum(LUCID_FLOOR, dot / lengths[0] / lengths[1]) ** self.cosine_power


Objective = ChannelObjective | DirectionObjective


def response(tensor: Any, *, centre_only: bool) -> Any:
    """Return [n, channel]: a tensor's values at the centre position, or their mean over all positions.

    The centre is position size // 2 of each axis (Lucid: objectives.neuron); a tensor without
    positions, [n, channel], is returned as it is.
    """
    if tensor.shape.rank != 4:
        return tensor
    shape = tf.shape(tensor)
    return tensor[:, shape[1] // 2, shape[2] // 2] if centre_only else tf.reduce_mean(tensor, [1, 2])
