"""PyTorch's ops on maps and features: convolutions, dense layers, attention, norms, pooling, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.convolutions import (
    both,
    convolution,
    dense,
    symmetric,
    transposed_convolution,
)
from atlas.model.channels_first.norms import batch_norm, group_norm, layer_norm
from atlas.model.channels_first.op_tables import TORCH, as_fixed, as_value
from atlas.model.channels_first.pointwise import combined, multiply
from atlas.model.channels_first.resampling import adaptively_pooled, pooled, resized, windows
from atlas.model.channels_first.values import Value, permuted, reshaped
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf
from atlas.model.positions.windows import same_padding


@TORCH.op("conv2d.default", "conv2d.padding")
def _conv2d(
    writer: Writer,
    x: Value,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    weight = as_fixed(weight, "a convolution's kernel")
    dilations = both(dilation)
    if padding == "same":
        spans = [d * (k - 1) + 1 for d, k in zip(dilations, weight.array.shape[2:], strict=True)]
        pads = [same_padding(n, span, 1) for n, span in zip(x.shape[2:], spans, strict=True)]
    else:
        pads = symmetric(0 if padding == "valid" else padding)
    return convolution(
        writer, x, weight, bias, strides=both(stride), pads=pads, dilations=dilations, groups=groups
    )


@TORCH.op("conv1d.default", "conv1d.padding")
def _conv1d(
    writer: Writer,
    x: Value,
    weight: Any,
    bias: Any = None,
    stride: Any = (1,),
    padding: Any = (0,),
    dilation: Any = (1,),
    groups: int = 1,
) -> Value:
    """Return a convolution over the one row of a map."""
    kernel = as_fixed(weight, "a convolution's kernel")
    rows = reshaped(x, (*x.shape[:2], 1, x.shape[2]))
    padding = padding if isinstance(padding, str) else (0, *padding)
    by = ((1, *stride), padding, (1, *dilation))
    row = _conv2d(writer, rows, Fixed(kernel.name, kernel.array[:, :, None]), bias, *by, groups)
    return reshaped(row, (*row.shape[:2], row.shape[3]))


@TORCH.op("conv_transpose2d.input")
def _conv_transpose2d(
    writer: Writer,
    x: Value,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    return transposed_convolution(
        writer,
        x,
        as_fixed(weight, "a convolution's kernel"),
        bias,
        strides=both(stride),
        pads=symmetric(padding),
        output_padding=both(output_padding),
        dilations=both(dilation),
        groups=groups,
    )


@TORCH.op("linear.default")
def _linear(writer: Writer, x: Value, weight: Any, bias: Any = None) -> Value:
    return dense(writer, x, as_fixed(weight, "a dense layer's weights"), bias)


@TORCH.op("addmm.default")
def _addmm(writer: Writer, bias: Any, x: Value, weight: Any) -> Value:
    kernel = as_fixed(weight, "a dense layer's weights")
    return dense(writer, x, Fixed(kernel.name, kernel.array.T), bias)


@TORCH.op("matmul.default", "bmm.default", "mm.default")
def _matmul(writer: Writer, a: Any, b: Any) -> Value:
    if isinstance(b, Fixed) and b.array.ndim == 2:
        return dense(writer, a, Fixed(b.name, b.array.T), None)
    return shaping.product(as_value(writer, a), as_value(writer, b))


@TORCH.op("scaled_dot_product_attention.default")
def _attention(
    writer: Writer,
    query: Value,
    key: Value,
    value: Value,
    mask: Any = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    if causal or enable_gqa:
        raise ModelError("causal and grouped attention cannot be written")
    by = query.shape[-1] ** -0.5 if scale is None else scale
    swapped = permuted(key, [*range(key.rank - 2), key.rank - 1, key.rank - 2])
    scores = shaping.product(multiply(writer, query, by), swapped)
    if isinstance(mask, Fixed) and mask.array.dtype == bool:
        mask = Fixed(mask.name, np.where(mask.array, 0, np.finfo(np.float32).min).astype(np.float32))
    if mask is not None:
        scores = combined(writer, tf.add, scores, mask)
    return shaping.product(shaping.softmax(scores, -1), value)


@TORCH.op("_native_batch_norm_legit_no_training.default")
def _batch_norm(
    writer: Writer, x: Value, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> list[Value]:
    return [batch_norm(writer, x, weight, bias, mean, var, eps)]


@TORCH.op("batch_norm.default")
def _whole_batch_norm(writer: Writer, x: Value, weight: Any, bias: Any, *rest: Any) -> Value:
    mean, var, training, _, eps, *_ = rest
    if training or mean is None:
        raise ModelError("a batch norm without running statistics mixes the images of a batch")
    return batch_norm(writer, x, weight, bias, mean, var, eps)


@TORCH.op("layer_norm.default")
def _layer_norm(
    writer: Writer,
    x: Value,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    return layer_norm(writer, x, len(shape), weight, bias, eps)


@TORCH.op("group_norm.default")
def _group_norm(
    writer: Writer, x: Value, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Value:
    return group_norm(writer, x, groups, weight, bias, eps)


@TORCH.op("instance_norm.default")
def _instance_norm(
    writer: Writer,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    by_input: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    if not by_input:
        return batch_norm(writer, x, weight, bias, mean, var, eps)
    return group_norm(writer, x, x.shape[1], weight, bias, eps)


@TORCH.op("max_pool2d.default")
def _max_pool2d(
    writer: Writer,
    x: Value,
    side: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> Any:
    if both(dilation) != (1, 1):
        raise ModelError("a dilated pooling cannot be written")
    strides = both(stride or side)
    return pooled(x, largest=True, sides=both(side), strides=strides, pads=symmetric(padding), ceil=ceil)


@TORCH.op("avg_pool2d.default")
def _avg_pool2d(
    writer: Writer,
    x: Value,
    side: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil: bool = False,
    counts: bool = True,
    divisor: int | None = None,
) -> Value:
    sides = both(side)
    mean = pooled(
        x,
        largest=False,
        sides=sides,
        strides=both(stride or side),
        pads=symmetric(padding),
        ceil=ceil,
        counts="all" if divisor is not None else "padding" if counts else "map",
    )
    return mean if divisor is None else multiply(writer, mean, sides[0] * sides[1] / divisor)


@TORCH.op("adaptive_avg_pool2d.default", "_adaptive_avg_pool2d.default")
def _adaptive_avg_pool2d(writer: Writer, x: Value, size: Any) -> Value:
    return adaptively_pooled(writer, x, both(size))


@TORCH.op("adaptive_max_pool2d.default")
def _adaptive_max_pool2d(writer: Writer, x: Value, size: Any) -> list[Value]:
    """Return the largest of each window; where windows overlap, places are repeated, so that they do not."""
    sides: list[int] = []
    for dim, length in zip((2, 3), both(size), strict=True):
        places, side = windows(x.shape[dim], length)
        x = x if places == list(range(x.shape[dim])) else shaping.taken(x, dim, places)
        sides.append(side)
    return [pooled(x, largest=True, sides=sides, strides=sides, pads=[(0, 0), (0, 0)])]


@TORCH.op("avg_pool3d.default")
def _avg_pool3d(
    writer: Writer, x: Value, side: Sequence[int], stride: Sequence[int] = (), padding: Any = 0, *rest: Any
) -> Value:
    """Return means over neighbouring channels, as local response normalization has them."""
    strides = list(stride or side)
    if [*side[1:], *strides[1:]] != [1] * 4 or any(np.ravel(padding)) or any(rest[:1]) or any(rest[2:]):
        raise ModelError("an average pooling over three dimensions cannot be written")
    windows = TORCH["unfold.default"](writer, x, x.rank - 3, side[0], strides[0])
    return shaping.reduced(tf.reduce_mean, windows, [x.rank])


@TORCH.op("upsample_bilinear2d.vec")
def _bilinear(writer: Writer, x: Value, size: Any, align_corners: bool, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return resized(x, sizes, scales, method="bilinear", align_corners=align_corners)


@TORCH.op("upsample_nearest2d.vec")
def _nearest(writer: Writer, x: Value, size: Any, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return resized(x, sizes, scales, method="nearest", half_pixels=False)


@TORCH.op("_upsample_nearest_exact2d.vec")
def _nearest_exact(writer: Writer, x: Value, size: Any, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return resized(x, sizes, scales, method="nearest", half_pixels=True)
