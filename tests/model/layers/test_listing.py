"""Which layers a graph is found to have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from graphs import conv, dense, graph_def, small

SHAPE = (20, 23, 3)
SIMPLE = (tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.leaky_relu, tf.nn.selu, tf.nn.silu, tf.tanh)


def network(build: Callable[[Any], Any], shape: tuple[int, int, int] = SHAPE, **told: Any) -> Network:
    frozen = Frozen("toy", "0" * 64, graph_def(build, (None, *shape)), value_range=(0.0, 1.0), **told)
    return network_of(frozen)


def told(net: Network) -> list[tuple[str, str, int, bool]]:
    return [(layer.name, layer.kind, layer.n_channels, layer.trunk) for layer in net.layers]


def kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def silu(x: Any) -> Any:
    return x * tf.sigmoid(x)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + tf.math.erf(x / np.sqrt(2)))


def gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + tf.tanh(0.8 * (x + 0.04 * x * x * x)))


def hard_swish(x: Any) -> Any:
    return x * tf.nn.relu6(x + 3) / 6


def hard_sigmoid(x: Any) -> Any:
    return tf.nn.relu6(x + 3) * (1 / 6)


def capped(x: Any) -> Any:
    return tf.minimum(tf.nn.relu(x), 2.0)


def prelu(x: Any) -> Any:
    return tf.nn.relu(x) - tf.constant([0.1, 0.2, 0.3, 0.4]) * tf.nn.relu(-x)


class TestActivation:
    @pytest.mark.parametrize(
        "activation",
        [*SIMPLE, silu, gelu, gelu_tanh, hard_swish, hard_sigmoid, capped, prelu],
    )
    def test_layer_is_after_its_activation(self, activation: Callable[[Any], Any]) -> None:
        """A convolution's tensor is the one after bias and activation, simple or composed."""
        k, b = kernel(3, 3, 3, 4), kernel(4)

        def build(x: Any) -> None:
            y = tf.identity(activation(tf.nn.conv2d(x, k, 1, "SAME", name="c") + b), name="expected")
            conv(y, 7, "next")

        net = network(build)
        assert [layer.n_channels for layer in net.layers] == [4, 7]
        image = np.random.default_rng(1).random((1, *SHAPE))
        seen = net.activations(image, [net.layers[0].name, "expected:0"])
        np.testing.assert_allclose(seen[net.layers[0].name], seen["expected:0"], rtol=1e-4, atol=1e-5)

    def test_a_sum_ends_before_the_norm_of_the_next_unit(self) -> None:
        """Of a sum that a skip reads too, the norm and activation in front of the next unit are no part."""

        def build(x: Any) -> None:
            y = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="stem")
            y = tf.add(y, tf.nn.conv2d(tf.nn.relu(y), kernel(1, 1, 4, 4), 1, "SAME", name="one"), name="sum")
            skip = tf.nn.max_pool2d(y, 1, 2, "SAME")
            active = tf.nn.relu(y * kernel(4) + kernel(4), name="preact")
            tf.add(skip, tf.nn.conv2d(active, kernel(3, 3, 4, 4), 2, "SAME", name="two"), name="end")

        net = network(build)
        assert net.layer("sum").tensor == "sum:0"
        assert net.layer("sum").trunk

    def test_batch_norm(self) -> None:
        """Batch norm lies inside a layer, fused or as product and sum."""

        def build(x: Any) -> None:
            y = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="a/conv")
            ones = np.ones(4, np.float32)
            y = tf.compat.v1.nn.fused_batch_norm(y, ones, ones, ones, ones, is_training=False, name="a/bn")[0]
            y = tf.nn.relu6(y, name="a/relu")
            y = tf.nn.conv2d(y, kernel(3, 3, 4, 5), 1, "SAME", name="b/conv")
            y = tf.add(tf.multiply(y, kernel(5), name="b/mul"), kernel(5), name="b/add")
            tf.nn.relu(y, name="b/relu")

        net = network(build)
        assert [(layer.name, layer.tensor) for layer in net.layers] == [("a", "a/relu:0"), ("b", "b/relu:0")]

    def test_parted_before_the_activation(self) -> None:
        """Where something else reads the value before the activation, the layer ends there."""

        def build(x: Any) -> None:
            y = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="c")
            tf.add(conv(tf.nn.relu(y), 4, "branch"), y, name="sum")

        net = network(build)
        assert net.layer("c").tensor == "c:0"
        assert told(net)[-1][:2] == ("sum", "add")


class TestKinds:
    def test_chain(self) -> None:
        """Convolutions, then a dense end whose tensor is the logits."""
        net = network(small)
        expected = [("conv1", "conv", 4, True), ("conv2", "conv", 7, True), ("classes", "dense", 5, True)]
        assert told(net) == expected
        assert [layer.shape for layer in net.layers] == [(20, 23), (10, 12), None]
        assert (net.output, net.layer("classes").tensor) == ("classes", "classes/BiasAdd:0")

    def test_concatenation(self) -> None:
        """Branches are layers beside the trunk, their concatenation is in it."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            y = tf.concat([conv(y, 5, "m/a"), conv(y, 7, "m/b", 1)], 3, name="m")
            conv(y, 6, "end")

        assert told(network(build)) == [
            ("stem", "conv", 4, True),
            ("m/a", "conv", 5, False),
            ("m/b", "conv", 7, False),
            ("m", "concat", 12, True),
            ("end", "conv", 6, True),
        ]

    def test_grouped_convolution(self) -> None:
        """A convolution in two groups is one layer, as AlexNet has it; its halves are not in the trunk."""

        def build(x: Any) -> None:
            first, second = tf.split(conv(x, 4, "stem"), 2, axis=3)
            parts = [tf.nn.conv2d(part, kernel(3, 3, 2, 3), 1, "SAME") for part in (first, second)]
            tf.nn.relu(tf.nn.bias_add(tf.concat(parts, 3), kernel(6)), name="grouped")

        net = network(build)
        assert [(layer.name, layer.kind) for layer in net.trunk] == [("stem", "conv"), ("grouped", "concat")]
        assert net.layer("grouped").tensor == "grouped:0"

    def test_residual_addition(self) -> None:
        """A residual addition is a layer, after its activation."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            tf.nn.relu(tf.add(conv(y, 4, "body"), y, name="block/add"), name="block/out")

        net = network(build)
        assert told(net)[-1] == ("block", "add", 4, True)
        assert net.layer("block").tensor == "block/out:0"
        assert not net.layer("body").trunk

    def test_depthwise(self) -> None:
        """A depthwise convolution is a layer."""

        def build(x: Any) -> None:
            tf.nn.relu(
                tf.nn.depthwise_conv2d(x, kernel(3, 3, 3, 2), [1, 2, 2, 1], "SAME", name="dw/depthwise")
            )

        assert told(network(build)) == [("dw", "conv", 6, True)]

    def test_squeeze_and_excite(self) -> None:
        """A gate's dense layers stand beside the trunk; the product of map and gate is no layer."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            gate = tf.reduce_mean(y, [1, 2], keepdims=True)
            gate = tf.sigmoid(
                tf.nn.conv2d(conv(gate, 2, "reduce", 1), kernel(1, 1, 2, 4), 1, "SAME", name="expand")
            )
            conv(y * gate, 5, "project")

        assert [layer.name for layer in network(build).trunk] == ["stem", "project"]

    def test_dense_over_positions(self) -> None:
        """A dense layer applied at every position is a 1x1 convolution."""

        def build(x: Any) -> None:
            y = tf.matmul(tf.reshape(conv(x, 4, "stem"), [-1, 4]), kernel(4, 5), name="rows/MatMul")
            tf.nn.relu(tf.reshape(y, [-1, 20, 23, 5]), name="rows/Relu")

        assert told(network(build))[-1] == ("rows", "conv", 5, True)

    def test_heads(self) -> None:
        """Of two heads the one with more classes is the output, unless the labels say which."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            dense(tf.reduce_mean(y, [1, 2]), 9, "first")
            dense(tf.reduce_mean(conv(y, 5, "more"), [1, 2]), 6, "second")

        assert network(build).output == "first"
        assert [layer.name for layer in network(build).trunk] == ["stem", "first"]
        assert network(build, labels=tuple("abcdef")).output == "second"

    def test_grey_and_oblong(self) -> None:
        """One channel in, height and width apart."""
        net = network(small, (17, 30, 1))
        assert [layer.shape for layer in net.layers][:2] == [(17, 30), (9, 15)]

    def test_old_concat(self) -> None:
        """The Concat of graphs from 2015, axis first, is read like its successor."""

        def build(x: Any) -> None:
            parts = [conv(x, 4, "a"), conv(x, 5, "b")]
            tf.raw_ops.Concat(concat_dim=tf.constant(3, name="axis"), values=parts, name="joined")

        assert told(network(build))[-1] == ("joined", "concat", 9, True)


class TestGoogLeNet:
    def test_layers(self, shared: Any) -> None:
        """The trunk of the real InceptionV1 is its twelve layers with 5,808 neurons, and the classes."""
        from atlas.model.reading.load import load_model

        net = load_model(shared / "models" / "googlenet")
        names = (
            "conv2d0 conv2d1 conv2d2 mixed3a mixed3b mixed4a mixed4b mixed4c mixed4d mixed4e mixed5a mixed5b"
        )
        assert [layer.name for layer in net.trunk] == [*names.split(), "softmax2"]
        assert sum(layer.n_channels for layer in net.trunk if layer.kind != "dense") == 5808
        assert net.layer("mixed3a_3x3").kind == "conv"
        assert [layer.slug for layer in net.trunk][:4] == ["conv2d0", "conv2d1", "conv2d2", "mixed3a"]
        assert net.layer("softmax2").tensor == "softmax2_pre_activation:0"
        assert net.output == "softmax2"
        assert len(net.labels) == 1000
