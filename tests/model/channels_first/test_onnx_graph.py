"""Tests of atlas.model.channels_first.onnx_graph: each family of ops against onnxruntime, on three images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_models import (
    SHAPE,
    check,
    computed,
    expected,
    helper,
    images_for,
    integers,
    model,
    node,
    weight,
    written,
)

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
    "Elu": {},
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


@pytest.mark.parametrize("opset", [9, 13])
def test_dimensions(opset: int) -> None:
    """Axes and sizes are attributes in older models, inputs in newer ones."""
    old = opset < 13
    weights: dict[str, np.ndarray] = {}

    def with_setting(op: str, inputs: str, outputs: str, name: str, numbers: list[int], **others: Any) -> Any:
        if old:
            return node(op, inputs, outputs, **{name: numbers}, **others)
        weights[f"{name}_{outputs.split()[0]}"] = integers(*numbers)
        return node(op, f"{inputs} {name}_{outputs.split()[0]}", outputs, **others)

    nodes = [
        with_setting("Unsqueeze", "images", "a", "axes", [2]),
        node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3]),
        with_setting("Squeeze", "b", "c", "axes", [1]),
        with_setting("Split", "c", "d e", "split", [2, 4], axis=2),
        node("Split", "c", "f g", axis=2),
        node("Concat", "e d", "h", axis=2),
        node("Concat", "f g h", "i", axis=2),
        with_setting("ReduceSum", "i", "j", "axes", [1], keepdims=0),
    ]
    check(model(nodes, weights, opset=opset, outputs="ehij"))


RESHAPES = {
    "flat": [(0, -1)],
    "by channel": [(0, 0, -1)],
    "tokens and back": [(0, 6, 120), (-1, 6, 10, 12)],
    "groups and back": [(0, 2, 3, 10, 12), (0, 6, 10, 12)],
    "one dimension": [(-1, 720), (-1, 30, 24), (-1, 6, 10, 12)],
    "across": [(0, 12, 10, 6)],
    "with ones": [(0, 1, 6, 1, 10, 12), (0, 6, 10, 12)],
}


@pytest.mark.parametrize("kind", RESHAPES)
@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_reshapes(kind: str, batch: Any) -> None:
    """A reshape keeps ONNX's order of elements, for any number of images and for a fixed one."""
    weights = {f"s{i}": integers(*target) for i, target in enumerate(RESHAPES[kind])}
    nodes = [node("Transpose", "images", "x0", perm=[0, 1, 2, 3])]
    nodes += [node("Reshape", f"x{i} s{i}", f"x{i + 1}") for i in range(len(weights))]
    check(model(nodes, weights, shape=(batch, 6, 10, 12)))


def test_channel_shuffle() -> None:
    """A shuffle of channels moves data once, and leaves them last."""
    weights = {
        "split": integers(0, 2, 3, 10, 12),
        "back": integers(0, 6, 10, 12),
        "conv.weight": weight(4, 6, 1, 1),
    }
    nodes = [
        node("Reshape", "images split", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b back", "c"),
        node("Conv", "c conv.weight", "d"),
    ]
    graph_def = check(model(nodes, weights))
    assert [each.op for each in graph_def.node].count("Transpose") == 1


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


SLICES = {
    "middle": ([2], [-1], [2], [1]),
    "last": ([-3], [2**63 - 1], [3], [1]),
    "steps": ([1, 0], [9, 100], [2, 3], [2, 3]),
    "turned": ([-1], [-(2**63)], [3], [-1]),
    "channels": ([0], [4], [1], [1]),
}


@pytest.mark.parametrize("kind", SLICES)
def test_slices(kind: str) -> None:
    """Slices count from either end."""
    starts, ends, axes, steps = SLICES[kind]
    weights = dict(zip("seat", (integers(*each) for each in (starts, ends, axes, steps)), strict=True))
    check(model([node("Slice", "images s e a t", "y")], weights))
    if set(steps) == {1}:
        nodes = [node("Slice", "images", "y", starts=starts, ends=ends, axes=axes)]
        check(model(nodes, opset=9))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_padding(mode: str) -> None:
    """Padding of every mode, with its pads as inputs, as attributes, or of some axes alone."""
    pads = [0, 0, 1, 2, 0, 0, 3, 2]
    opset = 19 if mode == "wrap" else 18
    check(model([node("Pad", "images pads", "y", mode=mode)], {"pads": integers(*pads)}, opset=opset))
    if mode == "constant":
        weights = {"pads": integers(1, 2, 0, 1), "value": np.array(0.5, np.float32), "axes": integers(3, 1)}
        check(model([node("Pad", "images pads value axes", "y")], weights))
        check(model([node("Pad", "images", "y", pads=pads, value=0.5)], opset=9))
        check(model([node("Pad", "images pads", "y")], {"pads": integers(0, 0, -1, -2, 0, 0, 1, -1)}))


@pytest.mark.parametrize(
    "indices", [np.array(2), integers(3, 0, -1), integers(1, 2, 3), integers(0, 5, 1, 2).reshape(2, 2)]
)
def test_gathers(indices: np.ndarray) -> None:
    """Entries are taken by their numbers, along any dimension."""
    for axis in (1, 3):
        check(model([node("Gather", "images i", "y", axis=axis)], {"i": indices}))


def test_copies() -> None:
    """Values are repeated along dimensions."""
    weights = {"times": integers(1, 2, 1, 3), "shape": integers(1, 1, 10, 12)}
    nodes = [
        node("Tile", "images times", "a"),
        node("GlobalAveragePool", "images", "b"),
        node("Expand", "b shape", "c"),
    ]
    check(model(nodes, weights, outputs="ac"))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_and_space(mode: str) -> None:
    """Channels are spread over space, and space is gathered into channels."""
    nodes = [
        node("SpaceToDepth", "images", "a", blocksize=2),
        node("DepthToSpace", "a", "b", blocksize=2, mode=mode),
    ]
    check(model(nodes))


RESIZES: dict[str, tuple[int, dict[str, Any], tuple[float, float]]] = {
    "linear, half pixels": (18, {"mode": "linear"}, (2, 3)),
    "linear, as PyTorch": (
        18,
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        (2, 1.5),
    ),
    "linear, aligned": (18, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (2, 2)),
    "linear, asymmetric": (18, {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, (2, 2)),
    "linear, smaller": (18, {"mode": "linear"}, (0.5, 0.5)),
    "nearest as PyTorch": (
        18,
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (2, 3),
    ),
    "nearest, half pixels": (18, {"mode": "nearest"}, (2, 3)),
    "nearest, smaller": (
        18,
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (0.5, 0.5),
    ),
    "opset 10": (10, {"mode": "nearest"}, (2, 2)),
    "opset 10, linear": (10, {"mode": "linear"}, (2, 2)),
    "opset 9": (9, {"mode": "nearest"}, (2, 3)),
    "opset 9, linear": (9, {"mode": "linear"}, (2, 2)),
}


@pytest.mark.parametrize("kind", RESIZES)
def test_resizes(kind: str) -> None:
    """A resize that is one of TensorFlow's is that of onnxruntime, by factors and by sizes."""
    opset, settings, factors = RESIZES[kind]
    weights = {"scales": np.array([1, 1, *factors], np.float32)}
    if opset < 11:
        op = "Resize" if opset == 10 else "Upsample"
        check(model([node(op, "images scales", "y", **settings)], weights, opset=opset), tolerance=1e-5)
        return
    check(model([node("Resize", "images - scales", "y", **settings)], weights), tolerance=1e-5)
    sizes = integers(*(int(n * by) for n, by in zip((10, 12), factors, strict=True)))
    by_size = node("Resize", "images - - sizes", "y", axes=[2, 3], **settings)
    check(model([by_size], {"sizes": sizes}), tolerance=1e-5)


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
