"""Statistics of a layer's neurons, against sums in plain Python."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.analysis.statistics import layer_statistics, percentiles
from atlas.core.errors import AtlasError, LayerError, NeuronError
from atlas.core.neuron import Branch, Layer
from atlas.core.records import Floats, LayerStatistics
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from toys import hand_made, kernel

H, W, SOURCE, TARGET = 3, 2, 5, 7
LAYER = Layer("second", "second", "conv", "second:0", TARGET, (8, 9), None)
FIELDS = ("l2", "l1", "crispness", "balance", "n_inputs")


def noise(seed: int = 0) -> Floats:
    """Return weights of both signs, with another size on every axis."""
    return np.random.default_rng(seed).normal(0.1, 1, size=(H, W, SOURCE, TARGET)).astype(np.float32)


def measure(weights: Floats, **options: Any) -> LayerStatistics:
    """Return the statistics of the layer "second"."""
    return layer_statistics(weights, LAYER, source="first", carrier="pool", **options)


def by_hand(weights: Floats, neuron: int) -> dict[str, float]:
    """Return every statistic of a neuron, number by number."""
    kernels = [[float(v) for v in weights[:, :, s, neuron].ravel()] for s in range(weights.shape[2])]
    values = [v for one in kernels for v in one]
    positive = math.fsum(v for v in values if v > 0)
    negative = math.fsum(-v for v in values if v < 0)
    l2, l1 = math.sqrt(math.fsum(v * v for v in values)), positive + negative
    squares = [math.fsum(v * v for v in one) for one in kernels]
    return {
        "l2": l2,
        "l1": l1,
        "crispness": l2 / l1,
        "balance": (positive - negative) / (positive + negative),
        "n_inputs": math.fsum(squares) ** 2 / math.fsum(s * s for s in squares),
    }


class TestOracle:
    """layer_statistics()."""

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_equals_sums_by_hand(self, seed: int) -> None:
        """Every statistic of every neuron is what its formula says, summed in float64."""
        weights = noise(seed)
        found = measure(weights)
        for neuron in range(TARGET):
            for name, value in by_hand(weights, neuron).items():
                assert getattr(found, name)[neuron] == pytest.approx(value, rel=1e-6, abs=1e-7), name

    def test_the_percentile_counts_who_is_below(self) -> None:
        """Among seven different norms the ranks are sixths, for each statistic by itself."""
        found = measure(noise())
        for at, name in enumerate(FIELDS):
            values = getattr(found, name)
            below = [sum(other < value for other in values) for value in values]
            np.testing.assert_allclose(found.percentile[:, at], [100 * n / 6 for n in below], rtol=1e-6)

    def test_names_and_neighbours(self) -> None:
        """The record names the pair, and its look-alikes are the asked number."""
        found = measure(noise(), k=3)
        assert (found.layer, found.source, found.carrier) == ("second", "first", "pool")
        assert found.nearest.shape == found.similarity.shape == (TARGET, 3)
        assert sorted(found.order) == list(range(TARGET))


class TestExtremes:
    """What the formulas give at the ends of their range."""

    def test_ends_of_the_range(self) -> None:
        """One weight alone, equal weights of one sign, and a source that holds all."""
        weights = noise()
        weights[..., 0] = 0
        weights[1, 1, 2, 0] = -3
        weights[..., 1] = 0.25
        weights[..., 2] = 0
        weights[:, :, 4, 2] = noise(5)[:, :, 4, 2]
        found = measure(weights)
        assert (found.crispness[0], found.balance[0], found.n_inputs[0]) == (1, -1, 1)
        assert found.crispness[1] == pytest.approx(1 / math.sqrt(H * W * SOURCE))
        assert (found.balance[1], found.n_inputs[1]) == (1, SOURCE)
        assert found.n_inputs[2] == 1

    def test_without_weights_all_is_zero(self) -> None:
        """A neuron of zeros divides nothing by nothing."""
        weights = noise()
        weights[..., 4] = 0
        found = measure(weights)
        assert [getattr(found, name)[4] for name in FIELDS] == [0] * 5
        assert not found.similarity[4].any()

    @pytest.mark.parametrize("scale", [1e-18, 1e18])
    def test_size_does_not_matter(self, scale: float) -> None:
        """At the ends of float32 the ratios are those of ordinary weights."""
        plain, scaled = measure(noise()), measure((noise() * np.float32(scale)).astype(np.float32))
        for name in FIELDS[2:]:
            np.testing.assert_allclose(getattr(scaled, name), getattr(plain, name), rtol=1e-5)
        assert np.array_equal(scaled.order, plain.order)

    def test_draws_are_counted_half(self) -> None:
        """Equal values have equal ranks, the middle of where they stand; one alone is in the middle."""
        assert percentiles(np.array([2, 1, 2, 5, 2], np.float32)).tolist() == [50, 0, 50, 100, 50]
        assert percentiles(np.array([3], np.float32)).tolist() == [50]

    def test_faults_are_told(self) -> None:
        """Wrong axes and numbers that are none are named."""
        with pytest.raises(AtlasError, match=r"first to second: wrong axes.*found \(3, 2, 5, 3\).*source, 7"):
            measure(noise()[..., :3])
        weights = noise()
        weights[0, 1, 2, 6] = np.inf
        with pytest.raises(AtlasError, match="second:6: its expanded weights from first are not finite"):
            measure(weights)


class TestBranches:
    """Branch names and places in the record."""

    def test_the_record_holds_them(self) -> None:
        """Names and places of all neurons of a concatenation; no names for another layer."""
        layer = replace(LAYER, branches=(Branch("1x1", 0, 3), Branch("3x3", 3, 4)))
        found = layer_statistics(noise(), layer, source="first", carrier="pool")
        assert found.branch == ("1x1",) * 3 + ("3x3",) * 4
        assert found.branch_index.tolist() == [0, 1, 2, 0, 1, 2, 3]
        assert measure(noise()).branch == ()


@pytest.fixture(scope="module")
def network() -> Network:
    """A network of three layers: 3 -> 4 -> 6 -> 5 channels."""

    def build(x: Any) -> None:
        x = tf.nn.relu(tf.nn.conv2d(x, kernel(5, 3, 3, 4), 1, "SAME"), name="first")
        x = tf.nn.max_pool2d(x, 2, 2, "SAME", name="pool")
        x = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 2, 4, 6, seed=1), 1, "SAME"), name="second")
        tf.nn.relu(tf.nn.conv2d(x, kernel(1, 1, 6, 5, seed=2), 1, "SAME"), name="third")

    return hand_made(build)


class TestFunctions:
    """atlas.statistics() and atlas.lookalikes()."""

    def test_statistics_of_a_network(self, network: Network) -> None:
        """A pair's statistics are those of the kernel that lies between, here after pooling."""
        names = [layer.name for layer in network.layers]
        found = atlas.statistics(network, names[1])
        values = kernel(3, 2, 4, 6, seed=1)
        np.testing.assert_allclose(found.l1, np.abs(values).sum((0, 1, 2)), rtol=1e-5)
        assert (found.layer, found.source, found.carrier) == (names[1], names[0], "pool")
        assert atlas.statistics(network, names[0]).source == "input"

    def test_lookalikes_of_a_neuron(self, network: Network) -> None:
        """The others of its layer by falling cosine, as a plain loop finds them, under any alias."""
        name = network.layers[1].name
        values = kernel(3, 2, 4, 6, seed=1).reshape(-1, 6).T.astype(np.float64)
        cosine = {
            i: float(values[4] @ v / np.linalg.norm(values[4]) / np.linalg.norm(v))
            for i, v in enumerate(values)
            if i != 4
        }
        found = atlas.lookalikes(network, f"{name}/4", k=3)
        assert found.neuron.name == f"{name}:4"
        assert [n.index for n in found.neurons] == sorted(cosine, key=lambda i: -cosine[i])[:3]
        np.testing.assert_allclose(found.similarity, sorted(cosine.values())[::-1][:3], rtol=1e-5)
        assert len(atlas.lookalikes(network, f"{name}:4").neurons) == 5

    def test_faults_are_told(self, network: Network) -> None:
        """A layer or a neuron that does not exist, and no look-alikes at all."""
        name = network.layers[1].name
        with pytest.raises(LayerError, match="no layer 'nowhere'"):
            atlas.statistics(network, "nowhere")
        with pytest.raises(NeuronError, match=f"{name} has no neuron 6"):
            atlas.lookalikes(network, f"{name}:6")
        with pytest.raises(AtlasError, match="look-alikes"):
            atlas.lookalikes(network, f"{name}:5", k=0)
