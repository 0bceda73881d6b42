"""Where a transpose is taken: at a node and a tensor that it reads, on the linear twin and its layouts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.errors import LinearizeError
from atlas.core.records import Floats
from atlas.model.graph.view import GraphView
from atlas.model.positions import axes as ax
from atlas.model.positions.axes import Axes
from atlas.model.positions.layout import Layouts
from atlas.model.positions.steps import Pair
from atlas.model.positions.windows import Span

Window = tuple[Span, Span]


@dataclass(frozen=True, slots=True)
class Place:
    """A node between source and target and one tensor that it reads, with the axes and the window of each."""

    name: str
    """The node."""
    tensor: str
    """The tensor that it reads."""
    before: Axes
    """The axes of that tensor."""
    after: Axes
    """The axes of the node's output."""
    read: Window
    """The rows and columns of the tensor that get weights."""
    made: Window
    """The rows and columns of the output from which weights are pulled back."""
    taps: Pair
    """How the output reads the tensor's rows and columns; None for an axis that it reads whole."""
    n_targets: int
    """How many targets are pulled back at once: the length of the batch axis."""

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the weights on the tensor."""
        return tuple(math.prod(sizes) for sizes in atom_sizes(self.before, self.read, self.n_targets))

    @property
    def axis_of_rows(self) -> int | None:
        """The axis of the tensor that holds rows and nothing else; None where there is none."""
        return next((i for i, axis in enumerate(self.before) if [a for a, _ in axis] == ["h"]), None)


def atom_sizes(axes: Axes, window: Window, n_targets: int) -> list[tuple[int, ...]]:
    """Return the lengths of each axis's atoms, with rows and columns cut to a window."""
    lengths = {"n": n_targets, "h": window[0][1] - window[0][0], "w": window[1][1] - window[1][0]}
    return [tuple(lengths.get(letter, int(n or 1)) for letter, n in axis) for axis in axes]


@dataclass(frozen=True)
class Linear:
    """A linear twin whose ops are to be transposed."""

    view: GraphView
    """The nodes of the twin."""
    layouts: Layouts
    """What the axes of its tensors stand for, and their shapes."""
    whole: bool
    """Whether to pull back over whole maps with their borders instead of inner windows."""
    absolute: bool = False
    """Whether to take every constant's absolute value, and differences and negations as sums."""

    def padding(self, name: str) -> dict[str, Any]:
        """Return a kernel's padding arguments: none on inner windows, the node's own over whole maps."""
        attr = self.view.nodes[name].attr
        if not self.whole:
            return {"padding": "VALID"}
        explicit = list(attr["explicit_paddings"].list.i) if "explicit_paddings" in attr else []
        return {
            "padding": attr["padding"].s.decode(),
            **({"explicit_paddings": explicit} if explicit else {}),
        }

    def strides(self, name: str) -> list[int]:
        """Return the strides of a node, one per axis."""
        return list(self.view.nodes[name].attr["strides"].list.i)

    def constant(self, name: str, index: int) -> NDArray[Any]:
        """Return the value of a node's input; raises LinearizeError where it is not constant."""
        value = self.view.constant(self.view.inputs(name)[index])
        if value is None:
            raise LinearizeError(
                f"{name} is not linear in one tensor alone", expected="constants as its other operands"
            )
        return value

    def other(self, place: Place) -> tuple[NDArray[Any], int]:
        """Return the constant operand of a node with two operands, and the index of the tensor's."""
        at = int(place.tensor != self.view.inputs(place.name)[0])
        return self.constant(place.name, 1 - at), at

    def kernel(self, name: str) -> Floats:
        """Return the kernel of a convolution, with zeros between its values where it is dilated."""
        attr = self.view.nodes[name].attr
        dilations = list(attr["dilations"].list.i) if "dilations" in attr else []
        return _dilated(self.taken(self.constant(name, 1)), *(dilations[1:3] or (1, 1)))

    def taken(self, constant: NDArray[Any]) -> Floats:
        """Return a constant as float32, its absolute value where `absolute` is set."""
        values = constant.astype(np.float32)
        return np.abs(values) if self.absolute else values

    def length(self, tensor: str, at: int) -> int:
        """Return the length of an axis of a tensor."""
        value = self.view.constant(tensor)
        if value is not None:
            return int(value.shape[at])
        name = tensor.partition(":")[0]
        if name in self.layouts:
            return ax.length(self.layouts.axes_of(tensor)[at])
        return int(self.layouts.shapes[name][at] or 0)


Rule = Callable[[Linear, Place, Floats], NDArray[np.float32]]


def unbroadcast(grad: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    """Sum over the axes along which a tensor of this shape was broadcast."""
    lead = grad.ndim - len(shape)
    if lead > 0:
        # The first axis runs over targets, so axes that broadcasting prepends come after it.
        grad = grad.sum(tuple(range(1, 1 + lead)))
    over = tuple(at for at, n in enumerate(shape) if n == 1 and grad.shape[at] > 1)
    return np.asarray(grad.sum(over, keepdims=True) if over else grad, np.float32)


def padded(grad: Floats, pads: list[tuple[int, int]]) -> Floats:
    """Pad with zeros, or crop where a pad is negative."""
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pads, grad.shape, strict=True))
    return np.pad(grad[cut], [(max(a, 0), max(b, 0)) for a, b in pads])


def add_at(total: Floats, axis: int, indices: NDArray[Any], grad: Floats) -> None:
    """Add `grad` to the entries of an axis at `indices`; an index that occurs twice is added to twice."""
    index: Any = (slice(None),) * axis
    np.add.at(total, (*index, indices), grad)


def _dilated(kernel: Floats, h: int, w: int) -> Floats:
    if (h, w) == (1, 1):
        return kernel
    spread = np.zeros(((kernel.shape[0] - 1) * h + 1, (kernel.shape[1] - 1) * w + 1, *kernel.shape[2:]), "f4")
    spread[::h, ::w] = kernel
    return spread
