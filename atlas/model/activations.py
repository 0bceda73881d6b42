"""Activations that a graph spells out in several ops: SiLU, GELU, hard-swish, PReLU, leaky maximum.

Such a composite joins two elementwise functions of one tensor; `composite_root` finds that tensor.
"""

from __future__ import annotations

from collections.abc import Iterator

from atlas.model.graph import PASSES, GraphView, node_of

# Elementwise nonlinear functions of one tensor.
SMOOTH = frozenset(
    "Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softplus Softsign Erf Erfc Exp Square Pow Abs "
    "ClipByValue HardSwish Swish Gelu Silu".split()
)
# Elementwise ops of one varying tensor and constants that may stand inside a composite.
_INSIDE = SMOOTH | PASSES | {"Mul", "Add", "AddV2", "Sub", "RealDiv", "Neg", "Maximum", "Minimum"}


def composite_root(view: GraphView, name: str, variable: frozenset[str]) -> str | None:
    """Return the tensor of which a two-input node is an elementwise, nonlinear function, or None.

    `variable` holds the nodes that depend on the network's input.
    """
    left, right = (tuple(_chain(view, tensor, variable)) for tensor in view.inputs(name))
    for depth, tensor in enumerate(left):
        if tensor in right:
            inner = (*left[:depth], *right[: right.index(tensor)])
            bends = view.op(name) not in {"Add", "AddV2", "Sub"} or any(view.op(t) in SMOOTH for t in inner)
            return tensor if bends else None
    return None


def _chain(view: GraphView, tensor: str, variable: frozenset[str]) -> Iterator[str]:
    """Yield a tensor and those it is an elementwise function of, nearest first."""
    while True:
        yield tensor
        name = node_of(tensor)
        if view.op(name) not in _INSIDE:
            return
        varying = [t for t in view.inputs(name) if node_of(t) in variable]
        if len(varying) == 2:
            root = composite_root(view, name, variable)
            if root is None:
                return
            tensor = root
        elif len(varying) == 1:
            tensor = varying[0]
        else:
            return
