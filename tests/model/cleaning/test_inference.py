"""Tests of atlas.model.cleaning.inference: a training graph made ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from graphs import conv, dense, graph_def, small

v1 = tf.compat.v1
IMAGES = np.random.default_rng(0).random((1, 20, 23, 3))


def network(build: Callable[[Any], Any]) -> Network:
    return network_of(Frozen("toy", "0" * 64, graph_def(build), "input:0", value_range=(0.0, 1.0)))


def switched(x: Any) -> None:
    """A training switch as TensorFlow 1 wrote it: Switch on a boolean placeholder, then Merge."""
    training = v1.placeholder(tf.bool, [], name="is_training")
    y = conv(x, 4, "stem")
    off, on = tf.raw_ops.Switch(data=y, pred=training)
    merged, _ = tf.raw_ops.Merge(
        inputs=[tf.multiply(off, 3.0, name="test"), tf.multiply(on, 100.0, name="train")]
    )
    dense(tf.reduce_mean(conv(merged, 5, "end"), [1, 2]), 6, "classes")


class TestSwitches:
    def test_training_is_off(self) -> None:
        """A switch is resolved to the way of inference, and nothing of the other is left."""
        net = network(switched)
        ops = {node.op for node in net.graph_def.node}
        assert not ops & {"Switch", "Merge"}
        assert "train" not in net.view.nodes
        assert [node.name for node in net.graph_def.node if node.op == "Placeholder"] == ["input"]
        got = net.activations(IMAGES, ["stem", "test:0"])
        np.testing.assert_allclose(got["test:0"], 3 * got["stem"], rtol=1e-5)

    def test_default_is_taken(self) -> None:
        """A placeholder with a default counts as that default."""

        def build(x: Any) -> None:
            scale = v1.placeholder_with_default(np.float32(2), [], name="scale")
            conv(tf.multiply(conv(x, 4, "stem"), scale, name="scaled"), 5, "end")

        assert [layer.name for layer in network(build).layers] == ["stem", "end"]


class TestFolding:
    def test_computed_constants(self) -> None:
        """What is computed from constants alone becomes a constant of the same value."""

        def build(x: Any) -> None:
            variance = tf.constant([1.0, 4.0, 9.0, 16.0], name="variance")
            conv(
                tf.multiply(conv(x, 4, "stem"), tf.math.rsqrt(variance, name="rsqrt"), name="norm"), 5, "end"
            )

        net = network(build)
        value = net.view.constant("rsqrt:0")
        assert value is not None
        np.testing.assert_allclose(value, [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-5)
        assert "variance" not in net.view.nodes

    def test_custom_gradients_are_unpacked(self) -> None:
        """An IdentityN, which only wraps a gradient, is gone; the values are the same."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            packed = tf.raw_ops.IdentityN(input=[y, x])
            conv(packed[0], 5, "end")

        assert not {n.op for n in network(build).graph_def.node} & {"IdentityN"}


class TestCutting:
    def test_training_ends_are_cut_off(self) -> None:
        """Losses, summaries and their placeholders do not stay, and do not disturb."""

        def build(x: Any) -> None:
            y = small(x)
            wanted = v1.placeholder(tf.float32, [None, 5], name="wanted")
            v1.summary.scalar("loss", tf.reduce_sum(tf.square(y - wanted), name="loss"))

        net = network(build)
        assert not {"wanted", "loss"} & set(net.view.nodes)

    def test_another_input(self) -> None:
        """Layers that depend on a second input are refused, and it is named."""

        def build(x: Any) -> None:
            other = v1.placeholder(tf.float32, [None, 20, 23, 3], name="depth")
            conv(tf.add(x, other), 4, "stem")

        with pytest.raises(ModelError, match="depth"):
            network(build)

    def test_channels_first(self) -> None:
        """A graph with channels first is refused, and its op named."""

        def build(x: Any) -> None:
            turned = tf.transpose(x, [0, 3, 1, 2])
            tf.nn.conv2d(
                turned, np.ones((3, 3, 3, 4), np.float32), 1, "SAME", data_format="NCHW", name="gpu_conv"
            )

        with pytest.raises(ModelError, match=r"gpu_conv.*NCHW.*NHWC"):
            network(build)

    def test_no_layers(self) -> None:
        """A graph without convolutions is no network for the atlas."""
        with pytest.raises(ModelError, match="no layers"):
            network(lambda x: tf.nn.relu(x))
