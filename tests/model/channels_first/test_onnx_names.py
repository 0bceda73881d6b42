"""Tests of atlas.model.channels_first.onnx_names: the scope of a node, for each exporter's way to name it."""

from __future__ import annotations

from typing import Any

import pytest

from atlas.model.channels_first.onnx_names import scope_of
from onnx_models import helper

PATHS = {
    "/conv1/Conv": "conv1",
    "/layer1/layer1.0/conv1/Conv": "layer1.0.conv1",
    "/layer1/layer1.0/Add": "layer1.0",
    "/layer1/layer1.0/relu_1/Relu": "layer1.0.relu_1",
    "/features/features.4/features.4.1/Concat_3": "features.4.1",
    "/Mixed_5b/Concat": "Mixed_5b",
    "resnet/conv1_conv/Conv2D__6": "resnet.conv1_conv",
    "model/bn1/FusedBatchNormV3": "model.bn1",
    "node_Conv_877": "out",
    "": "out",
    "/Relu_1": "out",
}
WEIGHTS = {
    "layer1.0.conv1.weight": "layer1.0.conv1",
    "conv2d_1.w_0": "conv2d_1",
    "conv1_weight": "conv1",
    "conv1/kernel:0": "conv1",
    "net/conv1/weights/read__12": "net.conv1",
    "onnx::Conv_193": "own",
    "val_12": "own",
    "193": "own",
    "weight": "own",
    "unknown.weight": "unknown",
}


def named(
    name: str = "", op: str = "Conv", weight: str = "w", scopes: Any = None, output: str = "out"
) -> Any:
    node = helper.make_node(op, ["x", weight], [output], name=name)
    if scopes is not None:
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(scopes))
    return node


def always(name: str) -> bool:
    return True


@pytest.mark.parametrize("name", PATHS)
def test_names_of_nodes(name: str) -> None:
    """A node's name that is a path is its scope, without the op and without components said twice."""
    assert scope_of(named(name), always) == PATHS[name]


@pytest.mark.parametrize("name", WEIGHTS)
def test_names_of_weights(name: str) -> None:
    """A weight's name, without its last part, comes before the node's own, if a person gave it."""
    assert scope_of(named("/own/Conv", weight=name), always) == WEIGHTS[name]


def test_a_weight_that_is_computed() -> None:
    """What the model computes is no weight."""
    assert scope_of(named("/own/Conv", weight="a.weight"), lambda name: False) == "own"


@pytest.mark.parametrize(
    ("scopes", "scope"),
    [
        (["", "layer1", "layer1.0", "add_3"], "layer1.0"),
        (["", "relu"], "out"),
        ("[nonsense", "out"),
        ([], "out"),
    ],
)
def test_recorded_modules(scopes: Any, scope: str) -> None:
    """The newer exporter's list of modules names the innermost; the whole network has no name."""
    assert scope_of(named("node_add_3", op="Add", scopes=scopes), always) == scope


@pytest.mark.parametrize(
    ("output", "scope"), [("/Relu_1_output_0", "Relu_1"), ("relu/Relu:0", "relu.Relu"), ("", "Add")]
)
def test_names_of_outputs(output: str, scope: str) -> None:
    """A node without a name is called as its output is, else as its op."""
    assert scope_of(named(op="Add", output=output), always) == scope
