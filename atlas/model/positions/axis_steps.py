"""Steps of ops that reshape, transpose, join, split, reduce or mix axes."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from atlas.model.graph.view import node_of
from atlas.model.positions import axes as ax
from atlas.model.positions.axes import Axes
from atlas.model.positions.steps import WHOLE, Read, Step, Walk, flag
from atlas.model.positions.windows import SAME, Taps

# Nodes that `model.layers.tokens` inserts.
MAP_OF_TOKENS = re.compile(r"/as_*/map$")


def _reshape(on: Walk, name: str, data: list[str]) -> Step | None:
    tensor = data[0]
    shape = on.shapes[name]
    new = ax.regrouped(on.axes_of(tensor), shape)
    if new is not None and MAP_OF_TOKENS.search(name) and not ax.letters(new.axes):
        # Behind attention over all positions, tokens are those of the map that they are turned into.
        return Step(ax.map_axes(shape), (Read(tensor, WHOLE),))
    return None if new is None else Step(new.axes, (Read(tensor, (new.taps["h"], new.taps["w"])),))


def _transpose(on: Walk, name: str, data: list[str]) -> Step | None:
    order = on.constant(name, 1)
    axes = on.axes_of(data[0])
    if order is None or len(order) != len(axes):
        return None
    return Step(tuple(axes[int(i)] for i in order), (Read(data[0]),))


def _repeat(on: Walk, name: str, data: list[str]) -> Step | None:
    """Return the step of Tile and BroadcastTo."""
    axes, shape = on.axes_of(data[0]), on.shapes[name]
    if data != [on.view.inputs(name)[0]] or len(axes) > len(shape):
        return None
    made = ax.broadcast(axes, shape)
    taps = [None if letter in ax.letters(axes) - ax.letters(made) else SAME for letter in ax.POSITIONS]
    # Rows that are repeated as a block are no longer windows of rows.
    return None if None in taps else Step(made, (Read(data[0]),))


def _concat(on: Walk, name: str, data: list[str]) -> Step | None:
    axis = on.constant(name, -1)
    if axis is None:
        return None
    axes_by_tensor = {t: on.axes_of(t) for t in data}
    rank = len(on.shapes[name])
    at = int(axis) % rank
    places = {ax.where(axes) for axes in axes_by_tensor.values()}
    if len(places) > 1 or any(len(axes) != rank for axes in axes_by_tensor.values()):
        return None
    made = list(axes_by_tensor[data[0]])
    if not ax.letters((made[at],)):
        made[at] = (("c", on.shapes[name][at]),)
        return Step(tuple(made), tuple(map(Read, data)))
    if len(made[at]) > 1:
        return None
    return _side_by_side(on, name, at, made)


def _side_by_side(on: Walk, name: str, at: int, made: list[ax.Axis]) -> Step | None:
    """Return the step of a concatenation along rows or columns."""
    letter, start, reads = made[at][0][0], 0, []
    for tensor in on.view.inputs(name)[:-1]:
        if node_of(tensor) in on:
            taps = Taps(1, -start, -start)
            reads.append(Read(tensor, (taps, SAME) if letter == "h" else (SAME, taps)))
            start += ax.length(on.axes_of(tensor)[at])
            continue
        value = on.view.constant(tensor)
        if value is None or value.ndim <= at:
            return None
        start += value.shape[at]
    made[at] = ((letter, on.shapes[name][at]),)
    return Step(tuple(made), tuple(reads))


def _split(on: Walk, name: str, data: list[str]) -> Step | None:
    axis = on.constant(name, 0 if on.view.op(name) == "Split" else 2)
    axes = on.axes_of(data[0])
    if axis is None or ax.letters((axes[int(axis) % len(axes)],)):
        return None
    at = int(axis) % len(axes)
    return Step((*axes[:at], (("c", on.shapes[name][at]),), *axes[at + 1 :]), (Read(data[0]),))


def _pack(on: Walk, name: str, data: list[str]) -> Step | None:
    parts = [on.axes_of(t) for t in data]
    if len({ax.where(axes) for axes in parts}) > 1:
        return None
    at = int(on.view.nodes[name].attr["axis"].i) % len(on.shapes[name])
    made = (*parts[0][:at], (("c", on.shapes[name][at]),), *parts[0][at:])
    return Step(made, tuple(map(Read, data))) if len(made) == len(on.shapes[name]) else None


def _unpack(on: Walk, name: str, data: list[str]) -> Step | None:
    axes = on.axes_of(data[0])
    at = int(on.view.nodes[name].attr["axis"].i) % len(axes)
    return None if ax.letters((axes[at],)) or at == 0 else Step(axes[:at] + axes[at + 1 :], (Read(data[0]),))


def _gather(on: Walk, name: str, data: list[str]) -> Step | None:
    axis, indices, axes = on.constant(name, 2), on.constant(name, 1), on.axes_of(data[0])
    if axis is None or indices is None or data != [on.view.inputs(name)[0]]:
        return None
    at = int(axis) % len(axes)
    if ax.letters((axes[at],)) or at == 0:
        return None
    new: Axes = tuple((("c", n),) for n in indices.shape)
    return Step((*axes[:at], *new, *axes[at + 1 :]), (Read(data[0]),))


def _reverse(on: Walk, name: str, data: list[str]) -> Step | None:
    axes, over = on.axes_of(data[0]), on.constant(name, 1)
    if over is None:
        return None
    taps = {"h": SAME, "w": SAME}
    for at in np.atleast_1d(over) % len(axes):
        axis = axes[int(at)]
        if len(axis) > 1 or axis[0][0] == "n":
            return None
        if axis[0][0] in taps:
            last = ax.length(axis) - 1
            taps[axis[0][0]] = Taps(-1, last, last)
    return Step(axes, (Read(data[0], (taps["h"], taps["w"])),))


def _reduce(on: Walk, name: str, data: list[str]) -> Step | None:
    axes, over = on.axes_of(data[0]), on.constant(name, 1)
    if over is None or data != [on.view.inputs(name)[0]]:
        return None
    summed = {int(at) % len(axes) for at in np.atleast_1d(over)}
    if 0 in summed:
        return None
    keep = flag(on.view.nodes[name], "keep_dims")
    made = [(("c", 1),) if at in summed else axis for at, axis in enumerate(axes) if keep or at not in summed]
    return Step(tuple(made), (Read(data[0]),))


def _mix(on: Walk, name: str, data: list[str]) -> Step | None:
    if on.view.op(name) == "Einsum":
        return _einsum(on, name, data)
    left, node = on.view.inputs(name)[0], on.view.nodes[name]
    is_transposed = any(flag(node, key) for key in ("transpose_a", "adj_x"))
    if data != [left] or is_transposed:
        return None
    axes, shape = on.axes_of(left), on.shapes[name]
    if len(axes) != len(shape):
        return None
    return Step((*axes[:-1], (("c", shape[-1]),)), (Read(left),))


def _einsum(on: Walk, name: str, data: list[str]) -> Step | None:
    equation = on.view.nodes[name].attr["equation"].s.decode().replace(" ", "")
    sides, _, out = equation.partition("->")
    if "." in equation or not out or len(data) > 1:
        return None
    operands = on.view.inputs(name)
    labels = sides.split(",")[operands.index(data[0])]
    axes = dict(zip(labels, on.axes_of(data[0]), strict=True))
    if any(ax.letters((axes[label],)) for label in labels if label not in out):
        # A sum over positions, each with a constant weight.
        return None
    made = tuple(axes.get(label, (("c", n),)) for label, n in zip(out, on.shapes[name], strict=True))
    return Step(made, (Read(data[0]),))


_SHAPES: dict[str, Callable[[Walk, str, list[str]], Step | None]] = {
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "ExpandDims": _reshape,
    "Transpose": _transpose,
    "Tile": _repeat,
    "BroadcastTo": _repeat,
    "ConcatV2": _concat,
    "Split": _split,
    "SplitV": _split,
    "Pack": _pack,
    "Unpack": _unpack,
    "GatherV2": _gather,
    "ReverseV2": _reverse,
}


def _shape(on: Walk, name: str, data: list[str]) -> Step | None:
    return _SHAPES[on.view.op(name)](on, name, data)


RULES: dict[str, Callable[[Walk, str, list[str]], Step | None]] = {
    "shape": _shape,
    "reduce": _reduce,
    "mix": _mix,
}
