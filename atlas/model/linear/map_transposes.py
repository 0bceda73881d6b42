"""Transposes of ops on maps: convolutions, pools, resizing, blocks, padding, slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from atlas.model.linear.interpolation import interpolation
from atlas.model.linear.places import Linear, Place, Rule, add_at, padded
from atlas.model.positions import axes as ax
from atlas.model.positions.map_steps import slices


def _conv(on: Linear, place: Place, grad: Floats) -> Floats:
    kernel, sizes = on.kernel(place.name), list(place.shape())
    if kernel.shape[2] != sizes[3]:
        kernel = _ungrouped(kernel, sizes[3])
    pulled = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=sizes,
        filter=kernel,
        out_backprop=grad,
        strides=on.strides(place.name),
        **on.padding(place.name),
    )
    return np.asarray(pulled)


def _depthwise(on: Linear, place: Place, grad: Floats) -> Floats:
    pulled = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=list(place.shape()),
        filter=on.kernel(place.name),
        out_backprop=grad,
        strides=on.strides(place.name),
        **on.padding(place.name),
    )
    return np.asarray(pulled)


def _transposed(on: Linear, place: Place, grad: Floats) -> Floats:
    kernel, strides = on.kernel(place.name), on.strides(place.name)
    if not on.whole:
        pads = []
        for axis in (0, 1):
            # Input position i reaches `size` outputs, from i * stride - before on.
            taps, size = place.taps[axis], kernel.shape[axis]
            assert taps is not None
            (first, end), (a, b) = place.read[axis], place.made[axis]
            start, stop = first * taps.per - taps.high, (end - 1) * taps.per - taps.high + size
            pads.append((a - start, stop - b))
        grad = padded(grad, [(0, 0), *pads, (0, 0)])
    pulled = tf.raw_ops.Conv2D(input=grad, filter=kernel, strides=strides, **on.padding(place.name))
    return np.asarray(pulled)


def _pool(on: Linear, place: Place, grad: Floats) -> Floats:
    pulled = tf.raw_ops.AvgPoolGrad(
        orig_input_shape=list(place.shape()),
        grad=grad,
        ksize=list(on.view.nodes[place.name].attr["ksize"].list.i),
        strides=on.strides(place.name),
        **on.padding(place.name),
    )
    return np.asarray(pulled)


def _resize(on: Linear, place: Place, grad: Floats) -> Floats:
    """Transpose the interpolation matrix of each axis in turn."""
    node = on.view.nodes[place.name]
    for axis in (0, 1):
        sizes = ax.length(place.before[axis + 1]), ax.length(place.after[axis + 1])
        matrix = interpolation(node, sizes, place.made[axis], place.read[axis], clipped=on.whole)
        grad = np.moveaxis(np.tensordot(grad, matrix, (axis + 1, 0)), -1, axis + 1)
    return np.asarray(grad, np.float32)


def _to_depth(on: Linear, place: Place, grad: Floats) -> Floats:
    size = int(on.view.nodes[place.name].attr["block_size"].i)
    n, h, w, c = grad.shape
    split = grad.reshape(n, h, w, size, size, c // size**2)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 2, 4, 5)).reshape(place.shape())


def _from_depth(on: Linear, place: Place, grad: Floats) -> Floats:
    size = int(on.view.nodes[place.name].attr["block_size"].i)
    n, h, w, c = place.shape()
    inner = _aligned(grad, place, size)
    split = inner.reshape(n, h, size, w, size, c // size**2).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(split).reshape(n, h, w, c)


def _aligned(grad: Floats, place: Place, size: int) -> Floats:
    """Return weights on a window, zero-padded to whole blocks."""
    pads = [
        (made[0] - read[0] * size, read[1] * size - made[1])
        for made, read in zip(place.made, place.read, strict=True)
    ]
    return padded(grad, [(0, 0), *pads, (0, 0)])


def _pad(on: Linear, place: Place, grad: Floats) -> Floats:
    if on.view.op(place.name) == "MirrorPad" and on.whole:
        return _mirrored(on, place, grad)
    index: list[slice] = []
    for axis, (first, _), n in zip(place.before, on.constant(place.name, 1), place.shape(), strict=True):
        moves = bool(ax.letters((axis,))) and not on.whole
        index.append(slice(None) if moves else slice(int(first), int(first) + n))
    return np.ascontiguousarray(grad[tuple(index)])


def _mirrored(on: Linear, place: Place, grad: Floats) -> Floats:
    mode = on.view.nodes[place.name].attr["mode"].s.decode().lower()
    for at, (before, after) in enumerate(on.constant(place.name, 1).tolist()):
        n = place.shape()[at]
        source = np.pad(np.arange(n), (before, after), mode)
        total = np.zeros((*grad.shape[:at], n, *grad.shape[at + 1 :]), np.float32)
        add_at(total, at, source, grad)
        grad = total
    return grad


def _slice(on: Linear, place: Place, grad: Floats) -> Floats:
    index = slices(on.layouts, place.name, len(place.before)) or []
    total = np.zeros(place.shape(), np.float32)
    where: list[Any] = []
    for axis, part in zip(place.before, (p for p in index if p is not None), strict=True):
        moves = bool(ax.letters((axis,))) and not on.whole and isinstance(part, slice)
        where.append(slice(None, None, part.step) if moves and isinstance(part, slice) else part)
    picked = total[tuple(where)]
    picked += grad.reshape(picked.shape)
    return total


def _ungrouped(kernel: Floats, n_channels: int) -> Floats:
    """Return a grouped convolution's kernel over all channels, with zeros between groups."""
    n_groups = n_channels // kernel.shape[2]
    full = np.zeros((*kernel.shape[:2], n_channels, kernel.shape[3]), np.float32)
    rows, columns = kernel.shape[2], kernel.shape[3] // n_groups
    for g in range(n_groups):
        part = np.s_[g * columns : (g + 1) * columns]
        full[:, :, g * rows : (g + 1) * rows, part] = kernel[..., part]
    return full


RULES: dict[str, Rule] = {
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "AvgPool": _pool,
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _pad,
    "StridedSlice": _slice,
    "Slice": _slice,
    "ResizeNearestNeighbor": _resize,
    "ResizeBilinear": _resize,
    "ResizeBicubic": _resize,
    "SpaceToDepth": _to_depth,
    "DepthToSpace": _from_depth,
}
