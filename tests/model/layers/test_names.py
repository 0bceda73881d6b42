"""Tests of atlas.model.layers.names."""

from __future__ import annotations

import pytest

from atlas.model.layers.names import readable_names

CASES = [
    ([["conv2d0_pre_relu/conv", "conv2d0_pre_relu", "conv2d0"], ["m/c", "m"]], ["conv2d0", "m"]),
    ([["conv1/Conv2D", "conv1/Relu"], ["conv2/Conv2D", "conv2/Relu"]], ["conv1", "conv2"]),
    (
        [["Inc/Inc/a/Conv2D", "Inc/Inc/a/Relu"], ["Inc/Inc/m/concat"], ["Inc/Logits/fc/MatMul"]],
        ["a", "m", "Logits/fc"],
    ),
    ([["c1/convolution", "bn1/mul", "relu1/Relu"], ["p/MatMul", "p/BiasAdd"]], ["c1", "p"]),
    ([["sep/depthwise"], ["sep/Conv2D", "sep/Relu"], ["end/Conv2D"]], ["sep/depthwise", "sep", "end"]),
    ([["Conv2D", "BiasAdd", "Relu"], ["Conv2D_1", "Relu_1"]], ["Relu", "Relu_1"]),
    ([["a/Conv2D", "Softplus"], ["b/Conv2D", "Softsign_1"], ["c/Conv2D", "Maximum"]], ["a", "b", "c"]),
    (
        [["PartitionedCall/net_1/conv_1/Conv2D"], ["PartitionedCall/net_1/conv_1_2/Conv2D"]],
        ["conv", "conv_1"],
    ),
    ([["PartitionedCall/conv_1/Conv2D"], ["PartitionedCall/conv_2/Conv2D"]], ["conv_1", "conv_2"]),
    ([["MatMul", "softmax2_pre_activation", "softmax2"]], ["softmax2"]),
]


@pytest.mark.parametrize(("parts", "names"), CASES)
def test_readable_names(parts: list[list[str]], names: list[str]) -> None:
    """Layers are called what a person would call them."""
    assert readable_names(parts) == names


def test_names_are_unique() -> None:
    """No two layers share a name, however alike their nodes are."""
    names = readable_names([["a/x", "a/y"]] * 3 + [["b/x"]])
    assert len(set(names)) == 4
