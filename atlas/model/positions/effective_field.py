"""Effective receptive fields: how far a layer's gradient on real images reaches, measured.

The theoretical field grows with every layer, while most of what a position reacts to lies near its middle
(Luo et al. 2016, "Understanding the effective receptive field in deep convolutional neural networks").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.neuron import Layer
from atlas.core.records import EffectiveField, Floats
from atlas.core.records.operating_point import OperatingPoint
from atlas.model.graph.backend import tf

Doubles = NDArray[np.float64]
Side = tuple[int, int]

# With 16 other photographs a side of GoogLeNet differs by 5 % or less, of mixed5a by 9 %.
N_IMAGES = 16
INNER, OUTER = 0.95, 0.99
# Most squares per side of the map.
MOST_SQUARES = 56
# As many pixels as 2 images of GoogLeNet go through the network together; all of their maps are in memory.
_PIXELS = 2 * 224 * 224


def effective_field(
    layer: Layer, shape: tuple[int, int, int], point: OperatingPoint, gradient: Callable[[Floats], Floats]
) -> EffectiveField:
    """Return the effective field of the middle position of a layer that has positions.

    The energy of a pixel is its squared gradient, summed over channels of the image and neurons, every image
    with the same weight. `gradient` maps images [n, h, w, c] to gradients of the same shape, see
    `gradient_of`. The squares are around the middle of the theoretical field, and no larger than it or the
    image; they may hold less then (see `EffectiveField.is_known`). Where the gradient is zero, or not finite,
    the energy is zero.
    """
    assert layer.shape is not None
    assert layer.receptive_field is not None
    field, energy = layer.receptive_field, np.zeros(shape[:2])
    given = list(point.images())
    pictures = [given[i] for i in np.linspace(0, len(given) - 1, min(N_IMAGES, len(given)), dtype=int)]
    size = max(1, _PIXELS // (shape[0] * shape[1]))
    for start in range(0, len(pictures), size):
        squares = np.square(gradient(np.stack(pictures[start : start + size])), dtype=np.float64).sum(3)
        sums = squares.sum((1, 2), keepdims=True)
        known = np.isfinite(sums) & (sums > 0)
        energy += np.divide(squares, sums, out=np.zeros_like(squares), where=known).sum(0)
    energy /= energy.sum() or 1.0
    starts = zip(layer.shape, field.offset, field.stride, field.size, strict=True)
    middle = [offset + n // 2 * stride + (length - 1) / 2 for n, offset, stride, length in starts]
    limits = (min(field.size[0], shape[0]), min(field.size[1], shape[1]))
    return EffectiveField(
        layer=layer.name,
        what=f"{len(pictures)} {point.what.partition(' ')[2]}",
        inner=_side(energy, middle, limits, INNER),
        outer=_side(energy, middle, limits, OUTER),
        window=limits,
        energy=_coarse(_cut(energy, middle, limits)),
    )


@contextmanager
def gradient_of(
    network_of: Callable[[Any], Callable[[str], Any]], layer: Layer, n_channels: int, config: Any
) -> Iterator[Callable[[Floats], Floats]]:
    """Give a function from images to gradients of a layer's middle position, in a session of its own.

    `network_of` imports the network, see `Network.import_into`. Each image gets one gradient, of a sum over
    all neurons with random signs: its expected square is the sum of the neurons' squared gradients.
    """
    with tf.Graph().as_default() as graph:
        entry = tf.compat.v1.placeholder(tf.float32, [None, None, None, n_channels])
        values = network_of(entry)(layer.tensor)
        signs = tf.compat.v1.placeholder(tf.float32, [None, layer.n_channels])
        h, w = layer.shape or (1, 1)
        (slope,) = tf.gradients(tf.reduce_sum(values[:, h // 2, w // 2] * signs), entry)
    rng = np.random.default_rng(0)
    with tf.compat.v1.Session(graph=graph, config=config) as session:

        def gradient(images: Floats) -> Floats:
            if slope is None:
                return np.zeros_like(images)
            drawn = rng.choice(np.array([-1, 1], np.float32), (len(images), layer.n_channels))
            return np.asarray(session.run(slope, {entry: images, signs: drawn}))

        yield gradient


def _side(energy: Doubles, middle: list[float], limits: Side, share: float) -> Side:
    """Return the (h, w) of the smallest square with a share of the energy, no larger than `limits`."""
    for side in range(1, max(limits) + 1):
        cut = (min(side, limits[0]), min(side, limits[1]))
        if _cut(energy, middle, cut).sum() >= share:
            return cut
    return limits


def _cut(energy: Doubles, middle: list[float], side: Side) -> Doubles:
    """Return the window of this (h, w) around the middle; what is outside of the image is 0."""
    window = np.zeros(side)
    starts = [math.floor(at - (length - 1) / 2) for at, length in zip(middle, side, strict=True)]
    inside = [
        (max(start, 0), min(start + length, whole))
        for start, length, whole in zip(starts, side, energy.shape, strict=True)
    ]
    (top, bottom), (left, right) = inside
    if bottom > top and right > left:
        y, x = top - starts[0], left - starts[1]
        window[y : y + bottom - top, x : x + right - left] = energy[top:bottom, left:right]
    return window


def _coarse(window: Doubles) -> Floats:
    """Return a window in at most MOST_SQUARES squares per side, each the sum of its pixels."""
    for axis in (0, 1):
        length = window.shape[axis]
        count = -(-length // -(-length // MOST_SQUARES))
        starts = np.arange(count) * length // count
        window = np.add.reduceat(window, starts, axis=axis)
    return np.asarray(window, np.float32)
