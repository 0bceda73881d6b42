from __future__ import annotations

from typing import Any

import numpy as np

from atlas.model.backend import tf
from atlas.model.inlining import inlined
from toys import kernel

v1 = tf.compat.v1


def run(graph_def: Any, name: str, image: Any) -> Any:
    """Return what a graph makes of an image."""
    with tf.Graph().as_default() as graph:
        v1.import_graph_def(graph_def, name="")
        with v1.Session(graph=graph) as session:
            return session.run(name, {"image:0": image})


class TestInlined:
    def test_computes_the_same(self) -> None:
        """A call in a call, of several results, is unfolded: no call is left, and the values stay."""

        @tf.function
        def inner(x: Any) -> Any:
            return tf.split(x, 2, -1)

        @tf.function
        def outer(x: Any) -> Any:
            left, right = inner(x)
            return right * 2, left + 1

        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [None, 8, 8, 4], name="image")
            doubled, shifted = outer(x)
            tf.nn.conv2d(tf.concat([doubled, shifted], -1), kernel(3, 3, 4, 5), 1, "SAME", name="end")
        graph_def = graph.as_graph_def()
        assert any(node.op.endswith("PartitionedCall") for node in graph_def.node)
        unfolded = inlined(graph_def)
        assert not any(node.op.endswith("PartitionedCall") for node in unfolded.node)
        image = np.random.default_rng(0).random((3, 8, 8, 4), np.float32)
        np.testing.assert_array_equal(run(unfolded, "end:0", image), run(graph_def, "end:0", image))

    def test_a_graph_without_calls_stays(self) -> None:
        """Where there is nothing to unfold, the graph itself is returned."""
        with tf.Graph().as_default() as graph:
            v1.placeholder(tf.float32, [None, 8, 8, 4], name="image")
        graph_def = graph.as_graph_def()
        assert inlined(graph_def) is graph_def
