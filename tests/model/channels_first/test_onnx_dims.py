"""Tests of atlas.model.channels_first.onnx_dims: what moves and cuts values, against onnxruntime."""

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
