"""Tests of atlas.model.graph.view."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.view import GraphView, node_of, tensor_of


def view(*nodes: tuple[str, str, list[str]]) -> GraphView:
    graph_def = tf.compat.v1.GraphDef()
    for name, op, inputs in nodes:
        graph_def.node.add(name=name, op=op, input=inputs)
    return GraphView(graph_def)


DIAMOND = [
    ("in", "Placeholder", []),
    ("a", "Relu", ["in"]),
    ("left", "Relu", ["a"]),
    ("right", "Relu", ["a:0", "^other"]),
    ("join", "AddV2", ["left", "right"]),
    ("end", "Relu", ["join"]),
    ("other", "Placeholder", []),
]


class TestNames:
    @pytest.mark.parametrize(("tensor", "node"), [("a:0", "a"), ("^a", "a"), ("s/a:2", "s/a"), ("a", "a")])
    def test_node_of(self, tensor: str, node: str) -> None:
        """The node is the tensor's name without output and control mark."""
        assert node_of(tensor) == node

    def test_tensor_of(self) -> None:
        """A bare node means its first output; a tensor stays as it is."""
        assert (tensor_of("a"), tensor_of("a:1")) == ("a:0", "a:1")


class TestGraphView:
    def test_inputs_leave_control_edges_out(self) -> None:
        """Control edges carry no data and are not inputs."""
        assert view(*DIAMOND).inputs("right") == ("a:0",)

    def test_consumers(self) -> None:
        """A node's consumers are the nodes that read it."""
        assert set(view(*DIAMOND).consumers("a:0")) == {"left", "right"}

    def test_order_is_topological(self) -> None:
        """Every node comes after all it reads, whatever the order in the file."""
        order = view(*reversed(DIAMOND)).order
        for name, _, inputs in DIAMOND:
            for feeder in inputs:
                if not feeder.startswith("^"):
                    assert order.index(node_of(feeder)) < order.index(name)

    def test_reach(self) -> None:
        """Ancestors and descendants include the node itself."""
        graph = view(*DIAMOND)
        assert graph.ancestors("left:0") == {"left", "a", "in"}
        assert graph.descendants("left") == {"left", "join", "end"}

    def test_between(self) -> None:
        """Between two nodes lie exactly those on a way from one to the other."""
        graph = view(*DIAMOND)
        assert set(graph.between("a", "join")) == {"a", "left", "right", "join"}
        assert graph.between("end", "a") == ()

    def test_trunk(self) -> None:
        """The trunk leaves out what only some ways pass."""
        assert view(*DIAMOND).trunk("in", "end") == ("in", "a", "join", "end")

    def test_trunk_with_a_skip(self) -> None:
        """A skip around a node takes it out of the trunk."""
        skip = [("in", "Placeholder", []), ("f", "Relu", ["in"]), ("sum", "AddV2", ["f", "in"])]
        assert view(*skip).trunk("in", "sum") == ("in", "sum")

    def test_constant_through_identity(self) -> None:
        """A constant is read through identities; what depends on anything else has no value."""
        with tf.Graph().as_default() as graph:
            tf.identity(tf.constant(np.arange(6.0).reshape(2, 3), name="c"), name="i")
            tf.nn.relu(tf.compat.v1.placeholder(tf.float32, [], name="p"), name="r")
        seen = GraphView(graph.as_graph_def())
        np.testing.assert_array_equal(seen.constant("i:0"), np.arange(6.0).reshape(2, 3))
        assert seen.constant("r") is None

    def test_missing_input(self) -> None:
        """A node that reads what is not there is named."""
        with pytest.raises(ModelError, match=r"a reads gone"):
            view(("a", "Relu", ["gone"]))

    def test_cycle(self) -> None:
        """A loop is refused."""
        with pytest.raises(ModelError, match="cycle"):
            view(("a", "Relu", ["b"]), ("b", "Relu", ["a"]))

    def test_measuring_is_no_way(self) -> None:
        """No way leads through what reads only a tensor's shape."""
        measured = view(
            ("in", "Placeholder", []), ("size", "Shape", ["in"]), ("flat", "Reshape", ["in", "size"])
        )
        assert measured.between("in", "flat") == ("in", "flat")
