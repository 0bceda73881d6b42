"""Ops at each place by itself: activations, and sums and products broadcast as the source does it."""

from __future__ import annotations

from collections.abc import Callable
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
    return x * tf.tanh(tf.math.softplus(x))


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
    "sign": tf.sign,
}


def applied(function: Callable[..., Any], value: Value, *arguments: Any) -> Value:
    """Return a function of each element."""
    return value.with_tensor(function(value.tensor, *arguments))


def celu(value: Value, alpha: float) -> Value:
    """Return a CELU: `alpha` bounds it from below, and its slope is continuous."""
    return applied(lambda x: tf.nn.elu(x) if alpha == 1 else alpha * tf.nn.elu(x / alpha), value)


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


def combined(writer: Writer, function: Callable[[Any, Any], Any], a: Operand, b: Operand) -> Value:
    """Return a function of two operands, broadcast as in the source; one at least is a value."""
    if isinstance(a, Value) and isinstance(b, Value):
        return _of_two(function, a, b)
    value, other = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(value, Value), "an op without an image's value is computed by the source"
    if isinstance(other, Fixed) and other.array.size == 1 and other.array.ndim <= value.rank:
        other = float(other.array.ravel()[0])
    shape = value.shape
    tensor: Any = other if isinstance(other, Fixed) else float(other)  # type: ignore[arg-type]
    if isinstance(other, Fixed):
        value = plain(value)
        rank = max(value.rank, other.array.ndim)
        value = reshaped(value, (1,) * (rank - value.rank) + value.shape)
        shape = np.broadcast_shapes(value.shape, other.array.shape)
        tensor = writer.fixed(other, value)
    operands = (value.tensor, tensor) if isinstance(a, Value) else (tensor, value.tensor)
    return Value(function(*operands), value.axes, tuple(shape), value.order)


def multiply(writer: Writer, a: Operand, b: Operand) -> Value:
    """Return a product."""
    return combined(writer, tf.multiply, a, b)


def _of_two(function: Callable[[Any, Any], Any], a: Value, b: Value) -> Value:
    alike = a.axes == b.axes and a.order is not None and np.array_equal(a.order, b.order)  # type: ignore[arg-type]
    if not alike:
        a, b = plain(a), plain(b)
        rank = max(a.rank, b.rank)
        a, b = (reshaped(each, (1,) * (rank - each.rank) + each.shape) for each in (a, b))
        axes = max((a, b), key=lambda each: sum(length != 1 for length in each.shape)).axes
        a, b = laid_out(a, axes), laid_out(b, axes)
    shape = np.broadcast_shapes(a.shape, b.shape)
    return Value(function(a.tensor, b.tensor), a.axes, tuple(shape), a.order)
