"""Step: how a node treats positions, and helpers that the rules of all ops share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atlas.model.graph.ops import CONVOLUTIONS
from atlas.model.graph.view import GraphView
from atlas.model.positions.axes import Axes, Shape
from atlas.model.positions.windows import SAME, Taps, same_padding

Pair = tuple[Taps | None, Taps | None]
PLAIN: Pair = (SAME, SAME)
WHOLE: Pair = (None, None)


@dataclass(frozen=True, slots=True)
class Read:
    """How an op reads the positions of one tensor. No window describes what a held tensor depends on."""

    tensor: str
    """The tensor that the op reads."""
    taps: Pair = PLAIN
    """For rows and columns; None for an axis that the op reads whole."""
    held: bool = False
    """Whether the tensor, without positions, is broadcast over one with positions, as a gate is."""


@dataclass(frozen=True, slots=True)
class Step:
    """How a node treats positions."""

    axes: Axes
    """What the axes of its first output stand for."""
    reads: tuple[Read, ...]
    """One for each input that depends on the source."""


class Walk(dict[str, Step]):
    """The steps of the nodes walked so far, by name, on a graph and its static shapes."""

    def __init__(self, view: GraphView, shapes: Mapping[str, Shape]) -> None:
        """Start without any steps; `shapes` maps node names to (n, h, w, c)."""
        super().__init__()
        self.view, self.shapes = view, shapes

    def axes_of(self, tensor: str) -> Axes:
        """Return the axes of a tensor, which may be any output of a node."""
        name, _, output = tensor.partition(":")
        axes = self[name].axes
        if self.view.op(name) != "SplitV" or output in ("", "0"):
            return axes
        sizes, axis = (self.view.constant(t) for t in self.view.inputs(name)[1:3])
        if sizes is None or axis is None:
            return axes
        at = int(axis) % len(axes)
        return (*axes[:at], (("c", int(sizes[int(output)])),), *axes[at + 1 :])

    def constant(self, name: str, index: int) -> Any:
        """Return the value of a node's input if it is constant, else None."""
        inputs = self.view.inputs(name)
        return self.view.constant(inputs[index]) if index < len(inputs) else None


def extent(view: GraphView, name: str) -> tuple[int, int] | None:
    """Return the (h, w) extent of a kernel or a pool, with dilation; None for a kernel that is computed."""
    node = view.nodes[name]
    if node.op not in CONVOLUTIONS:
        return spatial(node, "ksize")
    shape = view.constant_shape(view.inputs(name)[1])
    if shape is None:
        return None
    dilation = spatial(node, "dilations")
    return (shape[0] - 1) * dilation[0] + 1, (shape[1] - 1) * dilation[1] + 1


def padding_before(
    node: Any, size: tuple[int, int], stride: tuple[int, int], shape: Shape
) -> tuple[int, int]:
    """Return how many positions are padded before the rows and columns of a map (n, h, w, c)."""
    padding = node.attr["padding"].s.decode()
    if padding == "EXPLICIT":
        explicit = list(node.attr["explicit_paddings"].list.i)
        return int(explicit[2]), int(explicit[4])
    if padding == "VALID":
        return 0, 0
    h, w = (same_padding(int(n or 0), k, s)[0] for n, k, s in zip(shape[1:3], size, stride, strict=True))
    return h, w


# Reading an attribute that a NodeDef does not have would add it, and change the network.
def spatial(node: Any, key: str) -> tuple[int, int]:
    """Return the two middle values of an attribute with four values, (1, 1) where it is absent."""
    values = list(node.attr[key].list.i) if key in node.attr else []
    return (int(values[1]), int(values[2])) if len(values) == 4 else (1, 1)


def flag(node: Any, key: str) -> bool:
    """Return a boolean attribute, False where it is absent."""
    return bool(node.attr[key].b) if key in node.attr else False
