"""Norms: by running statistics, and by the mean and deviation of each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.model.channels_first.pointwise import multiply
from atlas.model.channels_first.values import Value, as_map, plain
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf


def batch_norm(
    writer: Writer,
    value: Value,
    scale: Fixed | None,
    shift: Fixed | None,
    mean: Fixed,
    variance: Fixed,
    epsilon: float,
) -> Value:
    """Return a batch norm at inference, over dimension 1."""
    count = mean.array.shape[0]
    scale = scale or Fixed(f"{mean.name}.ones", np.ones(count, np.float32))
    shift = shift or Fixed(f"{mean.name}.zeros", np.zeros(count, np.float32))
    if value.rank != 4:
        factor = scale.array / np.sqrt(variance.array + np.float32(epsilon))
        shape = (count, *(1,) * (value.rank - 2))
        by = Fixed(scale.name, factor.reshape(shape))
        added = Fixed(shift.name, (shift.array - mean.array * factor).reshape(shape))
        scaled = multiply(writer, value, by)
        return scaled.with_tensor(scaled.tensor + writer.fixed(added, scaled))
    value = as_map(value)
    tensors = [writer.weight(each.name, each.array) for each in (scale, shift, mean, variance)]
    # tf.nn's own function takes no epsilon as small as PyTorch's.
    normed = tf.raw_ops.FusedBatchNormV3(
        x=value.tensor,
        scale=tensors[0],
        offset=tensors[1],
        mean=tensors[2],
        variance=tensors[3],
        epsilon=epsilon,
        is_training=False,
    )
    return value.with_tensor(normed.y)


def layer_norm(
    writer: Writer, value: Value, n_dims: int, scale: Fixed | None, shift: Fixed | None, epsilon: float
) -> Value:
    """Return a norm by mean and deviation over the last `n_dims` dimensions."""
    value = plain(value)
    axes = sorted(value.axis(dim) for dim in range(value.rank - n_dims, value.rank))
    return value.with_tensor(_normed(writer, value, value.tensor, axes, scale, shift, epsilon))


def group_norm(
    writer: Writer, value: Value, groups: int, scale: Fixed | None, shift: Fixed | None, epsilon: float
) -> Value:
    """Return a norm by mean and deviation of each group of channels; an instance norm has one for each."""
    value = as_map(value)
    count, (height, width) = value.shape[1], value.shape[2:]
    shape = (count, 1, 1)
    scale, shift = (each and Fixed(each.name, each.array.reshape(shape)) for each in (scale, shift))
    if groups == count:
        return value.with_tensor(_normed(writer, value, value.tensor, [1, 2], scale, shift, epsilon))
    split = tf.reshape(value.tensor, [-1, height, width, groups, count // groups])
    normed = _normed(writer, value, split, [1, 2, 4], None, None, epsilon)
    normed = tf.reshape(normed, [-1, height, width, count])
    return value.with_tensor(_scaled(writer, value, normed, scale, shift))


def _normed(
    writer: Writer,
    value: Value,
    tensor: Any,
    axes: Sequence[int],
    scale: Fixed | None,
    shift: Fixed | None,
    epsilon: float,
) -> Any:
    mean = _mean(tensor, axes)
    variance = _mean(tf.math.squared_difference(tensor, mean), axes)
    # The mean is taken away first: of products with a large factor, rounding would be left.
    normed = (tensor - mean) * tf.math.rsqrt(variance + epsilon)
    return _scaled(writer, value, normed, scale, shift)


def _mean(tensor: Any, axes: Sequence[int]) -> Any:
    """Return the mean over axes, one after another: a sum of few numbers is rounded less than one of many."""
    for axis in sorted(axes, reverse=True):
        tensor = tf.reduce_mean(tensor, axis, keepdims=True)
    return tensor


def _scaled(writer: Writer, value: Value, normed: Any, scale: Fixed | None, shift: Fixed | None) -> Any:
    """Return a normed tensor, laid out as `value`, with a scale and a shift."""
    if scale is not None:
        normed = normed * writer.fixed(scale, value)
    return normed if shift is None else normed + writer.fixed(shift, value)
