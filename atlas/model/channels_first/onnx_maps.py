"""ONNX's ops on maps: convolutions, dense layers, norms, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.convolutions import both, convolution, dense, transposed_convolution
from atlas.model.channels_first.norms import batch_norm, group_norm, layer_norm
from atlas.model.channels_first.onnx_call import Call, input_at
from atlas.model.channels_first.op_tables import ONNX, as_fixed, as_value
from atlas.model.channels_first.pointwise import applied, combined, multiply
from atlas.model.channels_first.resampling import adaptively_pooled, pooled
from atlas.model.channels_first.values import Value, as_map, permuted, reshaped
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf
from atlas.model.positions.windows import same_padding

_KERNEL = "a convolution's kernel"


def _check_map(call: Call, x: Value) -> None:
    if x.rank != 4:
        raise ModelError(
            f"{call.op} over {x.rank - 2} dimensions cannot be written", expected="over the two of an image"
        )


def _auto_pad(call: Call) -> str:
    padding = call.get("auto_pad", "NOTSET")
    return "" if padding in ("NOTSET", "VALID") else str(padding)


def _pads(call: Call, x: Value, spans: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Return the padding before and after, for h and w; `spans` are the windows' lengths with their gaps."""
    padding = _auto_pad(call)
    if not padding:
        pads = [int(pad) for pad in call.get("pads", (0, 0, 0, 0))]
        pads = [0, 0, 0, 0] if call.get("auto_pad") == "VALID" else pads
        return [(pads[0], pads[2]), (pads[1], pads[3])]
    pairs = [same_padding(*each) for each in zip(x.shape[2:], spans, strides, strict=True)]
    return pairs if padding == "SAME_UPPER" else [(after, before) for before, after in pairs]


@ONNX.op("Conv")
def _conv(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, weight, bias = inputs[0], as_fixed(inputs[1], _KERNEL), input_at(inputs, 2)
    x = as_value(writer, x)
    _check_map(call, x)
    strides, dilations = both(call.get("strides", 1)), both(call.get("dilations", 1))
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, weight.array.shape[2:], strict=True)]
    return convolution(
        writer,
        x,
        weight,
        None if bias is None else as_fixed(bias, "a convolution's bias"),
        strides=strides,
        pads=_pads(call, x, spans, strides),
        dilations=dilations,
        groups=int(call.get("group", 1)),
        same=_auto_pad(call) == "SAME_UPPER",
    )


@ONNX.op("ConvTranspose")
def _conv_transpose(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, weight, bias = inputs[0], as_fixed(inputs[1], _KERNEL), input_at(inputs, 2)
    _check_map(call, x)
    strides, dilations = both(call.get("strides", 1)), both(call.get("dilations", 1))
    extra = both(call.get("output_padding", 0))
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, weight.array.shape[2:], strict=True)]
    return transposed_convolution(
        writer,
        x,
        weight,
        None if bias is None else as_fixed(bias, "a convolution's bias"),
        strides=strides,
        pads=_transposed_pads(call, x, spans, strides, extra),
        output_padding=extra,
        dilations=dilations,
        groups=int(call.get("group", 1)),
    )


def _transposed_pads(
    call: Call, x: Value, spans: Sequence[int], strides: Sequence[int], extra: Sequence[int]
) -> list[tuple[int, int]]:
    """Return what a transposed convolution cuts off, from the lengths that its result shall have."""
    padding = _auto_pad(call)
    sizes = call.get("output_shape")
    if not padding and not sizes:
        return _pads(call, x, spans, strides)
    sizes = list(sizes)[-2:] if sizes else [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    pairs = []
    for length, size, span, stride, end in zip(x.shape[2:], sizes, spans, strides, extra, strict=True):
        total = stride * (length - 1) + end + span - int(size)
        if total < 0:
            raise ModelError("a transposed convolution to a larger size than it has cannot be written")
        half = total // 2
        pairs.append((half, total - half) if padding == "SAME_UPPER" else (total - half, half))
    return pairs


@ONNX.op("Gemm")
def _gemm(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    a, b, c = inputs[0], inputs[1], input_at(inputs, 2)
    alpha, beta = float(call.get("alpha", 1.0)), float(call.get("beta", 1.0))
    if call.get("transA", 0):
        a = permuted(as_value(writer, a), (1, 0))
    if isinstance(a, Value) and isinstance(b, Fixed):
        weight = b.array if call.get("transB", 0) else b.array.T
        scaled = weight if alpha == 1 else weight * np.float32(alpha)
        kernel = Fixed(b.name, scaled)
        if isinstance(c, Fixed) and c.array.size == weight.shape[0] == c.array.shape[-1]:
            added = c.array.ravel() if beta == 1 else c.array.ravel() * np.float32(beta)
            return dense(writer, a, kernel, Fixed(c.name, added))
        product = dense(writer, a, kernel, None)
    else:
        b = as_value(writer, b)
        b = permuted(b, (1, 0)) if call.get("transB", 0) else b
        product = shaping.product(as_value(writer, a), b)
        product = product if alpha == 1 else multiply(writer, product, alpha)
    if c is None or beta == 0:
        return product
    added = c if beta == 1 else _times(writer, c, beta)
    return combined(writer, tf.add, product, added)


def _times(writer: Writer, operand: Any, factor: float) -> Any:
    if isinstance(operand, Fixed):
        return Fixed(operand.name, operand.array * np.float32(factor))
    return multiply(writer, operand, factor)


@ONNX.op("MatMul")
def _matmul(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    a, b = inputs
    if isinstance(a, Value) and isinstance(b, Fixed) and b.array.ndim == 2:
        return dense(writer, a, Fixed(b.name, b.array.T), None)
    a, b = as_value(writer, a), as_value(writer, b)
    if min(a.rank, b.rank) < 2:
        raise ModelError("a product with a vector cannot be written")
    rank = max(a.rank, b.rank)
    a, b = (reshaped(each, (1,) * (rank - each.rank) + each.shape) for each in (a, b))
    return shaping.product(a, b)


@ONNX.op("BatchNormalization")
def _batch_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> list[Value]:
    x, *rest = inputs
    if call.get("training_mode", 0):
        raise ModelError(
            "a batch norm in training mode mixes the images of a batch",
            remedy="export the model for inference: model.eval() in PyTorch",
        )
    scale, shift, mean, variance = (as_fixed(each, "a batch norm's parameter") for each in rest)
    epsilon = float(call.get("epsilon", 1e-5))
    return [batch_norm(writer, x, scale, shift, mean, variance, epsilon)]


@ONNX.op("InstanceNormalization")
def _instance_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, scale, shift = inputs[0], as_fixed(inputs[1], "a norm's scale"), as_fixed(inputs[2], "a norm's shift")
    epsilon = float(call.get("epsilon", 1e-5))
    if x.rank == 4:
        return group_norm(writer, x, x.shape[1], scale, shift, epsilon)
    normed = layer_norm(writer, x, x.rank - 2, None, None, epsilon)
    return _by_channel(writer, normed, scale, shift)


def _by_channel(writer: Writer, value: Value, scale: Fixed, shift: Fixed) -> Value:
    """Return a value times a factor and plus a term for each entry of its dimension 1."""
    shape = (-1, *(1,) * (value.rank - 2))
    if not (scale.array == 1).all():
        value = multiply(writer, value, Fixed(scale.name, scale.array.reshape(shape)))
    if (shift.array == 0).all():
        return value
    return combined(writer, tf.add, value, Fixed(shift.name, shift.array.reshape(shape)))


@ONNX.op("GroupNormalization")
def _group_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, scale, shift = inputs[0], as_fixed(inputs[1], "a norm's scale"), as_fixed(inputs[2], "a norm's shift")
    _check_map(call, x)
    groups, channels = int(call.get("num_groups")), x.shape[1]
    # Before opset 21 there was one factor a group.
    scale, shift = (
        Fixed(each.name, np.repeat(each.array, channels // each.array.size)) for each in (scale, shift)
    )
    return group_norm(writer, x, groups, scale, shift, float(call.get("epsilon", 1e-5)))


@ONNX.op("LayerNormalization")
def _layer_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> list[Value]:
    x, scale, shift = inputs[0], as_fixed(inputs[1], "a norm's scale"), input_at(inputs, 2)
    n_dims = x.rank - int(call.get("axis", -1)) % x.rank
    if shift is not None:
        shift = as_fixed(shift, "a norm's shift")
    return [layer_norm(writer, x, n_dims, scale, shift, float(call.get("epsilon", 1e-5)))]


@ONNX.op("LRN")
def _local_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, size = as_map(inputs[0]), int(call.get("size"))
    if size % 2 == 0:
        raise ModelError("a local response normalization over an even number of channels cannot be written")
    alpha = float(call.get("alpha", 1e-4)) / size
    beta, bias = float(call.get("beta", 0.75)), float(call.get("bias", 1.0))
    return x.with_tensor(tf.nn.lrn(x.tensor, size // 2, bias, alpha, beta))


@ONNX.op("MaxPool", "AveragePool")
def _pool(writer: Writer, call: Call, inputs: Sequence[Any]) -> list[Value]:
    x = inputs[0]
    _check_map(call, x)
    if call.used[1:] and call.used[1]:
        raise ModelError("the places of the maxima of a pooling cannot be written")
    sides, strides = both(call.get("kernel_shape")), both(call.get("strides", 1))
    if both(call.get("dilations", 1)) != (1, 1):
        raise ModelError("a dilated pooling cannot be written")
    values = pooled(
        x,
        largest=call.op == "MaxPool",
        sides=sides,
        strides=strides,
        pads=_pads(call, x, sides, strides),
        ceil=bool(call.get("ceil_mode", 0)),
        counts="padding" if call.get("count_include_pad", 0) else "map",
    )
    return [values]


@ONNX.op("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x = inputs[0]
    if call.op == "GlobalAveragePool" and x.rank == 4:
        return adaptively_pooled(writer, x, (1, 1))
    function = tf.reduce_mean if call.op == "GlobalAveragePool" else tf.reduce_max
    return shaping.reduced(function, x, range(2, x.rank), True)


@ONNX.op("LpNormalization")
def _lp_norm(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, axis, order = inputs[0], int(call.get("axis", -1)), int(call.get("p", 2))
    if order == 1:
        length = shaping.reduced(tf.reduce_sum, applied(tf.abs, x), [axis], True)
    else:
        length = applied(tf.sqrt, shaping.reduced(tf.reduce_sum, applied(tf.square, x), [axis], True))
    return combined(writer, tf.divide, x, length)
