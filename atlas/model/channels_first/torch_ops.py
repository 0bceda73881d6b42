"""The table of PyTorch's ops: the name of each in an exported program, and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import operations as ops
from atlas.model.channels_first import shaping
from atlas.model.channels_first.pointwise import FUNCTIONS, applied, clipped, combined, leaky, multiply
from atlas.model.channels_first.values import Value, permuted, plain, reshaped
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

Handler = Callable[..., Any]
TABLE: dict[str, Handler] = {}


def _op(*names: str) -> Callable[[Handler], Handler]:
    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def _value(writer: Writer, operand: Value | Fixed) -> Value:
    return shaping.moved(writer, operand) if isinstance(operand, Fixed) else operand


def _fixed(operand: Any, what: str) -> Fixed:
    if isinstance(operand, Fixed):
        return operand
    raise ModelError(f"{what} depends on the image", expected="a parameter")


# What passes a tensor on.
for _name in (
    "clone.default alias.default detach.default dropout.default contiguous.default lift_fresh_copy.default "
    "_to_copy.default to.dtype to.dtype_layout feature_dropout.default alpha_dropout.default"
).split():
    TABLE[_name] = lambda writer, x, *_, **__: x
for _name, _function in FUNCTIONS.items():
    TABLE[f"{_name}.default"] = lambda writer, x, _function=_function: applied(_function, x)


@_op("conv2d.default", "conv2d.padding")
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
    weight = _fixed(weight, "a convolution's kernel")
    dilations = ops.both(dilation)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilations, weight.array.shape[2:], strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    else:
        pads = ops.symmetric(0 if padding == "valid" else padding)
    return ops.convolution(
        writer, x, weight, bias, strides=ops.both(stride), pads=pads, dilations=dilations, groups=groups
    )


@_op("conv_transpose2d.input")
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
    return ops.transposed_convolution(
        writer,
        x,
        _fixed(weight, "a convolution's kernel"),
        bias,
        strides=ops.both(stride),
        pads=ops.symmetric(padding),
        output_padding=ops.both(output_padding),
        dilations=ops.both(dilation),
        groups=groups,
    )


@_op("linear.default")
def _linear(writer: Writer, x: Value, weight: Any, bias: Any = None) -> Value:
    return ops.dense(writer, x, _fixed(weight, "a dense layer's weights"), bias)


@_op("addmm.default")
def _addmm(writer: Writer, bias: Any, x: Value, weight: Any) -> Value:
    kernel = _fixed(weight, "a dense layer's weights")
    return ops.dense(writer, x, Fixed(kernel.name, kernel.array.T), bias)


@_op("matmul.default", "bmm.default", "mm.default")
def _matmul(writer: Writer, a: Any, b: Any) -> Value:
    if isinstance(b, Fixed) and b.array.ndim == 2:
        return ops.dense(writer, a, Fixed(b.name, b.array.T), None)
    return shaping.product(_value(writer, a), _value(writer, b))


@_op("scaled_dot_product_attention.default")
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
    if mask is not None:
        scores = combined(writer, tf.add, scores, mask)
    return shaping.product(shaping.softmax(scores, -1), value)


@_op("_native_batch_norm_legit_no_training.default")
def _batch_norm(
    writer: Writer, x: Value, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> list[Value]:
    return [ops.batch_norm(writer, x, weight, bias, mean, var, eps)]


@_op("batch_norm.default")
def _whole_batch_norm(writer: Writer, x: Value, weight: Any, bias: Any, *rest: Any) -> Value:
    mean, var, training, _, eps, *_ = rest
    if training or mean is None:
        raise ModelError("a batch norm without running statistics mixes the images of a batch")
    return ops.batch_norm(writer, x, weight, bias, mean, var, eps)


@_op("layer_norm.default")
def _layer_norm(
    writer: Writer,
    x: Value,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    return ops.layer_norm(writer, x, len(shape), weight, bias, eps)


@_op("group_norm.default")
def _group_norm(
    writer: Writer, x: Value, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Value:
    return ops.group_norm(writer, x, groups, weight, bias, eps)


@_op("instance_norm.default")
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
        return ops.batch_norm(writer, x, weight, bias, mean, var, eps)
    return ops.group_norm(writer, x, x.shape[1], weight, bias, eps)


@_op("max_pool2d.default", "max_pool2d_with_indices.default")
def _max_pool2d(
    writer: Writer,
    x: Value,
    side: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> Any:
    if ops.both(dilation) != (1, 1):
        raise ModelError("a dilated pooling cannot be written")
    strides = ops.both(stride or side)
    return ops.pooled(
        x, largest=True, sides=ops.both(side), strides=strides, pads=ops.symmetric(padding), ceil=ceil
    )


@_op("avg_pool2d.default")
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
    sides = ops.both(side)
    mean = ops.pooled(
        x,
        largest=False,
        sides=sides,
        strides=ops.both(stride or side),
        pads=ops.symmetric(padding),
        ceil=ceil,
        counts_padding=counts or divisor is not None,
    )
    return mean if divisor is None else multiply(writer, mean, sides[0] * sides[1] / divisor)


@_op("adaptive_avg_pool2d.default", "_adaptive_avg_pool2d.default")
def _adaptive_avg_pool2d(writer: Writer, x: Value, size: Any) -> Value:
    return ops.adaptively_pooled(writer, x, ops.both(size))


@_op("adaptive_max_pool2d.default")
def _adaptive_max_pool2d(writer: Writer, x: Value, size: Any) -> list[Value]:
    if ops.both(size) != (1, 1):
        raise ModelError("an adaptive pooling by maxima to more than one place cannot be written")
    return [shaping.reduced(tf.reduce_max, x, (2, 3), True)]


@_op("mean.dim")
def _mean(writer: Writer, x: Value, dims: Sequence[int] | None, keep: bool = False, **_: Any) -> Value:
    return shaping.reduced(tf.reduce_mean, x, dims, keep)


@_op("sum.dim_IntList")
def _sum(writer: Writer, x: Value, dims: Sequence[int] | None, keep: bool = False, **_: Any) -> Value:
    return shaping.reduced(tf.reduce_sum, x, dims, keep)


@_op("amax.default")
def _amax(writer: Writer, x: Value, dims: Sequence[int] = (), keep: bool = False) -> Value:
    return shaping.reduced(tf.reduce_max, x, dims, keep)


@_op("max.dim")
def _max(writer: Writer, x: Value, dim: int, keep: bool = False) -> list[Value]:
    return [shaping.reduced(tf.reduce_max, x, [dim], keep)]


@_op("linalg_vector_norm.default")
def _vector_norm(
    writer: Writer, x: Value, order: float = 2, dims: Any = None, keep: bool = False, **_: Any
) -> Value:
    if order != 2:
        raise ModelError(f"a vector norm of order {order:g} cannot be written", expected="2")
    return applied(tf.sqrt, shaping.reduced(tf.reduce_sum, applied(tf.square, x), dims, keep))


@_op("var_mean.correction")
def _var_mean(
    writer: Writer, x: Value, dims: Any, *, correction: float = 1, keepdim: bool = False
) -> list[Value]:
    return [_var(writer, x, dims, correction=correction, keepdim=keepdim), _mean(writer, x, dims, keepdim)]


@_op("var.correction")
def _var(writer: Writer, x: Value, dims: Any, *, correction: float = 1, keepdim: bool = False) -> Value:
    count = int(np.prod([x.shape[dim] for dim in dims]))
    mean = _mean(writer, x, dims, True)
    squared = combined(writer, tf.math.squared_difference, plain(x), mean)
    return multiply(writer, _mean(writer, squared, dims, keepdim), count / (count - correction))


def _scaled(writer: Writer, operand: Any, alpha: float) -> Any:
    if alpha == 1:
        return operand
    if isinstance(operand, Fixed):
        return Fixed(f"{operand.name}.scaled", operand.array * alpha)
    return multiply(writer, operand, alpha) if isinstance(operand, Value) else operand * alpha


@_op("add.Tensor", "add.Scalar")
def _add(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.add, a, _scaled(writer, b, alpha))


@_op("sub.Tensor", "sub.Scalar")
def _sub(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.subtract, a, _scaled(writer, b, alpha))


@_op("rsub.Scalar", "rsub.Tensor")
def _rsub(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.subtract, b, _scaled(writer, a, alpha))


@_op("mul.Tensor", "mul.Scalar")
def _mul(writer: Writer, a: Any, b: Any) -> Value:
    return multiply(writer, a, b)


@_op("div.Tensor", "div.Scalar")
def _div(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.divide, a, b)


@_op("maximum.default")
def _maximum(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.maximum, a, b)


@_op("minimum.default")
def _minimum(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.minimum, a, b)


@_op("addcmul.default")
def _addcmul(writer: Writer, x: Any, a: Any, b: Any, value: float = 1) -> Value:
    return combined(writer, tf.add, x, _scaled(writer, multiply(writer, a, b), value))


@_op("pow.Tensor_Scalar")
def _pow(writer: Writer, x: Value, exponent: float) -> Value:
    by_name = {2: tf.square, 0.5: tf.sqrt, -0.5: tf.math.rsqrt}
    return applied(by_name.get(exponent) or (lambda t: tf.pow(t, float(exponent))), x)


@_op("clamp.default", "hardtanh.default")
def _clamp(writer: Writer, x: Value, low: Any = None, high: Any = None) -> Value:
    return clipped(x, low, high)


TABLE["hardtanh.default"] = lambda writer, x, low=-1.0, high=1.0: clipped(x, low, high)
TABLE["clamp_min.default"] = lambda writer, x, low: clipped(x, low, None)
TABLE["clamp_max.default"] = lambda writer, x, high: clipped(x, None, high)
TABLE["leaky_relu.default"] = lambda writer, x, slope=0.01: leaky(writer, x, slope)
TABLE["prelu.default"] = lambda writer, x, slope: leaky(writer, x, _fixed(slope, "a slope"))
TABLE["rrelu.default"] = lambda writer, x, low=1 / 8, high=1 / 3, *_: leaky(writer, x, (low + high) / 2)
TABLE["softmax.int"] = lambda writer, x, dim, *_: shaping.softmax(x, dim)
TABLE["log_softmax.int"] = lambda writer, x, dim, *_: shaping.softmax(x, dim, log=True)


@_op("elu.default")
def _elu(writer: Writer, x: Value, alpha: float = 1.0, scale: float = 1.0, by: float = 1.0) -> Value:
    if (alpha, scale, by) == (1.0, 1.0, 1.0):
        return applied(tf.nn.elu, x)
    raise ModelError("an ELU with settings of its own cannot be written", found=(alpha, scale, by))


@_op("celu.default")
def _celu(writer: Writer, x: Value, alpha: float = 1.0) -> Value:
    return applied(lambda t: alpha * tf.nn.elu(t / alpha) if alpha != 1 else tf.nn.elu(t), x)


@_op("softplus.default")
def _softplus(writer: Writer, x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    return applied(lambda t: tf.math.softplus(t * beta) / beta if beta != 1 else tf.math.softplus(t), x)


@_op("gelu.default")
def _gelu(writer: Writer, x: Value, *, approximate: str = "none") -> Value:
    return applied(lambda t: tf.nn.gelu(t, approximate == "tanh"), x)


@_op("upsample_bilinear2d.vec")
def _bilinear(writer: Writer, x: Value, size: Any, align_corners: bool, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return ops.resized(x, sizes, scales, method="bilinear", align_corners=align_corners)


@_op("upsample_nearest2d.vec")
def _nearest(writer: Writer, x: Value, size: Any, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return ops.resized(x, sizes, scales, method="nearest", half_pixels=False)


@_op("_upsample_nearest_exact2d.vec")
def _nearest_exact(writer: Writer, x: Value, size: Any, scales: Any = None) -> Value:
    sizes = size or [int(n * by) for n, by in zip(x.shape[2:], scales, strict=True)]
    return ops.resized(x, sizes, scales, method="nearest", half_pixels=True)


@_op("view.default", "reshape.default", "_unsafe_view.default", "_reshape_copy.default")
def _view(writer: Writer, x: Value, shape: Sequence[int]) -> Value:
    known = -int(np.prod(shape)) if -1 in shape else 1
    total = int(np.prod(x.shape))
    return reshaped(x, [total // known if length == -1 else length for length in shape])


@_op("flatten.using_ints")
def _flatten(writer: Writer, x: Value, start: int = 0, end: int = -1) -> Value:
    start, end = start % x.rank, end % x.rank
    return reshaped(x, (*x.shape[:start], int(np.prod(x.shape[start : end + 1])), *x.shape[end + 1 :]))


@_op("unflatten.int")
def _unflatten(writer: Writer, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    dim %= x.rank
    known = -int(np.prod(sizes)) if -1 in sizes else 1
    lengths = [x.shape[dim] // known if n == -1 else n for n in sizes]
    return reshaped(x, (*x.shape[:dim], *lengths, *x.shape[dim + 1 :]))


@_op("unsqueeze.default")
def _unsqueeze(writer: Writer, x: Value, dim: int) -> Value:
    dim %= x.rank + 1
    return reshaped(x, (*x.shape[:dim], 1, *x.shape[dim:]))


TABLE["squeeze.default"] = lambda writer, x: shaping.squeezed(x)
TABLE["squeeze.dim"] = lambda writer, x, dim: shaping.squeezed(x, [dim])
TABLE["squeeze.dims"] = lambda writer, x, dims: shaping.squeezed(x, dims)
TABLE["permute.default"] = lambda writer, x, dims: permuted(x, dims)
TABLE["t.default"] = lambda writer, x: permuted(x, list(range(x.rank))[::-1])


@_op("transpose.int")
def _transpose(writer: Writer, x: Value, a: int, b: int) -> Value:
    dims = list(range(x.rank))
    dims[a], dims[b] = dims[b], dims[a]
    return permuted(x, dims)


TABLE["cat.default"] = lambda writer, parts, dim=0: shaping.joined(writer, parts, dim)
TABLE["stack.default"] = lambda writer, parts, dim=0: shaping.stacked(writer, parts, dim)
TABLE["split_with_sizes.default"] = lambda writer, x, sizes, dim=0: shaping.split(x, sizes, dim)
TABLE["select.int"] = lambda writer, x, dim, index: shaping.selected(x, dim, index)
TABLE["expand.default"] = lambda writer, x, shape, **_: shaping.expanded(x, shape)
TABLE["repeat.default"] = lambda writer, x, times: shaping.repeated(x, times)
TABLE["pixel_shuffle.default"] = lambda writer, x, factor: shaping.shuffled_out(x, factor)
TABLE["pixel_unshuffle.default"] = lambda writer, x, factor: shaping.shuffled_in(x, factor)
TABLE["channel_shuffle.default"] = lambda writer, x, groups: _channel_shuffle(x, groups)


def _channel_shuffle(x: Value, groups: int) -> Value:
    n, channels, h, w = x.shape
    apart = reshaped(x, (n, groups, channels // groups, h, w))
    return reshaped(permuted(apart, (0, 2, 1, 3, 4)), x.shape)


@_op("split.Tensor")
def _split(writer: Writer, x: Value, size: int, dim: int = 0) -> list[Value]:
    length = x.shape[dim]
    return shaping.split(x, [min(size, length - at) for at in range(0, length, size)], dim)


@_op("chunk.default")
def _chunk(writer: Writer, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    size = -(-x.shape[dim] // chunks)
    parts: list[Value] = _split(writer, x, size, dim)
    return parts


@_op("unbind.int")
def _unbind(writer: Writer, x: Value, dim: int = 0) -> list[Value]:
    return [shaping.selected(x, dim, index) for index in range(x.shape[dim])]


@_op("slice.Tensor")
def _slice(
    writer: Writer, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    return shaping.cut(x, dim, start, end, step)


@_op("index_select.default")
def _index_select(writer: Writer, x: Value, dim: int, index: Any) -> Value:
    return shaping.taken(x, dim, _fixed(index, "an index").array)


@_op("index.Tensor")
def _index(writer: Writer, x: Value, indices: Sequence[Any]) -> Value:
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if len(given) == 1 and isinstance(given[0][1], Fixed) and given[0][1].array.ndim == 1:
        return shaping.taken(x, given[0][0], given[0][1].array)
    raise ModelError("an index over several dimensions cannot be written")


@_op("flip.default")
def _flip(writer: Writer, x: Value, dims: Sequence[int]) -> Value:
    x = plain(x)
    return x.with_tensor(tf.reverse(x.tensor, [x.axis(dim) for dim in dims]))


@_op("roll.default")
def _roll(writer: Writer, x: Value, shifts: Sequence[int], dims: Sequence[int] = ()) -> Value:
    return shaping.rolled(x, shifts, dims)


@_op("pad.default")
def _pad(
    writer: Writer, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    return shaping.padded(x, pairs, mode, value or 0.0)


TABLE["constant_pad_nd.default"] = lambda writer, x, pad, value=0.0: _pad(writer, x, pad, "constant", value)
TABLE["reflection_pad2d.default"] = lambda writer, x, pad: _pad(writer, x, pad, "reflect")
TABLE["replication_pad2d.default"] = lambda writer, x, pad: _pad(writer, x, pad, "replicate")
