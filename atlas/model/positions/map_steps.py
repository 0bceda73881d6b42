"""Steps of ops on maps: sliding kernels, transposed convolutions, resizing, blocks, padding, slices."""

from __future__ import annotations

from collections.abc import Callable

from atlas.model.graph.ops import CONVOLUTIONS
from atlas.model.positions import axes as ax
from atlas.model.positions.axes import Axes, Shape
from atlas.model.positions.steps import WHOLE, Pair, Read, Step, Walk, extent, flag, padding_before, spatial
from atlas.model.positions.windows import SAME, Taps, kernel_taps, resized_taps, transposed_taps


def _positional(on: Walk, name: str, tensor: str, taps: Callable[[Shape], Pair | None]) -> Step | None:
    """Return the step of an op on maps; applied to a tensor without positions it yields none.

    What a kernel slides over is a map, though: its rows and columns may have come out of features.
    """
    shape, axes = on.shapes[name], on.axes_of(tensor)
    if not ax.letters(axes):
        if on.view.op(name) in CONVOLUTIONS:
            return Step(ax.map_axes(shape), (Read(tensor, WHOLE),))
        return Step(ax.plain_axes(shape), (Read(tensor),))
    if not ax.is_map(axes) or len(shape) != 4:
        return None
    pair = taps((None, *(ax.length(axis) for axis in axes[1:])))
    return None if pair is None else Step(ax.map_axes(shape), (Read(tensor, pair),))


def _slide(on: Walk, name: str, data: list[str]) -> Step | None:
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


def _transposed(on: Walk, name: str, data: list[str]) -> Step | None:
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


def _resize(on: Walk, name: str, data: list[str]) -> Step | None:
    node, out = on.view.nodes[name], on.shapes[name]
    tensor = on.view.inputs(name)[0]
    if data != [tensor]:
        return None
    if not ax.letters(on.axes_of(tensor)):
        return _whole_map(on, name, tensor)
    flags = {
        "half_pixel": flag(node, "half_pixel_centers"),
        "aligned": flag(node, "align_corners"),
        "method": node.op,
    }

    def taps(shape: Shape) -> Pair:
        h, w = (
            resized_taps(int(a or 0), int(b or 0), **flags) for a, b in zip(shape[1:3], out[1:3], strict=True)
        )
        return h, w

    return _positional(on, name, tensor, taps)


def _whole_map(on: Walk, name: str, tensor: str) -> Step | None:
    """Return the step of an op that turns a tensor without positions into a map."""
    shape = on.shapes[name]
    return Step(ax.map_axes(shape), (Read(tensor, WHOLE),)) if len(shape) == 4 else None


def _shift(on: Walk, name: str, data: list[str]) -> Step | None:
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


def _padded(on: Walk, name: str, axes: Axes) -> tuple[Axes, dict[str, Taps]] | None:
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


def _sliced(on: Walk, name: str, axes: Axes) -> tuple[Axes, dict[str, Taps]] | None:
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


def slices(on: Walk, name: str, rank: int) -> list[slice | int | None] | None:
    """Return the part of each axis that a slicing op takes, None for a new axis; None if unknown."""
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


def _block(on: Walk, name: str, data: list[str]) -> Step | None:
    size = int(on.view.nodes[name].attr["block_size"].i)
    apart = on.view.op(name) == "DepthToSpace"
    taps = Taps(per=size) if apart else Taps(size, 0, size - 1)
    return _positional(on, name, data[0], lambda _: (taps, taps))


RULES: dict[str, Callable[[Walk, str, list[str]], Step | None]] = {
    "slide": _slide,
    "spread": _transposed,
    "resize": _resize,
    "shift": _shift,
    "block": _block,
}
