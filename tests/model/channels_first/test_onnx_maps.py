"""Tests of atlas.model.channels_first.onnx_maps: layers against onnxruntime, on three images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_models import (
    SHAPE,
    check,
    integers,
    model,
    node,
    weight,
)

pytestmark = pytest.mark.slow

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded": {"pads": [1, 1, 1, 1]},
    "padded unevenly": {"pads": [0, 1, 2, 1]},
    "strided": {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    "strides differ": {"strides": [2, 1]},
    "dilated": {"dilations": [2, 2], "pads": [2, 2, 2, 2]},
    "same": {"auto_pad": "SAME_UPPER"},
    "same, strided": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    "same, lower": {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    "valid": {"auto_pad": "VALID"},
    "grouped": {"group": 2, "pads": [1, 1, 1, 1]},
    "depthwise": {"group": 6, "pads": [1, 1, 1, 1]},
    "depthwise, strided": {"group": 6, "pads": [1, 1, 1, 1], "strides": [2, 2]},
    "depthwise, dilated": {"group": 6, "dilations": [2, 2]},
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_convolutions(kind: str, bias: bool) -> None:
    """A convolution of every padding, stride, dilation and grouping is that of onnxruntime."""
    settings = CONVOLUTIONS[kind]
    weights = {"conv.weight": weight(12, 6 // settings.get("group", 1), 3, 2)}
    if settings.get("auto_pad") != "SAME_LOWER":
        weights = {"conv.weight": weight(12, 6 // settings.get("group", 1), 3, 3)}
    if bias:
        weights["conv.bias"] = weight(12)
    check(model([node("Conv", " ".join(["images", *weights]), "y", **settings)], weights))


TRANSPOSED: dict[str, dict[str, Any]] = {
    "plain": {},
    "strided": {"strides": [2, 2]},
    "padded": {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    "padded unevenly": {"strides": [2, 3], "pads": [0, 1, 2, 1]},
    "dilated": {"dilations": [2, 2]},
    "grouped": {"group": 2, "strides": [2, 2]},
    "stride larger than the kernel": {"strides": [4, 5]},
    "to a given size": {"strides": [2, 2], "output_shape": [20, 24]},
    "same": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same, lower": {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
}


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_transposed_convolutions(kind: str) -> None:
    """A transposed convolution is that of onnxruntime."""
    weights = {"up.weight": weight(6, 4, 3, 3), "up.bias": weight(4)}
    if "group" in TRANSPOSED[kind]:
        weights["up.bias"] = weight(8)
    check(model([node("ConvTranspose", "images up.weight up.bias", "y", **TRANSPOSED[kind])], weights))


POOLS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_shape": [2, 3], "strides": [2, 3]},
    "stride 1": {"kernel_shape": [3, 3]},
    "padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "padded unevenly": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    "same": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same, lower": {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
}


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "counting"])
def test_pooling(kind: str, op: str) -> None:
    """Pooling by maxima and means, which count the padding or do not, is that of onnxruntime."""
    counting = {"count_include_pad": 1} if op == "counting" else {}
    name = "AveragePool" if op == "counting" else op
    check(model([node(name, "images", "y", **POOLS[kind], **counting)]))


@pytest.mark.parametrize("side", [2, 3])
def test_pooling_that_rounds_sizes_up(side: int) -> None:
    """The last window of a pooling by maxima may reach over the end of the map."""
    check(model([node("MaxPool", "images", "y", kernel_shape=[side, side], strides=[3, 3], ceil_mode=1)]))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_pooling_of_whole_maps(op: str) -> None:
    """Global pooling leaves maps of one place."""
    check(model([node(op, "images", "y")]))


@pytest.mark.parametrize("op", ["BatchNormalization", "InstanceNormalization", "GroupNormalization"])
@pytest.mark.parametrize("opset", [18, 21])
def test_norms_of_channels(op: str, opset: int) -> None:
    """A norm over channels has its own numbers for each channel."""
    weights = {"bn.weight": weight(6), "bn.bias": weight(6, seed=1)}
    settings = {"epsilon": 1e-3}
    if op == "BatchNormalization":
        weights |= {"bn.running_mean": weight(6, seed=2), "bn.running_var": np.abs(weight(6, seed=3))}
    if op == "GroupNormalization":
        settings["num_groups"] = 3
        if opset == 18:
            weights = {"bn.weight": weight(3), "bn.bias": weight(3, seed=1)}
    check(model([node(op, " ".join(["images", *weights]), "y", **settings)], weights, opset=opset))


def test_norms_of_other_ranks() -> None:
    """Norms over channels also read values without maps, and maps that were flattened by groups."""
    weights = {
        "shape": integers(0, 3, -1),
        "norm.weight": weight(3),
        "norm.bias": weight(3, seed=1),
        "flat": integers(0, -1),
        "bn.weight": weight(720),
        "bn.bias": weight(720, seed=1),
        "bn.running_mean": weight(720, seed=2),
        "bn.running_var": np.abs(weight(720, seed=3)),
    }
    nodes = [
        node("Reshape", "images shape", "a"),
        node("InstanceNormalization", "a norm.weight norm.bias", "b"),
        node("Reshape", "b flat", "c"),
        node("BatchNormalization", "c bn.weight bn.bias bn.running_mean bn.running_var", "d"),
    ]
    check(model(nodes, weights))


@pytest.mark.parametrize("axis", [-1, 2, 1])
def test_layer_norm(axis: int) -> None:
    """A layer norm is over the last dimensions, from its axis on."""
    shape = (6, 10, 12)[axis - 1 :] if axis > 0 else (12,)
    weights = {"norm.weight": weight(*shape), "norm.bias": weight(*shape, seed=1)}
    nodes = [node("LayerNormalization", "images norm.weight norm.bias", "y", axis=axis)]
    check(model(nodes, weights))
    check(model([node("LayerNormalization", "images norm.weight", "y", axis=axis)], weights))


def test_layer_norm_of_channels() -> None:
    """A layer norm behind a permutation, as in ConvNeXt, moves no data."""
    weights = {"norm.weight": weight(6), "norm.bias": weight(6, seed=1), "fc.weight": weight(6, 8)}
    nodes = [
        node("Transpose", "images", "a", perm=[0, 2, 3, 1]),
        node("LayerNormalization", "a norm.weight norm.bias", "b"),
        node("MatMul", "b fc.weight", "c"),
        node("Transpose", "c", "d", perm=[0, 3, 1, 2]),
    ]
    graph_def = check(model(nodes, weights))
    assert not [each.name for each in graph_def.node if each.op == "Transpose"]


def test_local_response_norm() -> None:
    """A local response normalization is over neighbouring channels."""
    check(model([node("LRN", "images", "y", size=3, alpha=0.1, beta=0.5, bias=2.0)]))


GEMMS: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...] | None]] = {
    "transposed": ({"transB": 1}, (5, 720), (5,)),
    "plain": ({}, (720, 5), (1, 5)),
    "scaled": ({"alpha": 0.5, "beta": 2.0}, (720, 5), (5,)),
    "one number added": ({"beta": 0.5}, (720, 5), (1,)),
    "without bias": ({"transB": 1}, (5, 720), None),
}


@pytest.mark.parametrize("kind", GEMMS)
@pytest.mark.parametrize("shape", [SHAPE, (1, 6, 10, 12), (2, 6, 10, 12)])
def test_dense_layers(kind: str, shape: tuple[Any, ...]) -> None:
    """A dense layer on flattened maps has its weights in the order of the map, and no data are moved."""
    settings, sides, added = GEMMS[kind]
    weights = {"fc.weight": weight(*sides)}
    if added is not None:
        weights["fc.bias"] = weight(*added)
    nodes = [node("Flatten", "images", "a"), node("Gemm", " ".join(["a", *weights]), "y", **settings)]
    graph_def = check(model(nodes, weights, shape=shape))
    assert "Transpose" not in {each.op for each in graph_def.node}


def test_products_of_values() -> None:
    """Products of two values, as in attention, are over the last two dimensions."""
    nodes = [
        node("Transpose", "images", "b", perm=[0, 1, 3, 2]),
        node("MatMul", "images b", "c"),
        node("Softmax", "c", "d", axis=-1),
        node("MatMul", "d images", "e"),
    ]
    check(model(nodes))
