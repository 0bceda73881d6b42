"""Output sizes stored as numbers, computed from the image again, so that images of any size fit.

An export stores the output sizes of transposed convolutions and resizing ops for one image size. With another
size the graph would fail, or silently scale by another factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.model.graph.backend import tf
from atlas.model.graph.view import GraphView, node_of
from atlas.model.positions.axes import Shape
from atlas.model.positions.steps import spatial

_RESIZES = frozenset({"ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"})


@dataclass(frozen=True, slots=True)
class Growth:
    """How a node's output size follows from that of a tensor: (h, w) * factor + offset."""

    operand: int
    """The index of the node's input that holds the output size."""
    tensor: str
    """The tensor, a map [n, h, w, c]."""
    factor: tuple[int, int]
    """For rows and columns."""
    offset: tuple[int, int] = (0, 0)
    """For rows and columns, in positions of the output."""
    channels: int = 0
    """0 where the operand holds (h, w) alone, else the c of its (n, h, w, c)."""


def free_sizes(graph_def: Any, shapes: Mapping[str, Shape]) -> None:
    """Compute the sizes of transposed convolutions and resizing ops from their inputs, in place.

    `shapes` maps node names to (n, h, w, c) at the network's native size. Ops that do not scale by an integer
    factor stay as they are.
    """
    view = GraphView(graph_def)
    growths = [(node, growth) for node in graph_def.node if (growth := _growth(view, node, shapes))]
    for node, growth in growths:
        size = _size(node, growth)
        graph_def.node.extend(size)
        view.nodes[node.name].input[growth.operand] = size[-1].name


def _growth(view: GraphView, node: Any, shapes: Mapping[str, Shape]) -> Growth | None:
    """Return how a node's output size follows from its input's; None to leave the node as it is."""
    transposed = node.op == "Conv2DBackpropInput"
    if not transposed and node.op not in _RESIZES:
        return None
    inputs = view.inputs(node.name)
    tensor, operand = (inputs[2], 0) if transposed else (inputs[0], 1)
    before, after = shapes.get(node_of(tensor), ()), shapes.get(node.name, ())
    if len(before) != 4 or len(after) != 4 or not _is_fixed(view, inputs[operand]):
        return None
    pairs = [(int(b or 0), int(a or 0)) for b, a in zip(before[1:3], after[1:3], strict=True)]
    if transposed:
        factor = spatial(node, "strides")
        h, w = (a - b * f for (b, a), f in zip(pairs, factor, strict=True))
        return Growth(operand, tensor, factor, (h, w), int(after[3] or 0))
    # A mean over the image is stretched over a map whose size comes from another branch.
    if any(b in (0, 1) or a % b for b, a in pairs):
        return None
    h, w = (a // b for b, a in pairs)
    return Growth(operand, tensor, (h, w))


def _is_fixed(view: GraphView, tensor: str) -> bool:
    """Return whether height and width in a shape are constants; the batch size may be computed."""
    if view.constant(tensor) is not None:
        return True
    return view.op(tensor) == "Pack" and all(view.constant(t) is not None for t in view.inputs(tensor)[1:3])


def _size(node: Any, growth: Growth) -> list[Any]:
    """Return the nodes that compute a size, with the result last."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.as_dtype(node.attr["T"].type), [None] * 4, name="x")
        with tf.name_scope("size"):
            shape = tf.shape(x)
            size = shape[1:3] * np.array(growth.factor, np.int32) + np.array(growth.offset, np.int32)
            if growth.channels:
                size = tf.concat([shape[:1], size, [growth.channels]], 0)
        last = f"{node.name}/{size.op.name}"
    nodes = [each for each in graph.as_graph_def().node if each.name != "x"]
    for each in nodes:
        each.name = f"{node.name}/{each.name}"
        for at, name in enumerate(each.input):
            each.input[at] = growth.tensor if node_of(name) == "x" else f"{node.name}/{name}"
    return sorted(nodes, key=lambda each: each.name == last)
