"""Families: factors that members share, and what the program proposes of a real network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.analysis.families import Chain, factorized, propose_families, proposed
from atlas.analysis.nmf import factorize_family
from atlas.analysis.weights import expanded_weights, pair_weights
from atlas.core.errors import AtlasError, LayerError, NeuronError
from atlas.core.records import Family, Floats
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from atlas.store import codec

MEMBERS, H, W, SOURCE = 3, 4, 5, 7


@pytest.fixture(scope="module")
def network(toy_graph: Path) -> Network:
    """The toy network: first, second, classes."""
    return load_model(toy_graph, value_range=(0.0, 1.0))


def shared_mixes(seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Return weights [member, h, w, source] of two mixes without overlap, signed maps and loadings >= 0."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(MEMBERS, H, W, 2)).astype(np.float32) * [3, 1]
    loadings = np.zeros((2, SOURCE))
    loadings[0, :4], loadings[1, 4:] = rng.uniform(0.2, 1, 4), rng.uniform(0.2, 1, 3)
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    return (maps @ loadings).astype(np.float32), maps, loadings


class TestFactorizeFamily:
    """factorize_family()."""

    def test_recovers_signed_maps_and_loadings(self) -> None:
        """Two mixes of source neurons are told apart, the stronger first, maps with their signs."""
        weights, maps, loadings = shared_mixes()
        found = factorize_family(weights, what="x", n_factors=2)
        assert found.error < 1e-3
        np.testing.assert_allclose(found.loadings, loadings, atol=5e-3)
        np.testing.assert_allclose(found.maps, maps, atol=5e-2)

    @pytest.mark.parametrize("n_factors", [1, 2, 3, 6])
    def test_error_is_that_of_the_factors(self, n_factors: int) -> None:
        """Maps times loadings leave out what the error says; loadings are >= 0, of unit length."""
        weights = np.random.default_rng(1).normal(size=(MEMBERS, H, W, SOURCE)).astype(np.float32)
        found = factorize_family(weights, what="x", n_factors=n_factors)
        left = np.linalg.norm(weights - found.maps @ found.loadings) / np.linalg.norm(weights)
        assert found.error == pytest.approx(left, rel=1e-4)
        assert (found.loadings >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(found.loadings, axis=1), 1, rtol=1e-5)
        strength = np.linalg.norm(found.maps.reshape(-1, found.maps.shape[-1]), axis=0)
        np.testing.assert_allclose(found.strength, strength, rtol=1e-4)
        assert (np.diff(found.strength) <= 0).all()

    def test_zeros_have_no_factor(self) -> None:
        """Nothing is factorized into nothing, and a sentence says so."""
        found = factorize_family(np.zeros((MEMBERS, H, W, SOURCE), np.float32), what="x")
        assert (found.maps.shape, found.loadings.shape, found.strength.shape) == ((3, 4, 5, 0), (0, 7), (0,))
        assert found.note

    def test_same_arguments_give_the_same_bytes(self) -> None:
        """A family's record is the same whenever it is made."""
        weights = np.random.default_rng(2).normal(size=(H, W, SOURCE, 6)).astype(np.float32)
        about = {"name": "a", "layer": "b", "source": "c", "carrier": "d"}
        one, two = (codec.encode(factorized(weights, (4, 1), n_factors=2, **about)) for _ in range(2))
        assert one == two
        assert codec.encode(codec.decode(Family, one)) == one

    @pytest.mark.parametrize(
        ("shape", "n_factors", "words"),
        [
            ((1, 1, 1, SOURCE), 3, "found 3, expected 1 to 2"),
            ((MEMBERS, H, W, 2), 3, "expected 1 to 2"),
            ((MEMBERS, H, W, SOURCE), 7, "expected 1 to 6"),
            ((MEMBERS, H, W, SOURCE), 0, "found 0"),
        ],
    )
    def test_refuses_too_many_factors(self, shape: tuple[int, ...], n_factors: int, words: str) -> None:
        """More factors than positions x 2 x members, or than source neurons, are refused by name."""
        with pytest.raises(AtlasError, match=words) as caught:
            factorize_family(np.ones(shape, np.float32), what="family 'curves'", n_factors=n_factors)
        assert "family 'curves'" in str(caught.value)
        assert "set n_factors" in str(caught.value)

    def test_names_what_is_not_finite(self) -> None:
        """The member with a broken weight is named."""
        weights = np.ones((MEMBERS, H, W, SOURCE), np.float32)
        weights[2, 0, 1, 3] = np.nan
        with pytest.raises(AtlasError, match="member 2 are not finite"):
            factorize_family(weights, what="x")


class TestFamily:
    """family()."""

    def test_factors_are_of_the_members_weights(self, network: Network) -> None:
        """With as many factors as source neurons little is left of the members' weights."""
        found = atlas.family(network, ["second:3", "second_1", "second:3"], n_factors=4, name="two")
        assert (found.name, found.layer, found.source, found.neurons) == ("two", "second", "first", (3, 1))
        assert found.carrier == "pool:0"
        weights = np.moveaxis(expanded_weights(network, "pool", "second")[..., [3, 1]], -1, 0)
        left = np.linalg.norm(weights - found.maps @ found.loadings) / np.linalg.norm(weights)
        assert left == pytest.approx(found.error, abs=1e-5)
        assert found.loadings.shape == (4, 4)

    def test_any_layer_before_can_be_the_source(self, network: Network) -> None:
        """The image is a source too."""
        found = atlas.family(network, ["second:0"], source="input", n_factors=2)
        assert (found.source, found.loadings.shape[1]) == ("input", 3)

    @pytest.mark.parametrize(
        ("neurons", "source", "error", "words"),
        [
            ([], None, NeuronError, "a family without neurons"),
            (["second:0", "first:1"], None, NeuronError, "first:1 is not of second"),
            (["second:5"], None, NeuronError, "second has no neuron 5"),
            (["secind:5"], None, LayerError, "did you mean second"),
            (["second:0"], "classes", LayerError, "the source classes does not come before second"),
            (["second:0"], "second", LayerError, "try source = 'first'"),
            (["second:0"], "third", LayerError, "no layer 'third'"),
        ],
    )
    def test_bad_input_is_named(
        self, network: Network, neurons: list[str], source: str | None, error: type[Exception], words: str
    ) -> None:
        """Each mistake is an error that names the thing and what to do."""
        with pytest.raises(error, match=words):
            atlas.family(network, neurons, source=source)


class TestProposals:
    """propose_families()."""

    def test_first_layer_of_turned_filters(self) -> None:
        """A network whose first layer holds a filter in four turns is told so, angle by angle."""
        network = turned_network()
        (found,) = propose_families(network, "conv")
        told = dict(zip(found.neurons, zip(found.angles, found.flipped, strict=True), strict=True))
        first = found.neurons[0]
        assert set(told) == {0, 1, 2, 3}
        for neuron, (angle, flipped) in told.items():
            assert (angle - 90 * (neuron - first)) % 360 == 0
            assert not flipped
        assert found.matched.tolist() == [found.matched[0].tolist()] * 4
        assert found.score > 0.5

    def test_some_neurons_alone(self) -> None:
        """Of some neurons only these are in families, found as in a layer that has no others."""
        network = turned_network()
        weights = atlas.expanded_weights(network, "input", "conv")
        about = {"layer": "conv", "source": "input", "carrier": "input"}
        (found,) = proposed(Chain(network), weights, most=5, neurons=(1, 3, 5), **about)
        (cut,) = proposed(Chain(network), np.ascontiguousarray(weights[..., [1, 3, 5]]), most=5, **about)
        assert found.neurons == (1, 3)
        assert cut.neurons == (0, 1)
        assert (cut.angles, cut.score) == (found.angles, found.score)
        assert (found.angles[1] - found.angles[0]) % 360 == 180

    def test_demo_is_the_same_twice(self) -> None:
        """The demo's proposals are a function of its weights; every member is another neuron."""
        network = atlas.load_model("demo")
        one, two = (propose_families(network, "mixed3a") for _ in range(2))
        assert [codec.encode(f) for f in one] == [codec.encode(f) for f in two]
        assert all(len(set(f.neurons)) == len(f.neurons) > 1 for f in one)
        assert [f.score for f in one] == sorted((f.score for f in one), reverse=True)

    def test_a_chain_takes_the_weights_it_is_given(self) -> None:
        """Each pair on the way is asked for once; the correspondence is equal to the bit."""
        network, asked = atlas.load_model("demo"), []

        def given(source: str, target: str) -> Floats:
            asked.append((source, target))
            weights = pair_weights(network, source, target).weights
            return codec.decode_array(codec.encode_array(weights))

        chain = Chain(network, given)
        found = [chain.correspondence(name) for name in ("conv2d2", "mixed3a", "conv2d2")]
        assert asked == [
            ("conv2d1", "conv2d2"),
            ("conv2d0", "conv2d1"),
            ("input", "conv2d0"),
            ("conv2d2", "mixed3a"),
        ]
        np.testing.assert_array_equal(found[1], Chain(network).correspondence("mixed3a"))

    @pytest.mark.slow
    def test_googlenet_s_turned_neurons_are_found(self, shared: Path) -> None:
        """Neurons that anybody sees to be turned copies stand together, with their angles."""
        network = atlas.load_model(shared / "models/googlenet")
        found = propose_families(network, "mixed3a")
        # Black and white on one side, colour on the other; centre against surround, of two colours.
        for members in ({192, 204, 208, 214}, {135, 163, 189, 85}, {84, 92, 130}):
            assert any(members <= set(f.neurons) for f in found), members
        mirrored = next(f for f in found if {84, 92} <= set(f.neurons))
        at = {n: (mirrored.angles[i], mirrored.flipped[i]) for i, n in enumerate(mirrored.neurons)}
        assert at[84][1] != at[92][1] or abs(at[84][0] - at[92][0]) == 180


def turned_network() -> Network:
    """Return a network of one layer: a filter in its four right-angled turns, and two of noise."""
    from atlas.model.graph.backend import tf
    from toys import hand_made, v1

    rng = np.random.default_rng(4)
    base = rng.normal(size=(5, 5, 3))
    filters = np.stack([*(np.rot90(base, k) for k in range(4)), *rng.normal(size=(2, 5, 5, 3))], -1)

    def build(x: Any) -> Any:
        x = tf.nn.relu(tf.nn.conv2d(x, filters.astype(np.float32), 1, "SAME"), name="conv")
        x = tf.reduce_mean(x, [1, 2])
        return v1.identity(tf.matmul(x, np.ones((6, 2), np.float32)), name="classes")

    return hand_made(build)
