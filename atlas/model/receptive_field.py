"""Receptive fields: size, stride, offset in input pixels; arithmetic alone.

A field is composed step by step: a window of k positions with stride s whose first position lies
`before` positions ahead of the first input position maps a field (size, stride, offset) to
(size + (k - 1) * stride, stride * s, offset - before * stride).
Source: Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atlas.errors import LayerError
from atlas.model.graph import GraphView, node_of
from atlas.neuron import ReceptiveField

Shape = tuple[int | None, ...]
Pair = tuple[int, int]

CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
POOLS = frozenset({"MaxPool", "AvgPool"})
# After these a tensor has no positions any more.
ENDS = frozenset({"Mean", "Max", "Sum", "Reshape", "MatMul", "Squeeze", "BatchMatMulV2", "Shape", "ArgMax"})
POINT = ReceptiveField((1, 1), (1, 1), (0, 0))


@dataclass(frozen=True, slots=True)
class Window:
    """What one op sees of its input: `size` and `stride` in positions, `before` the padding; (h, w)."""

    size: Pair
    stride: Pair
    before: Pair

    def then(self, field: ReceptiveField) -> ReceptiveField:
        """Return the field of this op's output, given that of its input."""
        pairs = zip(field.size, field.stride, field.offset, self.size, self.stride, self.before, strict=True)
        axes = [(n + (k - 1) * s, s * t, o - b * s) for n, s, o, k, t, b in pairs]
        size, stride, offset = ((axes[0][i], axes[1][i]) for i in range(3))
        return ReceptiveField(size, stride, offset)


def same_padding(length: int, size: int, stride: int) -> int:
    """Return the positions that TensorFlow's SAME padding puts before an axis of `length`."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2


def window_of(view: GraphView, name: str, input_shape: Shape) -> Window | None:
    """Return the window of a convolution, pool or pad; None for an op that works position by position.

    `input_shape` is (n, h, w, c) of its input at the size for which SAME padding is to be told.
    """
    node = view.nodes[name]
    if node.op in {"Pad", "PadV2", "MirrorPad"}:
        paddings = view.constant(view.inputs(name)[1])
        if paddings is None:
            raise LayerError(f"{name} ({node.op}) pads by an amount that the graph computes")
        return Window((1, 1), (1, 1), (int(paddings[1][0]), int(paddings[2][0])))
    if node.op not in CONVOLUTIONS | POOLS:
        return None
    size, stride = _extent(view, name), _spatial(node.attr["strides"].list.i)
    return Window(size, stride, _before(node, size, stride, input_shape))


def _extent(view: GraphView, name: str) -> Pair:
    node = view.nodes[name]
    if node.op in POOLS:
        return _spatial(node.attr["ksize"].list.i)
    kernel = view.constant(view.inputs(name)[1])
    if kernel is None:
        raise LayerError(f"{name} ({node.op}) has a kernel that the graph computes", expected="a constant")
    dilation = _spatial(node.attr["dilations"].list.i or [1, 1, 1, 1])
    return (kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1


def _before(node: Any, size: Pair, stride: Pair, shape: Shape) -> Pair:
    padding = node.attr["padding"].s.decode()
    if padding == "EXPLICIT":
        explicit = list(node.attr["explicit_paddings"].list.i)
        return int(explicit[2]), int(explicit[4])
    if padding == "VALID":
        return 0, 0
    lengths = shape[1], shape[2]
    if lengths[0] is None or lengths[1] is None:
        raise LayerError(f"{node.name} pads as SAME, but the size of its input is not known")
    return same_padding(lengths[0], size[0], stride[0]), same_padding(lengths[1], size[1], stride[1])


def _spatial(values: Any) -> Pair:
    return int(values[1]), int(values[2])


def hull(fields: list[ReceptiveField]) -> ReceptiveField:
    """Return the smallest field that holds all `fields`, which share one stride."""
    if len({field.stride for field in fields}) > 1:
        raise LayerError("tensors of different strides meet", found=[field.stride for field in fields])
    first = tuple(min(f.offset[i] for f in fields) for i in (0, 1))
    last = tuple(max(f.offset[i] + f.size[i] for f in fields) for i in (0, 1))
    size = (last[0] - first[0], last[1] - first[1])
    return ReceptiveField(size, fields[0].stride, (first[0], first[1]))


def receptive_fields(view: GraphView, source: str, shapes: Mapping[str, Shape]) -> dict[str, ReceptiveField]:
    """Return the field of every node that has positions and depends on `source`, in its pixels.

    `shapes` maps node names to (n, h, w, c) at the size for which SAME padding is to be told. A gate
    that has lost its positions (squeeze-and-excite) sees everything and is left out of the field.
    """
    fields = {node_of(source): POINT}
    reached = view.descendants(source)
    for name in view.order:
        if name not in reached or name in fields or view.op(name) in ENDS:
            continue
        feeders = [node_of(t) for t in view.inputs(name)]
        known = [fields[f] for f in feeders if f in fields]
        if not known:
            continue
        if len({k.stride for k in known}) > 1:
            continue
        window = window_of(view, name, shapes.get(feeders[0], (None,) * 4))
        merged = hull(known)
        fields[name] = window.then(merged) if window else merged
    return fields
