"""Where a neuron's value stands in the graph, and what is maximized of it.

A concatenated layer is taken apart: a neuron of a branch needs that branch alone. A negative variant
reads the value before the activation, because a ReLU's zero has no slope to follow.
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
# Lucid: objectives._dot_cossim; TINY keeps the slope of the length of zero finite.
LUCID_EPSILON, LUCID_FLOOR, TINY = 1e-4, 0.1, 1e-30


def branches(view: GraphView, layer: Layer, *, positive: bool) -> tuple[ChannelRange, ...]:
    """Return the branches of a layer, which hold each of its neurons once, in order.

    `view` must know the channel counts of concatenated tensors from their convolutions; where it does
    not, the layer is one branch.
    """
    found = channel_ranges(view, layer.tensor, layer.n_channels, functools.partial(convolved_channels, view))
    if positive:
        return found
    return tuple(replace(branch, tensor=_before_activation(view, branch.tensor)) for branch in found)


def _before_activation(view: GraphView, tensor: str) -> str:
    while view.op(tensor) in ACTIVATIONS | PASSES:
        tensor = view.inputs(tensor)[0]
    return tensor


@dataclass(frozen=True, slots=True)
class ChannelObjective:
    """Each batch entry is to excite its own neuron of a branch."""

    branch: ChannelRange

    @property
    def tensor(self) -> str:
        """The tensor that is looked at."""
        return self.branch.tensor

    def placeholder(self, batch: int) -> Any:
        """Return what channels, int32 [batch], are fed to."""
        return tf.placeholder(tf.int32, [batch])

    def channels(self, neurons: Sequence[int]) -> Ints:
        """Return the branch's channels that hold these neurons of the layer, int32 [n]."""
        return np.asarray(neurons, np.int32) - np.int32(self.branch.first)

    def values(self, at: Any, channels: Any) -> Any:
        """Return float32 [n] of values [n, channel]: of each batch entry its own channel."""
        return tf.gather(tf.cast(at, tf.float32), channels, batch_dims=1)


@dataclass(frozen=True, slots=True)
class DirectionObjective:
    """Each batch entry is to excite its own direction in a tensor of `n_channels`.

    `cosine_power` above 0 weighs the length along the direction by how well the whole points that
    way: dot * max(0.1, cosine) ** power (Lucid: objectives.direction_neuron, its floor and its
    epsilon).
    """

    tensor: str
    n_channels: int
    cosine_power: float = 0.0

    def placeholder(self, batch: int) -> Any:
        """Return what directions, float32 [batch, channel], are fed to."""
        return tf.placeholder(tf.float32, [batch, self.n_channels])

    def values(self, at: Any, directions: Any) -> Any:
        """Return float32 [n] of values [n, channel]: how far each batch entry goes along its direction."""
        at = tf.cast(at, tf.float32)
        dot = tf.reduce_sum(at * directions, -1)
        if not self.cosine_power:
            return dot
        lengths = [tf.sqrt(tf.reduce_sum(x * x, -1) + TINY) + LUCID_EPSILON for x in (at, directions)]
        return dot * tf.maximum(LUCID_FLOOR, dot / lengths[0] / lengths[1]) ** self.cosine_power


Objective = ChannelObjective | DirectionObjective


def response(tensor: Any, *, centre_only: bool) -> Any:
    """Return [n, channel]: a tensor's values at the centre position or, on average, at all.

    The centre is position size // 2 of each axis (Lucid: objectives.neuron); a tensor without
    positions, [n, channel], is its own.
    """
    if tensor.shape.rank != 4:
        return tensor
    shape = tf.shape(tensor)
    return tensor[:, shape[1] // 2, shape[2] // 2] if centre_only else tf.reduce_mean(tensor, [1, 2])
