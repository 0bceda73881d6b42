"""The branches of a concatenation: which tensor holds which of its channels.

Feature visualization draws a neuron from its branch alone, and people name neurons by their branch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atlas.model.graph.ops import PASSES
from atlas.model.graph.view import GraphView, node_of

Count = Callable[[str], int | None]
# Ops that leave every channel at its index.
_POINTWISE = frozenset({"Relu", "Relu6", "BiasAdd"})
# A concatenation of more parts is not split; DenseNets, the most branched networks, have a hundred.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class ChannelRange:
    """A tensor that holds consecutive channels of another tensor, in order."""

    tensor: str
    """The tensor that holds them and nothing else."""
    first: int
    """The index of its first channel in the other tensor."""
    n_channels: int
    """How many channels it holds: in the other tensor, first to first + n_channels - 1."""


def channel_ranges(view: GraphView, tensor: str, n_channels: int, count: Count) -> tuple[ChannelRange, ...]:
    """Return the tensors that together hold each of a tensor's `n_channels` once, in order.

    `count` returns how many channels a tensor has, None if unknown. The result is a single range for a
    tensor that is not a concatenation, or whose parts have unknown sizes.
    """
    tensors = _parts(view, tensor)
    counts = [count(part) for part in tensors]
    sizes = [n for n in counts if n is not None]
    if len(sizes) < len(counts) or sum(sizes) != n_channels:
        return (ChannelRange(tensor, 0, n_channels),)
    firsts = [sum(sizes[:at]) for at in range(len(sizes))]
    return tuple(ChannelRange(*row) for row in zip(tensors, firsts, sizes, strict=True))


def convolved_channels(view: GraphView, tensor: str) -> int | None:
    """Return how many channels a tensor has, from the convolution that computes it; None if unknown."""
    name = node_of(tensor)
    while view.op(name) in _POINTWISE | PASSES:
        name = node_of(view.inputs(name)[0])
    if view.op(name) != "Conv2D":
        return None
    shape = view.constant_shape(view.inputs(name)[1])
    return None if shape is None else shape[-1]


def _parts(view: GraphView, tensor: str) -> tuple[str, ...]:
    """Return the parts of a concatenation of channels, nested ones included; else the tensor itself."""
    parts: list[str] = []
    open_ = [tensor]
    while open_:
        here = open_.pop()
        inner = _joined(view, here)
        open_ += reversed(inner)
        if not inner:
            parts.append(here)
        if len(parts) + len(open_) > _MOST:
            return (tensor,)
    return tuple(parts)


def _joined(view: GraphView, tensor: str) -> tuple[str, ...]:
    """Return the inputs of a concatenation of channels, the input of an identity, or ()."""
    if view.op(tensor) in PASSES and view.inputs(tensor):
        return view.inputs(tensor)[:1]
    if view.op(tensor) != "ConcatV2":
        return ()
    *parts, axis = view.inputs(tensor)
    where = view.constant(axis)
    return tuple(parts) if where is not None and where.size == 1 and int(where) in (3, -1) else ()
