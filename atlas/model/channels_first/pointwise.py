"""Ops at each place by itself: activations, and sums and products broadcast as the source does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from atlas.model.channels_first.values import Value, laid_out, plain, reshaped
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

Operand = Value | Fixed | float | int


def _hard_sigmoid(x: Any) -> Any:
    return tf.nn.relu6(x + 3.0) * (1 / 6)


def _silu(x: Any) -> Any:
    return x * tf.sigmoid(x)


def _mish(x: Any) -> Any:
    # Written with a plain softplus, TensorFlow fuses it with a batch norm, and then cannot run it.
    return x * tf.tanh(tf.nn.relu(x) + tf.math.softplus(-tf.abs(x)))


# Activations and other functions of one tensor, by their names in PyTorch.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "silu": _silu,
    "mish": _mish,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": lambda x: x * _hard_sigmoid(x),
    "selu": tf.nn.selu,
    "softsign": tf.nn.softsign,
    "exp": tf.exp,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "rsqrt": tf.math.rsqrt,
    "reciprocal": tf.math.reciprocal,
    "abs": tf.abs,
    "neg": tf.negative,
    "erf": tf.math.erf,
    "square": tf.square,
    "sin": tf.sin,
    "cos": tf.cos,
    "atan": tf.atan,
    "expm1": tf.math.expm1,
    "sign": tf.sign,
}


def applied(function: Callable[..., Any], value: Value, *arguments: Any) -> Value:
    """Return a function of each element."""
    return value.with_tensor(function(value.tensor, *arguments))


def elu(value: Value, alpha: float, by: float = 1.0) -> Value:
    """Return an ELU: `alpha` bounds it from below, and `by` scales what is below zero.

    It ends in a single sum, so that a layer ends there too, and not before a factor.
    """
    if alpha == by == 1:
        return applied(tf.nn.elu, value)
    return applied(lambda x: tf.nn.relu(x) + alpha * tf.nn.elu(tf.nn.relu(-x) * -by), value)


def celu(value: Value, alpha: float) -> Value:
    """Return a CELU: `alpha` bounds it from below, and its slope is continuous."""
    return elu(value, alpha, 1 / alpha)


def softplus(value: Value, beta: float) -> Value:
    """Return a softplus; `beta` says how sharp its bend is. It ends in a single sum, as ELU does."""
    if beta == 1:
        return applied(tf.math.softplus, value)
    return applied(lambda x: tf.nn.relu(x) + tf.math.softplus(tf.abs(x) * -beta) / beta, value)


def gelu(value: Value, approximation: str) -> Value:
    """Return a GELU: "tanh" for its approximation, "none" for the exact one."""
    return applied(lambda x: tf.nn.gelu(x, approximation == "tanh"), value)


def clipped(value: Value, low: float | None, high: float | None) -> Value:
    """Return values held within bounds; None is no bound."""
    if (low, high) == (0, None):
        return applied(tf.nn.relu, value)
    if (low, high) == (0, 6):
        return applied(tf.nn.relu6, value)
    tensor = value.tensor
    if low is not None and high is not None:
        return value.with_tensor(tf.clip_by_value(tensor, float(low), float(high)))
    if low is not None:
        tensor = tf.maximum(tensor, float(low))
    if high is not None:
        tensor = tf.minimum(tensor, float(high))
    return value.with_tensor(tensor)


def leaky(writer: Writer, value: Value, slope: Fixed | float) -> Value:
    """Return a ReLU with a slope below zero: one number, or one a channel (PReLU)."""
    if not isinstance(slope, Fixed):
        return applied(lambda x: tf.nn.leaky_relu(x, float(slope)), value)
    if slope.array.size == 1:
        return applied(lambda x: tf.nn.leaky_relu(x, float(slope.array.ravel()[0])), value)
    value = plain(value)
    channels = slope.array.reshape(-1, *(1,) * (value.rank - 2))
    factor = writer.fixed(Fixed(slope.name, channels), value)
    return value.with_tensor(tf.nn.relu(value.tensor) - factor * tf.nn.relu(-value.tensor))


def combined(writer: Writer, function: Callable[..., Any], *operands: Operand) -> Value:
    """Return a function of operands, broadcast as in the source; one at least is a value."""
    values = [each for each in operands if isinstance(each, Value)]
    assert values, "an op without an image's value is computed by the source"
    rank = max(each.rank for each in values)
    operands = tuple(_number(each, rank) for each in operands)
    fixed = [each for each in operands if isinstance(each, Fixed)]
    if fixed or not _alike(values):
        rank = max(rank, *(each.array.ndim for each in fixed), 0)
        operands = tuple(_of_rank(each, rank) if isinstance(each, Value) else each for each in operands)
        values = [each for each in operands if isinstance(each, Value)]
    widest = max(values, key=lambda each: sum(length != 1 for length in each.shape))
    tensors: list[Any] = []
    for each in operands:
        if isinstance(each, Value):
            tensors.append(each.tensor if each.axes == widest.axes else laid_out(each, widest.axes).tensor)
        else:
            tensors.append(writer.fixed(each, widest) if isinstance(each, Fixed) else float(each))
    shape = np.broadcast_shapes(*(v.shape for v in values), *(each.array.shape for each in fixed))
    return Value(function(*tensors), widest.axes, tuple(shape), widest.order)


def _number(operand: Operand, rank: int) -> Operand:
    """Return a parameter of one element as a number."""
    if isinstance(operand, Fixed) and operand.array.size == 1 and operand.array.ndim <= rank:
        return float(operand.array.ravel()[0])
    return operand


def _alike(values: Sequence[Value]) -> bool:
    """Return whether values have the same layout, and their features the same order."""
    first, *rest = values
    return all(
        each.axes == first.axes and np.array_equal(each.order, first.order)  # type: ignore[arg-type]
        for each in rest
    )


def _of_rank(value: Value, rank: int) -> Value:
    value = plain(value)
    return reshaped(value, (1,) * (rank - value.rank) + value.shape)


def numbers(operand: Any) -> Any:
    """Return what is true or false as 1 or 0, anything else as it is."""
    is_mask = isinstance(operand, Value) and operand.tensor.dtype == tf.bool
    return operand.with_tensor(tf.cast(operand.tensor, tf.float32)) if is_mask else operand


def multiply(writer: Writer, a: Operand, b: Operand) -> Value:
    """Return a product."""
    return combined(writer, tf.multiply, numbers(a), numbers(b))


def chosen(writer: Writer, mask: Operand, a: Operand, b: Operand) -> Value:
    """Return `a` where a mask is true, and `b` elsewhere."""
    return combined(writer, lambda m, x, y: tf.where(tf.cast(m, tf.bool), x, y), mask, a, b)
