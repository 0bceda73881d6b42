"""Tests of atlas.model.cleaning.calls: functions that a graph calls, unfolded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.cleaning import calls
from atlas.model.cleaning.calls import unfolded
from atlas.model.graph.backend import tf
from atlas.model.reading.assembly import Frozen, network_of

IMAGES = np.random.default_rng(3).random((3, 9, 11, 3)).astype(np.float32)
KERNEL = np.random.default_rng(4).normal(size=(3, 3, 3, 5)).astype(np.float32)


def called() -> Any:
    """Return a graph of a convolution in a function in a function, of two results that swap places twice."""

    @tf.function(jit_compile=True)
    def inner(x: Any, y: Any) -> Any:
        return tf.nn.conv2d(x, KERNEL, 1, "SAME", name="conv") + y, x

    @tf.function
    def outer(x: Any) -> Any:
        first, second = inner(x, tf.constant(2.0))
        return second, tf.nn.relu(first, name="active")

    with tf.Graph().as_default() as graph:
        entry = tf.compat.v1.placeholder(tf.float32, (None, 9, 11, 3), name="input")
        passed, active = outer(entry)
        tf.add(tf.reduce_mean(passed), active, name="end")
    return graph.as_graph_def()


def run(graph_def: Any) -> np.ndarray:
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return np.asarray(session.run("end:0", {"input:0": IMAGES}))


def test_values_stay() -> None:
    """The unfolded graph holds no calls, and computes the same for three images at once."""
    graph_def = called()
    flat = unfolded(tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString()))
    assert {node.op for node in flat.node}.isdisjoint({"PartitionedCall", "StatefulPartitionedCall"})
    np.testing.assert_allclose(run(flat), run(graph_def), rtol=1e-5, atol=1e-6)


def test_layers_within_calls_are_found() -> None:
    """A convolution that lies in a function is a layer."""
    net = network_of(Frozen("toy", "0" * 64, called(), value_range=(0.0, 1.0)))
    assert [(layer.kind, layer.n_channels) for layer in net.layers] == [("conv", 5)]


def test_nothing_to_unfold() -> None:
    """A graph without calls is returned as it is."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.node.add(name="input", op="Placeholder")
    assert unfolded(graph_def) is graph_def


@pytest.mark.parametrize("times", [1, 2])
def test_calls_without_end(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that calls itself is refused in one line, also where it doubles each time."""
    monkeypatch.setattr(calls, "_MOST_NODES", 1000)
    graph_def = tf.compat.v1.GraphDef()
    function = graph_def.library.function.add()
    function.signature.name = "endless"
    function.signature.input_arg.add(name="x", type=tf.float32.as_datatype_enum)
    function.signature.output_arg.add(name="y", type=tf.float32.as_datatype_enum)
    function.ret["y"] = "again0:output:0"
    graph_def.node.add(name="input", op="Placeholder").attr["dtype"].type = tf.float32.as_datatype_enum
    for nodes, entry in ((function.node_def, "x"), (graph_def.node, "input")):
        for number in range(times if nodes is function.node_def else 1):
            call = nodes.add(name=f"again{number}", op="PartitionedCall", input=[entry])
            call.attr["f"].func.name = "endless"
            for ends in ("Tin", "Tout"):
                call.attr[ends].list.type.append(tf.float32.as_datatype_enum)
    with pytest.raises(ModelError, match="do not end"):
        unfolded(graph_def)
