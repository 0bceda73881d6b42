"""Ops that real networks are made of, each linear and each on maps; and what a gradient says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.model.cleaning.importing import import_exactly
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from toys import kernel

v1 = tf.compat.v1
raw = tf.raw_ops


def _transposed(size: int, stride: int, padding: str = "SAME") -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        weights = np.abs(kernel(size, size, 5, int(x.shape[3])))
        lengths = [
            n * stride if padding == "SAME" else (n - 1) * stride + size
            for n in (int(n) for n in x.shape[1:3])
        ]
        shape = tf.stack([tf.shape(x)[0], *lengths, 5])
        return tf.nn.conv2d_transpose(x, weights, shape, stride, padding)

    return apply


def _grouped(x: Any) -> Any:
    return tf.nn.conv2d(x, np.abs(kernel(3, 3, int(x.shape[3]) // 2, 6)), 1, "SAME")


def _repeated(x: Any) -> Any:
    """Upsampling as Keras writes it."""
    return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)


def _focus(x: Any) -> Any:
    return tf.concat([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1)


def _shuffled(x: Any) -> Any:
    h, w, c = (int(n) for n in x.shape[1:])
    return tf.reshape(tf.transpose(tf.reshape(x, [-1, h, w, 2, c // 2]), [0, 1, 2, 4, 3]), [-1, h, w, c])


def _to_blocks(x: Any) -> Any:
    h, w, c = (int(n) for n in x.shape[1:])
    split = tf.transpose(tf.reshape(x, [-1, h // 2, 2, w // 2, 2, c]), [0, 1, 3, 2, 4, 5])
    return tf.reshape(split, [-1, h // 2, w // 2, 4 * c])


def _dense(x: Any) -> Any:
    """A dense layer at every position."""
    return tf.tensordot(x, np.abs(kernel(int(x.shape[3]), 7)), 1)


def _tokens(x: Any) -> Any:
    """A dense layer over tokens."""
    h, w, c = (int(n) for n in x.shape[1:])
    flat = tf.reshape(x, [-1, h * w, c])
    return tf.reshape(tf.einsum("ntc,cd->ntd", flat, np.abs(kernel(c, 5))), [-1, h, w, 5])


def _channels_first(x: Any) -> Any:
    turned = tf.transpose(x, [0, 3, 1, 2])
    return tf.transpose(turned * np.abs(kernel(int(x.shape[3]), 1, 1)), [0, 2, 3, 1])


def _apart(x: Any) -> Any:
    first, second = tf.split(x, [1, int(x.shape[3]) - 1], -1)
    return tf.concat([second, 2 * first, tf.gather(x, [1, 1, 0], axis=3)], -1)


def _packed(x: Any) -> Any:
    return tf.add_n(tf.unstack(tf.stack([x, 3 * x], 3), axis=3))


def _uneven(x: Any) -> Any:
    """A sum of branches of unlike reach and offset."""
    left = tf.nn.conv2d(tf.pad(x, [[0, 0], [3, 0], [0, 1], [0, 0]]), np.abs(kernel(4, 2, 4, 4)), 1, "VALID")
    return left + tf.nn.avg_pool2d(x, [1, 3], 1, "SAME")


def _unpooled(x: Any) -> Any:
    down = tf.nn.avg_pool2d(x, 2, 2, "SAME")
    return tf.concat([x, _repeated(down)], -1)


def _centred(x: Any) -> Any:
    """Channels less their mean, as in a layer norm."""
    return 3 * x - tf.reduce_mean(x, -1, keepdims=True)


MAPS: dict[str, Callable[[Any], Any]] = {
    "dilated": lambda x: tf.nn.conv2d(x, np.abs(kernel(3, 2, 4, 5)), 1, "SAME", dilations=[2, 3]),
    "grouped": _grouped,
    "transposed": _transposed(3, 2),
    "transposed, gaps": _transposed(2, 3),
    "transposed, valid": _transposed(4, 2, "VALID"),
    "nearest": lambda x: raw.ResizeNearestNeighbor(images=x, size=[60, 72], half_pixel_centers=True),
    "bilinear": lambda x: raw.ResizeBilinear(images=x, size=[60, 72], half_pixel_centers=True),
    "bilinear, uneven": lambda x: raw.ResizeBilinear(images=x, size=[45, 24]),
    "bicubic": lambda x: raw.ResizeBicubic(images=x, size=[60, 72], half_pixel_centers=True),
    "aligned": lambda x: raw.ResizeBilinear(images=x, size=[59, 71], align_corners=True),
    "aligned, doubled": lambda x: raw.ResizeBilinear(images=x, size=[60, 72], align_corners=True),
    "aligned, fewer": lambda x: raw.ResizeBilinear(images=x, size=[30, 8], align_corners=True),
    "aligned, bicubic": lambda x: raw.ResizeBicubic(images=x, size=[45, 54], align_corners=True),
    "repeated": _repeated,
    "focus": _focus,
    "space to depth": lambda x: tf.nn.space_to_depth(x, 2),
    "depth to space": lambda x: tf.nn.depth_to_space(x, 2),
    "blocks by reshapes": _to_blocks,
    "shuffled channels": _shuffled,
    "mirrored": lambda x: tf.pad(x, [[0, 0], [2, 1], [1, 3], [0, 0]], "REFLECT"),
    "padded": lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]]),
    "cropped": lambda x: x[:, 2:-1, 1:, 1:],
    "sliced": lambda x: tf.slice(x, [0, 3, 0, 1], [-1, 20, -1, 2]),
    "dense": _dense,
    "tokens": _tokens,
    "channels first": _channels_first,
    "apart": _apart,
    "packed": _packed,
    "uneven": _uneven,
    "unpooled": _unpooled,
    "centred": _centred,
    "halves": lambda x: tf.cast(tf.cast(x, tf.float64) * 2, tf.float32),
    "quantized": lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1000, 1000, 16),
}


def gradient(network: Network, source: str, target: str, units: list[tuple[int, ...]]) -> list[NDArray[Any]]:
    """Return the gradient [h, w, c] of each single value (h, w, c) of a layer, with respect to a tensor."""
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [1, *network.input_shape])
        tensor = import_exactly(network.graph_def, network.input_tensor, images)
        start, end = tensor(source), tensor(network.layer(target).tensor)
        grads = [v1.gradients(end[(0, *unit)], start)[0] for unit in units]
    feed = np.random.default_rng(3).random((1, *network.input_shape))
    with v1.Session(graph=graph) as session:
        return [np.asarray(value[0]) for value in session.run(grads, {images: feed})]
