"""Pooling and resizing of maps.

Paddings are pairs (before, after) for h and w, settings pairs for h and w.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.channels_first.pointwise import multiply
from atlas.model.channels_first.shaping import taken
from atlas.model.channels_first.values import Value, as_map
from atlas.model.channels_first.writer import Fixed, Writer
from atlas.model.graph.backend import tf
from atlas.model.positions.windows import same_padding

Pads = Sequence[tuple[int, int]]
Pair = Sequence[int]


def pooled(
    value: Value,
    *,
    largest: bool,
    sides: Pair,
    strides: Pair,
    pads: Pads,
    ceil: bool = False,
    counts: str = "padding",
) -> Value:
    """Return a map pooled by the largest value or by the mean of each window.

    The mean is over what a window has of the "map", over its "padding" too, or over "all" of it.
    """
    value = as_map(value)
    lengths = value.shape[2:]
    sizes = [
        _pooled_length(n, k, s, pad, ceil) for n, k, s, pad in zip(lengths, sides, strides, pads, strict=True)
    ]
    # What the last windows reach beyond the padding, where lengths are rounded up.
    over = [
        max((size - 1) * s + k - n - sum(pad), 0)
        for size, k, s, n, pad in zip(sizes, sides, strides, lengths, pads, strict=True)
    ]
    ends = [(before, after + extra) for (before, after), extra in zip(pads, over, strict=True)]
    pool = tf.nn.max_pool2d if largest else tf.nn.avg_pool2d
    padded = any(map(any, ends))
    same = [same_padding(*each) for each in zip(lengths, sides, strides, strict=True)]
    excluded = largest or counts == "map" or (counts == "padding" and not any(map(any, pads)))
    tensor, padding = value.tensor, "VALID"
    if padded and excluded and ends == same:
        padding = "SAME"
    elif padded and largest:
        floor = 0.0 if tensor.op.type in ("Relu", "Relu6") else tf.float32.min
        tensor = tf.pad(tensor, [(0, 0), *ends, (0, 0)], constant_values=floor)
    elif padded and (counts == "map" or (counts == "padding" and any(over))):
        total = _mean_of_padded(tensor, sides, strides, ends)
        ones = tf.ones_like(tensor[:1, :, :, :1])
        if counts == "padding":
            ones = tf.pad(ones, [(0, 0), *pads, (0, 0)], constant_values=1.0)
            ends = [(0, extra) for extra in over]
        tensor = total / tf.stop_gradient(_mean_of_padded(ones, sides, strides, ends))
        return Value(tensor, value.axes, (*value.shape[:2], *sizes))
    elif padded:
        tensor = tf.pad(tensor, [(0, 0), *ends, (0, 0)])
    tensor = pool(tensor, list(sides), list(strides), padding)
    return Value(tensor, value.axes, (*value.shape[:2], *sizes))


def _mean_of_padded(tensor: Any, sides: Pair, strides: Pair, pads: Pads) -> Any:
    return tf.nn.avg_pool2d(tf.pad(tensor, [(0, 0), *pads, (0, 0)]), list(sides), list(strides), "VALID")


def _pooled_length(n: int, side: int, stride: int, pad: tuple[int, int], ceil: bool) -> int:
    """Return how many windows there are; rounded up, the last one has to begin in the map or its padding."""
    free = n + sum(pad) - side
    size = (-(-free // stride) if ceil else free // stride) + 1
    return size - 1 if ceil and (size - 1) * stride >= n + pad[0] else size


def adaptively_pooled(writer: Writer, value: Value, sizes: Pair) -> Value:
    """Return a map's means over a grid of windows, as AdaptiveAvgPool2d has them."""
    value = as_map(value)
    lengths = value.shape[2:]
    if tuple(sizes) == (1, 1):
        tensor = tf.reduce_mean(value.tensor, (1, 2), keepdims=True)
        return Value(tensor, value.axes, (*value.shape[:2], 1, 1))
    if all(n % size == 0 for n, size in zip(lengths, sizes, strict=True)):
        sides = [n // size for n, size in zip(lengths, sizes, strict=True)]
        if sides == [1, 1]:
            return value
        return pooled(value, largest=False, sides=sides, strides=sides, pads=[(0, 0), (0, 0)])
    sides = []
    for dim, size in zip((2, 3), sizes, strict=True):
        places, side = windows(value.shape[dim], size)
        shares = np.array([side / len(set(places[i : i + side])) for i in range(0, len(places), side)])
        again = [i % side > 0 and places[i] == places[i - 1] for i in range(len(places))]
        shares = np.where(again, 0, np.repeat(shares, side)).astype(np.float32)
        value = taken(value, dim, places)
        if any(again):
            value = multiply(writer, value, Fixed("shares", shares.reshape(-1, *[1] * (3 - dim))))
        sides.append(side)
    return pooled(value, largest=False, sides=sides, strides=sides, pads=[(0, 0), (0, 0)])


def windows(n: int, size: int) -> tuple[list[int], int]:
    """Return the places that `size` windows over n places read, one window after another, and their length.

    A window that is shorter reads its last place again.
    """
    ends = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
    side = max(last - first for first, last in ends)
    return [min(first + i, last - 1) for first, last in ends for i in range(side)], side


def resized(
    value: Value,
    sizes: Sequence[int],
    scales: Sequence[float] | None,
    *,
    method: str,
    align_corners: bool = False,
    half_pixels: bool = True,
) -> Value:
    """Return a map of another size: "bilinear", or "nearest"; whole `scales` serve maps of every size."""
    value = as_map(value)
    factors = [size / n for size, n in zip(sizes, value.shape[2:], strict=True)]
    if scales is not None and any(abs(a - b) > 1e-6 for a, b in zip(scales, factors, strict=True)):
        raise ModelError(
            "a resize by a factor that the sizes do not have cannot be written",
            found=f"{list(scales)}, {list(value.shape[2:])} to {list(sizes)}",
            remedy="choose another --input-shape (input_shape in Python)",
        )
    size: Any = list(sizes)
    if all(factor == int(factor) for factor in factors):
        size = tf.shape(value.tensor)[1:3] * tf.constant([int(factor) for factor in factors])
    resize = {
        "bilinear": tf.raw_ops.ResizeBilinear,
        "nearest": tf.raw_ops.ResizeNearestNeighbor,
    }[method]
    tensor = resize(
        images=value.tensor,
        size=size,
        align_corners=align_corners,
        half_pixel_centers=half_pixels and not align_corners,
    )
    return Value(tensor, value.axes, (*value.shape[:2], *sizes))
