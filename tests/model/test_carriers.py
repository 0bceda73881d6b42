"""Tests of atlas.model.carriers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import LayerError
from atlas.model.carriers import carrier, chosen_layers, downstream_layer, upstream_layer
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.assembly import Frozen, network_of
from atlas.model.reading.load import load_model
from graphs import conv, dense, graph_def, small


def network(build: Callable[[Any], Any]) -> Network:
    return network_of(Frozen("toy", "0" * 64, graph_def(build), value_range=(0.0, 1.0)))


def branched(x: Any) -> None:
    y = conv(x, 4, "stem")
    y = tf.concat([conv(y, 5, "m/a"), conv(y, 7, "m/b")], 3, name="m")
    y = conv(y, 6, "end")
    dense(
        tf.reshape(tf.nn.avg_pool2d(y, [20, 23], 1, "VALID", name="pool"), [-1, 6], name="flat"), 5, "classes"
    )


class TestChosenLayers:
    def test_all_is_the_trunk_without_the_classes(self) -> None:
        """The word "all" means the trunk, the output left out."""
        assert [layer.name for layer in chosen_layers(network(branched), "all")] == ["stem", "m", "end"]

    def test_all_keeps_hidden_dense_layers(self) -> None:
        """A dense layer before the classes is among all."""

        def build(x: Any) -> None:
            y = tf.reduce_mean(conv(x, 4, "stem"), [1, 2])
            hidden = tf.nn.relu(tf.matmul(y, np.ones((4, 6), np.float32), name="fc/MatMul"), name="fc/Relu")
            dense(hidden, 5, "classes")

        assert [layer.name for layer in chosen_layers(network(build), "all")] == ["stem", "fc"]

    def test_names(self) -> None:
        """Names choose layers, branches too, spaces aside."""
        assert [layer.name for layer in chosen_layers(network(branched), "stem, m/b,end")] == [
            "stem",
            "m/b",
            "end",
        ]

    def test_auto_is_the_end_of_each_resolution(self) -> None:
        """The word "auto" means the last layer before each stride, a sum before what follows it."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            y = conv(tf.add(y, conv(y, 4, "side"), name="sum"), 5, "wide")
            y = conv(conv(conv(y, 6, "down", stride=2), 7, "end"), 3, "deep", stride=2)
            dense(tf.reduce_mean(y, [1, 2], name="mean"), 5, "classes")

        assert [layer.name for layer in chosen_layers(network(build), "auto")] == ["sum", "end", "deep"]

    def test_auto_of_one_resolution(self) -> None:
        """Of a network that keeps its resolution, sums at all depths are shown."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            for i in range(9):
                y = tf.add(y, conv(y, 4, f"side{i}"), name=f"sum{i}")
            dense(tf.reduce_mean(y, [1, 2], name="mean"), 5, "classes")

        names = [layer.name for layer in chosen_layers(network(build), "auto")]
        assert names == ["sum0", "sum2", "sum4", "sum6", "sum8"]

    def test_auto_goes_beside_the_trunk(self) -> None:
        """A resolution that no layer of the trunk has is shown by its last layer beside it."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            small = conv(conv(y, 5, "down", stride=2), 6, "middle")
            up = tf.image.resize(small, [20, 23], "nearest")
            conv(tf.concat([y, up], 3, name="join"), 7, "end")

        assert {"middle", "end"} <= {layer.name for layer in chosen_layers(network(build), "auto")}

    def test_auto_of_a_network_without_maps(self) -> None:
        """Where nothing has positions, there is a choice nevertheless."""
        net = network(lambda x: dense(tf.reshape(x, [-1, 20 * 23 * 3], name="flat"), 5, "classes"))
        assert [layer.name for layer in chosen_layers(net, "auto")] == ["classes"]

    def test_a_tensor_is_its_layer(self, caplog: pytest.LogCaptureFixture) -> None:
        """In --layers "stem:0" is the layer and not its neuron 0, and that is said."""
        assert [layer.name for layer in chosen_layers(network(branched), "stem:0,m/b/Relu")] == [
            "stem",
            "m/b",
        ]
        assert "taken for the layer stem, not for its neuron 0" in caplog.text

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("stam", "stem"),
            ("end,stem", r"expected stem,end"),
            ("stem,stem", "twice"),
            ("", "no layers"),
            (" , ", "no layers"),
        ],
    )
    def test_errors(self, spec: str, message: str) -> None:
        """Unknown, unordered, doubled and absent names are told apart."""
        with pytest.raises(LayerError, match=message):
            chosen_layers(network(branched), spec)


class TestCarrier:
    @pytest.mark.parametrize(
        ("source", "target", "tensor"),
        [
            ("conv2d0", "conv2d1", "localresponsenorm0:0"),
            ("conv2d1", "conv2d2", "conv2d1:0"),
            ("conv2d2", "mixed3a", "maxpool1:0"),
            ("mixed3a", "mixed3b", "mixed3a:0"),
            ("mixed3b", "mixed4a", "maxpool4:0"),
            ("mixed3b", "mixed4a_5x5", "maxpool4:0"),
            ("mixed3b", "mixed5a", "maxpool4:0"),
            ("mixed5b", "softmax2", "avgpool0:0"),
            ("input", "conv2d0", "input:0"),
        ],
    )
    def test_googlenet(self, shared: Path, source: str, target: str, tensor: str) -> None:
        """On the real network the carriers are the tensors that the method's authors took."""
        assert carrier(load_model(shared / "models" / "googlenet"), source, target) == tensor

    def test_flattening_is_no_carrier(self) -> None:
        """Past a pool over all positions, the tensor that still has its axes carries."""
        assert carrier(network(branched), "end", "classes") == "pool:0"

    def test_padding_is_passed(self) -> None:
        """Padding lies on the way to a pool, and is no carrier itself."""

        def build(x: Any) -> None:
            y = tf.pad(conv(x, 4, "a"), [[0, 0], [1, 1], [2, 2], [0, 0]], name="pad1")
            y = tf.nn.max_pool2d(y, 3, 2, "VALID", name="pool")
            conv(tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]], name="pad2"), 5, "b")

        assert carrier(network(build), "a", "b") == "pool:0"

    def test_residual_block(self) -> None:
        """Towards a block's own branch its norm and activation carry; past the whole block nothing does."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            body = tf.nn.relu(tf.multiply(y, np.arange(1, 5, dtype=np.float32), name="norm"), name="active")
            y = tf.add(conv(body, 4, "body"), y, name="sum")
            conv(tf.nn.max_pool2d(y, 2, 2, "SAME", name="pool"), 5, "end")

        net = network(build)
        assert carrier(net, "stem", "body") == "active:0"
        assert carrier(net, "stem", "sum") == "stem/Relu:0"
        assert carrier(net, "sum", "end") == "pool:0"

    def test_not_upstream(self) -> None:
        """A pair without a way is refused."""
        with pytest.raises(LayerError, match="does not depend"):
            carrier(network(small), "conv2", "conv1")
        with pytest.raises(LayerError, match="does not depend"):
            carrier(network(small), "conv1", "conv1")


class TestNeighbours:
    def test_trunk_neighbours(self) -> None:
        """Without other chosen layers the neighbours are those of the trunk, up to the classes."""
        net = network(branched)
        pairs = {}
        for layer in net.layers:
            pairs[layer.name] = (upstream_layer(net, layer, [layer]), downstream_layer(net, layer, [layer]))
        assert pairs == {
            "stem": ("input", "m"),
            "m/a": ("stem", "m"),
            "m/b": ("stem", "m"),
            "m": ("stem", "end"),
            "end": ("m", "classes"),
            "classes": ("end", None),
        }

    def test_chosen_layers_come_first(self) -> None:
        """A chosen layer on the way is the neighbour, a branch too; one beside the way is not."""
        net = network(branched)
        chosen = chosen_layers(net, "stem,m/a,end")
        assert upstream_layer(net, net.layer("end"), chosen) == "m/a"
        assert downstream_layer(net, net.layer("stem"), chosen) == "m/a"
        assert downstream_layer(net, net.layer("m/b"), chosen) == "end"
        assert upstream_layer(net, net.layer("m/b"), chosen_layers(net, "m/a,m/b")) == "stem"
