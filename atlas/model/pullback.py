"""The transpose of each linear op: from weights on what it makes to weights on what it reads.

Weights are float32 arrays whose first axis runs over target neurons in place of the batch, and whose other
axes are the tensor's own, rows and columns cut to a window: [target, h, w, channel] for a map. On inner
windows padding is "VALID"; over whole maps each node has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import LinearizeError
from atlas.model import axes as ax
from atlas.model.axes import Axes
from atlas.model.backend import tf
from atlas.model.graph import GraphView
from atlas.model.interpolation import interpolation
from atlas.model.layout import Layouts
from atlas.model.map_steps import slices
from atlas.model.ops import OPS, PASSES
from atlas.model.steps import Pair
from atlas.model.windows import Span
from atlas.records import Floats

Window = tuple[Span, Span]


@dataclass(frozen=True, slots=True)
class Place:
    """A node on the way and one tensor that it reads: their axes, and the window of each that is wanted."""

    name: str
    tensor: str
    before: Axes
    after: Axes
    read: Window
    made: Window
    taps: Pair
    n_targets: int

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the weights on the tensor."""
        return tuple(math.prod(sizes) for sizes in atom_sizes(self.before, self.read, self.n_targets))

    @property
    def axis_of_rows(self) -> int | None:
        """The axis of the tensor that holds its rows, alone; None where there is none."""
        return next((i for i, axis in enumerate(self.before) if [a for a, _ in axis] == ["h"]), None)


def atom_sizes(axes: Axes, window: Window, n_targets: int) -> list[tuple[int, ...]]:
    """Return the lengths of the atoms of each axis, rows and columns cut to a window."""
    lengths = {"n": n_targets, "h": window[0][1] - window[0][0], "w": window[1][1] - window[1][0]}
    return [tuple(lengths.get(letter, int(n or 1)) for letter, n in axis) for axis in axes]


class Pullback:
    """Transposes of the ops of a linear twin, on the layouts of its tensors."""

    def __init__(self, view: GraphView, layouts: Layouts, *, whole: bool, absolute: bool = False) -> None:
        """`whole` pulls back over whole maps, with their borders, instead of over inner windows.

        `absolute` takes every constant's absolute value, and lets differences and negations add.
        """
        self._view, self._layouts, self._whole, self._absolute = view, layouts, whole, absolute

    def __call__(self, place: Place, grad: Floats) -> Floats:
        """Return the weights on `place.tensor` from those on what its node makes."""
        op = self._view.op(place.name)
        if op in PASSES or op == "Cast":
            return grad
        rule = _RULES.get(op)
        if rule is None:
            twin = OPS[op].twin if op in OPS else "none"
            raise LinearizeError(f"{place.name}: the op {op} ({twin}) has no transpose here")
        return rule(self, place, grad)

    def _padding(self, name: str) -> dict[str, Any]:
        attr = self._view.nodes[name].attr
        if not self._whole:
            return {"padding": "VALID"}
        explicit = list(attr["explicit_paddings"].list.i) if "explicit_paddings" in attr else []
        return {
            "padding": attr["padding"].s.decode(),
            **({"explicit_paddings": explicit} if explicit else {}),
        }

    def _strides(self, name: str) -> list[int]:
        return list(self._view.nodes[name].attr["strides"].list.i)

    def _constant(self, name: str, index: int) -> NDArray[Any]:
        value = self._view.constant(self._view.inputs(name)[index])
        if value is None:
            raise LinearizeError(f"{name} is not linear in one tensor alone", expected="constants beside it")
        return value

    def _other(self, place: Place) -> tuple[NDArray[Any], int]:
        """Return the constant operand of a node of two operands, and where the tensor stands."""
        at = int(place.tensor != self._view.inputs(place.name)[0])
        return self._constant(place.name, 1 - at), at

    def _kernel(self, name: str) -> Floats:
        attr = self._view.nodes[name].attr
        dilations = list(attr["dilations"].list.i) if "dilations" in attr else []
        return _dilated(self._taken(self._constant(name, 1)), *(dilations[1:3] or (1, 1)))

    def _taken(self, constant: NDArray[Any]) -> Floats:
        values = constant.astype(np.float32)
        return np.abs(values) if self._absolute else values

    def _conv(self, place: Place, grad: Floats) -> Floats:
        kernel, sizes = self._kernel(place.name), list(place.shape())
        if kernel.shape[2] != sizes[3]:
            kernel = _ungrouped(kernel, sizes[3])
        pulled = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes,
            filter=kernel,
            out_backprop=grad,
            strides=self._strides(place.name),
            **self._padding(place.name),
        )
        return np.asarray(pulled)

    def _depthwise(self, place: Place, grad: Floats) -> Floats:
        pulled = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=list(place.shape()),
            filter=self._kernel(place.name),
            out_backprop=grad,
            strides=self._strides(place.name),
            **self._padding(place.name),
        )
        return np.asarray(pulled)

    def _transposed(self, place: Place, grad: Floats) -> Floats:
        kernel, strides = self._kernel(place.name), self._strides(place.name)
        if not self._whole:
            pads = []
            for axis in (0, 1):
                # Position i of the input reaches the outputs i * stride - before and the kernel's size on.
                taps, size = place.taps[axis], kernel.shape[axis]
                assert taps is not None
                (first, end), (a, b) = place.read[axis], place.made[axis]
                start, stop = first * taps.per - taps.high, (end - 1) * taps.per - taps.high + size
                pads.append((a - start, stop - b))
            grad = _padded(grad, [(0, 0), *pads, (0, 0)])
        pulled = tf.raw_ops.Conv2D(input=grad, filter=kernel, strides=strides, **self._padding(place.name))
        return np.asarray(pulled)

    def _pool(self, place: Place, grad: Floats) -> Floats:
        pulled = tf.raw_ops.AvgPoolGrad(
            orig_input_shape=list(place.shape()),
            grad=grad,
            ksize=list(self._view.nodes[place.name].attr["ksize"].list.i),
            strides=self._strides(place.name),
            **self._padding(place.name),
        )
        return np.asarray(pulled)

    def _resize(self, place: Place, grad: Floats) -> Floats:
        """Both axes one after the other: interpolation is a matrix for each."""
        node = self._view.nodes[place.name]
        for axis in (0, 1):
            sizes = ax.length(place.before[axis + 1]), ax.length(place.after[axis + 1])
            matrix = interpolation(node, sizes, place.made[axis], place.read[axis], clipped=self._whole)
            grad = np.moveaxis(np.tensordot(grad, matrix, (axis + 1, 0)), -1, axis + 1)
        return np.asarray(grad, np.float32)

    def _to_depth(self, place: Place, grad: Floats) -> Floats:
        size = int(self._view.nodes[place.name].attr["block_size"].i)
        n, h, w, c = grad.shape
        split = grad.reshape(n, h, w, size, size, c // size**2)
        return np.ascontiguousarray(split.transpose(0, 1, 3, 2, 4, 5)).reshape(place.shape())

    def _from_depth(self, place: Place, grad: Floats) -> Floats:
        size = int(self._view.nodes[place.name].attr["block_size"].i)
        n, h, w, c = place.shape()
        inner = self._aligned(grad, place, size)
        split = inner.reshape(n, h, size, w, size, c // size**2).transpose(0, 1, 3, 2, 4, 5)
        return np.ascontiguousarray(split).reshape(n, h, w, c)

    def _aligned(self, grad: Floats, place: Place, size: int) -> Floats:
        """Return weights on a window of blocks, filled up to whole blocks."""
        pads = [
            (made[0] - read[0] * size, read[1] * size - made[1])
            for made, read in zip(place.made, place.read, strict=True)
        ]
        return _padded(grad, [(0, 0), *pads, (0, 0)])

    def _concat(self, place: Place, grad: Floats) -> Floats:
        *parts, axis = self._view.inputs(place.name)
        at = int(np.asarray(self._view.constant(axis))) % grad.ndim
        if ax.letters((place.after[at],)):
            return self._joined_maps(place, grad, at)
        starts = np.cumsum([0, *(self._length(part, at) for part in parts)])
        # A tensor may stand in a concatenation twice.
        pieces = [
            np.take(grad, range(starts[i], starts[i + 1]), at)
            for i, part in enumerate(parts)
            if part == place.tensor
        ]
        return np.asarray(sum(pieces[1:], pieces[0]))

    def _joined_maps(self, place: Place, grad: Floats, at: int) -> Floats:
        if not self._whole:
            raise LinearizeError(f"{place.name} joins maps side by side", expected="whole maps")
        start, total = 0, np.zeros(place.shape(), np.float32)
        for part in self._view.inputs(place.name)[:-1]:
            n = self._length(part, at)
            if part == place.tensor:
                total += np.take(grad, range(start, start + n), at)
            start += n
        return total

    def _length(self, tensor: str, at: int) -> int:
        value = self._view.constant(tensor)
        if value is not None:
            return int(value.shape[at])
        name = tensor.partition(":")[0]
        if name in self._layouts:
            return ax.length(self._layouts.axes_of(tensor)[at])
        return int(self._layouts.shapes[name][at] or 0)

    def _product(self, place: Place, grad: Floats) -> Floats:
        factor, at = self._other(place)
        divides = self._view.op(place.name) != "Mul"
        if divides and at == 1:
            raise LinearizeError(f"{place.name} divides by what depends on the image")
        by = self._taken(factor)
        return _unbroadcast(grad / by if divides else grad * by, place.shape())

    def _difference(self, place: Place, grad: Floats) -> Floats:
        left, right = self._view.inputs(place.name)
        taken_off = int(place.tensor == right)
        sign = (place.tensor == left) + (taken_off if self._absolute else -taken_off)
        return _unbroadcast(grad * np.float32(sign), place.shape())

    def _sum(self, place: Place, grad: Floats) -> Floats:
        times = self._view.inputs(place.name).count(place.tensor)
        return _unbroadcast(grad * np.float32(times), place.shape())

    def _negative(self, place: Place, grad: Floats) -> Floats:
        return grad if self._absolute else -grad

    def _reverse(self, place: Place, grad: Floats) -> Floats:
        over = np.atleast_1d(self._constant(place.name, 1)) % grad.ndim
        return np.ascontiguousarray(np.flip(grad, tuple(over.tolist())))

    def _pad(self, place: Place, grad: Floats) -> Floats:
        if self._view.op(place.name) == "MirrorPad" and self._whole:
            return self._mirrored(place, grad)
        index: list[slice] = []
        for axis, (first, _), n in zip(
            place.before, self._constant(place.name, 1), place.shape(), strict=True
        ):
            moves = bool(ax.letters((axis,))) and not self._whole
            index.append(slice(None) if moves else slice(int(first), int(first) + n))
        return np.ascontiguousarray(grad[tuple(index)])

    def _mirrored(self, place: Place, grad: Floats) -> Floats:
        mode = self._view.nodes[place.name].attr["mode"].s.decode().lower()
        for at, (before, after) in enumerate(self._constant(place.name, 1).tolist()):
            n = place.shape()[at]
            source = np.pad(np.arange(n), (before, after), mode)
            total = np.zeros((*grad.shape[:at], n, *grad.shape[at + 1 :]), np.float32)
            _add_at(total, at, source, grad)
            grad = total
        return grad

    def _slice(self, place: Place, grad: Floats) -> Floats:
        index = slices(self._layouts, place.name, len(place.before)) or []
        total = np.zeros(place.shape(), np.float32)
        where: list[Any] = []
        for axis, part in zip(place.before, (p for p in index if p is not None), strict=True):
            moves = bool(ax.letters((axis,))) and not self._whole and isinstance(part, slice)
            where.append(slice(None, None, part.step) if moves and isinstance(part, slice) else part)
        picked = total[tuple(where)]
        picked += grad.reshape(picked.shape)
        return total

    def _reduce(self, place: Place, grad: Floats) -> Floats:
        shape = place.shape()
        over = {int(at) % len(shape) for at in np.atleast_1d(self._constant(place.name, 1))}
        kept = [1 if at in over else n for at, n in enumerate(shape)]
        share = 1 / math.prod(shape[at] for at in over) if self._view.op(place.name) == "Mean" else 1
        return np.ascontiguousarray(np.broadcast_to(grad.reshape(kept) * np.float32(share), shape))

    def _reshape(self, place: Place, grad: Floats) -> Floats:
        if self._whole or place.taps == (None, None):
            return grad.reshape(place.shape())
        for axis, taps in enumerate(place.taps):
            if taps is not None and taps.per > 1:
                grad = self._block_edge(grad, place, axis, taps.per)
        return grad.reshape(place.shape())

    def _block_edge(self, grad: Floats, place: Place, axis: int, size: int) -> Floats:
        """Fill a window of rows or columns, of which `size` are one before, up to whole ones."""
        letter = ax.POSITIONS[axis]
        at = next(i for i, a in enumerate(place.after) if a[0][0] == letter and len(a) == 1)
        (a, b), (first, end) = place.made[axis], place.read[axis]
        pads = [(0, 0)] * grad.ndim
        pads[at] = (a - first * size, end * size - b)
        return _padded(grad, pads)

    def _transpose(self, place: Place, grad: Floats) -> Floats:
        return np.ascontiguousarray(grad.transpose(np.argsort(self._constant(place.name, 1))))

    def _repeat(self, place: Place, grad: Floats) -> Floats:
        """Sum over the copies that Tile and BroadcastTo make."""
        shape = place.shape()
        lead = grad.ndim - len(shape)
        grad = grad.sum(tuple(range(lead))) if lead else grad
        for at, n in enumerate(shape):
            if grad.shape[at] != n:
                copies = grad.reshape(*grad.shape[:at], grad.shape[at] // n, n, *grad.shape[at + 1 :])
                grad = copies.sum(at)
        return grad

    def _split(self, place: Place, grad: Floats) -> Floats:
        return grad

    def _pack(self, place: Place, grad: Floats) -> Floats:
        at = int(self._view.nodes[place.name].attr["axis"].i) % grad.ndim
        parts = [i for i, t in enumerate(self._view.inputs(place.name)) if t == place.tensor]
        return np.asarray(np.take(grad, parts, at).sum(at))

    def _gather(self, place: Place, grad: Floats) -> Floats:
        at = int(self._constant(place.name, 2)) % len(place.before)
        indices = self._constant(place.name, 1)
        total = np.zeros(place.shape(), np.float32)
        _add_at(total, at, indices, grad)
        return total

    def _matmul(self, place: Place, grad: Floats) -> Floats:
        matrix, at = self._other(place)
        node = self._view.nodes[place.name]
        flips = [any(key in node.attr and node.attr[key].b for key in keys) for keys in _TURNED]
        turned = self._taken(np.swapaxes(matrix, -1, -2) if flips[1 - at] else matrix)
        turned = np.swapaxes(turned, -1, -2)
        rows = grad.reshape(-1, grad.shape[-1]) if grad.ndim < 2 else grad
        pulled = np.matmul(rows, turned) if at == 0 else np.matmul(turned, rows)
        if flips[at]:
            pulled = np.swapaxes(pulled, -1, -2)
        return _unbroadcast(pulled, place.shape())

    def _einsum(self, place: Place, grad: Floats) -> Floats:
        equation = self._view.nodes[place.name].attr["equation"].s.decode().replace(" ", "")
        sides, _, out = equation.partition("->")
        terms = sides.split(",")
        at, constants, inputs = 0, [], [out]
        if len(terms) > 1:
            other, at = self._other(place)
            constants, inputs = [self._taken(other)], [out, terms[1 - at]]
        wanted = terms[at]
        if set(wanted) - set("".join(inputs)):
            raise LinearizeError(f"{place.name} sums over an axis of one operand alone", found=equation)
        return np.asarray(np.einsum(f"{','.join(inputs)}->{wanted}", grad, *constants), np.float32)


_TURNED = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))


def _unbroadcast(grad: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    """Sum over the axes along which a tensor of this shape was stretched."""
    lead = grad.ndim - len(shape)
    if lead > 0:
        # The first axis runs over targets: what is added in front stands behind it.
        grad = grad.sum(tuple(range(1, 1 + lead)))
    over = tuple(at for at, n in enumerate(shape) if n == 1 and grad.shape[at] > 1)
    return np.asarray(grad.sum(over, keepdims=True) if over else grad, np.float32)


def _add_at(total: Floats, axis: int, indices: NDArray[Any], grad: Floats) -> None:
    """Add to the entries of an axis, those that are named twice twice."""
    index: Any = (slice(None),) * axis
    np.add.at(total, (*index, indices), grad)


def _padded(grad: Floats, pads: list[tuple[int, int]]) -> Floats:
    """Pad with zeros; what would be padded by less than none is cut off."""
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pads, grad.shape, strict=True))
    return np.pad(grad[cut], [(max(a, 0), max(b, 0)) for a, b in pads])


def _dilated(kernel: Floats, h: int, w: int) -> Floats:
    if (h, w) == (1, 1):
        return kernel
    spread = np.zeros(((kernel.shape[0] - 1) * h + 1, (kernel.shape[1] - 1) * w + 1, *kernel.shape[2:]), "f4")
    spread[::h, ::w] = kernel
    return spread


def _ungrouped(kernel: Floats, n_channels: int) -> Floats:
    """Return the full kernel of a grouped convolution, zero between groups."""
    n_groups = n_channels // kernel.shape[2]
    full = np.zeros((*kernel.shape[:2], n_channels, kernel.shape[3]), np.float32)
    rows, columns = kernel.shape[2], kernel.shape[3] // n_groups
    for g in range(n_groups):
        part = np.s_[g * columns : (g + 1) * columns]
        full[:, :, g * rows : (g + 1) * rows, part] = kernel[..., part]
    return full


_Rule = Callable[[Pullback, Place, Floats], NDArray[np.float32]]
_RULES: dict[str, _Rule] = {
    "Conv2D": Pullback._conv,
    "DepthwiseConv2dNative": Pullback._depthwise,
    "Conv2DBackpropInput": Pullback._transposed,
    "AvgPool": Pullback._pool,
    "ConcatV2": Pullback._concat,
    "Mul": Pullback._product,
    "RealDiv": Pullback._product,
    "Div": Pullback._product,
    "Sub": Pullback._difference,
    "Add": Pullback._sum,
    "AddV2": Pullback._sum,
    "AddN": Pullback._sum,
    "Neg": Pullback._negative,
    "Split": Pullback._split,
    "SplitV": Pullback._split,
    "Pack": Pullback._pack,
    "Unpack": Pullback._split,
    "GatherV2": Pullback._gather,
    "ReverseV2": Pullback._reverse,
    "Pad": Pullback._pad,
    "PadV2": Pullback._pad,
    "MirrorPad": Pullback._pad,
    "StridedSlice": Pullback._slice,
    "Slice": Pullback._slice,
    "Mean": Pullback._reduce,
    "Sum": Pullback._reduce,
    "Reshape": Pullback._reshape,
    "Squeeze": Pullback._reshape,
    "ExpandDims": Pullback._reshape,
    "Transpose": Pullback._transpose,
    "Tile": Pullback._repeat,
    "BroadcastTo": Pullback._repeat,
    "ResizeNearestNeighbor": Pullback._resize,
    "ResizeBilinear": Pullback._resize,
    "ResizeBicubic": Pullback._resize,
    "SpaceToDepth": Pullback._to_depth,
    "DepthToSpace": Pullback._from_depth,
    "MatMul": Pullback._matmul,
    "BatchMatMulV2": Pullback._matmul,
    "BatchMatMulV3": Pullback._matmul,
    "BatchMatMul": Pullback._matmul,
    "Einsum": Pullback._einsum,
}
