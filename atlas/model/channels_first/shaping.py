"""Ops that move, cut and join dimensions, and sums over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first.values import (
    BATCH,
    Value,
    as_map,
    canonical,
    laid_out,
    permuted,
    plain,
    reshaped,
)
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf


def moved(writer: Writer, fixed: Fixed, like: Value | None = None) -> Value:
    """Return a tensor that depends on no image as a value, once for each image where it has a batch."""
    array = fixed.array
    axes = like.axes if like is not None and like.rank == array.ndim else tuple(range(array.ndim))
    once = fixed.of_one_image()
    tensor = writer.weight(fixed.name, once.transpose(axes).astype(np.float32, copy=False))
    if array.ndim and array.shape[0] == BATCH:
        images = tf.shape(writer.image)[0]
        times = [images if dim == 0 else 1 for dim in axes]
        tensor = tf.tile(tensor, tf.stack(times))
    return Value(tensor, axes, array.shape)


def joined(writer: Writer, parts: Sequence[Value | Fixed], dim: int) -> Value:
    """Return tensors joined along a dimension, in the layout of the first that images reach."""
    first = plain(next(part for part in parts if isinstance(part, Value)))
    values = [moved(writer, part, first) if isinstance(part, Fixed) else part for part in parts]
    values = [laid_out(value, first.axes) for value in values if 0 not in value.shape]
    if len(values) == 1:
        return values[0]
    axis = first.axis(dim)
    shape = list(first.shape)
    shape[dim] = sum(value.shape[dim] for value in values)
    return Value(tf.concat([value.tensor for value in values], axis), first.axes, tuple(shape))


def stacked(writer: Writer, parts: Sequence[Value | Fixed], dim: int) -> Value:
    """Return tensors joined along a new dimension."""
    values = [moved(writer, part) if isinstance(part, Fixed) else part for part in parts]
    dim %= values[0].rank + 1
    wider = [reshaped(v, (*v.shape[:dim], 1, *v.shape[dim:])) for v in values]
    return joined(writer, wider, dim)


def cut(value: Value, dim: int, start: int | None, end: int | None, step: int = 1) -> Value:
    """Return a slice along a dimension."""
    length = value.shape[dim]
    first, last, _ = slice(start, end).indices(length)
    if (first, last, step) == (0, length, 1):
        return value
    value = plain(value)
    axis = value.axis(dim)
    # An end that is the length's stays open, so that maps of other sizes are cut alike.
    from_end = end is not None and end < 0
    stop = None if last == length else last - length if from_end else last
    begin = first - length if start is not None and start < 0 and first else first
    index = [slice(None)] * axis + [slice(begin, stop, step)]
    shape = list(value.shape)
    shape[dim] = len(range(first, last, step))
    return Value(value.tensor[tuple(index)], value.axes, tuple(shape))


def split(value: Value, lengths: Sequence[int], dim: int) -> list[Value]:
    """Return a value taken apart along a dimension."""
    value = plain(value)
    sizes = list(lengths) if len(set(lengths)) > 1 else len(lengths)
    tensors = tf.split(value.tensor, sizes, axis=value.axis(dim))
    dim %= value.rank
    return [
        Value(tensor, value.axes, (*value.shape[:dim], length, *value.shape[dim + 1 :]))
        for tensor, length in zip(tensors, lengths, strict=True)
    ]


def selected(value: Value, dim: int, index: int) -> Value:
    """Return one entry along a dimension, which goes."""
    dim %= value.rank
    index %= value.shape[dim]
    one = cut(value, dim, index, index + 1)
    return reshaped(one, (*one.shape[:dim], *one.shape[dim + 1 :]))


def taken(value: Value, dim: int, indices: Any) -> Value:
    """Return entries along a dimension by their numbers; negative ones count from the end."""
    value = plain(value)
    numbers = (np.asarray(indices) % value.shape[dim]).astype(np.int32)
    shape = list(value.shape)
    shape[dim] = len(numbers)
    return Value(tf.gather(value.tensor, numbers, axis=value.axis(dim)), value.axes, tuple(shape))


def squeezed(value: Value, dims: Sequence[int] | None = None) -> Value:
    """Return a value without dimensions of length 1: those named, else all."""
    named = range(value.rank) if dims is None else [dim % value.rank for dim in dims]
    kept = [n for dim, n in enumerate(value.shape) if n != 1 or dim not in named]
    return reshaped(value, kept)


def padded(value: Value, pads: Sequence[tuple[int, int]], mode: str = "constant", fill: float = 0.0) -> Value:
    """Return a padded value; `pads` are (before, after) of the last dimensions, in the source's order.

    Negative pads cut off. Modes: constant, reflect, replicate, circular.
    """
    value = plain(value)
    pads = [(0, 0)] * (value.rank - len(pads)) + [(before, after) for before, after in pads]
    for dim, (before, after) in enumerate(pads):
        if min(before, after) < 0:
            value = cut(value, dim, -min(before, 0), value.shape[dim] + min(after, 0))
    by_axis = [(max(pads[dim][0], 0), max(pads[dim][1], 0)) for dim in value.axes]
    shape = tuple(n + max(a, 0) + max(b, 0) for n, (a, b) in zip(value.shape, pads, strict=True))
    tensor = value.tensor
    if not any(map(any, by_axis)):
        return value
    if mode == "constant" and any(by_axis[-1]):
        # TensorFlow makes a Pad of channels and a convolution one op, wrongly.
        tensor = tf.raw_ops.PadV2(input=tensor, paddings=by_axis, constant_values=fill)
    elif mode == "constant":
        tensor = tf.pad(tensor, by_axis, constant_values=fill)
    elif mode == "reflect":
        tensor = tf.pad(tensor, by_axis, "REFLECT")
    elif mode == "replicate":
        while any(map(any, by_axis)):
            tensor = tf.pad(tensor, [(min(a, 1), min(b, 1)) for a, b in by_axis], "SYMMETRIC")
            by_axis = [(max(a - 1, 0), max(b - 1, 0)) for a, b in by_axis]
    else:
        for axis, (before, after) in enumerate(by_axis):
            tensor = _wrapped(tensor, axis, before, after)
    return Value(tensor, value.axes, shape)


def _wrapped(tensor: Any, axis: int, before: int, after: int) -> Any:
    """Return a tensor that goes on with its other end, along one axis."""
    if not before and not after:
        return tensor
    head = [slice(None)] * axis
    parts = [tensor[(*head, slice(-before, None))]] if before else []
    parts += [tensor, tensor[(*head, slice(None, after))]] if after else [tensor]
    return tf.concat(parts, axis)


def rolled(value: Value, shifts: Sequence[int], dims: Sequence[int]) -> Value:
    """Return a value shifted around along dimensions."""
    value = plain(value)
    tensor = value.tensor
    for shift, dim in zip(shifts, dims, strict=True):
        shift %= value.shape[dim]
        head = [slice(None)] * value.axis(dim)
        if shift:
            parts = [tensor[(*head, slice(-shift, None))], tensor[(*head, slice(None, -shift))]]
            tensor = tf.concat(parts, value.axis(dim))
    return value.with_tensor(tensor)


def reduced(
    function: Callable[..., Any], value: Value, dims: Sequence[int] | None, keep: bool = False
) -> Value:
    """Return a sum, mean or maximum over dimensions."""
    value = plain(value)
    gone = [dim % value.rank for dim in (dims if dims else range(value.rank))]
    axes = sorted(value.axes.index(dim) for dim in gone)
    tensor = function(value.tensor, axes, keepdims=keep)
    shape = tuple(1 if dim in gone else n for dim, n in enumerate(value.shape))
    if keep:
        return Value(tensor, value.axes, shape)
    left = [dim for dim in range(value.rank) if dim not in gone]
    kept_axes = tuple(left.index(dim) for dim in value.axes if dim not in gone)
    return Value(tensor, kept_axes, tuple(shape[dim] for dim in left))


def repeated(value: Value, times: Sequence[int]) -> Value:
    """Return a value repeated along its dimensions."""
    if any(count and count % BATCH == 0 for count in times):
        raise ModelError("as many copies as there are images cannot be written")
    value = reshaped(value, (1,) * (len(times) - value.rank) + value.shape)
    shape = tuple(n * by for n, by in zip(value.shape, times, strict=True))
    return Value(tf.tile(value.tensor, [times[dim] for dim in value.axes]), value.axes, shape)


def expanded(value: Value, shape: Sequence[int]) -> Value:
    """Return a value whose lengths of 1 are repeated up to `shape`; -1 keeps a length."""
    value = reshaped(value, (1,) * (len(shape) - value.rank) + value.shape)
    times = [1 if new in (-1, old) else new for old, new in zip(value.shape, shape, strict=True)]
    return value if set(times) == {1} else repeated(value, times)


def product(a: Value, b: Value) -> Value:
    """Return a product of matrices in the last two dimensions, as torch.matmul."""
    a, b = canonical(a), canonical(b)
    if a.rank < 2 or b.rank < 2:
        raise ModelError("a product with a vector cannot be written")
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    return Value(tf.matmul(a.tensor, b.tensor), tuple(range(len(shape))), shape)


def softmax(value: Value, dim: int, *, log: bool = False) -> Value:
    """Return the softmax along a dimension."""
    value = plain(value)
    function = tf.nn.log_softmax if log else tf.nn.softmax
    axis = value.axis(dim)
    if axis != value.rank - 1:
        last = [*(d for d in value.axes if d != dim % value.rank), dim % value.rank]
        return laid_out(softmax(laid_out(value, last), dim, log=log), value.axes)
    return value.with_tensor(function(value.tensor))


def shuffled_out(value: Value, factor: int) -> Value:
    """Return channels spread over space, as PixelShuffle does."""
    n, channels, h, w = value.shape
    split_ = reshaped(value, (n, channels // factor**2, factor, factor, h, w))
    between = permuted(split_, (0, 1, 4, 2, 5, 3))
    return as_map(reshaped(between, (n, channels // factor**2, h * factor, w * factor)))


def shuffled_in(value: Value, factor: int) -> Value:
    """Return space gathered into channels, as PixelUnshuffle does."""
    n, channels, h, w = value.shape
    split_ = reshaped(value, (n, channels, h // factor, factor, w // factor, factor))
    between = permuted(split_, (0, 1, 3, 5, 2, 4))
    return as_map(reshaped(between, (n, channels * factor**2, h // factor, w // factor)))
