"""Tests of atlas.model.channels_first.onnx_elements: activations, sums and products against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_models import (
    check,
    integers,
    model,
    node,
    weight,
)

pytestmark = pytest.mark.slow

FUNCTIONS: dict[str, dict[str, Any]] = {
    "Relu": {},
    "Sigmoid": {},
    "Tanh": {},
    "Mish": {},
    "HardSwish": {},
    "Softsign": {},
    "Softplus": {},
    "Exp": {},
    "Reciprocal": {},
    "Abs": {},
    "Neg": {},
    "Erf": {},
    "Sin": {},
    "Cos": {},
    "Sign": {},
    "Elu": {"alpha": 0.7},
    "Selu": {},
    "Celu": {"alpha": 0.5},
    "LeakyRelu": {"alpha": 0.2},
    "HardSigmoid": {},
    "Gelu": {},
    "Identity": {},
    "Dropout": {},
    "Softmax": {"axis": 1},
    "LogSoftmax": {"axis": 1},
    "ReduceMean": {"keepdims": 0},
    "ReduceL1": {},
    "ReduceL2": {},
    "ReduceSumSquare": {},
    "ReduceLogSumExp": {},
    "LpNormalization": {"axis": 1},
}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_of_one_value(op: str) -> None:
    """Activations and sums with their usual settings are those of onnxruntime."""
    axes = {"axes": integers(1, 2)} if op.startswith("Reduce") else {}
    opset = 20 if op == "Gelu" else 18
    check(model([node(op, " ".join(["images", *axes]), "y", **FUNCTIONS[op])], axes, opset=opset))


def test_settings_of_activations() -> None:
    """Activations whose settings mean another function are written as that function."""
    nodes = [
        node("HardSigmoid", "images", "a", alpha=1 / 6, beta=0.5),
        node("Gelu", "images", "b", approximate="tanh"),
        node("LpNormalization", "images", "c", axis=1, p=1),
        node("Exp", "images", "d"),
        node("Log", "d", "e"),
        node("Sqrt", "d", "f"),
    ]
    check(model(nodes, opset=20, outputs="abcdef"))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow"])
@pytest.mark.parametrize("shape", [(), (1,), (6, 1, 1), (1, 6, 1, 1), (12,), (10, 12), (1, 6, 10, 12)])
def test_products_and_sums_with_constants(op: str, shape: tuple[int, ...]) -> None:
    """A constant of any shape is broadcast as ONNX does it, from either side."""
    nodes = [
        node("Exp", "images", "x"),
        node(op, "x block.gamma", "a"),
        node(op, "block.gamma x", "b"),
    ]
    check(model(nodes, {"block.gamma": np.abs(weight(*shape)) + 0.5}, outputs="ab"), tolerance=5e-6)


def test_products_and_sums_of_values() -> None:
    """Values are broadcast against each other, as gates of channels are."""
    nodes = [
        node("GlobalAveragePool", "images", "a"),
        node("Mul", "images a", "b"),
        node("Add", "b images", "c"),
        node("Max", "a b half", "d"),
        node("Min", "d images", "e"),
        node("Sum", "a b c", "f"),
        node("Mean", "a b half", "g"),
    ]
    check(model(nodes, {"half": np.array([0.5], np.float32)}, outputs="defg"))


@pytest.mark.parametrize("shape", [(6, 1, 1), (1,), (1, 1, 12), (6, 10, 12)])
def test_slopes(shape: tuple[int, ...]) -> None:
    """A ReLU's learned slopes are one a channel, one for all, or of any shape."""
    check(model([node("PRelu", "images act.weight", "y")], {"act.weight": weight(*shape)}))


@pytest.mark.parametrize("exponent", [1.0, 2.0, 0.5, -0.5, 3.0])
def test_powers(exponent: float) -> None:
    """A power by a number is the function that has a name, where there is one."""
    nodes = [node("Exp", "images", "a"), node("Pow", "a by", "b")]
    check(model(nodes, {"by": np.array(exponent, np.float32)}))


@pytest.mark.parametrize("bounds", [(0.0, 6.0), (-0.5, 0.5), (None, 0.3), (0.0, None), (None, None)])
@pytest.mark.parametrize("opset", [9, 13])
def test_bounds(bounds: tuple[float | None, float | None], opset: int) -> None:
    """Bounds are inputs, in older models attributes."""
    names = [name for name, bound in zip(("min", "max"), bounds, strict=True) if bound is not None]
    numbers = {name: bound for name, bound in zip(("min", "max"), bounds, strict=True) if bound is not None}
    if opset == 9:
        check(model([node("Clip", "images", "y", **numbers)], opset=9))
        return
    inputs = "images " + " ".join(name if name in names else "-" for name in ("min", "max"))
    check(model([node("Clip", inputs, "y")], {k: np.array(v, np.float32) for k, v in numbers.items()}))


@pytest.mark.parametrize("axis", [1, 3])
def test_softmax_of_old_models(axis: int) -> None:
    """Until opset 12 a softmax was over all dimensions from its axis on."""
    nodes = [node("GlobalAveragePool", "images", "a"), node("Softmax", "a", "y", axis=axis)]
    check(model(nodes, opset=11))
    check(model([node("Flatten", "images", "a"), node("Softmax", "a", "y")], opset=11))
