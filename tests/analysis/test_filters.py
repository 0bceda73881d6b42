"""The first layer's filters: their pictures, their order, and what the graph itself says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

import atlas
from atlas.analysis.filters import component_order, first_layer_of, kernel_constant, on_grey
from atlas.core.errors import LayerError
from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from toys import hand_made, kernel

H, W, C, N, TARGET = 5, 3, 3, 4, 6


def noise(*shape: int, seed: int = 0) -> Floats:
    """Return weights of both signs."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class TestPictures:
    """on_grey()."""

    def test_two_parts_around_grey(self) -> None:
        """Each weight moves its colour by 0.05 of its filter's largest and 0.45 of the layer's."""
        weights = noise(H, W, C, N)
        weights[..., 1] *= 0.01
        found = on_grey(weights)
        assert found.shape == (N, H, W, C)
        for n in range(N):
            for at in np.ndindex(H, W, C):
                w = float(weights[(*at, n)])
                own, whole = float(np.abs(weights[..., n]).max()), float(np.abs(weights).max())
                assert found[(n, *at)] == pytest.approx(0.5 + 0.05 * w / own + 0.45 * w / whole, abs=1e-6)

    def test_ends_of_the_range(self) -> None:
        """Zero is mid-grey, the largest weight is at an end, a weak filter still shows a twentieth."""
        weights = np.zeros((H, W, C, 3), np.float32)
        weights[1, 2, 0, 0], weights[0, 0, 1, 1] = -2e-6, 1e-12
        found = on_grey(weights)
        assert found[0].min() == 0
        assert found[1].max() == pytest.approx(0.55, abs=1e-6)
        assert (found[2] == 0.5).all()
        assert (on_grey(np.zeros((H, W, C, 2), np.float32)) == 0.5).all()

    def test_size_does_not_matter(self) -> None:
        """An input range of 255 gives the same pictures."""
        weights = noise(H, W, C, N)
        np.testing.assert_allclose(on_grey(weights * np.float32(255)), on_grey(weights), atol=1e-6)


class TestOrder:
    """component_order()."""

    def test_equals_scikit_learn_s(self) -> None:
        """The order is that of the first component of the summed absolute weights, or its reverse."""
        used = noise(3, 2, 9, TARGET)
        order, share = component_order(used)
        pca = PCA(1)
        scores = pca.fit_transform(np.abs(used).sum((0, 1)).astype(np.float64))[:, 0]
        expected = np.argsort(scores).tolist()
        assert order.tolist() in (expected, expected[::-1])
        assert share == pytest.approx(pca.explained_variance_ratio_[0], rel=1e-5)

    def test_who_is_used_alike_stands_together(self) -> None:
        """Two groups used by different targets come out apart, the one with the most used neuron last."""
        used = 0.05 * noise(1, 1, 8, TARGET)
        strong, weak = [1, 2, 5, 7], [0, 3, 4, 6]
        used[..., strong, :2] += 3
        used[..., weak, 2:4] -= 1
        order, share = component_order(used)
        assert sorted(order[:4].tolist()) == weak
        assert sorted(order[4:].tolist()) == strong
        assert share > 0.95

    def test_without_a_difference_the_index_counts(self) -> None:
        """Neurons that are all used alike, or a single one, stay in their order."""
        assert component_order(np.ones((2, 3, 5, 4), np.float32))[0].tolist() == list(range(5))
        assert component_order(noise(2, 3, 1, 4))[0].tolist() == [0]

    def test_without_a_layer_after(self) -> None:
        """The index is the order, and no share is told."""
        found = first_layer_of(noise(H, W, C, N), None, layer="a", downstream="")
        assert found.order.tolist() == list(range(N))
        assert (found.explained, found.downstream) == (0.0, "")


class TestNetwork:
    """first_layer()."""

    def build(self, x: Any) -> None:
        """Make two layers: 3 -> 4 -> 6 channels."""
        x = tf.nn.relu(tf.nn.conv2d(x, kernel(H, W, C, N), 1, "SAME"), name="first")
        tf.nn.relu(tf.nn.conv2d(x, kernel(3, 1, N, TARGET, seed=1), 1, "SAME"), name="second")

    def test_from_the_weights_and_from_the_graph(self) -> None:
        """Both ways of reading give the kernel that the network was built with, in the same order."""
        network = hand_made(self.build)
        expanded, constant = atlas.first_layer(network), atlas.first_layer(network, read="constant")
        np.testing.assert_allclose(expanded.filters, on_grey(kernel(H, W, C, N)), atol=1e-6)
        np.testing.assert_allclose(constant.filters, expanded.filters, atol=1e-6)
        expected, _ = component_order(kernel(3, 1, N, TARGET, seed=1))
        assert expanded.order.tolist() == constant.order.tolist() == expected.tolist()
        assert expanded.downstream == network.layers[1].name

    def test_another_layer_is_refused(self) -> None:
        """A layer that sees another one has no filters on the image."""
        network = hand_made(self.build)
        first, second = (layer.name for layer in network.layers)
        with pytest.raises(LayerError, match=rf"{second} does not see the image.*{first}"):
            atlas.first_layer(network, second)

    def test_two_branches_have_no_one_kernel(self) -> None:
        """A concatenation of two branches has filters, but no single constant of the graph holds them."""

        def build(x: Any) -> None:
            branches = [tf.nn.conv2d(x, kernel(3, 1, 3, n, seed=n), 1, "SAME") for n in (2, 5)]
            tf.nn.relu(tf.concat(branches, 3), name="both")

        network = hand_made(build)
        name = next(layer.name for layer in network.layers if layer.kind == "concat")
        assert atlas.first_layer(network, name).filters.shape == (7, 3, 1, 3)
        with pytest.raises(LayerError, match=r"no one kernel.*2 constant kernels of 2 convolutions"):
            atlas.first_layer(network, name, read="constant")

    @pytest.mark.slow
    def test_googlenet_s_weights_are_255_times_its_constant(self, shared: Path) -> None:
        """The input range is 0 to 255, so expanded weights are 255 times conv2d0_w; pictures are the same."""
        network = atlas.load_model(str(shared / "models/googlenet"))
        name, constant = kernel_constant(network, network.layer("conv2d0"))
        assert name == "conv2d0_w"
        low, high = network.value_range
        weights = atlas.expanded_weights(network, "input", "conv2d0")
        np.testing.assert_allclose(weights, (high - low) * constant, rtol=1e-4, atol=1e-4)
        expanded, read = atlas.first_layer(network), atlas.first_layer(network, read="constant")
        np.testing.assert_allclose(expanded.filters, read.filters, atol=1e-5)
        assert np.array_equal(expanded.order, read.order)
