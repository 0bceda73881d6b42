"""A layer's sheet shows what each neuron's own factorization does, in the order of similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import atlas
from atlas.analysis.nmf import factorize
from atlas.core.errors import AtlasError, NeuronError
from atlas.drawing.images import factor_colours
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from toys import hand_made, kernel


@pytest.fixture(scope="module")
def network() -> Network:
    """A network of two layers, 3 -> 4 -> 6 channels; neuron 3 of the second has no weights."""
    second = kernel(3, 2, 4, 6, seed=1)
    second[..., 3] = 0

    def build(x: Any) -> None:
        x = tf.nn.relu(tf.nn.conv2d(x, kernel(5, 3, 3, 4), 1, "SAME"), name="first")
        tf.nn.relu(tf.nn.conv2d(x, second, 1, "SAME"), name="second")

    return hand_made(build)


class TestSheet:
    """atlas.sheet()."""

    def test_each_tile_is_its_neuron_s(self, network: Network) -> None:
        """Tiles stand in the order of similarity; each is the picture of the neuron's own factors."""
        name = network.layers[1].name
        found = atlas.sheet(network, name, n_factors=2)
        assert np.array_equal(found.order, atlas.statistics(network, name).order)
        assert found.tiles.shape == (6, 3, 2, 3)
        weights = kernel(3, 2, 4, 6, seed=1)
        for tile, error, index in zip(found.tiles, found.error, found.order, strict=True):
            if index == 3:
                assert not tile.any()
                continue
            own = factorize(weights[..., index], source="first", n_factors=2)
            assert error == pytest.approx(own.error, rel=1e-3)
            maps = np.stack([np.array(factor.map, np.float32) for factor in own.factors], -1)
            np.testing.assert_allclose(tile.astype(int), factor_colours(maps).astype(int), atol=2)

    def test_some_neurons_keep_their_order(self, network: Network) -> None:
        """A choice is cut out of the whole layer's order."""
        name = network.layers[1].name
        whole = atlas.sheet(network, name).order.tolist()
        found = atlas.sheet(network, name, [5, 0, 3])
        assert found.order.tolist() == [i for i in whole if i in (0, 3, 5)]
        assert len(found.tiles) == 3
        assert atlas.sheet(network, name, []).tiles.shape == (0, 3, 2, 3)

    def test_faults_are_told(self, network: Network) -> None:
        """A neuron that does not exist, and a number of factors that cannot be."""
        name = network.layers[1].name
        with pytest.raises(NeuronError, match="has no neuron 6"):
            atlas.sheet(network, name, [6])
        with pytest.raises(AtlasError, match="wrong number of factors: found 9"):
            atlas.sheet(network, name, n_factors=9)
