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

from atlas.records import Floats
from atlas.model.backend import tf as tensorflow

tf = tensorflow.compat.v1

GREY = 0.5
PAD_PX = 12
FIRST_JITTER_PX = 8
LAST_JITTER_PX = 4
SCALES = np.array([1 + (i - 5) / 50 for i in range(11)])
ANGLES_DEG = np.array([*range(-10, 11), 0, 0, 0, 0, 0])
# How much wider than the image Lucid's network input is on average.
MEAN_GROWTH_PX = 2 * PAD_PX - FIRST_JITTER_PX - LAST_JITTER_PX


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels that a step samples: `size` of the image, `view` (h, w) of them, from `origin`.

    `net` is the size of the network's whole input, of which the view is a part. `stride` is the
    layer's where only its centre position counts: Lucid's input changes in size at every step, and
    with it the centre position; None keeps the two centres together.
    """

    size: tuple[int, int]
    net: tuple[int, int]
    view: tuple[int, int]
    origin: tuple[int, int] = (0, 0)
    stride: tuple[int, int] | None = None


def affine(frame: Frame, *, seed: int, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (matrix [2, 2], shift [2]): image position = matrix @ input position + shift, as (h, w)."""
    rng = np.random.default_rng([seed, step, 1])
    size = np.array(frame.size)
    jittered = size + 2 * PAD_PX - FIRST_JITTER_PX
    first = rng.integers(0, FIRST_JITTER_PX + 1, 2)
    scaled = (rng.choice(SCALES) * jittered).astype(int)
    angle = np.deg2rad(rng.choice(ANGLES_DEG))
    last = rng.integers(0, LAST_JITTER_PX + 1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shrink = jittered / scaled
    matrix = shrink[:, None] * turn
    middle = (scaled - 1) / 2
    inner = last + _recentred(frame, scaled - LAST_JITTER_PX) - middle
    return matrix, matrix @ inner + shrink * middle + first - PAD_PX


def _recentred(frame: Frame, net: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what to add to a position in the frame's input to stand in an input of size `net`."""
    ours = np.array(frame.net)
    if frame.stride is None:
        return (net - ours) / 2
    stride = np.array(frame.stride)
    return (-(-net // stride) // 2 - -(-ours // stride) // 2) * stride.astype(float)


def resampling(frame: Frame, *, seed: int, step: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the sparse matrix of a step: indices int64 [4 * view pixels, 2], values float32.

    A row is a pixel of the view, a column one of the image, both row by row; what lies outside the
    image has the value 0.
    """
    matrix, shift = affine(frame, seed=seed, step=step)
    rows = np.stack(np.meshgrid(*(np.arange(n) for n in frame.view), indexing="ij"), -1).reshape(-1, 2)
    at = (rows + np.array(frame.origin)) @ matrix.T + shift
    corner = np.floor(at)[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    weight = np.prod(1 - np.abs(at[:, None] - corner), -1)
    inside = np.all((corner >= 0) & (corner < frame.size), -1)
    column = np.where(inside, corner[..., 0] * frame.size[1] + corner[..., 1], 0).astype(np.int64)
    row = np.broadcast_to(np.arange(len(rows))[:, None], column.shape)
    values = np.where(inside, weight, 0).astype(np.float32)
    return np.stack([row.ravel(), column.ravel()], -1), values.ravel()


def transformed(image: Any, frame: Frame, *, indices: Any, values: Any) -> Any:
    """Return the tensor [n, h, w, channel] of the view, from an image tensor [n, channel, h, w]."""
    n_channels = int(image.shape[1])
    n_in, n_out = int(np.prod(frame.size)), int(np.prod(frame.view))
    pixels = tf.transpose(tf.reshape(image, [-1, n_in])) - GREY
    sampled = tf.sparse.sparse_dense_matmul(tf.SparseTensor(indices, values, [n_out, n_in]), pixels) + GREY
    return tf.transpose(tf.reshape(sampled, [*frame.view, -1, n_channels]), [2, 0, 1, 3])
