"""Which of two multiplied tensors is a gate, and its value at the operating point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.graph.ops import AFFINE, PASSES
from atlas.model.graph.view import node_of
from atlas.model.positions import axes as ax
from atlas.model.positions.layout import Layouts

Evaluate = Callable[[str], NDArray[Any]]

_SHAPES = frozenset("Reshape Squeeze ExpandDims Transpose Tile BroadcastTo Cast".split())
# Ops in which a gate, a standard deviation or attention weights end.
_SQUASHES = frozenset(
    """Sigmoid Tanh Softmax Softsign Erf Relu6 ClipByValue Minimum Maximum Exp Rsqrt Sqrt Reciprocal
    Inv""".split()
)


class Gates:
    """The gates on the paths from a source; `reached` holds the source and the nodes that depend on it."""

    def __init__(
        self, layouts: Layouts, *, reached: frozenset[str], variable: frozenset[str], evaluate: Evaluate
    ) -> None:
        """Take the nodes that depend on the image as `variable`; `evaluate` gives operating-point values."""
        self._layouts, self._view, self._shapes = layouts, layouts.view, layouts.shapes
        self._reached, self._variable, self._evaluate = reached, variable, evaluate

    def factor(self, name: str, left: str, right: str) -> str | None:
        """Return which of two operands that depend on the image is the gate, None where neither is."""
        on_path = [t for t in (left, right) if node_of(t) in self._reached]
        if len(on_path) == 1:
            return left if on_path[0] == right else right
        squashed = [t for t in (left, right) if self.is_squashed(t)]
        if len(squashed) == 2:
            # A norm behind a sigmoid: the deviation is computed from the tensor that it divides.
            derived = [b for a, b in ((left, right), (right, left)) if self._is_made_of(b, a)]
            squashed = derived if len(derived) == 1 else squashed
        small = min((left, right), key=self._n_values)
        equal = self._n_values(left) == self._n_values(right)
        gate = self.without_positions(name) or (squashed[0] if len(squashed) == 1 else None)
        return gate or (None if equal else small)

    def without_positions(self, name: str) -> str | None:
        """Return the operand of a node that has lost its positions while the other has them."""
        step = self._layouts.get(name)
        tensors = [read.tensor for read in step.reads if read.held] if step else []
        return tensors[0] if len(tensors) == 1 and node_of(tensors[0]) in self._reached else None

    def is_squashed(self, tensor: str) -> bool:
        """Return whether a tensor ends in an op in which gates, deviations and attention weights end."""
        name = node_of(tensor)
        while (op := self._view.op(name)) in PASSES | _SHAPES | AFFINE:
            varying = [node_of(t) for t in self._view.inputs(name) if node_of(t) in self._variable]
            if len(varying) != 1:
                return False
            name = varying[0]
        return op in _SQUASHES

    def has_several(self, tensor: str, value: NDArray[Any]) -> bool:
        """Return whether an image has several values of a tensor, since positions are part of its batch."""
        name = node_of(tensor)
        step = self._layouts.get(name)
        folded = step is not None and len(step.axes[0]) > 1 and ("n", None) in step.axes[0]
        return folded or (value.ndim == len(self._shapes[name]) > 1 and value.shape[0] > 1)

    def _is_made_of(self, tensor: str, other: str) -> bool:
        return bool(self._view.between(other, tensor)) and node_of(tensor) != node_of(other)

    def _n_values(self, tensor: str) -> int:
        return int(np.prod([n or 1 for n in self._shapes[node_of(tensor)]]))

    def value(self, tensor: str) -> NDArray[np.float32]:
        """Return a factor's value, [1, …], averaged over positions where it has any."""
        value = self._evaluate(tensor).astype(np.float32)
        step = self._layouts.get(node_of(tensor))
        if step is None or value.ndim != len(step.axes):
            return value
        over = tuple(i for i, axis in enumerate(step.axes) if ax.letters((axis,)))
        return np.asarray(value.mean(over, keepdims=True)) if over else value
