"""Lucid's standard transforms as one bilinear resampling (Lucid: optvis.transform.standard_transforms).

Pad by 12 px of grey, jitter by 8, scale by 0.9 to 1.1, rotate by up to 10 degrees, jitter by 4: all
affine, so a step is one matrix from the pixels of the network's input to those of the image. A step's
transform depends on the seed and the step's number alone and is the same for all neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Floats
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1

GREY = 0.5
PAD_PX = 12
FIRST_JITTER_PX = 8
LAST_JITTER_PX = 4
SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ANGLES_DEG = (*range(-10, 11), 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels that a step samples from an image, as a part of the network's input."""

    size: tuple[int, int]
    """Image's (h, w) in pixels."""
    net: tuple[int, int]
    """(h, w) of the network's whole input in pixels."""
    view: tuple[int, int]
    """(h, w) of the sampled part of the input in pixels."""
    origin: tuple[int, int] = (0, 0)
    """(h, w) of the view's first pixel in the input."""
    scales: tuple[float, ...] = SCALES
    """Scales of the transforms that this frame serves."""
    anchored: bool = False
    """True if the input's first pixel is where Lucid's is, false if the two inputs share their middle."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The random transforms of one step."""

    first: tuple[int, int]
    """Offset (h, w) of the first jitter, 0 to FIRST_JITTER_PX."""
    scale: float
    """Factor of the image's size, one of SCALES."""
    angle: float
    """Rotation in radians."""
    last: tuple[int, int]
    """Offset (h, w) of the last jitter, 0 to LAST_JITTER_PX."""


def draw(*, seed: int, step: int) -> Draw:
    """Return the transforms of a step, which depend on `seed` and `step` alone."""
    rng = np.random.default_rng([seed, step, 1])
    first = rng.integers(0, FIRST_JITTER_PX + 1, 2).tolist()
    scale = SCALES[int(rng.integers(len(SCALES)))]
    angle = np.deg2rad(ANGLES_DEG[int(rng.integers(len(ANGLES_DEG)))])
    last = rng.integers(0, LAST_JITTER_PX + 1, 2).tolist()
    return Draw((first[0], first[1]), scale, float(angle), (last[0], last[1]))


def net_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the (h, w) of the network's input after Lucid's transforms of an image."""
    h, w = (int(scale * (n + 2 * PAD_PX - FIRST_JITTER_PX)) - LAST_JITTER_PX for n in size)
    return h, w


def frames(size: tuple[int, int], stride: tuple[float, float] | None) -> tuple[Frame, ...]:
    """Return the frames that serve all scales; the view of each is its whole input.

    The size of Lucid's input depends on the scale. So do the number of positions in a layer of this stride,
    its centre position, and the first position of convolutions with SAME padding. Scales with the same number
    of positions share a frame of their mean size. Without a stride, one frame serves all scales.
    """
    by_shape: dict[tuple[float, ...], list[float]] = {}
    for scale in SCALES:
        net = net_size(size, scale)
        shape = () if stride is None else tuple(-(-n // s) for n, s in zip(net, stride, strict=True))
        by_shape.setdefault(shape, []).append(scale)
    return tuple(_frame(size, scales, anchored=stride is not None) for scales in by_shape.values())


def _frame(size: tuple[int, int], scales: list[float], *, anchored: bool) -> Frame:
    nets = np.array([net_size(size, scale) for scale in scales])
    h, w = nets.mean(0).round().astype(int).tolist()
    return Frame(size, (h, w), (h, w), scales=tuple(scales), anchored=anchored)


def affine(frame: Frame, drawn: Draw) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (matrix [2, 2], shift [2]): image position = matrix @ input position + shift, as (h, w)."""
    jittered = np.array(frame.size) + 2 * PAD_PX - FIRST_JITTER_PX
    scaled = (drawn.scale * jittered).astype(int)
    cos, sin = np.cos(drawn.angle), np.sin(drawn.angle)
    shrink = jittered / scaled
    matrix = shrink[:, None] * np.array([[cos, -sin], [sin, cos]])
    middle = (scaled - 1) / 2
    moved = 0 if frame.anchored else (scaled - LAST_JITTER_PX - np.array(frame.net)) / 2
    inner = np.array(drawn.last) + moved - middle
    return matrix, matrix @ inner + shrink * middle + drawn.first - PAD_PX


def resampling(frame: Frame, drawn: Draw) -> tuple[NDArray[np.int64], Floats]:
    """Return the sparse matrix of a step: indices int64 [4 * view pixels, 2], values float32.

    A row of the matrix is a pixel of the view, a column is a pixel of the image, both counted row by row.
    Pixels outside the image have the value 0.
    """
    matrix, shift = affine(frame, drawn)
    h, w = (np.arange(n) + start for n, start in zip(frame.view, frame.origin, strict=True))
    # Axes and corners are computed one by one for speed, because every step does this.
    at = [m[0] * h[:, None] + m[1] * w + s for m, s in zip(matrix, shift, strict=True)]
    first = [np.floor(a) for a in at]
    beyond = [a - f for a, f in zip(at, first, strict=True)]
    indices = np.empty((*frame.view, 4, 2), np.int64)
    values = np.empty((*frame.view, 4), np.float32)
    indices[..., 0] = np.arange(len(h) * len(w)).reshape(len(h), len(w), 1)
    for corner, (down, right) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        y, x = first[0] + down, first[1] + right
        inside = (y >= 0) & (y < frame.size[0]) & (x >= 0) & (x < frame.size[1])
        weight = np.abs(1 - down - beyond[0]) * np.abs(1 - right - beyond[1])
        indices[..., corner, 1] = np.where(inside, y * frame.size[1] + x, 0)
        values[..., corner] = np.where(inside, weight, 0)
    return indices.reshape(-1, 2), values.ravel()


def transformed(image: Any, frame: Frame, *, indices: Any, values: Any) -> Any:
    """Return the tensor [n, h, w, channel] of the view, from an image tensor [n, channel, h, w]."""
    n_channels = int(image.shape[1])
    n_in, n_out = int(np.prod(frame.size)), int(np.prod(frame.view))
    matrix = tf.SparseTensor(indices, values, [n_out, n_in])
    # TensorFlow's sparse product runs on one core; two halves run on two.
    halves = [tf.reshape(part - GREY, [-1, n_in]) for part in _halves(image)]
    sampled = [tf.sparse.sparse_dense_matmul(matrix, tf.transpose(half)) + GREY for half in halves]
    views = [tf.transpose(tf.reshape(half, [*frame.view, -1, n_channels]), [2, 0, 1, 3]) for half in sampled]
    return tf.concat(views, 0)


def _halves(images: Any) -> list[Any]:
    """Return the images as two batches, or a single image as one."""
    n = int(images.shape[0])
    return tf.split(images, [n - n // 2, n // 2]) if n > 1 else [images]
