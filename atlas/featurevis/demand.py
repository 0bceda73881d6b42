"""Which part of every tensor one position of a layer sees; arithmetic on windows alone.

A window is (first, last + 1) of each of the axes h and w. Windows are walked from the layer back to
the image; an op that is not known here is taken to see the whole of its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atlas.model.graph import GraphView, node_of, tensor_of

Span = tuple[int, int]
Window = tuple[Span, Span]
Shapes = Mapping[str, tuple[int, ...]]

# Each position of the output depends on the same position of every input that has positions.
POINTWISE = frozenset(
    """Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Erf Exp Rsqrt Sqrt Square Neg BiasAdd LRN Identity
    StopGradient Snapshot CheckNumerics Cast Add AddV2 Sub Mul RealDiv Maximum Minimum FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3""".split()
)
CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})


@dataclass(frozen=True, slots=True)
class Sliding:
    """A kernel that slides over h and w: reach (dilated size), stride and padding before, of each axis."""

    reach: Span
    stride: Span
    before: Span

    def inputs(self, window: Window) -> Window:
        """Return the window of the input that an output window sees; padding lies outside the input."""
        axes = zip(window, self.reach, self.stride, self.before, strict=True)
        h, w = ((a * s - pad, (b - 1) * s - pad + reach) for (a, b), reach, s, pad in axes)
        return h, w


@dataclass(frozen=True, slots=True)
class Demand:
    """The nodes that carry the image (`data`), every tensor's static shape, and how windows pass them."""

    view: GraphView
    data: frozenset[str]
    shapes: Shapes

    def needed(self, target: str, wanted: Window) -> dict[str, Window]:
        """Return for each image-like tensor that `target` depends on the window of it that is needed."""
        needed = {tensor_of(target): wanted}
        ancestors = self.view.ancestors(target) & self.data
        for name in reversed([n for n in self.view.order if n in ancestors]):
            window = needed.get(tensor_of(name))
            for tensor in self.data_inputs(name):
                seen = self._seen(name, tensor, window)
                if seen is not None:
                    needed[tensor] = _union(needed[tensor], seen) if tensor in needed else seen
        return needed

    def data_inputs(self, name: str) -> tuple[str, ...]:
        """Return the inputs of a node that carry the image, constants left out."""
        return tuple(t for t in self.view.inputs(name) if node_of(t) in self.data)

    def sliding(self, name: str) -> Sliding | None:
        """Return how a node slides over h and w, or None when it does not."""
        node = self.view.nodes[name]
        if node.op not in CONVOLUTIONS | {"MaxPool"} or not _plain(node):
            return None
        size = _ints(node, "ksize")[1:3]
        if node.op in CONVOLUTIONS:
            size = self.shapes[self.view.inputs(name)[1]][:2]
        dilation = _ints(node, "dilations")[1:3] or (1, 1)
        h, w = ((s - 1) * d + 1 for s, d in zip(size, dilation, strict=True))
        stride = _ints(node, "strides")[1:3]
        before = _pads_before(node, self.shapes[self.view.inputs(name)[0]], (h, w), stride)
        return Sliding((h, w), (stride[0], stride[1]), before)

    def padding(self, name: str) -> Span | None:
        """Return how many rows and columns a Pad node puts before the image, or None for another node."""
        if self.view.op(name) not in ("Pad", "PadV2"):
            return None
        pads = self.view.constant(self.view.inputs(name)[1])
        if pads is None or pads.shape != (4, 2) or pads[[0, 3]].any():
            return None
        return int(pads[1, 0]), int(pads[2, 0])

    def croppable(self, name: str) -> bool:
        """Tell whether a node can compute a window of its output from windows of its inputs."""
        node = self.view.nodes[name]
        if self.sliding(name) is not None or self.padding(name) is not None:
            return True
        if node.op == "ConcatV2":
            axis = self.view.constant(self.view.inputs(name)[-1])
            return axis is not None and int(axis) in (3, -1)
        return node.op in POINTWISE and _plain(node) and self._same_positions(name)

    def _same_positions(self, name: str) -> bool:
        here = self.shapes[tensor_of(name)]
        data = self.data_inputs(name)
        fixed = [t for t in self.view.inputs(name) if t not in data]
        return all(len(self.shapes[t]) == 4 and self.shapes[t][1:3] == here[1:3] for t in data) and all(
            len(self.shapes[t]) < 2 or self.shapes[t][:-1] == (1,) * (len(self.shapes[t]) - 1) for t in fixed
        )

    def _seen(self, name: str, tensor: str, window: Window | None) -> Window | None:
        shape = self.shapes[tensor]
        if len(shape) != 4:
            return None
        if window is None or not self.croppable(name):
            return (0, shape[1]), (0, shape[2])
        return clip(self.inputs(name, window), shape)

    def inputs(self, name: str, window: Window) -> Window:
        """Return the window of its inputs that a croppable node needs; padding lies outside them."""
        slides, pads = self.sliding(name), self.padding(name)
        if slides is not None:
            return slides.inputs(window)
        if pads is not None:
            h, w = ((a - pad, b - pad) for (a, b), pad in zip(window, pads, strict=True))
            return h, w
        return window


def clip(window: Window, shape: tuple[int, ...]) -> Window:
    """Return the part of a window that lies inside a tensor [n, h, w, channel]."""
    h, w = ((max(a, 0), min(b, n)) for (a, b), n in zip(window, shape[1:3], strict=True))
    return h, w


def _union(one: Window, other: Window) -> Window:
    h, w = ((min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return h, w


def _plain(node: Any) -> bool:
    return _text(node, "data_format") in (b"NHWC", b"")


# Asking a NodeDef for an attribute that it does not have would add it, and change the network.
def _text(node: Any, key: str) -> bytes:
    return bytes(node.attr[key].s) if key in node.attr else b""


def _ints(node: Any, key: str) -> tuple[int, ...]:
    return tuple(node.attr[key].list.i) if key in node.attr else ()


def _pads_before(node: Any, shape: tuple[int, ...], reach: Span, stride: tuple[int, ...]) -> Span:
    if _text(node, "padding") == b"EXPLICIT":
        pads = _ints(node, "explicit_paddings")
        return pads[2], pads[4]
    if _text(node, "padding") == b"VALID":
        return 0, 0
    axes = zip(shape[1:3], stride, reach, strict=True)
    h, w = (max((-(-n // s) - 1) * s + r - n, 0) // 2 for n, s, r in axes)
    return h, w
