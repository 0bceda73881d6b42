"""Graphs for the model tests, written op by op: sizes differ on every axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from atlas.model.graph.backend import tf

v1 = tf.compat.v1


def graph_def(build: Callable[[Any], Any], shape: tuple[int | None, ...] = (None, 20, 23, 3)) -> Any:
    """Return the GraphDef that `build` makes of a placeholder "input"."""
    with tf.Graph().as_default() as graph:
        build(v1.placeholder(tf.float32, shape, name="input"))
    return graph.as_graph_def()


def conv(x: Any, channels: int, name: str, size: int = 3, stride: int = 1) -> Any:
    """Return relu(conv + bias) with the nodes name/Conv2D, name/BiasAdd and name/Relu."""
    rng = np.random.default_rng(channels)
    kernel = rng.normal(size=(size, size, x.shape[3], channels)).astype(np.float32)
    with tf.name_scope(name):
        y = tf.nn.conv2d(x, kernel, stride, "SAME", name="Conv2D")
        y = tf.nn.bias_add(y, rng.normal(size=channels).astype(np.float32), name="BiasAdd")
        return tf.nn.relu(y, name="Relu")


def dense(x: Any, channels: int, name: str) -> Any:
    """Return softmax(x W + b) with the nodes name/MatMul, name/BiasAdd and name/Softmax."""
    rng = np.random.default_rng(channels)
    with tf.name_scope(name):
        y = tf.matmul(x, rng.normal(size=(x.shape[1], channels)).astype(np.float32), name="MatMul")
        y = tf.nn.bias_add(y, rng.normal(size=channels).astype(np.float32), name="BiasAdd")
        return tf.nn.softmax(y, name="Softmax")


def small(x: Any) -> Any:
    """A network of two convolutions, a pool between them, and five classes: 3 -> 4 -> 7 -> 5."""
    y = tf.nn.max_pool2d(conv(x, 4, "conv1"), 2, 2, "SAME", name="pool1")
    y = conv(y, 7, "conv2")
    return dense(tf.reduce_mean(y, [1, 2], name="mean"), 5, "classes")
