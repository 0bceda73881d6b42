"""One neuron's weights to its neighbours, against expanded weights sorted in full."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.analysis.neighbours import downstream, kernel, neuron_row, upstream
from atlas.analysis.weights import expanded_weights
from atlas.core.errors import AtlasError, LayerError, NeuronError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from toys import hand_made
from toys import kernel as random_kernel

IMAGE, FIRST, SECOND, CLASSES = 3, 4, 5, 7


@pytest.fixture(scope="module")
def network() -> Network:
    """3 -> 4 (5 x 3 kernels) -> pool -> 5 (3 x 3) -> 7 (1 x 1): another size on every axis."""

    def build(x: object) -> None:
        x = tf.nn.conv2d(x, random_kernel(5, 3, IMAGE, FIRST, seed=1), 1, "SAME", name="first/conv")
        x = tf.nn.relu(x, name="first/relu")
        x = tf.nn.max_pool2d(x, 2, 2, "SAME", name="pool")
        x = tf.nn.conv2d(x, random_kernel(3, 3, FIRST, SECOND, seed=2), 1, "SAME", name="second/conv")
        x = tf.nn.relu(x, name="second/relu")
        x = tf.nn.conv2d(x, random_kernel(1, 1, SECOND, CLASSES, seed=3), 1, "SAME", name="third/conv")
        tf.nn.relu(x, name="third/relu")

    return hand_made(build)


def names(network: Network) -> tuple[str, str, str]:
    first, second, third = (layer.name for layer in network.trunk)
    return first, second, third


class TestKernel:
    def test_is_a_slice_of_the_expanded_weights(self, network: Network) -> None:
        """The kernel of every pair is that of the expanded weights from the carrier, with its share."""
        first, second, _ = names(network)
        weights = expanded_weights(network, "pool:0", second)
        for s in range(FIRST):
            for t in range(SECOND):
                found = kernel(network, f"{first}:{s}", f"{second}:{t}")
                own = weights[:, :, s, t].astype(np.float64)
                every = weights[..., t].astype(np.float64)
                np.testing.assert_array_equal(found.weights, weights[:, :, s, t])
                assert found.strength == pytest.approx(np.sqrt((own**2).sum()))
                assert found.sign == np.sign(own.sum())
                assert found.peak == pytest.approx(np.abs(every).max())
                assert found.share == pytest.approx((own**2).sum() / (every**2).sum())
                assert (found.source.index, found.target.index, found.carrier) == (s, t, "pool")

    def test_a_channel_of_the_image_is_a_source(self, network: Network) -> None:
        """From "input:2" the kernel is that of the image's third channel."""
        first, *_ = names(network)
        weights = expanded_weights(network, "input", first)
        found = kernel(network, "input:2", f"{first}:1")
        np.testing.assert_array_equal(found.weights, weights[:, :, 2, 1])
        assert found.source.name == "input:2"

    def test_wrong_order_is_refused(self, network: Network) -> None:
        """A source after its target is an error that names both."""
        first, second, _ = names(network)
        with pytest.raises(LayerError, match=f"{first}.*{second}"):
            kernel(network, f"{second}:0", f"{first}:0")

    @pytest.mark.parametrize("alias", ["input:3", "input:99999999999"])
    def test_unknown_channel(self, network: Network, alias: str) -> None:
        """A channel that the image has not is an error that says which there are."""
        with pytest.raises(NeuronError, match="0 to 2"):
            kernel(network, alias, f"{names(network)[0]}:0")


class TestRows:
    def test_upstream_is_the_head_of_a_full_sort(self, network: Network) -> None:
        """The neurons before, their kernels and coverage are those of all expanded weights, sorted."""
        _, second, _ = names(network)
        weights = expanded_weights(network, "pool:0", second).astype(np.float64)
        for t in range(SECOND):
            found = upstream(network, f"{second}:{t}", 3)
            strength = np.sqrt((weights[..., t] ** 2).sum((0, 1)))
            order = sorted(range(FIRST), key=lambda s: -strength[s])[:3]
            assert [neuron.index for neuron in found.neurons] == order
            np.testing.assert_allclose(found.strength, strength[order], rtol=1e-6)
            np.testing.assert_allclose(found.kernels, weights[..., order, t].transpose(2, 0, 1), rtol=1e-6)
            assert found.l2 == pytest.approx((strength[order] ** 2).sum() / (strength**2).sum())
            assert found.peak == pytest.approx(np.abs(weights[..., t]).max())
            assert (found.direction, found.carrier, found.n_candidates) == ("upstream", "pool", FIRST)

    def test_downstream_comes_from_the_carrier(self, network: Network) -> None:
        """The neurons after are sorted by the weights from the pooled tensor, which does not blur."""
        first, second, _ = names(network)
        weights = expanded_weights(network, "pool:0", second).astype(np.float64)
        for s in range(FIRST):
            found = downstream(network, f"{first}:{s}", 4)
            strength = np.sqrt((weights[:, :, s] ** 2).sum((0, 1)))
            order = sorted(range(SECOND), key=lambda t: -strength[t])[:4]
            assert [neuron.name for neuron in found.neurons] == [f"{second}:{t}" for t in order]
            np.testing.assert_allclose(found.kernels, weights[:, :, s, order].transpose(2, 0, 1), rtol=1e-6)
            assert (found.direction, found.layer, found.carrier) == ("downstream", second, "pool")

    def test_any_other_layer_can_be_named(self, network: Network) -> None:
        """Two hops up and down the rows hold the neurons of the layer that was asked for."""
        first, _, third = names(network)
        up = upstream(network, f"{third}:0", 2, source=first)
        down = downstream(network, f"{first}:0", 2, target=third)
        assert {neuron.layer for neuron in up.neurons} == {first}
        assert {neuron.layer for neuron in down.neurons} == {third}

    def test_the_image_stands_before_the_first_layer(self, network: Network) -> None:
        """Upstream of the first layer are the image's channels, whose downstream it is."""
        first, *_ = names(network)
        assert sorted(n.name for n in upstream(network, f"{first}:0").neurons) == [
            "input:0",
            "input:1",
            "input:2",
        ]
        assert downstream(network, "input:0").layer == first

    def test_ends_are_refused(self, network: Network) -> None:
        """Beyond the image and beyond the last layer there is nothing, and that is said."""
        with pytest.raises(LayerError, match="before the image"):
            upstream(network, "input:0")
        with pytest.raises(LayerError, match="comes after"):
            downstream(network, f"{names(network)[2]}:0")

    def test_k_below_one_is_refused(self, network: Network) -> None:
        """No neuron at all is no row."""
        with pytest.raises(AtlasError, match="number of connections"):
            upstream(network, f"{names(network)[1]}:0", 0)

    def test_two_networks_are_kept_apart(self, network: Network) -> None:
        """Weights that are kept for one network are not taken for another of the same name and hash."""

        def build(x: object) -> None:
            x = tf.nn.conv2d(x, random_kernel(5, 3, IMAGE, FIRST, seed=9), 1, "SAME", name="first/conv")
            tf.nn.relu(x, name="first/relu")

        other = hand_made(build)
        alias = f"{names(network)[0]}:0"
        assert other.sha256 == network.sha256
        mine, theirs = (upstream(n, alias).strength for n in (network, other))
        assert not np.allclose(mine, theirs)


class TestNeuronRow:
    def test_keeps_signed_maps_and_colours(self, network: Network) -> None:
        """Signed maps have the largest absolute value for their peak; colours stay as they are."""
        first, *_ = names(network)
        maps = np.array([[[1.0, -3.0]], [[2.0, 0.5]]])
        signed = neuron_row(network, [f"{first}:0", f"{first}:2"], maps)
        assert signed.peak == 3
        assert [neuron.index for neuron in signed.neurons] == [0, 2]
        colours = neuron_row(network, [f"{first}:0"], np.full((1, 2, 3, 3), 7, np.uint8), rule="Sevens.")
        assert colours.maps.dtype == np.uint8
        assert colours.rule == "Sevens."

    @pytest.mark.parametrize("shape", [(2, 3, 3), (1, 3), (1, 3, 3, 2)])
    def test_maps_must_fit_the_neurons(self, network: Network, shape: tuple[int, ...]) -> None:
        """Another number of maps, or maps that are neither signed nor coloured, are refused."""
        with pytest.raises(NeuronError, match="maps of 1 neurons"):
            neuron_row(network, [f"{names(network)[0]}:0"], np.zeros(shape))
