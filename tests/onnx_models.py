"""Small ONNX models for tests, and their values as onnxruntime computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from atlas.model.channels_first.onnx_graph import OnnxReader
from atlas.model.channels_first.onnx_inputs import entry_of
from atlas.model.channels_first.values import BATCH, Value
from atlas.model.graph.backend import tf

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
helper = onnx.helper
Dim = int | str | None
# A different length on every axis, or swapped axes go unseen.
SHAPE: tuple[Dim, ...] = ("n", 6, 10, 12)
FLOAT = onnx.TensorProto.FLOAT


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random numbers, always the same for a shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def integers(*numbers: int) -> np.ndarray:
    """Return whole numbers as ONNX has those of shapes and axes."""
    return np.array(numbers, np.int64)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """Return a node; names are separated by spaces, "-" is an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attributes)


def model(
    nodes: Sequence[Any],
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    shape: Sequence[Dim] = SHAPE,
    opset: int = 18,
    outputs: Sequence[str] = (),
    dtype: int = FLOAT,
) -> Any:
    """Return a model that reads "images"; its outputs are those of the last node where none are given."""
    named = outputs or [name for name in nodes[-1].output if name]
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info("images", dtype, list(shape))],
        [helper.make_empty_tensor_value_info(name) for name in named],
        [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def images_for(net: Any, size: Sequence[int] | None = None) -> np.ndarray:
    """Return three different images, or as many as a model is fixed to, with channels where it has them."""
    entry = entry_of(net.graph, "small", size)
    n, channels, height, width = entry.shape
    n = 3 if n == BATCH else n
    shape = (n, height, width, channels) if entry.channels_last else (n, channels, height, width)
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def expected(net: Any, images: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """Return tensors of a model as onnxruntime computes them."""
    wider = onnx.ModelProto()
    wider.CopyFrom(net)
    have = {output.name for output in wider.graph.output}
    for name in names:
        if name not in have:
            wider.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = runtime.InferenceSession(wider.SerializeToString(), options)
    kind = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(
        session.get_inputs()[0].type, np.float32
    )
    results = session.run(list(names), {session.get_inputs()[0].name: images.astype(kind)})
    return [np.asarray(result) for result in results]


def written(net: Any, size: Sequence[int] | None = None) -> tuple[Any, dict[str, Value]]:
    """Return the GraphDef of a model, and the values in it by their names in the model."""
    entry = entry_of(net.graph, "small", size)
    reader = OnnxReader(net, entry, "small")
    graph_def = reader.graph()
    values = {
        name: value
        for name, value in reader.values.items()
        if isinstance(value, Value) and name != entry.name
    }
    return graph_def, values


def computed(graph_def: Any, values: Mapping[str, Value], images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a GraphDef computes for images [n, h, w, c], laid out as in the model."""
    config = tf.compat.v1.ConfigProto()
    # TensorFlow's optimizer removes tensors that are fetched besides the last one.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(config=config) as session:
            fetches = {name: value.tensor.name for name, value in values.items()}
            results = session.run(fetches, {"input:0": images})
    turned = {}
    for name, value in values.items():
        result = results[name] if value.order is None else results[name][..., value.order]
        turned[name] = result.transpose([value.axes.index(dim) for dim in range(value.rank)])
    return turned


def differences(net: Any, *, size: Sequence[int] | None = None) -> tuple[Any, dict[str, float]]:
    """Return the GraphDef of a model, and how much each value differs from onnxruntime's, by its name.

    A difference is the largest of a value's numbers, as a part of the value's maximum.
    """
    images = images_for(net, size)
    graph_def, values = written(net, size)
    last = entry_of(net.graph, "small", size).channels_last
    results = computed(graph_def, values, images if last else images.transpose(0, 2, 3, 1))
    found = {}
    for name, want in zip(values, expected(net, images, list(values)), strict=True):
        want = np.asarray(want, np.float32)
        assert results[name].shape == want.shape, name
        largest = max(float(np.abs(want).max()), 1e-6)
        # Infinite values are the same.
        same = np.isclose(results[name], want, rtol=0, atol=0, equal_nan=True)
        found[name] = float(np.where(same, 0, np.abs(results[name] - want)).max() / largest)
    return graph_def, found


def check(net: Any, *, tolerance: float = 2e-6, size: Sequence[int] | None = None) -> Any:
    """Assert that every value of a model is what onnxruntime computes, and return its GraphDef."""
    graph_def, found = differences(net, size=size)
    for name, difference in found.items():
        assert difference <= tolerance, f"{name} differs by {difference}"
    return graph_def
