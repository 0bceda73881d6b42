"""Circuits of networks: edges are the expanded weights, chosen by hand or grown from a neuron."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import atlas
from atlas.analysis.circuits import circuit, ego_circuit
from atlas.analysis.weights import expanded_weights, pair_weights
from atlas.core.errors import LayerError, NeuronError
from atlas.core.records import CircuitEdge
from atlas.model.network import Network, find_neuron
from graphs import conv, dense
from toys import hand_made, tf


@pytest.fixture(scope="module")
def network() -> Network:
    """Return 3 -> stem 4 -> pool -> m (m/a 5 + m/b 7) -> end 6 -> classes 8."""

    def build(x: Any) -> None:
        y = tf.nn.max_pool2d(conv(x, 4, "stem"), 2, 2, "SAME", name="pool")
        y = tf.concat([conv(y, 5, "m/a"), conv(y, 7, "m/b", 1)], 3, name="m")
        y = conv(y, 6, "end")
        dense(tf.reduce_mean(y, [1, 2], name="mean"), 8, "classes")

    return hand_made(build, (20, 24, 3))


def pairs(edges: tuple[CircuitEdge, ...]) -> list[tuple[str, str]]:
    return [(edge.source.name, edge.target.name) for edge in edges]


class TestCircuit:
    def test_edges_are_the_expanded_weights(self, network: Network) -> None:
        """Every pair of neighbouring layers is joined by just the kernels of its expanded weights."""
        found = circuit(network, ["end:5", "stem:2", "m:11", "stem:0", "m/a:3"])
        assert [node.name for node in found.nodes] == ["stem:0", "stem:2", "m:3", "m:11", "end:5"]
        assert sorted(pairs(found.edges)) == sorted(
            [(s, m) for s in ("stem:0", "stem:2") for m in ("m:3", "m:11")]
            + [("m:3", "end:5"), ("m:11", "end:5")]
        )
        carriers = {"stem": "pool", "m": "m"}
        for edge in found.edges:
            full = expanded_weights(network, carriers[edge.source.layer], edge.target.layer)[
                ..., edge.target.index
            ]
            np.testing.assert_array_equal(edge.kernel, full[..., edge.source.index])
            norms = np.linalg.norm(full.astype(np.float64), axis=(0, 1))
            assert edge.strength == pytest.approx(norms[edge.source.index], rel=1e-6)
            assert edge.relative == pytest.approx(norms[edge.source.index] / norms.max(), rel=1e-6)
            assert edge.share == pytest.approx(
                norms[edge.source.index] ** 2 / np.square(norms).sum(), rel=1e-6
            )
            assert edge.sign == np.sign(edge.kernel.sum())

    def test_every_pair_joins_past_a_third_layer(self, network: Network) -> None:
        """Layers that are not neighbours are joined only when every pair is asked for."""
        names = ["stem:1", "m:2", "end:0"]
        assert pairs(circuit(network, names).edges) == [("stem:1", "m:2"), ("m:2", "end:0")]
        assert ("stem:1", "end:0") in pairs(circuit(network, names, every_pair=True).edges)
        assert pairs(circuit(network, ["stem:1", "end:0"]).edges) == [("stem:1", "end:0")]

    def test_branches_beside_each_other_are_not_joined(self, network: Network) -> None:
        """No way leads from one branch to the other, but both have theirs to what comes before and after."""
        found = circuit(network, ["m/a:1", "m/b:2", "stem:0", "end:3"], chosen=["m/a", "m/b"])
        assert sorted(pairs(found.edges)) == [
            ("m/a:1", "end:3"), ("m/b:2", "end:3"), ("stem:0", "m/a:1"), ("stem:0", "m/b:2"),
        ]  # fmt: skip

    def test_threshold_and_top_keep_the_strongest(self, network: Network) -> None:
        """What is left are each target's strongest, from a share of its strongest of all on."""
        names = [f"m:{n}" for n in range(12)] + ["end:4"]
        full = pair_weights(network, "m", "end").weights[..., 4].astype(np.float64)
        order = np.argsort(-np.linalg.norm(full, axis=(0, 1))).tolist()
        assert [e.source.index for e in circuit(network, names).edges] == order
        assert [e.source.index for e in circuit(network, names, top=3).edges] == order[:3]
        kept = circuit(network, names, threshold=0.8).edges
        assert [e.source.index for e in kept] == order[: len(kept)]
        assert 1 <= len(kept) < 12
        assert min(e.relative for e in kept) >= 0.8

    def test_a_neuron_named_twice_stands_once(self, network: Network) -> None:
        """Two aliases of one neuron are one node."""
        assert len(circuit(network, ["m:3", "m/a:3", "M/3"]).nodes) == 1

    @pytest.mark.parametrize("neurons", [[], "m:3"])
    def test_refuses_what_is_no_list(self, network: Network, neurons: Any) -> None:
        """No neurons, or one text for them, is an error that shows a list."""
        with pytest.raises(NeuronError, match="a list like"):
            circuit(network, neurons)

    def test_refuses_unknown_neurons_and_numbers(self, network: Network) -> None:
        """An unknown neuron or layer, a threshold beyond one and a top of none are told."""
        with pytest.raises(NeuronError, match="0 to 11"):
            circuit(network, ["m:12"])
        with pytest.raises(LayerError, match="no layer 'x'"):
            circuit(network, ["x:1"])
        with pytest.raises(LayerError, match="0 to 1"):
            circuit(network, ["m:1"], threshold=1.5)
        with pytest.raises(LayerError, match="1 or more"):
            circuit(network, ["m:1"], top=0)


class TestEgoCircuit:
    def test_follows_a_full_sort_of_the_weights(self, network: Network) -> None:
        """Inputs, their inputs and outputs are the strongest of all kernels."""
        found = ego_circuit(network, "m:7", up=2, down=2, fan=(2, 1), between=1)
        above = np.linalg.norm(pair_weights(network, "stem", "m").weights[..., 7], axis=(0, 1))
        below = np.linalg.norm(pair_weights(network, "m", "end").weights[:, :, 7], axis=(0, 1))
        first, last = np.argsort(-above)[:2].tolist(), np.argsort(-below)[:2].tolist()
        followed = [pair for edge, pair in zip(found.edges, pairs(found.edges), strict=True) if edge.chosen]
        assert {pair for pair in followed if pair[1] == "m:7"} == {(f"stem:{n}", "m:7") for n in first}
        assert {pair for pair in followed if pair[0] == "m:7"} == {("m:7", f"end:{n}") for n in last}
        image = np.linalg.norm(pair_weights(network, "input", "stem").weights, axis=(0, 1))
        assert {pair for pair in followed if pair[0].startswith("input")} == {
            (f"input:{image[:, n].argmax()}", f"stem:{n}") for n in first
        }
        classes = np.linalg.norm(pair_weights(network, "end", "classes").weights, axis=(0, 1))
        assert {pair for pair in followed if pair[1].startswith("classes")} == {
            (f"end:{n}", f"classes:{classes[n].argmax()}") for n in last
        }

    def test_edges_hold_their_kernels(self, network: Network) -> None:
        """Each edge's kernel is that of the expanded weights, and both its ends are nodes."""
        found = ego_circuit(network, "end:2", up=2, down=1, fan=(3, 2), between=0)
        assert found.ego == find_neuron(network, "end:2")
        for edge in found.edges:
            assert {edge.source, edge.target} <= set(found.nodes)
            full = pair_weights(network, edge.source.layer, edge.target.layer).weights
            np.testing.assert_array_equal(edge.kernel, full[:, :, edge.source.index, edge.target.index])
            assert edge.strength == pytest.approx(np.linalg.norm(edge.kernel), rel=1e-5)

    def test_is_the_same_twice_and_draws(self, network: Network) -> None:
        """Equal calls give equal drawings, which parse."""
        one, two = (atlas.circuit_svg(ego_circuit(network, "m/b:2")) for _ in range(2))
        assert one == two
        assert ElementTree.fromstring(one).tag.endswith("svg")

    @pytest.mark.parametrize("wrong", [{"up": -1}, {"fan": ()}, {"fan": (2, 0)}])
    def test_refuses_a_reach_that_is_none(self, network: Network, wrong: dict[str, Any]) -> None:
        """Hops below none and a fan without numbers are told."""
        with pytest.raises(LayerError, match="reach"):
            ego_circuit(network, "m:1", **wrong)


class TestFindNeuron:
    def test_a_branch_means_the_whole_unless_chosen(self, network: Network) -> None:
        """m/b:2 is neuron 7 of m; of the branch itself only where that is chosen by name."""
        assert atlas.find_neuron(network, "m/b:2").name == "m:7"
        assert atlas.find_neuron(network, "M/B 2").name == "m:7"
        assert atlas.find_neuron(network, "m/b:2", chosen=["m/b"]).name == "m/b:2"


@pytest.mark.slow
def test_googlenet(shared: Any) -> None:
    """On the real network a circuit of three layers has the published neurons and their weights."""
    network = atlas.load_model(shared / "models" / "googlenet")
    assert atlas.find_neuron(network, "mixed3b_5x5:59").name == "mixed3b:379"
    found = circuit(network, ["mixed3a:147", "3b:379", "mixed4a:10"])
    assert pairs(found.edges) == [("mixed3a:147", "mixed3b:379"), ("mixed3b:379", "mixed4a:10")]
    full = expanded_weights(network, "maxpool4", "mixed4a")
    np.testing.assert_array_equal(found.edges[1].kernel, full[:, :, 379, 10])
