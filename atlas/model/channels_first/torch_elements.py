"""PyTorch's ops on each element, sums over dimensions, and sums and products of two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.op_tables import TORCH, as_fixed
from atlas.model.channels_first.pointwise import (
    FUNCTIONS,
    applied,
    celu,
    chosen,
    clipped,
    combined,
    elu,
    gelu,
    leaky,
    multiply,
    softplus,
)
from atlas.model.channels_first.values import Value, plain
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

for _name, _function in FUNCTIONS.items():
    TORCH[f"{_name}.default"] = lambda writer, x, _function=_function: applied(_function, x)


@TORCH.op("mean.dim")
def _mean(writer: Writer, x: Value, dims: Sequence[int] | None, keep: bool = False, **_: Any) -> Value:
    return shaping.reduced(tf.reduce_mean, x, dims, keep)


@TORCH.op("sum.dim_IntList")
def _sum(writer: Writer, x: Value, dims: Sequence[int] | None, keep: bool = False, **_: Any) -> Value:
    return shaping.reduced(tf.reduce_sum, x, dims, keep)


for _kind, _most in {"max": tf.reduce_max, "min": tf.reduce_min}.items():
    TORCH[f"a{_kind}.default"] = lambda writer, x, dims=(), keep=False, _most=_most: shaping.reduced(
        _most, x, dims, keep
    )
    TORCH[f"{_kind}.dim"] = lambda writer, x, dim, keep=False, _most=_most: [
        shaping.reduced(_most, x, [dim], keep)
    ]


@TORCH.op("linalg_vector_norm.default")
def _vector_norm(
    writer: Writer, x: Value, order: float = 2, dims: Any = None, keep: bool = False, **_: Any
) -> Value:
    if order != 2:
        raise ModelError(f"a vector norm of order {order:g} cannot be written", expected="2")
    return applied(tf.sqrt, shaping.reduced(tf.reduce_sum, applied(tf.square, x), dims, keep))


@TORCH.op("var_mean.correction")
def _var_mean(
    writer: Writer, x: Value, dims: Any, *, correction: float = 1, keepdim: bool = False
) -> list[Value]:
    return [_var(writer, x, dims, correction=correction, keepdim=keepdim), _mean(writer, x, dims, keepdim)]


@TORCH.op("var.correction")
def _var(writer: Writer, x: Value, dims: Any, *, correction: float = 1, keepdim: bool = False) -> Value:
    dims = list(dims or range(x.rank))
    count = int(np.prod([x.shape[dim] for dim in dims]))
    mean = _mean(writer, x, dims, True)
    squared = combined(writer, tf.math.squared_difference, plain(x), mean)
    return multiply(writer, _mean(writer, squared, dims, keepdim), count / (count - correction))


TORCH["var.dim"] = lambda writer, x, dims, unbiased=True, keep=False: _var(
    writer, x, dims, correction=float(unbiased), keepdim=keep
)
TORCH["std.dim"] = lambda *arguments: applied(tf.sqrt, TORCH["var.dim"](*arguments))
TORCH["std.correction"] = lambda *arguments, **keys: applied(tf.sqrt, _var(*arguments, **keys))


def _scaled(writer: Writer, operand: Any, alpha: float) -> Any:
    if alpha == 1:
        return operand
    if isinstance(operand, Fixed):
        return Fixed(f"{operand.name}.scaled", operand.array * alpha)
    return multiply(writer, operand, alpha) if isinstance(operand, Value) else operand * alpha


@TORCH.op("add.Tensor", "add.Scalar")
def _add(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.add, a, _scaled(writer, b, alpha))


@TORCH.op("sub.Tensor", "sub.Scalar")
def _sub(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.subtract, a, _scaled(writer, b, alpha))


@TORCH.op("rsub.Scalar", "rsub.Tensor")
def _rsub(writer: Writer, a: Any, b: Any, alpha: float = 1) -> Value:
    return combined(writer, tf.subtract, b, _scaled(writer, a, alpha))


@TORCH.op("mul.Tensor", "mul.Scalar")
def _mul(writer: Writer, a: Any, b: Any) -> Value:
    return multiply(writer, a, b)


@TORCH.op("div.Tensor", "div.Scalar")
def _div(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.divide, a, b)


@TORCH.op("maximum.default")
def _maximum(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.maximum, a, b)


@TORCH.op("minimum.default")
def _minimum(writer: Writer, a: Any, b: Any) -> Value:
    return combined(writer, tf.minimum, a, b)


for _name, _function in {
    "gt": tf.greater,
    "ge": tf.greater_equal,
    "lt": tf.less,
    "le": tf.less_equal,
    "eq": tf.equal,
    "ne": tf.not_equal,
}.items():
    for _kind in ("Scalar", "Tensor"):
        TORCH[f"{_name}.{_kind}"] = lambda writer, a, b, _function=_function: combined(
            writer, _function, a, b
        )
TORCH["where.self"] = chosen


@TORCH.op("addcmul.default")
def _addcmul(writer: Writer, x: Any, a: Any, b: Any, value: float = 1) -> Value:
    return combined(writer, tf.add, x, _scaled(writer, multiply(writer, a, b), value))


@TORCH.op("pow.Tensor_Scalar")
def _pow(writer: Writer, x: Value, exponent: float) -> Value:
    by_name = {2: tf.square, 0.5: tf.sqrt, -0.5: tf.math.rsqrt}
    return applied(by_name.get(exponent) or (lambda t: tf.pow(t, float(exponent))), x)


@TORCH.op("clamp.default")
def _clamp(writer: Writer, x: Value, low: Any = None, high: Any = None) -> Value:
    return clipped(x, low, high)


TORCH["hardtanh.default"] = lambda writer, x, low=-1.0, high=1.0: clipped(x, low, high)
TORCH["clamp_min.default"] = lambda writer, x, low: clipped(x, low, None)
TORCH["clamp_max.default"] = lambda writer, x, high: clipped(x, None, high)
TORCH["leaky_relu.default"] = lambda writer, x, slope=0.01: leaky(writer, x, slope)
TORCH["prelu.default"] = lambda writer, x, slope: leaky(writer, x, as_fixed(slope, "a slope"))
TORCH["rrelu.default"] = lambda writer, x, low=1 / 8, high=1 / 3, *_: leaky(writer, x, (low + high) / 2)
TORCH["celu.default"] = lambda writer, x, alpha=1.0: celu(x, alpha)
TORCH["gelu.default"] = lambda writer, x, *, approximate="none": gelu(x, approximate)
TORCH["softmax.int"] = lambda writer, x, dim, *_: shaping.softmax(x, dim)
TORCH["log_softmax.int"] = lambda writer, x, dim, *_: shaping.softmax(x, dim, log=True)


@TORCH.op("elu.default")
def _elu(writer: Writer, x: Value, alpha: float = 1.0, scale: float = 1.0, by: float = 1.0) -> Value:
    if (scale, by) == (1.0, 1.0):
        return elu(x, alpha)
    raise ModelError("an ELU with settings of its own cannot be written", found=(alpha, scale, by))


@TORCH.op("softplus.default")
def _softplus(writer: Writer, x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    if threshold < 20:
        raise ModelError(
            "a softplus that is cut off early cannot be written", found=f"threshold {threshold:g}"
        )
    return softplus(x, beta)
