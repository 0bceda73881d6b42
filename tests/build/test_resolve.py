"""What an atlas is to hold: a network's layers and neurons, and the ways between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atlas.build.resolve import resolve
from atlas.cli.config_file import read_config
from atlas.core.errors import LayerError, NeuronError
from atlas.core.records import AtlasRecord, CircuitShape
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from toys import hand_made, kernel, v1


@pytest.fixture(scope="module")
def network(toy_graph: Path) -> Network:
    """The toy network: first, second, classes."""
    return load_model(toy_graph, value_range=(0.0, 1.0))


def resolved(network: Network, **flags: Any) -> AtlasRecord:
    """Return the atlas record of a config; "__" in a flag stands for "."."""
    return resolve(network, read_config(None, {k.replace("__", "."): v for k, v in flags.items()}))


def test_what_was_assumed_of_the_model_comes_first(toy_graph: Path) -> None:
    """The notes of the network, like that on a range of images that is not told, head the atlas's."""
    network = load_model(toy_graph)
    assert "0 to 1 is assumed" in network.notes[0]
    assert resolved(network).notes[: len(network.notes)] == network.notes


class TestLayers:
    """Which layers and neurons, and what they are connected to."""

    def test_all_is_every_layer_but_the_output(self, network: Network) -> None:
        """Each layer shows all of its neurons, and the image and the classes are neighbours too."""
        first, second = resolved(network).layers
        assert (first.layer, first.neurons) == ("first", (0, 1, 2, 3))
        assert (first.upstream, first.downstream) == ("input", "second")
        assert (second.layer, second.neurons) == ("second", (0, 1, 2, 3, 4))
        assert (second.upstream, second.downstream) == ("first", "classes")

    def test_weights_are_taken_from_the_carrier(self, network: Network) -> None:
        """After the pooling, not before; both layers of a pair name the same tensor."""
        first, second = resolved(network).layers
        assert first.downstream_carrier == second.upstream_carrier == "pool:0"
        assert second.downstream_carrier == "mean:0"

    def test_two_hops_start_at_the_layer_before_the_one_before(self, network: Network) -> None:
        """The image is two hops from the second layer; before the first layer's source there is nothing."""
        first, second = resolved(network).layers
        assert (first.two_before, first.two_before_carrier) == (None, "")
        assert (second.two_before, second.two_before_carrier) == ("input", network.input_tensor)
        assert {layer.two_before for layer in resolved(network, paths__two_hops=False).layers} == {None}

    def test_two_hops_need_not_start_in_the_atlas(self) -> None:
        """Where one layer is chosen both layers before it are found, with the carrier of the farther one."""
        (only,) = resolved(load_model("demo"), layers="mixed3b").layers
        assert (only.upstream, only.two_before, only.two_before_carrier) == (
            "mixed3a",
            "conv2d2",
            "maxpool1:0",
        )

    def test_layers_leave_others_out(self, network: Network) -> None:
        """A layer that is not chosen is not shown, yet may be a neighbour."""
        (only,) = resolved(network, layers="second").layers
        assert (only.layer, only.upstream, only.downstream) == ("second", "first", "classes")

    def test_neurons_restrict(self, network: Network) -> None:
        """Named neurons alone are shown, of the named layers alone."""
        first, second = resolved(network, neurons="second:1-2,first:3").layers
        assert (first.neurons, second.neurons) == ((3,), (1, 2))
        (second,) = resolved(network, neurons="second").layers
        assert second.neurons == (0, 1, 2, 3, 4)

    @pytest.mark.parametrize(
        ("flags", "error", "message"),
        [
            ({"layers": "frist"}, LayerError, "no layer 'frist'.*did you mean first"),
            ({"layers": "second,first"}, LayerError, "out of order.*expected first,second"),
            ({"layers": "first,first"}, LayerError, "first is chosen twice"),
            ({"layers": ","}, LayerError, "no layers are chosen"),
            ({"neurons": "first:4"}, NeuronError, "first has no neuron 4: expected 0 to 3"),
            ({"neurons": "frist:1"}, LayerError, "did you mean first"),
            (
                {"neurons": "second:1", "layers": "first"},
                LayerError,
                "names second, which --layers leaves out",
            ),
            ({"weights__carriers": {"frist": "pool:0"}}, LayerError, "did you mean first"),
            ({"weights__carriers": {"first": "pol:0"}}, LayerError, "pol"),
            ({"featurevis__sizes": {"frist": 60}}, LayerError, "did you mean first"),
        ],
    )
    def test_what_does_not_exist_is_an_error(
        self, network: Network, flags: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        """A name that the network does not have is an error with the nearest ones, wherever it stands."""
        with pytest.raises(error, match=message):
            resolved(network, **flags)


class TestSettings:
    """What of the config the record takes over."""

    def test_carriers_can_be_named(self, network: Network) -> None:
        """A tensor of the config's takes the found carrier's place, on both sides of the pair."""
        first, second = resolved(network, weights__carriers={"first": "first/relu:0"}).layers
        assert first.downstream_carrier == second.upstream_carrier == "first/relu:0"

    @pytest.mark.parametrize(
        ("sizes", "first", "second"),
        [("receptive field", (20, 24), (20, 24)), ({"first": 12}, (12, 12), (20, 24))],
    )
    def test_sizes_can_be_fixed(
        self, network: Network, sizes: Any, first: tuple[int, int], second: tuple[int, int]
    ) -> None:
        """A side in pixels for one layer leaves the others at their own, never above the input's size."""
        layers = resolved(network, featurevis__sizes=sizes).layers
        assert [layer.size for layer in layers] == [first, second]

    def test_the_title_falls_back_on_the_name(self, network: Network) -> None:
        """An atlas is called as the config says, or after its network."""
        assert resolved(network, title="T").title == "T"
        assert "toy" in resolved(network).title

    def test_examples_and_variants_are_noted(self, network: Network) -> None:
        """The record tells which pictures a layer has."""
        layer = resolved(network, examples="images", featurevis__variants=["channel"]).layers[0]
        assert (layer.examples, layer.featurevis) == (True, ("channel",))

    def test_no_path_gets_in(self, network: Network) -> None:
        """The record, which the site shows, holds no folder of this machine."""
        record = resolved(network, examples="/secret/images", site="/secret/site", store="/secret/s")
        assert "secret" not in repr(record)


class TestNotes:
    """What cannot be done is left out and said."""

    @staticmethod
    def softened(x: Any) -> None:
        """Two convolutions with a softmax over positions between them."""
        x = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="a/conv"), name="a/relu")
        x = tf.nn.softmax(x, axis=1)
        tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 4, 5), 1, "SAME", name="b/conv"), name="b/relu")

    @pytest.mark.filterwarnings("default")
    def test_a_way_that_is_not_linear_is_left_out(self) -> None:
        """A pair whose way cannot be linearized is missing from both layers, and a note tells why."""
        record = resolved(hand_made(self.softened, (20, 24, 3)), layers="a,b")
        a, b = record.layers
        assert (a.upstream, a.downstream, b.upstream) == ("input", None, None)
        (note,) = record.notes
        assert note.startswith("a to b is left out: ")

    def test_what_pictures_show_of_bands_is_noted(self) -> None:
        """Of an input of two bands pictures show both, and a note says in which colours."""

        def build(x: Any) -> None:
            v1.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 2, 4), 1, "SAME", name="a/conv"), name="a/relu")

        record = resolved(hand_made(build, (20, 24, 2)))
        assert record.layers[0].featurevis == ("neuron",)
        assert "of the 2 bands of an image, pictures show 1, 2, none as red, green, blue" in record.notes


@pytest.fixture(scope="module")
def mixed() -> Network:
    """3 -> stem 4 -> m (m/a 5 + m/b 7) -> end 6."""

    def build(x: Any) -> None:
        y = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="stem"))
        a = tf.nn.conv2d(y, kernel(3, 3, 4, 5), 1, "SAME", name="m/a")
        b = tf.nn.conv2d(y, kernel(1, 1, 4, 7), 1, "SAME", name="m/b")
        y = tf.concat([a, b], 3, name="m")
        tf.nn.conv2d(y, kernel(3, 3, 12, 6), 1, "SAME", name="end")

    return hand_made(build)


class TestBranches:
    """Neurons named by their branch."""

    def test_a_branch_names_the_whole_s_neurons(self, mixed: Network) -> None:
        """A span of a branch is a span of the layer that it is part of."""
        (only,) = resolved(mixed, neurons="m/b:0-2").layers
        assert (only.layer, only.neurons) == ("m", (5, 6, 7))

    def test_a_branch_among_the_layers_is_itself(self, mixed: Network) -> None:
        """With --layers naming the branch, the span is its own."""
        (only,) = resolved(mixed, layers="m/b", neurons="m/b:0-2").layers
        assert (only.layer, only.neurons) == ("m/b", (0, 1, 2))

    def test_a_branch_beside_its_layers_is_told(self, mixed: Network) -> None:
        """A branch whose layer is left out is an error that names the layer."""
        with pytest.raises(LayerError, match="names m, which --layers leaves out"):
            resolved(mixed, layers="m/a", neurons="m/b:0-2")


class TestCircuit:
    """How the pages are told to draw circuits."""

    def test_the_settings_are_in_the_record(self, network: Network) -> None:
        """A renderer reads nothing but the store."""
        flags = {"circuit__up": 3, "circuit__down": 0, "circuit__fan": [4, 1], "circuit__between": 0.25}
        assert resolved(network, **flags).circuit == CircuitShape(3, 0, (4, 1), 0.25)

    def test_no_hops_are_no_circuit(self, network: Network) -> None:
        """Without hops in either direction none is drawn."""
        assert resolved(network, circuit__up=0, circuit__down=0).circuit is None
