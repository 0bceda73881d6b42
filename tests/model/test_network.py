"""Tests of atlas.model.network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.core.errors import LayerError, ModelError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from atlas.model.reading.load import load_model
from graphs import graph_def, small

IMAGES = np.random.default_rng(3).random((2, 20, 23, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Network:
    return network_of(Frozen("toy", "ab" * 32, graph_def(small), value_range=(-1.0, 3.0)))


def constants(net: Network) -> dict[str, np.ndarray]:
    nodes = [node for node in net.graph_def.node if node.op == "Const"]
    return {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in nodes}


class TestActivations:
    def test_values(self, network: Network) -> None:
        """Images from 0 to 1 are put into the value range, and the layer's values are those of NumPy."""
        got = network.activations(IMAGES, ["conv1"])["conv1"]
        values = constants(network)
        weights = next(v for v in values.values() if v.shape == (3, 3, 3, 4))
        bias = next(v for v in values.values() if v.shape == (4,))
        padded = np.pad(IMAGES * 4 - 1, [(0, 0), (1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        expected = np.einsum("nyxcij,ijco->nyxo", windows, weights) + bias
        np.testing.assert_allclose(got, np.maximum(expected, 0), rtol=1e-4, atol=1e-4)

    def test_shapes(self, network: Network) -> None:
        """Maps come as [n, h, w, c], classes as [n, c], tensors by their own name."""
        got = network.activations(IMAGES, ["conv2", "classes", "pool1:0"])
        assert {name: value.shape for name, value in got.items()} == {
            "conv2": (2, 10, 12, 7),
            "classes": (2, 5),
            "pool1:0": (2, 10, 12, 4),
        }

    def test_other_size(self, network: Network) -> None:
        """Layers with positions read images of any size."""
        assert network.activations(IMAGES[:, :9, :14], ["conv2"])["conv2"].shape == (2, 5, 7, 7)

    def test_unknown_layer(self, network: Network) -> None:
        """An unknown layer or tensor gets the nearest names."""
        with pytest.raises(LayerError, match="conv1"):
            network.activations(IMAGES, ["conv11"])
        with pytest.raises(LayerError, match="pool1"):
            network.activations(IMAGES, ["pool2:0"])

    def test_one_name(self, network: Network) -> None:
        """A text is one name, not one for each of its letters."""
        np.testing.assert_array_equal(
            network.activations(IMAGES, "conv1")["conv1"], network.activations(IMAGES, ["conv1"])["conv1"]
        )

    def test_images_of_bytes(self, network: Network, caplog: pytest.LogCaptureFixture) -> None:
        """Whole numbers are refused, other values far from 0 to 1 warned of; images of 0 to 1 are not."""
        network.activations(IMAGES, "conv1")
        network.activations(np.ones((1, 20, 23, 3), np.uint8), "conv1")
        network.activations(255 * np.ones((1, 20, 23, 3)), "conv1", any_values=True)
        assert caplog.messages == []
        with pytest.raises(ModelError) as caught:
            network.activations(np.full((1, 20, 23, 3), 200, np.uint8), "conv1")
        assert str(caught.value) == (
            "toy takes images of 0 to 1, whatever range its graph reads: found whole numbers of 200 to 200; "
            "divide them by the value of white, 255 for bytes"
        )
        network.activations(np.full((1, 20, 23, 3), 200.0), "conv1")
        assert caplog.messages == ["toy: images are 0 to 1, but these are 200 to 200"]

    @pytest.mark.parametrize("shape", [(20, 23, 3), (1, 20, 23, 4)])
    def test_wrong_images(self, network: Network, shape: tuple[int, ...]) -> None:
        """An image without a batch axis, or with other channels, is refused."""
        with pytest.raises(ModelError, match=r"\(n, h, w, 3\)"):
            network.activations(np.zeros(shape), ["conv1"])


class TestImportInto:
    def test_gradient_and_two_copies(self, network: Network) -> None:
        """A network goes into a graph more than once, and gradients reach the images."""
        with tf.Graph().as_default() as graph:
            images = tf.constant(IMAGES)
            first, second = network.import_into(images), network.import_into(images * 0.5)
            total = tf.reduce_sum(first("conv2/Relu:0")) + tf.reduce_sum(second("conv2/Relu:0"))
            gradient = tf.gradients(total, images)[0]
            assert first("input:0").shape.as_list() == [2, None, None, 3]
        with tf.compat.v1.Session(graph=graph) as session:
            assert np.abs(session.run(gradient)).max() > 0

    def test_small_images_spare_later_layers(self, shared: Path) -> None:
        """An image that the last layers do not fit can still be shown to the first."""
        net = load_model(shared / "models" / "googlenet")
        with tf.Graph().as_default():
            assert net.import_into(tf.zeros([1, 60, 60, 3]))("mixed3a:0").shape[3] == 256


class TestShapes:
    def test_native_shapes(self, network: Network) -> None:
        """Every tensor's shape is known at the network's own size, the batch left open."""
        assert network.shapes["conv2/Relu"] == (None, 10, 12, 7)
        assert network.shapes["classes/BiasAdd"] == (None, 5)

    def test_shapes_that_are_computed(self) -> None:
        """A shape that TensorFlow cannot tell beforehand is found by a run."""

        def build(x: object) -> None:
            y = tf.image.resize(
                x, tf.cast(tf.constant([9, 11]) + tf.cast(tf.reduce_sum(x) * 0, tf.int32), tf.int32)
            )
            tf.nn.relu(tf.nn.conv2d(y, np.ones((3, 3, 3, 4), np.float32), 1, "SAME"), name="c")

        net = network_of(Frozen("toy", "0" * 64, graph_def(build), value_range=(0.0, 1.0)))
        assert net.layers[0].shape == (9, 11)


class TestRecord:
    def test_record(self, network: Network) -> None:
        """The record tells the layers, and the one way through the trunk."""
        record = network.record()
        assert record.edges == (("input", "conv1"), ("conv1", "conv2"), ("conv2", "classes"))
        assert record.layers == network.layers
        assert (record.name, record.input_shape, record.value_range) == ("toy", (20, 23, 3), (-1.0, 3.0))


class TestGoogLeNet:
    def test_tench(self, shared: Path) -> None:
        """The real network knows a tench, and its first layer is conv, bias and ReLU of the shifted image."""
        from PIL import Image

        net = load_model(shared / "models" / "googlenet")
        with Image.open(shared / "images" / "n01440764_tench.jpg") as picture:
            image = np.asarray(picture.convert("RGB").resize((224, 224)), np.float32)[None] / 255
        logits = net.activations(image, ["softmax2"])["softmax2"]
        assert net.labels[int(logits.argmax())].startswith("tench")
