"""Weights by name: read, edited, and what follows from an edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.analysis.weights import expanded_weights
from atlas.core.errors import AtlasError, ParameterError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from toys import hand_made, kernel

IMAGES = np.random.default_rng(5).random((2, 20, 22, 3)).astype(np.float32)


def build(x: Any) -> None:
    """Three convolutions, 3 -> 4 -> 5 -> 7, whose kernels are named; the first with a bias."""
    for name, shape in (("first", (3, 5, 3, 4)), ("second", (5, 3, 4, 5)), ("third", (1, 3, 5, 7))):
        weights = tf.constant(kernel(*shape, seed=shape[3]), name=f"{name}_w")
        x = tf.nn.conv2d(x, weights, 1, "SAME", name=f"{name}_conv")
        if name == "first":
            x = tf.nn.bias_add(x, tf.constant(kernel(4, seed=9), name="first_b"))
        x = tf.nn.relu(x, name=name)


@pytest.fixture
def network() -> Network:
    """A network of this test's own."""
    return hand_made(build, shape=(20, 22, 3))


class TestParameters:
    """network.parameters."""

    def test_names_and_values(self, network: Network) -> None:
        """Every kernel and bias stands under its constant's name, with its values."""
        assert list(network.parameters) == ["first_w", "first_b", "second_w", "third_w"]
        np.testing.assert_array_equal(network.parameters["second_w"], kernel(5, 3, 4, 5, seed=5))
        assert network.parameters["second_w"].dtype == np.float32
        assert "first_b (4,)" in repr(network.parameters)

    def test_it_is_a_mapping(self, network: Network) -> None:
        """An unknown name is not in it, has no default but the given one, and is no error to ask for."""
        assert len(network.parameters) == 4
        assert "first_b" in network.parameters
        assert "first" not in network.parameters
        assert network.parameters.get("first") is None

    def test_it_is_read_only(self, network: Network) -> None:
        """What is handed out cannot be written to: an edit that would be lost is an error at once."""
        with pytest.raises(ValueError, match="read-only"):
            network.parameters["first_b"][0] = 1
        with pytest.raises(TypeError):
            network.parameters["first_b"] = np.zeros(4)  # type: ignore[index]

    def test_an_unknown_name_is_answered_with_the_nearest(self, network: Network) -> None:
        """A misspelt name is a KeyError and an AtlasError, and says what there is."""
        with pytest.raises(KeyError):
            network.parameters["secondw"]
        with pytest.raises(AtlasError, match="no parameter 'secondw'; did you mean second_w") as caught:
            network.parameters["secondw"]
        assert not str(caught.value).startswith('"')

    def test_googlenet(self, shared: Path) -> None:
        """The published InceptionV1 has its weights under the names of the published graph."""
        parameters = load_model(shared / "models" / "googlenet").parameters
        assert parameters["conv2d0_w"].shape == (7, 7, 3, 64)
        assert parameters["mixed3a_3x3_bottleneck_w"].shape == (1, 1, 192, 96)

    @pytest.mark.slow
    def test_keras(self) -> None:
        """A frozen Keras network has parameters too, and an edit of a kernel shows in its weights."""
        network = load_model("keras:MobileNetV2?weights=none")
        name = next(n for n in network.parameters if network.parameters[n].shape == (1, 1, 32, 16))
        doubled = network.with_parameters({name: 2 * network.parameters[name]})
        before, after = (expanded_weights(n, "Conv1", "expanded_conv_project_BN") for n in (network, doubled))
        np.testing.assert_allclose(after, 2 * before, rtol=1e-5, atol=1e-7)


class TestWithParameters:
    """network.with_parameters()."""

    def test_without_outgoing_weights_there_are_no_connections(self, network: Network) -> None:
        """When one neuron's outgoing weights are deleted its connections are zero, and no other's."""
        cut = np.array(network.parameters["second_w"])
        cut[:, :, 2] = 0
        edited = network.with_parameters({"second_w": cut})
        before, after = (expanded_weights(n, "first", "second") for n in (network, edited))
        assert not after[:, :, 2].any()
        np.testing.assert_array_equal(np.delete(after, 2, 2), np.delete(before, 2, 2))

    def test_twice_the_kernel_is_twice_the_weights(self, network: Network) -> None:
        """Expanded weights over an edited kernel scale with it; those elsewhere stay."""
        edited = network.with_parameters({"second_w": 2 * network.parameters["second_w"]})
        for source, target, factor in (("first", "third", 2), ("first", "second", 2), ("second", "third", 1)):
            before, after = (expanded_weights(n, source, target) for n in (network, edited))
            np.testing.assert_array_equal(after, factor * before)

    def test_activations_follow(self, network: Network) -> None:
        """Activations before the edit stay; those after it are the convolution with the new kernel."""
        new = kernel(5, 3, 4, 5, seed=8)
        before = network.activations(IMAGES, ["first", "second"])
        after = network.with_parameters({"second_w": new}).activations(IMAGES, ["first", "second"])
        np.testing.assert_array_equal(after["first"], before["first"])
        expected = np.maximum(tf.nn.conv2d(before["first"], new, 1, "SAME"), 0)
        np.testing.assert_allclose(after["second"], expected, rtol=1e-4, atol=1e-4)

    def test_the_original_stays(self, network: Network) -> None:
        """The graph, its values, its activations and its name are the same bytes after an edit was used."""
        graph = network.graph_def.SerializeToString(deterministic=True)
        before = network.activations(IMAGES, ["third"])["third"]
        edited = network.with_parameters({"first_b": np.ones(4)})
        assert not np.allclose(edited.activations(IMAGES, ["third"])["third"], before)
        assert network.graph_def.SerializeToString(deterministic=True) == graph
        np.testing.assert_array_equal(network.activations(IMAGES, ["third"])["third"], before)
        assert network.sha256 == "0" * 64
        assert edited.layers == network.layers

    def test_edits_compose(self, network: Network) -> None:
        """An edit of an edited network keeps the first one, and each step has a SHA-256 of its own."""
        once = network.with_parameters({"first_b": np.ones(4)})
        twice = once.with_parameters({"second_w": np.zeros((5, 3, 4, 5))})
        np.testing.assert_array_equal(twice.parameters["first_b"], np.ones(4))
        assert not twice.parameters["second_w"].any()
        np.testing.assert_array_equal(once.parameters["second_w"], network.parameters["second_w"])
        assert len({network.sha256, once.sha256, twice.sha256}) == 3
        assert all(len(n.sha256) == 64 for n in (once, twice))

    def test_the_digest_is_of_the_edits(self, network: Network) -> None:
        """The same edit gives the same SHA-256, in whatever order; other values another; none the former."""
        one, two = np.ones(4, np.float32), kernel(5, 3, 4, 5)
        first = network.with_parameters({"first_b": one, "second_w": two})
        assert first.sha256 == network.with_parameters({"second_w": two, "first_b": one}).sha256
        assert first.sha256 != network.with_parameters({"first_b": 2 * one, "second_w": two}).sha256
        assert network.with_parameters({}).sha256 == network.sha256

    def test_it_can_be_written_and_loaded(self, network: Network, tmp_path: Path) -> None:
        """The edited graph is a file like any other: loaded again it has the edited values."""
        edited = network.with_parameters({"second_w": kernel(5, 3, 4, 5, seed=8)})
        path = tmp_path / "edited.pb"
        path.write_bytes(edited.graph_def.SerializeToString())
        again = load_model(path, value_range=(0, 1))
        np.testing.assert_array_equal(again.parameters["second_w"], edited.parameters["second_w"])
        np.testing.assert_array_equal(
            again.activations(IMAGES, ["third"])["third"], edited.activations(IMAGES, ["third"])["third"]
        )

    @pytest.mark.parametrize(
        ("edits", "message"),
        [
            ({"frist_w": np.zeros(4)}, "no parameter 'frist_w'; did you mean first_w"),
            (
                {"first_b": np.zeros(5)},
                r"parameter first_b .*shape: found \(5,\), expected \(4,\); start from",
            ),
            ({"first_b": 3.0}, r"found \(\), expected \(4,\)"),
            (
                {"first_b": np.ones(4, complex)},
                "first_b .*found an array of complex128, expected real numbers",
            ),
            ({"first_b": ["a", "b", "c", "d"]}, "first_b .*expected real numbers; give a NumPy array"),
            ({"first_b": [[1], [1, 2]]}, "first_b .*found list, which is no array"),
            ({"first_b": [1, np.nan, np.inf, 0]}, "first_b would not be finite: found 2 values of 4"),
            ({"first_b": np.full(4, 1e300)}, "first_b .*found 4 values.*that float32 can hold"),
        ],
    )
    def test_what_cannot_be(self, network: Network, edits: dict[str, Any], message: str) -> None:
        """Another name, shape or kind, and values that are not finite, are refused by name."""
        with pytest.raises(ParameterError, match=message):
            network.with_parameters(edits)
