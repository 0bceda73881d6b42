"""Every tensor's axes, and by which taps each op reads the positions of what it is made of.

Walked once in the order of the graph. Where positions cannot be followed (attention, matrix products over
positions, ops that are not in the table) each position reads the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.model import axes as ax
from atlas.model.axes import Axes, Shape
from atlas.model.graph import GraphView, node_of
from atlas.model.ops import CONVOLUTIONS, OPS
from atlas.model.windows import SAME, Taps, kernel_taps, resized_taps, same_padding, transposed_taps

Pair = tuple[Taps | None, Taps | None]
PLAIN: Pair = (SAME, SAME)
WHOLE: Pair = (None, None)


@dataclass(frozen=True, slots=True)
class Read:
    """How an op reads the positions of one tensor: taps of h and of w, None where it reads the whole axis.

    `held` is a tensor without positions that is laid over one with positions, as a gate or a mean over the
    image: no window tells what it depends on.
    """

    tensor: str
    taps: Pair = PLAIN
    held: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What a node makes: the axes of its first output, and how it reads what varies."""

    axes: Axes
    reads: tuple[Read, ...]


class Layouts(dict[str, Step]):
    """The step of each node that depends on a source, by name."""

    def __init__(
        self,
        view: GraphView,
        shapes: Mapping[str, Shape],
        source: str,
        *,
        nodes: tuple[str, ...] | None = None,
        start: Axes | None = None,
    ) -> None:
        """Walk `nodes`, by default all that depend on `source`; `start` are its axes, by default a map's.

        `shapes` maps node names to static shapes (n, h, w, c).
        """
        super().__init__()
        self.view, self.shapes = view, shapes
        origin = node_of(source)
        reached = view.descendants(source) if nodes is None else frozenset(nodes)
        self[origin] = Step(start or ax.map_axes(shapes[origin]), ())
        for name in view.order if nodes is None else nodes:
            if name in reached and name != origin and shapes.get(name) is not None:
                step = self._step(name)
                if step is not None:
                    self[name] = step

    def axes_of(self, tensor: str) -> Axes:
        """Return the axes of a tensor; of those after a node's first output too."""
        name, _, output = tensor.partition(":")
        axes = self[name].axes
        if self.view.op(name) != "SplitV" or output in ("", "0"):
            return axes
        sizes, axis = (self.view.constant(t) for t in self.view.inputs(name)[1:3])
        if sizes is None or axis is None:
            return axes
        at = int(axis) % len(axes)
        return (*axes[:at], (("c", int(sizes[int(output)])),), *axes[at + 1 :])

    def _step(self, name: str) -> Step | None:
        row = OPS.get(self.view.op(name))
        if row is not None and row.window == "size":
            return None
        data = [t for t in self.view.inputs(name) if node_of(t) in self]
        if not data:
            return None
        rule = _RULES.get(row.window if row else "whole", _whole)
        return rule(self, name, list(dict.fromkeys(data))) or _whole(self, name, data)

    def constant(self, name: str, index: int) -> Any:
        """Return the value of a node's input where it is constant, else None."""
        inputs = self.view.inputs(name)
        return self.view.constant(inputs[index]) if index < len(inputs) else None


def _whole(on: Layouts, name: str, data: list[str]) -> Step:
    """Return the step of a node each of whose positions may read every other."""
    shape = on.shapes[name]
    found = [on.axes_of(t) for t in data]
    if not any(map(ax.letters, found)):
        return Step(ax.plain_axes(shape), tuple(Read(t) for t in data))
    return Step(ax.whole_axes(shape, found), tuple(Read(t, WHOLE) for t in data))


def _point(on: Layouts, name: str, data: list[str]) -> Step | None:
    shape = on.shapes[name]
    found = {t: on.axes_of(t) for t in data}
    counts = {t: _spread(axes, shape) for t, axes in found.items()}
    most = max(counts.values())
    main = [t for t in data if counts[t] == most]
    made = ax.broadcast(found[main[0]], shape) if len(found[main[0]]) <= len(shape) else None
    alike = {ax.where(ax.broadcast(found[t], shape)) for t in main if len(found[t]) <= len(shape)}
    if made is None or len(alike) > 1:
        return None
    return Step(made, tuple(Read(t, held=counts[t] < most) for t in data))


def _spread(axes: Axes, shape: Shape) -> int:
    """Return how many axes of positions a tensor has that are as long as those of `shape`."""
    tail = shape[max(len(shape) - len(axes), 0) :]
    return sum(
        bool(ax.letters((axis,))) and n in (None, ax.length(axis))
        for axis, n in zip(axes, tail, strict=False)
    )


def _positional(on: Layouts, name: str, tensor: str, taps: Callable[[Shape], Pair | None]) -> Step | None:
    """Return the step of an op on maps; on what has no positions it makes none."""
    shape, axes = on.shapes[name], on.axes_of(tensor)
    if not ax.letters(axes):
        return Step(ax.plain_axes(shape), (Read(tensor),))
    if not ax.is_map(axes) or len(shape) != 4:
        return None
    found = taps((None, *(ax.length(axis) for axis in axes[1:])))
    return None if found is None else Step(ax.map_axes(shape), (Read(tensor, found),))


def _slide(on: Layouts, name: str, data: list[str]) -> Step | None:
    if data != [on.view.inputs(name)[0]]:
        return None

    def taps(shape: Shape) -> Pair | None:
        size, stride = extent(on.view, name), spatial(on.view.nodes[name], "strides")
        if size is None:
            return None
        before = padding_before(on.view.nodes[name], size, stride, shape)
        h, w = (kernel_taps(k, s, b) for k, s, b in zip(size, stride, before, strict=True))
        return h, w

    return _positional(on, name, data[0], taps)


def _transposed(on: Layouts, name: str, data: list[str]) -> Step | None:
    if data != [on.view.inputs(name)[2]]:
        return None

    def taps(shape: Shape) -> Pair | None:
        size, stride = extent(on.view, name), spatial(on.view.nodes[name], "strides")
        if size is None:
            return None
        before = padding_before(on.view.nodes[name], size, stride, on.shapes[name])
        h, w = (transposed_taps(k, s, b) for k, s, b in zip(size, stride, before, strict=True))
        return h, w

    return _positional(on, name, data[0], taps)


def _resize(on: Layouts, name: str, data: list[str]) -> Step | None:
    node, out = on.view.nodes[name], on.shapes[name]
    tensor = on.view.inputs(name)[0]
    if data != [tensor]:
        return None
    if not ax.letters(on.axes_of(tensor)):
        return _whole_map(on, name, tensor)
    flags = {
        "half_pixel": _flag(node, "half_pixel_centers"),
        "aligned": _flag(node, "align_corners"),
        "method": node.op,
    }

    def taps(shape: Shape) -> Pair:
        h, w = (
            resized_taps(int(a or 0), int(b or 0), **flags) for a, b in zip(shape[1:3], out[1:3], strict=True)
        )
        return h, w

    return _positional(on, name, tensor, taps)


def _whole_map(on: Layouts, name: str, tensor: str) -> Step | None:
    """Return the step of what makes a map out of a tensor without positions."""
    shape = on.shapes[name]
    return Step(ax.map_axes(shape), (Read(tensor, WHOLE),)) if len(shape) == 4 else None


def _shift(on: Layouts, name: str, data: list[str]) -> Step | None:
    tensor = on.view.inputs(name)[0]
    if data != [tensor]:
        return None
    axes = on.axes_of(tensor)
    if on.view.op(name) in ("StridedSlice", "Slice"):
        moved = _sliced(on, name, axes)
    else:
        moved = _padded(on, name, axes)
    if moved is None:
        return None
    made, taps = moved
    return Step(made, (Read(tensor, (taps["h"], taps["w"])),))


def _padded(on: Layouts, name: str, axes: Axes) -> tuple[Axes, dict[str, Taps]] | None:
    paddings = on.constant(name, 1)
    if paddings is None or len(paddings) != len(axes):
        return None
    taps = {"h": SAME, "w": SAME}
    made: list[ax.Axis] = []
    for axis, (before, after) in zip(axes, paddings.tolist(), strict=True):
        if not (before or after):
            made.append(axis)
            continue
        if len(axis) > 1 or axis[0][0] == "n":
            return None
        letter = axis[0][0]
        made.append(((letter, ax.length(axis) + before + after),))
        if letter in taps:
            taps[letter] = Taps(1, -before, -before)
    return tuple(made), taps


def _sliced(on: Layouts, name: str, axes: Axes) -> tuple[Axes, dict[str, Taps]] | None:
    index = slices(on, name, len(axes))
    if index is None:
        return None
    taps, at = {"h": SAME, "w": SAME}, 0
    made: list[ax.Axis] = []
    for part in index:
        if part is None:
            made.append((("c", 1),))
            continue
        axis, at = axes[at], at + 1
        if part == slice(None):
            made.append(axis)
            continue
        if any(letter == "n" for letter, _ in axis):
            return None
        if isinstance(part, int):
            continue
        start, stop, step = part.indices(ax.length(axis))
        n = len(range(start, stop, step))
        if n == ax.length(axis) and step == 1:
            made.append(axis)
            continue
        if len(axis) > 1 and ax.letters((axis,)):
            return None
        letter = axis[0][0]
        made.append(((letter, n),))
        if letter in taps:
            taps[letter] = Taps(step, start, start)
    return tuple(made), taps


def slices(on: Layouts, name: str, rank: int) -> list[slice | int | None] | None:
    """Return what a StridedSlice or Slice takes of each axis, None in it for a new axis; None if unknown."""
    begin, end = on.constant(name, 1), on.constant(name, 2)
    if begin is None or end is None:
        return None
    if on.view.op(name) == "Slice":
        return [
            slice(None) if (b == 0 and n == -1) else slice(int(b), None if n == -1 else int(b + n))
            for b, n in zip(begin, end, strict=True)
        ]
    strides = on.constant(name, 3)
    if strides is None:
        return None
    attr = on.view.nodes[name].attr
    mask = {key: int(attr[f"{key}_mask"].i) if f"{key}_mask" in attr else 0 for key in _MASKS}
    index: list[slice | int | None] = []
    for i, (b, e, s) in enumerate(zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)):
        bit = 1 << i
        if mask["ellipsis"] & bit:
            later = sum(not mask["new_axis"] & (1 << j) for j in range(i + 1, len(begin)))
            have = sum(part is not None for part in index)
            index += [slice(None)] * (rank - have - later)
        elif mask["new_axis"] & bit:
            index.append(None)
        elif mask["shrink_axis"] & bit:
            index.append(b)
        else:
            index.append(slice(None if mask["begin"] & bit else b, None if mask["end"] & bit else e, s))
    index = [slice(None) if part == slice(None, None, 1) else part for part in index]
    have = sum(part is not None for part in index)
    return index + [slice(None)] * (rank - have)


_MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")


def _block(on: Layouts, name: str, data: list[str]) -> Step | None:
    size = int(on.view.nodes[name].attr["block_size"].i)
    apart = on.view.op(name) == "DepthToSpace"
    taps = Taps(per=size) if apart else Taps(size, 0, size - 1)
    return _positional(on, name, data[0], lambda _: (taps, taps))


def _shape(on: Layouts, name: str, data: list[str]) -> Step | None:
    return _SHAPES[on.view.op(name)](on, name, data)


def _reshape(on: Layouts, name: str, data: list[str]) -> Step | None:
    tensor = data[0]
    found = ax.regrouped(on.axes_of(tensor), on.shapes[name])
    return None if found is None else Step(found.axes, (Read(tensor, (found.taps["h"], found.taps["w"])),))


def _transpose(on: Layouts, name: str, data: list[str]) -> Step | None:
    order = on.constant(name, 1)
    axes = on.axes_of(data[0])
    if order is None or len(order) != len(axes):
        return None
    return Step(tuple(axes[int(i)] for i in order), (Read(data[0]),))


def _repeat(on: Layouts, name: str, data: list[str]) -> Step | None:
    """Return the step of Tile and BroadcastTo."""
    axes, shape = on.axes_of(data[0]), on.shapes[name]
    if data != [on.view.inputs(name)[0]] or len(axes) > len(shape):
        return None
    made = ax.broadcast(axes, shape)
    taps = [None if letter in ax.letters(axes) - ax.letters(made) else SAME for letter in ax.POSITIONS]
    # Rows repeated one after another are not windows of rows any more.
    return None if None in taps else Step(made, (Read(data[0]),))


def _concat(on: Layouts, name: str, data: list[str]) -> Step | None:
    axis = on.constant(name, -1)
    if axis is None:
        return None
    found = {t: on.axes_of(t) for t in data}
    rank = len(on.shapes[name])
    at = int(axis) % rank
    places = {ax.where(axes) for axes in found.values()}
    if len(places) > 1 or any(len(axes) != rank for axes in found.values()):
        return None
    made = list(found[data[0]])
    if not ax.letters((made[at],)):
        made[at] = (("c", on.shapes[name][at]),)
        return Step(tuple(made), tuple(map(Read, data)))
    if len(made[at]) > 1:
        return None
    return _side_by_side(on, name, at, made)


def _side_by_side(on: Layouts, name: str, at: int, made: list[ax.Axis]) -> Step | None:
    """Return the step of tensors that are joined along rows or columns."""
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


def _split(on: Layouts, name: str, data: list[str]) -> Step | None:
    axis = on.constant(name, 0 if on.view.op(name) == "Split" else 2)
    axes = on.axes_of(data[0])
    if axis is None or ax.letters((axes[int(axis) % len(axes)],)):
        return None
    at = int(axis) % len(axes)
    return Step((*axes[:at], (("c", on.shapes[name][at]),), *axes[at + 1 :]), (Read(data[0]),))


def _pack(on: Layouts, name: str, data: list[str]) -> Step | None:
    found = [on.axes_of(t) for t in data]
    if len({ax.where(axes) for axes in found}) > 1:
        return None
    at = int(on.view.nodes[name].attr["axis"].i) % len(on.shapes[name])
    made = (*found[0][:at], (("c", on.shapes[name][at]),), *found[0][at:])
    return Step(made, tuple(map(Read, data))) if len(made) == len(on.shapes[name]) else None


def _unpack(on: Layouts, name: str, data: list[str]) -> Step | None:
    axes = on.axes_of(data[0])
    at = int(on.view.nodes[name].attr["axis"].i) % len(axes)
    return None if ax.letters((axes[at],)) or at == 0 else Step(axes[:at] + axes[at + 1 :], (Read(data[0]),))


def _gather(on: Layouts, name: str, data: list[str]) -> Step | None:
    axis, indices, axes = on.constant(name, 2), on.constant(name, 1), on.axes_of(data[0])
    if axis is None or indices is None or data != [on.view.inputs(name)[0]]:
        return None
    at = int(axis) % len(axes)
    if ax.letters((axes[at],)) or at == 0:
        return None
    new: Axes = tuple((("c", n),) for n in indices.shape)
    return Step((*axes[:at], *new, *axes[at + 1 :]), (Read(data[0]),))


def _reverse(on: Layouts, name: str, data: list[str]) -> Step | None:
    axes, turned = on.axes_of(data[0]), on.constant(name, 1)
    if turned is None:
        return None
    taps = {"h": SAME, "w": SAME}
    for at in np.atleast_1d(turned) % len(axes):
        axis = axes[int(at)]
        if len(axis) > 1 or axis[0][0] == "n":
            return None
        if axis[0][0] in taps:
            last = ax.length(axis) - 1
            taps[axis[0][0]] = Taps(-1, last, last)
    return Step(axes, (Read(data[0], (taps["h"], taps["w"])),))


def _reduce(on: Layouts, name: str, data: list[str]) -> Step | None:
    axes, over = on.axes_of(data[0]), on.constant(name, 1)
    if over is None or data != [on.view.inputs(name)[0]]:
        return None
    gone = {int(at) % len(axes) for at in np.atleast_1d(over)}
    if 0 in gone:
        return None
    keep = _flag(on.view.nodes[name], "keep_dims")
    made = [(("c", 1),) if at in gone else axis for at, axis in enumerate(axes) if keep or at not in gone]
    return Step(tuple(made), (Read(data[0]),))


def _mix(on: Layouts, name: str, data: list[str]) -> Step | None:
    if on.view.op(name) == "Einsum":
        return _einsum(on, name, data)
    left, node = on.view.inputs(name)[0], on.view.nodes[name]
    turned = any(_flag(node, key) for key in ("transpose_a", "adj_x"))
    if data != [left] or turned:
        return None
    axes, shape = on.axes_of(left), on.shapes[name]
    if len(axes) != len(shape):
        return None
    return Step((*axes[:-1], (("c", shape[-1]),)), (Read(left),))


def _einsum(on: Layouts, name: str, data: list[str]) -> Step | None:
    equation = on.view.nodes[name].attr["equation"].s.decode().replace(" ", "")
    sides, _, out = equation.partition("->")
    if "." in equation or not out or len(data) > 1:
        return None
    operands = on.view.inputs(name)
    labels = sides.split(",")[operands.index(data[0])]
    axes = dict(zip(labels, on.axes_of(data[0]), strict=True))
    if any(ax.letters((axes[label],)) for label in labels if label not in out):
        # Sums over positions that constant weights tell apart.
        return None
    made = tuple(axes.get(label, (("c", n),)) for label, n in zip(out, on.shapes[name], strict=True))
    return Step(made, (Read(data[0]),))


_SHAPES: dict[str, Callable[[Layouts, str, list[str]], Step | None]] = {
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
_RULES: dict[str, Callable[[Layouts, str, list[str]], Step | None]] = {
    "point": _point,
    "slide": _slide,
    "spread": _transposed,
    "resize": _resize,
    "shift": _shift,
    "block": _block,
    "shape": _shape,
    "reduce": _reduce,
    "mix": _mix,
}


def extent(view: GraphView, name: str) -> tuple[int, int] | None:
    """Return the (h, w) that a kernel or a pool reaches over, dilated; None for a kernel that is computed."""
    node = view.nodes[name]
    if node.op not in CONVOLUTIONS:
        return spatial(node, "ksize")
    kernel = view.constant(view.inputs(name)[1])
    if kernel is None:
        return None
    dilation = spatial(node, "dilations")
    return (kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1


def padding_before(
    node: Any, size: tuple[int, int], stride: tuple[int, int], shape: Shape
) -> tuple[int, int]:
    """Return the positions of padding before rows and columns of a map (n, h, w, c) for a kernel."""
    padding = node.attr["padding"].s.decode()
    if padding == "EXPLICIT":
        explicit = list(node.attr["explicit_paddings"].list.i)
        return int(explicit[2]), int(explicit[4])
    if padding == "VALID":
        return 0, 0
    h, w = (same_padding(int(n or 0), k, s) for n, k, s in zip(shape[1:3], size, stride, strict=True))
    return h, w


# Asking a NodeDef for an attribute that it does not have would add it, and change the network.
def spatial(node: Any, key: str) -> tuple[int, int]:
    """Return the two middle values of an attribute of four, 1 where it has none."""
    values = list(node.attr[key].list.i) if key in node.attr else []
    return (int(values[1]), int(values[2])) if len(values) == 4 else (1, 1)


def _flag(node: Any, key: str) -> bool:
    return bool(node.attr[key].b) if key in node.attr else False
