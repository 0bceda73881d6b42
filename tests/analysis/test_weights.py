from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.analysis.weights import expand, expanded_weights, fit, outline, pair_weights
from atlas.core.errors import LayerError, LinearizeError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from atlas.model.reading.source import DEMO_FOLDER
from toys import autodiff, hand_made, kernel


def close(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def two_layers(k1: Any, k2: Any, **options: Any) -> Any:
    def build(x: Any) -> None:
        first = tf.nn.relu(tf.nn.conv2d(x, k1, 1, "SAME"), name="first")
        tf.nn.relu(tf.nn.conv2d(first, k2, 1, "SAME"), name="second")

    return hand_made(build, **options)


class TestClosedForms:
    def test_one_hop_is_the_kernel(self) -> None:
        """Between adjacent layers the expanded weights are the convolution's own kernel."""
        k2 = kernel(5, 3, 4, 7)
        network = two_layers(kernel(3, 3, 3, 4), k2)
        close(expanded_weights(network, "first", "second"), k2)

    def test_two_hops_compose(self) -> None:
        """Over two hops they are the composition of the kernels, wider by the second's reach."""
        k1, k2 = kernel(3, 5, 3, 4), kernel(5, 3, 4, 7, seed=1)
        full = np.zeros((7, 7, 3, 7), np.float32)
        for i in range(5):
            for j in range(3):
                full[i : i + 3, j : j + 5] += np.einsum("hwst,tu->hwsu", k1, k2[i, j])
        close(expanded_weights(two_layers(k1, k2), "input", "second"), full)

    def test_shift(self) -> None:
        """A delta off the centre is found where it was put, rows before columns."""
        k2 = np.zeros((5, 3, 4, 7), np.float32)
        k2[0, 2, 1, 6] = 3
        weights = expanded_weights(two_layers(kernel(3, 3, 3, 4), k2), "first", "second")
        assert np.argwhere(weights).tolist() == [[0, 2, 1, 6]]

    def test_max_pool_becomes_blur(self) -> None:
        """A max-pool counts as the average over its window, without a border's shorter windows."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(1, 1, 3, 4), 1, "SAME"), name="first")
            pooled = tf.nn.max_pool2d(first, 3, 2, "SAME", name="pool")
            tf.nn.relu(tf.nn.conv2d(pooled, kernel(1, 1, 4, 7, seed=1), 1, "SAME"), name="second")

        expected = np.broadcast_to(kernel(1, 1, 4, 7, seed=1) / 9, (3, 3, 4, 7))
        close(expanded_weights(hand_made(build), "first", "second"), expected)

    def test_value_range(self) -> None:
        """Weights on "input" are for an image in [0, 1], whatever range the graph expects."""
        k1 = kernel(3, 5, 3, 4)
        network = two_layers(k1, kernel(3, 3, 4, 7))
        wide = type(network)(**{**vars_of(network), "value_range": (-1.0, 1.0)})
        close(expanded_weights(wide, "input", "first"), 2 * k1)

    def test_grey_and_not_square(self) -> None:
        """Networks of one channel and oblong images are read as any other."""
        k1 = kernel(3, 5, 1, 4)
        network = two_layers(k1, kernel(3, 3, 4, 7), shape=(30, 52, 1))
        close(expanded_weights(network, "input", "first"), k1)


def vars_of(network: Any) -> dict[str, Any]:
    names = "name sha256 graph_def input_tensor input_shape value_range layers labels output"
    return {name: getattr(network, name) for name in names.split()}


class TestAgainstAutodiff:
    def test_branches_and_residual(self) -> None:
        """Strided, branching, grouped, depthwise and residual ways agree with autodiff of the linear twin."""

        def build(x: Any) -> None:
            a = tf.nn.relu6(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="a")
            left = tf.nn.relu(tf.nn.conv2d(a, kernel(3, 3, 4, 5, seed=1), 2, "SAME"), name="left")
            right = tf.nn.max_pool2d(a, 2, 2, "SAME")
            joined = tf.concat([left, right], -1, name="joined")
            deep = tf.nn.depthwise_conv2d(joined, kernel(5, 3, 9, 1, seed=2), [1, 1, 1, 1], "SAME")
            deep = tf.nn.relu(deep, name="deep")
            halves = tf.split(deep, [4, 5], axis=-1)
            b = tf.nn.conv2d(halves[1], kernel(1, 1, 5, 9, seed=3), 1, "SAME", name="project")
            tf.nn.relu(tf.add(b, joined), name="end")

        network = hand_made(build)
        close(expanded_weights(network, "a", "end")[..., [0, 3, 8]], autodiff(network, "a", "end", [0, 3, 8]))
        close(expanded_weights(network, "joined", "end")[..., [5]], autodiff(network, "joined", "end", [5]))

    def test_demo(self) -> None:
        """On the bundled network they agree with autodiff over one hop and over two."""
        network = load_model(DEMO_FOLDER, input_shape=(288, 320, 3))
        for source, target in [("conv2d2", "mixed3a"), ("mixed3a", "mixed4a"), ("input", "conv2d2")]:
            found = expanded_weights(network, source, target)[..., [0, 9]]
            oracle = autodiff(network, source, target, [0, 9])
            scale = 255 if source == "input" else 1
            close(found, oracle * scale)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("model", "source", "target"),
        [
            ("keras:MobileNetV2?weights=none", "Conv1", "expanded_conv_project_BN"),
            ("keras:MobileNetV2?weights=none", "block_1_project_BN", "block_2_add"),
            ("keras:ResNet50?weights=none", "conv2_block1_out", "conv2_block3_out"),
            ("keras:ResNet50?weights=none", "conv2_block3_out", "conv3_block1_out"),
        ],
    )
    def test_keras(self, model: str, source: str, target: str) -> None:
        """Keras networks agree with autodiff, through residual additions, depthwise and strided layers."""
        network = load_model(model)
        found = expanded_weights(network, source, target)
        close(found[..., [0, 5]], autodiff(network, source, target, [0, 5]))


class TestReference:
    @pytest.mark.parametrize(
        "pair", ["maxpool1__mixed3a", "mixed3a__mixed3b", "input__conv2d0", "mixed3a__mixed4a"]
    )
    def test_notebook(self, shared: Path, pair: str) -> None:
        """On GoogLeNet the weights are those of the notebook's own method, to 1e-4 of the largest."""
        reference = np.load(shared / "reference" / "expanded_weights.npz")
        network = load_model(shared / "models" / "googlenet")
        found = expanded_weights(network, *pair.split("__"))
        close(found[..., reference[f"{pair}__targets"]], reference[pair])


class TestWholeMaps:
    def test_dense_end(self) -> None:
        """From the tensor after global pooling the weights are the dense layer's matrix."""
        matrix = kernel(4, 7)

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="first")
            mean = tf.reduce_mean(first, [1, 2], name="mean")
            tf.nn.softmax(tf.matmul(mean, matrix), name="classes")

        network = hand_made(build, shape=(8, 10, 3))
        close(expanded_weights(network, "mean", "classes"), matrix[None, None])
        close(
            expanded_weights(network, "first", "classes"),
            np.broadcast_to(matrix / 80, (8, 10, 4, 7)),
        )

    def test_flatten_sees_borders(self) -> None:
        """Where maps are flattened, the window is the map, and its borders are the network's own."""
        k, matrix = kernel(3, 3, 3, 4), kernel(6 * 8 * 4, 5)

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, k, 1, "SAME"), name="first")
            tf.matmul(tf.reshape(first, [-1, 6 * 8 * 4]), matrix, name="classes")

        network = hand_made(build, shape=(6, 8, 3))
        found = expanded_weights(network, "input", "classes")
        images = np.random.default_rng(0).random((1, 6, 8, 3)).astype(np.float32)
        linear = np.asarray(tf.nn.conv2d(images, k, 1, "SAME")).reshape(1, -1) @ matrix
        assert np.allclose(np.einsum("hwst,hws->t", found, images[0]), linear[0], rtol=1e-4)


class TestWidth:
    def test_crop_is_central_and_told(self, caplog: pytest.LogCaptureFixture) -> None:
        """A smaller width crops around the centre and says how much of the mass is lost."""
        k2 = np.ones((5, 3, 4, 7), np.float32)
        network = two_layers(kernel(3, 3, 3, 4), k2)
        with caplog.at_level(logging.WARNING):
            weights = expanded_weights(network, "first", "second", width=3)
        assert weights.shape == (3, 3, 4, 7)
        assert "40.0 %" in caplog.text
        assert expand(network, "first", "second", width=3).cropped == pytest.approx(0.4)

    def test_pad(self) -> None:
        """A larger width pads with zeros on all sides."""
        padded, cropped = fit(np.ones((3, 5, 2, 2), np.float32), 7)
        assert padded.shape == (7, 7, 2, 2)
        assert cropped == 0
        assert padded[2:5, 1:6].all()
        assert padded.sum() == 3 * 5 * 4

    def test_nothing_given(self) -> None:
        """A width below one is refused."""
        with pytest.raises(LayerError, match="1 or more"):
            fit(np.ones((3, 3, 1, 1), np.float32), 0)


class TestPair:
    def test_taken_from_the_carrier(self) -> None:
        """Past a pool the weights are those from the pool on: not blurred, and the carrier is told."""
        network = pooled()
        found = pair_weights(network, "first", "second")
        assert (found.source, found.target, found.carrier) == ("first", "second", "pool:0")
        assert np.array_equal(found.weights, expanded_weights(network, "pool:0", "second"))
        assert found.weights.shape != expanded_weights(network, "first", "second").shape

    def test_the_image_is_its_own_carrier(self) -> None:
        """From the image they are the same by its name and by its tensor, the range counted in both."""
        network = pooled()
        wide = type(network)(**{**vars_of(network), "value_range": (-1.0, 1.0)})
        found = pair_weights(wide, "input", "first")
        assert (found.source, found.carrier) == ("input", wide.input_tensor)
        for name in ("input", wide.input_tensor):
            assert np.array_equal(found.weights, expanded_weights(wide, name, "first"))
        close(found.weights, 2 * expanded_weights(network, "input", "first"))

    def test_the_layer_before_where_none_is_named(self) -> None:
        """Without a source the pair is with the trunk layer before, or with the image."""
        network = pooled()
        assert pair_weights(network, None, "second").source == "first"
        assert pair_weights(network, None, "first").source == "input"

    def test_outline_tells_without_computing(self) -> None:
        """The window and the notes that are told beforehand are those of the weights."""
        network = pooled()
        for source, target in (("pool:0", "second"), ("input", "second")):
            made = expand(network, source, target)
            assert outline(network, source, target) == (made.weights.shape[:2], made.notes)
        assert outline(network, "pool:0", "second", width=(2, 9))[0] == (2, 9)


def pooled() -> Any:
    """A network of two layers with a pool between them."""

    def build(x: Any) -> None:
        first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 5, 3, 4), 1, "SAME"), name="first")
        pool = tf.nn.max_pool2d(first, 2, 2, "SAME", name="pool")
        tf.nn.relu(tf.nn.conv2d(pool, kernel(3, 1, 4, 7, seed=1), 1, "SAME"), name="second")

    return hand_made(build)


class TestErrors:
    def test_no_way(self) -> None:
        """A pair in the wrong order is refused, and the remedy says how to turn it."""
        network = two_layers(kernel(3, 3, 3, 4), kernel(3, 3, 4, 7))
        with pytest.raises(LayerError, match="nearer the image first"):
            expanded_weights(network, "second", "first")

    def test_unknown_name(self) -> None:
        """An unknown layer is answered with the nearest names."""
        network = two_layers(kernel(3, 3, 3, 4), kernel(3, 3, 4, 7))
        with pytest.raises(LayerError, match="did you mean second"):
            expanded_weights(network, "first", "secnd")

    def test_no_twin(self) -> None:
        """An op that is not linear is named, and so is the layer it leads to."""

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="first")
            odd = tf.math.cumsum(first, axis=1, name="odd")
            tf.nn.relu(tf.nn.conv2d(odd, kernel(3, 3, 4, 7), 1, "SAME"), name="second")

        with pytest.raises(LinearizeError, match=r"odd \(Cumsum\), on the way to second"):
            expanded_weights(hand_made(build), "first", "second")
