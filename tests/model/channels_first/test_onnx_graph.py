"""Tests of atlas.model.channels_first.onnx_graph: shapes, choices, batches, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.channels_first.onnx_graph import graph_of
from onnx_models import (
    check,
    computed,
    expected,
    helper,
    images_for,
    integers,
    model,
    node,
    onnx,
    weight,
    written,
)


def test_sizes_are_folded() -> None:
    """Sizes that a model computes from its values are constants, and the number of images stays open."""
    weights = {"zero": integers(0), "all": integers(-1), "one": integers(1), "two": integers(2)}
    nodes = [
        node("Shape", "images", "shape"),
        node("Gather", "shape zero", "n"),
        node("Slice", "shape one two", "c"),
        node("Div", "c two", "half"),
        node("Concat", "n two half all", "target", axis=0),
        node("Reshape", "images target", "y"),
        node("Shape", "y", "end", start=1),
        node("Concat", "all end", "again", axis=0),
        node("Reshape", "y again", "z"),
    ]
    check(model(nodes, weights))


@pytest.mark.parametrize("taken", [True, False])
def test_a_choice_that_constants_make(taken: bool) -> None:
    """A branch whose condition is known is written as if it stood there alone."""

    def branch(op: str) -> Any:
        out = helper.make_empty_tensor_value_info(f"out_{op}")
        return helper.make_graph([node(op, "images", f"out_{op}")], op, [], [out])

    weights = {"one": integers(1), "length": integers(10 if taken else 11)}
    nodes = [
        node("Shape", "images", "shape", start=2, end=3),
        node("Equal", "shape length", "condition"),
        node("If", "condition", "y", then_branch=branch("Relu"), else_branch=branch("Sigmoid")),
        node("Neg", "y", "z"),
    ]
    net = model(nodes, weights)
    graph_def, values = written(net)
    images = images_for(net)
    results = computed(graph_def, {"z": values["z"]}, images.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(results["z"], expected(net, images, ["z"])[0], atol=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float16, 4e-3), (np.float64, 2e-6)])
def test_floats_of_other_lengths(kind: Any, tolerance: float) -> None:
    """A model in float16 or float64 is computed in float32."""
    weights = {"fc.weight": weight(12, 5).astype(kind), "half": np.array(0.5, kind)}
    nodes = [
        node("MatMul", "images fc.weight", "a"),
        node("Mul", "a half", "b"),
        node("Cast", "b", "c", to=onnx.TensorProto.FLOAT),
    ]
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    check(model(nodes, weights, dtype=dtype), tolerance=tolerance)


def test_channels_last() -> None:
    """A model that was made from TensorFlow reads images with channels last, and no data are moved."""
    weights = {"mean": weight(3), "conv.weight": weight(8, 3, 3, 3)}
    nodes = [
        node("Sub", "images mean", "a"),
        node("Transpose", "a", "b", perm=[0, 3, 1, 2]),
        node("Conv", "b conv.weight", "c"),
        node("Transpose", "c", "d", perm=[0, 2, 3, 1]),
    ]
    graph_def = check(model(nodes, weights, shape=("n", 10, 12, 3)))
    assert "Transpose" not in {each.op for each in graph_def.node}


@pytest.mark.parametrize("batch", ["n", 1, 3, None])
def test_batches(batch: Any) -> None:
    """An open batch takes any number of images; a fixed one stays."""
    net = model(
        [node("Conv", "images conv.weight", "y")],
        {"conv.weight": weight(8, 6, 3, 3)},
        shape=(batch, 6, 10, 12),
    )
    graph_def = check(net)
    length = graph_def.node[0].attr["shape"].shape.dim[0].size
    assert length == (batch if isinstance(batch, int) else -1)


def test_open_sizes() -> None:
    """Sizes that a model leaves open are those that are asked for, and otherwise refused."""
    net = model(
        [node("Conv", "images conv.weight", "y")],
        {"conv.weight": weight(8, 3, 3, 3)},
        shape=("n", 3, "h", "w"),
    )
    check(net, size=(3, 10, 12))
    with pytest.raises(
        ModelError, match=r"images \(n, 3, h, w\), of a size that is not known.*--input-shape.*3,224,224"
    ):
        graph_of(net, "net.onnx")
    with pytest.raises(ModelError, match=r"found \(10, 12, 3\), expected \(3, 12, 3\).*channels first"):
        graph_of(net, "net.onnx", (10, 12, 3))


def test_a_size_other_than_the_models() -> None:
    """Images of another size than the model's are refused."""
    net = model([node("Relu", "images", "y")])
    with pytest.raises(ModelError, match=r"found \(6, 11, 12\), expected \(6, 10, 12\)"):
        graph_of(net, "net.onnx", (6, 11, 12))


def test_parameters_keep_their_names() -> None:
    """A parameter is the node of its name, also where the model turns it before it is used."""
    weights = {"fc.weight": weight(5, 720), "fc.bias": weight(5)}
    nodes = [
        node("Flatten", "images", "a"),
        node("Transpose", "fc.weight", "t", perm=[1, 0]),
        node("MatMul", "a t", "b"),
        node("Add", "b fc.bias", "c"),
    ]
    names = {each.name for each in check(model(nodes, weights)).node}
    assert {"fc.weight", "fc.bias"} <= names


def test_functions_of_the_model() -> None:
    """A function that the model defines is written where it is called."""
    function = helper.make_function(
        "own", "Twice", ["x"], ["y"], [node("Add", "x x", "y")], [helper.make_opsetid("", 18)]
    )
    net = model([helper.make_node("Twice", ["images"], ["y"], domain="own")])
    net.functions.append(function)
    net.opset_import.append(helper.make_opsetid("own", 1))
    assert "AddV2" in {each.op for each in graph_of(net, "net.onnx").node}


def test_nodes_that_lead_nowhere() -> None:
    """A node whose outputs nothing reads is left out, whatever its op."""
    check(model([node("NonZero", "images", "a"), node("Relu", "images", "y")]))


REFUSED: dict[str, tuple[list[Any], str]] = {
    "unknown": (
        [node("Hardmax", "images", "a"), node("Hardmax", "a", "b"), node("Det", "b", "c")],
        r"net\.onnx has operations that the atlas cannot read: found Hardmax \(2 times, first in a\); Det",
    ),
    "another domain": (
        [helper.make_node("FusedConv", ["images"], ["y"], domain="com.microsoft")],
        r"com\.microsoft\.FusedConv",
    ),
    "recurrent": ([node("LSTM", "images fc.w fc.r", "y", hidden_size=3)], "LSTM, a recurrent layer"),
    "quantized": (
        [node("QuantizeLinear", "images scale", "a"), node("DequantizeLinear", "a scale", "y")],
        r"net\.onnx is quantized: found QuantizeLinear.*computes with floats",
    ),
    "training": (
        [node("BatchNormalization", "images s s s s", "y a b", training_mode=1)],
        r"training mode.*model\.eval",
    ),
    "places of maxima": (
        [node("MaxPool", "images", "y i", kernel_shape=[2, 2]), node("Add", "y i", "z")],
        "places of the maxima",
    ),
    "dilated pooling": (
        [node("MaxPool", "images", "y", kernel_shape=[2, 2], dilations=[2, 2])],
        "dilated pooling",
    ),
    "three dimensions": (
        [node("Unsqueeze", "images axes", "a"), node("Conv", "a fc.w", "y", name="/features/conv/Conv")],
        r"fc in net\.onnx: Conv over 3 dimensions.*two of an image.*operation Conv",
    ),
    "a kernel that depends on the image": (
        [node("Conv", "images images", "y")],
        "kernel depends on the image",
    ),
    "cubic": ([node("Resize", "images - scales", "y", mode="cubic")], "in the mode cubic"),
    "cropped": (
        [node("Resize", "images - scales", "y", coordinate_transformation_mode="tf_crop_and_resize")],
        "tf_crop_and_resize",
    ),
    "rounded otherwise": (
        [node("Resize", "images - scales", "y", nearest_mode="ceil")],
        "half_pixel coordinates, ceil",
    ),
    "whole numbers": ([node("Cast", "images", "y", to=7)], "cast to whole numbers"),
    "another number of elements": (
        [node("Reshape", "images one", "y")],
        r"\(n, 6, 10, 12\) to \(1, 100\).*any number of images",
    ),
    "settings": ([node("Selu", "images", "y", alpha=0.5)], r"Selu with alpha = 0\.5"),
    "a tensor that is missing": ([node("Add", "images gone", "y")], "found gone"),
    "shapes that do not fit": ([node("Add", "images wide", "y")], "y in net.onnx: "),
}
CONSTANTS = {
    "fc.w": weight(4, 3, 3, 3, 3),
    "fc.r": weight(1, 12, 3),
    "scale": np.array(0.1, np.float32),
    "s": weight(6),
    "axes": integers(-1),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "one": integers(1, 100),
    "wide": weight(7),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_written(kind: str) -> None:
    """What cannot be written exactly is refused in a line that names the op and where it is."""
    nodes, message = REFUSED[kind]
    with pytest.raises(ModelError, match=message):
        graph_of(model(nodes, CONSTANTS), "net.onnx")


def test_several_inputs() -> None:
    """A model that reads two images, or an image and another value, is refused by the names."""
    net = model([node("Add", "images other", "y")])
    net.graph.input.append(helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [6, 1, 1]))
    with pytest.raises(ModelError, match=r"reads more than an image: found images, other"):
        graph_of(net, "net.onnx")
    net.graph.input[1].type.tensor_type.shape.dim.add(dim_value=1)
    with pytest.raises(ModelError, match=r"not clear: found images \(n, 6, 10, 12\), other \(6, 1, 1, 1\)"):
        graph_of(net, "net.onnx")
    del net.graph.input[:]
    with pytest.raises(ModelError, match="does not read images"):
        graph_of(net, "net.onnx")
