"""A network for the feature visualization tests, with all that the engine treats apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.neuron import Layer, ReceptiveField
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network

tf = tensorflow.compat.v1
INPUT = (44, 52)


def network(n_channels: int = 3) -> Network:
    """Stem with stride, pool and normalization, a block of two branches, a strided end, classes."""
    rng = np.random.default_rng(0)

    def conv(x: Any, size: int, n: int, name: str, stride: int = 1, padding: str = "SAME") -> Any:
        shape = (size, size, int(x.shape[3]), n)
        kernel = tf.constant(rng.normal(0, 1.5 / np.sqrt(np.prod(shape[:3])), shape).astype(np.float32))
        x = tf.nn.conv2d(x, kernel, stride, padding, name=f"{name}_conv")
        x = tf.nn.bias_add(x, tf.constant(rng.normal(0, 0.1, n).astype(np.float32)), name=f"{name}_pre")
        return tf.nn.relu(x, name=name)

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, *INPUT, n_channels], name="image")
        x = tf.pad(x, [[0, 0], [2, 1], [1, 2], [0, 0]], name="edge")
        x = conv(x, 5, 6, "stem", 2, "VALID")
        x = tf.nn.max_pool2d(x, 3, 2, "SAME", name="pool")
        x = tf.nn.lrn(x, 2, 1.0, 0.1, 0.75, name="norm")
        one, three = conv(x, 1, 4, "one"), conv(conv(x, 1, 3, "narrow"), 3, 5, "three")
        x = tf.concat([one, three], 3, name="block")
        x = conv(x, 3, 7, "end", 2)
        tf.matmul(tf.reduce_mean(x, [1, 2]), rng.normal(size=(7, 8)).astype(np.float32), name="classes")
    layers = (
        Layer("stem", "stem", "conv", "stem:0", 6, (22, 26), ReceptiveField((5, 5), (2, 2), (-2, -1))),
        Layer("block", "block", "concat", "block:0", 9, (11, 13), ReceptiveField((17, 17), (4, 4), (-8, -7))),
        Layer("end", "end", "conv", "end:0", 7, (6, 7), ReceptiveField((25, 25), (8, 8), (-12, -11))),
        Layer("classes", "classes", "dense", "classes:0", 8, None, None),
    )
    shape = (*INPUT, n_channels)
    return Network("toy", "0" * 64, graph.as_graph_def(), "image:0", shape, (-1.0, 1.0), layers)
