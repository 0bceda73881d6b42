"""ONNX's ops that move, cut, join and repeat dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.onnx_call import Call, integers_of, number_of
from atlas.model.channels_first.op_tables import ONNX, as_fixed, as_value
from atlas.model.channels_first.values import BATCH, Value, as_map, permuted, plain, reshaped
from atlas.model.channels_first.writer import Writer
from atlas.model.graph.backend import tf


@ONNX.op("Reshape")
def _reshape(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, target = inputs[0], integers_of(call, inputs, 1, "shape") or []
    if not call.get("allowzero", 0):
        target = [x.shape[dim] if length == 0 else length for dim, length in enumerate(target)]
    if -1 in target:
        rest = -math.prod(target)
        target = [math.prod(x.shape) // rest if length == -1 and rest else length for length in target]
    if math.prod(target) != math.prod(x.shape):
        raise ModelError(
            "a reshape to another number of elements cannot be written",
            found=f"{_shown(x.shape)} to {_shown(target)}",
            remedy="export the model for any number of images, or for one, throughout",
        )
    return reshaped(x, target)


def _shown(shape: Sequence[int]) -> str:
    return str(tuple("n" if length == BATCH else length for length in shape)).replace("'", "")


@ONNX.op("Flatten")
def _flatten(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, axis = inputs[0], int(call.get("axis", 1))
    axis = axis + x.rank if axis < 0 else axis
    return reshaped(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@ONNX.op("Squeeze")
def _squeeze(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return shaping.squeezed(inputs[0], integers_of(call, inputs, 1, "axes"))


@ONNX.op("Unsqueeze")
def _unsqueeze(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, axes = inputs[0], integers_of(call, inputs, 1, "axes") or []
    rank = x.rank + len(axes)
    new, old = {axis % rank for axis in axes}, iter(x.shape)
    return reshaped(x, [1 if dim in new else next(old) for dim in range(rank)])


@ONNX.op("Transpose")
def _transpose(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x = inputs[0]
    return permuted(x, call.get("perm") or range(x.rank)[::-1])


@ONNX.op("Concat")
def _concat(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return shaping.joined(writer, inputs, int(call.get("axis", 1)))


@ONNX.op("Split")
def _split(writer: Writer, call: Call, inputs: Sequence[Any]) -> list[Value]:
    x = inputs[0]
    axis = int(call.get("axis", 0)) % x.rank
    lengths, length = integers_of(call, inputs, 1, "split"), x.shape[axis]
    if lengths is None:
        each = -(-length // call.n_outputs)
        lengths = [min(each, length - at) for at in range(0, length, each)]
    return shaping.split(x, lengths, axis)


@ONNX.op("Slice")
def _slice(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x = inputs[0]
    starts, ends = (integers_of(call, inputs, at, name) or [] for at, name in ((1, "starts"), (2, "ends")))
    axes = integers_of(call, inputs, 3, "axes") or list(range(len(starts)))
    steps = integers_of(call, inputs, 4, "steps") or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        dim = axis % x.rank
        x = _turned(x, dim, start, end, step) if step < 0 else shaping.cut(x, dim, start, end, step)
    return as_value(writer, x)


def _turned(x: Value, dim: int, start: int, end: int, step: int) -> Value:
    """Return a value backwards along a dimension; raises ModelError for a part of it."""
    places = range(x.shape[dim])
    if places[start:end:step] != places[::-1]:
        raise ModelError("a slice backwards over a part of a dimension cannot be written")
    x = plain(x)
    return x.with_tensor(tf.reverse(x.tensor, [x.axis(dim)]))


@ONNX.op("Pad")
def _pad(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, pads = inputs[0], integers_of(call, inputs, 1, "pads") or []
    fill = number_of(call, inputs, 2, "value") or 0.0
    axes = integers_of(call, inputs, 3, "axes") or list(range(len(pads) // 2))
    pairs = [(0, 0)] * x.rank
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        pairs[axis % x.rank] = (before, after)
    mode = str(call.get("mode", "constant"))
    return shaping.padded(x, pairs, {"edge": "replicate", "wrap": "circular"}.get(mode, mode), fill)


@ONNX.op("Gather")
def _gather(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x = as_value(writer, inputs[0])
    dim = int(call.get("axis", 0)) % x.rank
    indices = as_fixed(inputs[1], "an index").array
    if indices.ndim == 0:
        return shaping.selected(x, dim, int(indices))
    numbers = indices.ravel() % x.shape[dim]
    first, count = int(numbers[0]), len(numbers)
    if np.array_equal(numbers, np.arange(first, first + count)):
        x = shaping.cut(x, dim, first, first + count)
    else:
        x = shaping.taken(x, dim, numbers)
    return reshaped(x, (*x.shape[:dim], *indices.shape, *x.shape[dim + 1 :])) if indices.ndim > 1 else x


@ONNX.op("Expand")
def _expand(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, target = inputs[0], integers_of(call, inputs, 1, "shape") or []
    shape = np.broadcast_shapes(x.shape, tuple(target))
    return shaping.expanded(x, shape)


@ONNX.op("Tile")
def _tile(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    times = integers_of(call, inputs, 1, "repeats") or []
    return inputs[0] if set(times) <= {1} else shaping.repeated(plain(inputs[0]), times)


@ONNX.op("DepthToSpace")
def _depth_to_space(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, block = as_map(inputs[0]), int(call.get("blocksize"))
    if call.get("mode", "DCR") == "CRD":
        return shaping.shuffled_out(x, block)
    n, channels, h, w = x.shape
    tensor = tf.nn.depth_to_space(x.tensor, block)
    return Value(tensor, x.axes, (n, channels // block**2, h * block, w * block))


@ONNX.op("SpaceToDepth")
def _space_to_depth(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, block = as_map(inputs[0]), int(call.get("blocksize"))
    n, channels, h, w = x.shape
    tensor = tf.nn.space_to_depth(x.tensor, block)
    return Value(tensor, x.axes, (n, channels * block**2, h // block, w // block))


@ONNX.op("Where")
def _where(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    mask = as_fixed(inputs[0], "a condition").array
    if mask.all() or not mask.any():
        chosen = as_value(writer, inputs[1] if mask.all() else inputs[2])
        if np.broadcast_shapes(mask.shape, chosen.shape) == chosen.shape:
            return chosen
    raise ModelError("a choice between two values, place by place, cannot be written")
