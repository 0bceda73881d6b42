"""A concatenation of channels taken apart: which tensors hold which of its channels.

Feature visualization draws a neuron from its branch alone, and people name it by its branch; both read
the parts that are found here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atlas.model.graph.ops import PASSES
from atlas.model.graph.view import GraphView, node_of

Count = Callable[[str], int | None]
# These change no channel's place.
_POINTWISE = frozenset({"Relu", "Relu6", "BiasAdd"})
# Beyond so many parts a concatenation is taken as a whole: DenseNets, the most branched, have a hundred.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class ChannelRange:
    """A tensor that holds the channels first … first + n_channels - 1 of another, in order."""

    tensor: str
    first: int
    n_channels: int


def channel_ranges(view: GraphView, tensor: str, n_channels: int, count: Count) -> tuple[ChannelRange, ...]:
    """Return the tensors that hold each of a tensor's `n_channels` once, in order.

    `count` gives the number of channels of a tensor, None where that is not known. What is no
    concatenation, and one whose parts are not all known, is one range.
    """
    tensors = _parts(view, tensor)
    counts = [count(part) for part in tensors]
    known = [n for n in counts if n is not None]
    if len(known) < len(counts) or sum(known) != n_channels:
        return (ChannelRange(tensor, 0, n_channels),)
    firsts = [sum(known[:at]) for at in range(len(known))]
    return tuple(ChannelRange(*found) for found in zip(tensors, firsts, known, strict=True))


def convolved_channels(view: GraphView, tensor: str) -> int | None:
    """Return how many channels a tensor has, from the convolution that makes it; None if unknown."""
    name = node_of(tensor)
    while view.op(name) in _POINTWISE | PASSES:
        name = node_of(view.inputs(name)[0])
    if view.op(name) != "Conv2D":
        return None
    shape = view.constant_shape(view.inputs(name)[1])
    return None if shape is None else shape[-1]


def _parts(view: GraphView, tensor: str) -> tuple[str, ...]:
    """Return the tensors that a concatenation of channels is made of; the tensor itself otherwise."""
    parts: list[str] = []
    open_ = [tensor]
    while open_:
        here = open_.pop()
        joined = _joined(view, here)
        open_ += reversed(joined)
        if not joined:
            parts.append(here)
        if len(parts) + len(open_) > _MOST:
            return (tensor,)
    return tuple(parts)


def _joined(view: GraphView, tensor: str) -> tuple[str, ...]:
    """Return what a concatenation of channels joins, what an op that passes one tensor on passes, or ()."""
    if view.op(tensor) in PASSES and view.inputs(tensor):
        return view.inputs(tensor)[:1]
    if view.op(tensor) != "ConcatV2":
        return ()
    *parts, axis = view.inputs(tensor)
    where = view.constant(axis)
    return tuple(parts) if where is not None and where.size == 1 and int(where) in (3, -1) else ()
