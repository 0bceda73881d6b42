"""Convolutions and dense layers of sources with channels first, on values held with channels last.

Paddings are pairs (before, after) for h and w, settings pairs for h and w.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.model.channels_first.values import Value, as_map, laid_out
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

Pads = Sequence[tuple[int, int]]
Pair = Sequence[int]


def both(number: int | Sequence[int]) -> tuple[int, int]:
    """Return a setting for h and w: one number stands for both."""
    values = [number] if isinstance(number, int) else list(number)
    return (values[0], values[-1])


def symmetric(padding: int | Sequence[int]) -> list[tuple[int, int]]:
    """Return the same padding before and after."""
    return [(pad, pad) for pad in both(padding)]


def convolution(
    writer: Writer,
    value: Value,
    weight: Fixed,
    bias: Fixed | None,
    *,
    strides: Pair,
    pads: Pads,
    dilations: Pair,
    groups: int,
    same: bool = False,
) -> Value:
    """Return a convolution; `weight` is (out, in / groups, h, w).

    With `same` its padding is TensorFlow's SAME also where that is another at other sizes of the map.
    """
    value = as_map(value)
    n_in, (n_out, _, *sides) = value.shape[1], weight.array.shape
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, sides, strict=True)]
    depthwise = 1 < groups == n_in and strides[0] == strides[1] and (max(strides) == 1 or max(dilations) == 1)
    same = same or _is_same(pads, spans, strides)
    image, padding = value.tensor, "SAME" if same else "VALID"
    if not same and any(map(any, pads)):
        if depthwise:  # TensorFlow aborts on a depthwise convolution with explicit padding and a bias
            image = tf.pad(image, [(0, 0), *pads, (0, 0)])
        else:
            padding = [(0, 0), *map(tuple, pads), (0, 0)]  # type: ignore[assignment]
    if depthwise:
        array = weight.array.reshape(n_in, n_out // n_in, *sides).transpose(2, 3, 0, 1)
        kernel = writer.weight(weight.name, array)
        scale = [1, *strides, 1]
        tensor = tf.nn.depthwise_conv2d(image, kernel, scale, padding, dilations=list(dilations))
    else:
        kernel = writer.weight(weight.name, weight.array.transpose(2, 3, 1, 0))
        tensor = tf.nn.conv2d(image, kernel, list(strides), padding, dilations=list(dilations))
    lengths = [
        (n + sum(pad) - span) // stride + 1
        for n, pad, span, stride in zip(value.shape[2:], pads, spans, strides, strict=True)
    ]
    return _biased(writer, Value(tensor, value.axes, (value.shape[0], n_out, *lengths)), bias)


def transposed_convolution(
    writer: Writer,
    value: Value,
    weight: Fixed,
    bias: Fixed | None,
    *,
    strides: Pair,
    pads: Pads,
    output_padding: Pair,
    dilations: Pair,
    groups: int,
) -> Value:
    """Return a transposed convolution; `weight` is (in, out / groups, h, w)."""
    value = as_map(value)
    # Rows that are more than the padding cuts off are zeros at the kernel's end.
    more = [max(extra - pad[1], 0) for extra, pad in zip(output_padding, pads, strict=True)]
    kernel = np.pad(_dilated(weight.array, dilations), [(0, 0), (0, 0), (0, more[0]), (0, more[1])])
    sides = kernel.shape[2:]
    cuts = [(p[0], max(p[1] - extra, 0)) for p, extra in zip(pads, output_padding, strict=True)]
    padding: Any = [(0, 0), *cuts, (0, 0)] if any(map(any, cuts)) else "VALID"
    lost = [sum(cut) for cut in cuts]
    filters = writer.weight(weight.name, _ungrouped(kernel, groups).transpose(2, 3, 1, 0))
    sizes = tf.shape(value.tensor)
    height, width = ((sizes[i + 1] - 1) * strides[i] + sides[i] - lost[i] for i in (0, 1))
    n_out = kernel.shape[1] * groups
    made = tf.stack([sizes[0], height, width, n_out])
    tensor = tf.nn.conv2d_transpose(value.tensor, filters, made, list(strides), padding)
    lengths = [(value.shape[i + 2] - 1) * strides[i] + sides[i] - lost[i] for i in (0, 1)]
    return _biased(writer, Value(tensor, value.axes, (value.shape[0], n_out, *lengths)), bias)


def _ungrouped(kernel: Any, groups: int) -> Any:
    """Return a kernel (in, out / groups, h, w) as one from all channels to all, zero between groups."""
    if groups == 1:
        return kernel
    n_in, n_out = kernel.shape[0] // groups, kernel.shape[1]
    whole = np.zeros((kernel.shape[0], n_out * groups, *kernel.shape[2:]), kernel.dtype)
    for g in range(groups):
        whole[g * n_in : (g + 1) * n_in, g * n_out : (g + 1) * n_out] = kernel[g * n_in : (g + 1) * n_in]
    return whole


def _dilated(kernel: Any, dilations: Pair) -> Any:
    """Return a kernel (in, out, h, w) with zeros between its taps."""
    if tuple(dilations) == (1, 1):
        return kernel
    sides = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilations, strict=True)]
    spread = np.zeros((*kernel.shape[:2], *sides), kernel.dtype)
    spread[:, :, :: dilations[0], :: dilations[1]] = kernel
    return spread


def _biased(writer: Writer, value: Value, bias: Fixed | None) -> Value:
    if bias is None:
        return value
    return value.with_tensor(tf.nn.bias_add(value.tensor, writer.weight(bias.name, bias.array)))


def _is_same(pads: Pads, spans: Sequence[int], strides: Pair) -> bool:
    """Return whether TensorFlow's SAME padding is this one at every size of the map."""
    if max(strides) > 1:
        return False
    return any(map(any, pads)) and all(
        tuple(pad) == ((span - 1) // 2, span // 2) for pad, span in zip(pads, spans, strict=True)
    )


def dense(writer: Writer, value: Value, weight: Fixed, bias: Fixed | None) -> Value:
    """Return a dense layer over the last dimension; `weight` is (out, in).

    Over a map it is a convolution with a kernel of 1 x 1; over flattened features the order of the
    weights' rows is the tensor's.
    """
    last = value.rank - 1
    rows = weight.array.T
    if value.order is not None:
        ordered = np.empty_like(rows)
        ordered[value.order] = rows
        rows, value = ordered, Value(value.tensor, value.axes, value.shape)
    # Where rows or columns are what is multiplied, the product is no convolution.
    channels_last = value.axes[-1] == last
    if not channels_last:
        value = laid_out(value, [*(axis for axis in value.axes if axis != last), last])
    shape = (*value.shape[:-1], weight.array.shape[0])
    if value.rank == 4 and channels_last:
        kernel = writer.weight(weight.name, rows[None, None])
        tensor = tf.nn.conv2d(value.tensor, kernel, 1, "VALID")
    else:
        tensor = tf.matmul(value.tensor, writer.weight(weight.name, rows))
    return _biased(writer, Value(tensor, value.axes, shape), bias)
