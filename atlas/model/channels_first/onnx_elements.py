"""ONNX's ops on each element by itself, on two operands, and sums over dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first import shaping
from atlas.model.channels_first.onnx_call import Call, input_at, integers_of, number_of
from atlas.model.channels_first.op_tables import ONNX
from atlas.model.channels_first.pointwise import (
    FUNCTIONS,
    applied,
    celu,
    clipped,
    combined,
    elu,
    gelu,
    leaky,
    multiply,
)
from atlas.model.channels_first.values import Value, plain
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf

# ONNX's name -> the name in PyTorch, of functions of one tensor without settings.
_NAMES = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Mish": "mish",
    "HardSwish": "hardswish",
    "Softsign": "softsign",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Abs": "abs",
    "Neg": "neg",
    "Erf": "erf",
    "Sin": "sin",
    "Cos": "cos",
    "Sign": "sign",
}
_PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": tf.add,
    "Sub": tf.subtract,
    "Mul": tf.multiply,
    "Div": tf.divide,
}
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceMean": tf.reduce_mean,
    "ReduceSum": tf.reduce_sum,
    "ReduceMax": tf.reduce_max,
    "ReduceMin": tf.reduce_min,
    "ReduceProd": tf.reduce_prod,
    "ReduceLogSumExp": tf.reduce_logsumexp,
}
# A reduction -> what is done before its sum, and after.
_NORMS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any] | None]] = {
    "ReduceL1": (tf.abs, None),
    "ReduceL2": (tf.square, tf.sqrt),
    "ReduceSumSquare": (tf.square, None),
}


def _function(function: Callable[..., Any], writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return applied(function, inputs[0])


def _pair(function: Callable[..., Any], writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    if call.get("broadcast") and call.get("axis") is not None:
        raise ModelError("broadcasting along an axis, as before opset 7, cannot be written")
    return combined(writer, function, inputs[0], inputs[1])


for _name, _torch in _NAMES.items():
    ONNX[_name] = partial(_function, FUNCTIONS[_torch])
for _name, _of_two in _PAIRS.items():
    ONNX[_name] = partial(_pair, _of_two)


@ONNX.op("Max", "Min", "Sum", "Mean")
def _several(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    function = {"Max": tf.maximum, "Min": tf.minimum}.get(call.op, tf.add)
    # What depends on no image comes last: two such operands have no op between them.
    ordered = sorted(inputs, key=lambda operand: isinstance(operand, Fixed))
    total: Value = reduce(lambda a, b: combined(writer, function, a, b), ordered)
    return multiply(writer, total, 1 / len(inputs)) if call.op == "Mean" else total


@ONNX.op("Pow")
def _pow(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    base, exponent = inputs
    if isinstance(base, Value) and isinstance(exponent, Fixed) and exponent.array.size == 1:
        number = float(exponent.array.ravel()[0])
        by_number = {1.0: tf.identity, 2.0: tf.square, 0.5: tf.sqrt, -0.5: tf.math.rsqrt}
        known = by_number.get(number)
        if exponent.array.ndim <= base.rank:
            return applied(known or (lambda tensor: tf.pow(tensor, number)), base)
    return combined(writer, tf.pow, base, exponent)


@ONNX.op("Clip")
def _clip(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    low, high = number_of(call, inputs, 1, "min"), number_of(call, inputs, 2, "max")
    # Older exporters state the ends of float32 where there is no bound.
    limit = float(np.finfo(np.float32).max)
    low = None if low is not None and low <= -limit else low
    high = None if high is not None and high >= limit else high
    return clipped(inputs[0], low, high)


@ONNX.op("LeakyRelu")
def _leaky(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return leaky(writer, inputs[0], float(call.get("alpha", 0.01)))


@ONNX.op("PRelu")
def _prelu(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, slope = inputs
    if isinstance(slope, Fixed) and isinstance(x, Value):
        shape = (1,) * (x.rank - slope.array.ndim) + slope.array.shape
        if slope.array.size == 1 or (x.rank > 1 and shape == _one_a_channel(x)):
            return leaky(writer, x, slope)
    x = plain(x)
    below = combined(writer, tf.multiply, x.with_tensor(tf.nn.relu(-x.tensor)), slope)
    return combined(writer, tf.subtract, x.with_tensor(tf.nn.relu(x.tensor)), below)


def _one_a_channel(x: Value) -> tuple[int, ...]:
    return (1, x.shape[1], *(1,) * (x.rank - 2))


def _refuse_settings(call: Call, **usual: float) -> None:
    """Raise ModelError where an activation's settings are not the usual ones."""
    for name, number in usual.items():
        if abs(float(call.get(name, number)) - number) > 1e-6:
            raise ModelError(
                f"{call.op} with {name} = {call.get(name):g} cannot be written", expected=f"{number:g}"
            )


@ONNX.op("Elu")
def _elu(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return elu(inputs[0], float(call.get("alpha", 1.0)))


@ONNX.op("Selu")
def _selu(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    _refuse_settings(call, alpha=1.6732632, gamma=1.0507010)
    return applied(tf.nn.selu, inputs[0])


@ONNX.op("Celu")
def _celu(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return celu(inputs[0], float(call.get("alpha", 1.0)))


@ONNX.op("Softplus")
def _softplus(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return applied(tf.math.softplus, inputs[0])


@ONNX.op("HardSigmoid")
def _hard_sigmoid(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    alpha, beta = float(call.get("alpha", 0.2)), float(call.get("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return applied(FUNCTIONS["hardsigmoid"], inputs[0])
    return clipped(applied(lambda x: x * alpha + beta, inputs[0]), 0.0, 1.0)


@ONNX.op("Swish")
def _swish(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    alpha = float(call.get("alpha", 1.0))
    return applied(lambda x: x * tf.sigmoid(x * alpha if alpha != 1 else x), inputs[0])


@ONNX.op("Gelu")
def _gelu(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    return gelu(inputs[0], str(call.get("approximate", "none")))


@ONNX.op("Softmax", "LogSoftmax")
def _softmax(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x = inputs[0]
    axis = int(call.get("axis", 1 if call.opset < 13 else -1)) % x.rank
    # Until opset 12 all dimensions from the axis on were one.
    if call.opset < 13 and any(length != 1 for length in x.shape[axis + 1 :]):
        raise ModelError(
            "a softmax over several dimensions cannot be written", found=f"axis {axis} of {x.rank}"
        )
    return shaping.softmax(x, axis, log=call.op == "LogSoftmax")


@ONNX.op(*_REDUCTIONS, *_NORMS)
def _reduced(writer: Writer, call: Call, inputs: Sequence[Any]) -> Value:
    x, keep = inputs[0], bool(call.get("keepdims", 1))
    axes = integers_of(call, inputs, 1, "axes")
    before, after = _NORMS.get(call.op, (None, None))
    if before is not None:
        x = applied(before, x)
    if axes or not call.get("noop_with_empty_axes", 0):
        x = shaping.reduced(_REDUCTIONS.get(call.op, tf.reduce_sum), x, axes, keep)
    return applied(after, x) if after is not None else x


@ONNX.op("Identity", "Dropout", "Cast", "CastLike")
def _passed_on(writer: Writer, call: Call, inputs: Sequence[Any]) -> list[Value]:
    if call.op == "Dropout":
        training = input_at(inputs, 2)
        if isinstance(training, Fixed) and training.array.any():
            raise ModelError("a dropout in training mode draws random numbers")
        if call.used[1:] and call.used[1]:
            raise ModelError("the mask of a dropout cannot be written")
    like = input_at(inputs, 1) if call.op == "CastLike" else None
    whole = isinstance(like, Fixed) and like.array.dtype.kind in "iub"
    if whole or (call.op == "Cast" and int(call.get("to")) not in _FLOATS):
        raise ModelError("a value cast to whole numbers cannot be written")
    return [inputs[0]]


# ONNX's numbers for float32, float16, float64 and bfloat16.
_FLOATS = frozenset({1, 10, 11, 16})
