from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from atlas.analysis.weights import expand, linear_twin
from atlas.core.errors import LinearizeError, ModelError, WeightsSizeError
from atlas.core.records.operating_point import OperatingPoint
from atlas.model.graph.backend import tf
from atlas.model.linear.linearize import linearize
from toys import autodiff, hand_made, kernel

keras = tf.keras


def between(activation: Any) -> Any:
    """Return a network with `activation` between two convolutions, named first and second."""

    def build(x: Any) -> None:
        first = activation(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="conv"))
        first = tf.identity(first, name="first")
        tf.nn.conv2d(first, kernel(3, 5, 4, 7, seed=1), 1, "SAME", name="second")

    return hand_made(build)


def tanh_gelu(x: Any) -> Any:
    return 0.5 * x * (1 + tf.tanh(0.79788456 * (x + 0.044715 * tf.pow(x, 3.0))))


def prelu(x: Any) -> Any:
    return tf.nn.relu(x) - 0.25 * tf.nn.relu(-x)


def test_an_outline_has_no_kernels() -> None:
    """What tells only windows and notes does not copy weights: they are most of a large network."""
    network = hand_made(lambda x: tf.nn.conv2d(x, kernel(9, 9, 3, 64), 1, "SAME", name="conv"))
    first, last = network.input_tensor, network.layer("conv").tensor

    def n_bytes(*, outline: bool) -> int:
        twin = linearize(
            network.layouts,
            first,
            last,
            root=first,
            evaluate=network.at_operating_point,
            operating_point="noise",
            whole=False,
            outline=outline,
        )
        return int(twin.graph_def.ByteSize())

    kernel_bytes = 4 * 9 * 9 * 3 * 64
    assert n_bytes(outline=False) > kernel_bytes
    assert n_bytes(outline=True) < kernel_bytes / 10


class TestActivations:
    @pytest.mark.parametrize(
        "activation",
        [
            tf.nn.relu,
            tf.nn.relu6,
            tf.nn.elu,
            tf.nn.sigmoid,
            tf.nn.leaky_relu,
            tf.nn.selu,
            lambda x: x * tf.sigmoid(x),
            lambda x: x * tf.nn.relu6(x + 3) / 6,
            lambda x: x * tf.nn.relu6(x + 3) * (1 / 6),
            lambda x: 0.5 * x * (1 + tf.math.erf(x * 0.70710678)),
            tanh_gelu,
            prelu,
            lambda x: tf.maximum(x, 0.1 * x),
            lambda x: tf.nn.local_response_normalization(tf.nn.relu(x)),
            lambda x: tf.nn.bias_add(x, np.ones(4, np.float32)),
            lambda x: x + np.float32(2),
            lambda x: x - np.ones(4, np.float32),
            lambda x: tf.minimum(tf.maximum(x, 0.0), 6.0),
            lambda x: x * tf.tanh(tf.nn.softplus(x)),
        ],
        ids="relu relu6 elu sigmoid leaky selu silu hardswish hardswish_times gelu gelu_tanh prelu maximum "
        "lrn bias add sub clip mish".split(),
    )
    def test_is_passed_through(self, activation: Any) -> None:
        """An activation, normalization or bias leaves the convolutions' composition as it is."""
        plain, network = between(tf.identity), between(activation)
        expected = expand(plain, "input", "second").weights
        assert np.allclose(expand(network, "input", "second").weights, expected, atol=1e-5)

    def test_scales_stay(self) -> None:
        """Products with constants are part of the linear map."""
        factors = np.array([1, -2, 0.5, 3], np.float32)
        expected = expand(between(tf.identity), "conv", "second").weights * factors[:, None]
        assert np.allclose(expand(between(lambda x: x * factors), "conv", "second").weights, expected)
        assert np.allclose(expand(between(lambda x: x / (1 / factors)), "conv", "second").weights, expected)

    def test_batch_norm_is_its_scale(self) -> None:
        """Batch norm becomes scale over deviation, without its shift."""
        scale, variance = np.array([1, 2, 3, 4], np.float32), np.array([4, 1, 9, 16], np.float32)

        def norm(x: Any) -> Any:
            args = {"scale": scale, "offset": scale, "mean": scale, "variance": variance, "epsilon": 1e-3}
            return tf.compat.v1.nn.fused_batch_norm(x, is_training=False, **args)[0]

        expected = expand(between(tf.identity), "conv", "second").weights
        expected = expected * (scale / np.sqrt(variance + 1e-3))[:, None]
        assert np.allclose(expand(between(norm), "conv", "second").weights, expected, rtol=1e-5)

    def test_channels_may_be_reversed(self) -> None:
        """RGB turned to BGR on the way turns the source axis."""
        expected = expand(between(tf.identity), "conv", "second").weights
        found = expand(between(lambda x: tf.reverse(x, [-1])), "conv", "second").weights
        assert np.array_equal(found, expected[:, :, ::-1])

    def test_residual_relu_is_no_activation(self) -> None:
        """A skip around a convolution counts twice, once for each way."""

        def skip(x: Any) -> Any:
            return x + tf.nn.conv2d(tf.nn.relu(x), kernel(3, 3, 4, 4, seed=5), 1, "SAME")

        network = between(skip)
        found = expand(network, "conv", "second").weights[..., [0, 6]]
        assert np.allclose(found, autodiff(network, "conv", "second", [0, 6]), atol=1e-4)


class TestGates:
    def squeeze_excite(self) -> Any:
        """Return a network with a gate computed from the mean of what it scales."""

        def gate(x: Any) -> Any:
            mean = tf.reduce_mean(x, [1, 2], keepdims=True)
            return x * tf.sigmoid(tf.nn.conv2d(mean, kernel(1, 1, 4, 4, seed=3), 1, "SAME"), name="gate")

        return between(gate)

    def test_is_taken_at_its_mean(self) -> None:
        """Squeeze-and-excite scales channels by the gate's mean over some images, and says so."""
        network = self.squeeze_excite()
        images = np.random.default_rng(7).random((3, 40, 44, 3), np.float32)
        network = dataclasses.replace(network, examples=OperatingPoint("three images", lambda: images))
        result = expand(network, "conv", "second")
        gate = network.activations(images, ["gate:0"])["gate:0"][:, 0, 0].mean(0)
        plain = expand(between(tf.identity), "conv", "second").weights
        assert np.allclose(result.weights, plain * gate[:, None], rtol=1e-5)
        assert len(result.notes) == 1
        assert result.notes[0] == "gate, a factor of mul, is held at its mean over three images"

    @pytest.mark.parametrize("curve", [tf.square, tf.exp, tf.abs], ids="square exp abs".split())
    def test_other_curves_are_refused(self, curve: Any) -> None:
        """A nonlinear op that is no activation is named, not passed through."""
        with pytest.raises(LinearizeError, match="on the way to second, has no linear twin"):
            expand(between(curve), "conv", "second")

    def test_square_is_no_activation(self) -> None:
        """The square of a tensor has no slope to pass through, and is refused."""
        with pytest.raises(LinearizeError, match="does not grow linearly"):
            expand(between(lambda x: x * x), "conv", "second")

    def test_weights_from_the_image_are_refused(self) -> None:
        """A matrix product of two tensors that depend on the image is no linear map, and mixes images."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="first")
            mean = tf.reduce_mean(first, [1, 2])
            attended = tf.matmul(mean, tf.matmul(mean, mean, transpose_a=True), name="attended")
            tf.matmul(attended, kernel(4, 7), name="classes")

        with pytest.raises(ModelError, match=r"change each other before MatMul"):
            hand_made(build)

    def test_two_maps_cannot_be_multiplied(self) -> None:
        """A product of two tensors with positions is refused, naming op and layer."""

        def product(x: Any) -> Any:
            other = tf.nn.conv2d(x, kernel(3, 3, 4, 4, seed=3), 1, "SAME")
            return tf.multiply(x, other, name="product")

        with pytest.raises(LinearizeError, match=r"product \(Mul\), on the way to second"):
            expand(between(product), "conv", "second")


class TestTwin:
    def test_is_linear(self) -> None:
        """The twin's target is additive in its source: f(a + b) = f(a) + f(b) where nothing is constant."""
        network = between(tf.nn.relu)
        twin = linear_twin(network, "input", "second")
        a, b = np.random.default_rng(0).normal(size=(2, 1, 40, 44, 3)).astype(np.float32)

        def run(image: Any) -> Any:
            with tf.Graph().as_default():
                x = tf.constant(image)
                (out,) = tf.compat.v1.import_graph_def(
                    twin.graph_def, {network.input_tensor: x}, [twin.target]
                )
                return tf.compat.v1.Session().run(out)

        assert np.allclose(run(a + b), run(a) + run(b), atol=1e-4)

    def test_max_pool_is_average_pool(self) -> None:
        """The twin holds an average-pool of the same window where the graph has a max-pool."""
        network = between(lambda x: tf.nn.max_pool2d(x, [3, 2], [2, 1], "SAME", name="pool"))
        twin = linear_twin(network, "conv", "second")
        (pool,) = [node for node in twin.graph_def.node if node.name == "pool"]
        assert pool.op == "AvgPool"
        assert list(pool.attr["ksize"].list.i) == [1, 3, 2, 1]

    def test_dilated(self) -> None:
        """Dilated convolutions are spread out as the graph does."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="first")
            tf.nn.conv2d(first, kernel(3, 3, 4, 7, seed=1), 1, "SAME", dilations=[2, 3], name="second")

        weights = expand(hand_made(build), "first", "second").weights
        assert weights.shape == (5, 7, 4, 7)
        assert np.allclose(weights[::2, ::3], kernel(3, 3, 4, 7, seed=1))
        assert not weights[1::2].any()


class TestStatistics:
    @pytest.mark.parametrize("before", [tf.sigmoid, tf.nn.relu], ids=["sigmoid", "relu"])
    def test_a_layer_norm_keeps_its_mean_and_holds_its_deviation(self, before: Any) -> None:
        """Behind any activation, a layer norm takes off the mean of the channels and scales by one number."""

        def norm(x: Any) -> Any:
            x = before(x)
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            return tf.multiply(x - mean, tf.math.rsqrt(variance + 1e-3, name="deviation"), name="scaled")

        images = np.random.default_rng(7).random((3, 40, 44, 3), np.float32)
        network = dataclasses.replace(between(norm), examples=OperatingPoint("three images", lambda: images))
        factor = network.activations(images, ["deviation:0"])["deviation:0"].mean()
        plain = kernel(3, 5, 4, 7, seed=1)
        found = expand(network, "conv", "second")
        expected = (plain - plain.mean(2, keepdims=True)) * factor
        np.testing.assert_allclose(found.weights, expected, atol=1e-5)
        assert found.notes == ("deviation, a factor of scaled, is held at its mean over three images",)

    def test_the_mean_of_an_instance_norm_is_held(self) -> None:
        """A mean over all positions takes no part in the kernel, and is noted."""

        def norm(x: Any) -> Any:
            return tf.subtract(x, tf.reduce_mean(x, [1, 2], keepdims=True, name="mean"), name="centred")

        found = expand(between(norm), "conv", "second")
        assert np.array_equal(found.weights, kernel(3, 5, 4, 7, seed=1))
        assert found.notes == ("mean, a summand of centred, is held at its mean over 16 images of noise",)

    def test_attention_is_linear_in_its_values(self) -> None:
        """With the weights of the sum held, attention is a matrix product over all positions."""

        def attention(x: Any) -> Any:
            flat = tf.reshape(x, [-1, 40 * 44, 4])
            scores = tf.nn.softmax(tf.matmul(flat, flat, transpose_b=True) / 100, name="scores")
            return tf.reshape(tf.matmul(scores, flat), [-1, 40, 44, 4])

        images = np.random.default_rng(7).random((2, 40, 44, 3), np.float32)
        network = dataclasses.replace(
            between(attention), examples=OperatingPoint("two images", lambda: images)
        )
        held = network.activations(images, ["scores:0"])["scores:0"].mean(0)
        rows = held.reshape(40, 44, 40, 44)[19:22, 20:25]
        expected = np.einsum("ijhw,ijst->hwst", rows, kernel(3, 5, 4, 7, seed=1))
        found = expand(network, "conv", "second")
        np.testing.assert_allclose(found.weights, expected, atol=1e-5 * np.abs(expected).max())
        assert len(found.notes) == 1


class TestSize:
    def test_layers_far_apart_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Weights that would not fit into memory are refused in one line; a crop that fits is not."""
        monkeypatch.setattr("atlas.analysis.weights.MOST_BYTES", 3 * 4 * 4 * 7 * 4)
        network = between(tf.nn.relu)
        with pytest.raises(WeightsSizeError, match=r"conv to second would take .* 3 x 5 positions"):
            expand(network, "conv", "second")
        assert expand(network, "conv", "second", width=(3, 4)).weights.shape == (3, 4, 4, 7)


class TestUnknownOps:
    def test_are_named_with_the_layers_behind(self) -> None:
        """An op that the table lacks is named with the layers behind it, and no weights lead over it."""
        network = between(tf.math.lgamma)
        assert network.unknown_ops == {"Lgamma": ("Lgamma", ("second",))}
        assert network.layer("second").receptive_field is None
        with pytest.raises(LinearizeError, match="the op Lgamma is not in the table of ops"):
            expand(network, "conv", "second")
