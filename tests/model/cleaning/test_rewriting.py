"""Tests of atlas.model.cleaning.rewriting: other ops, the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from graphs import conv, graph_def

v1, raw = tf.compat.v1, tf.raw_ops
IMAGES = np.random.default_rng(2).random((2, 20, 23, 3)).astype(np.float32)
MARGINS = [0, 0, 1, 2, 3, 0, 0, 0]


def weights(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def loaded(path: Path, build: Callable[[Any], Any], shape: Any = (None, 20, 23, 3)) -> Network:
    (path / "net.pb").write_bytes(graph_def(build, shape).SerializeToString())
    return load_model(path / "net.pb", value_range=(0, 1), input_shape=(20, 23, 3))


def check(net: Network, build: Callable[[Any], Any], images: Any = IMAGES, name: str = "end:0") -> None:
    """Assert that the network computes what eager TensorFlow does, and has a gradient."""
    expected = build(tf.constant(images))
    np.testing.assert_allclose(net.activations(images, [name])[name], expected, rtol=1e-4, atol=1e-4)
    with tf.Graph().as_default():
        x = v1.placeholder_with_default(images, images.shape)
        (slope,) = v1.gradients(net.import_into(x)(name), x)
        with v1.Session() as session:
            assert np.abs(session.run(slope)).max() > 0


class TestExplicitPadding:
    @pytest.mark.parametrize("kind", ["depthwise", "dilated", "grouped", "bias alone"])
    def test_padding_goes_in_front(self, tmp_path: Path, kind: str) -> None:
        """Convolutions with explicit padding run, and have gradients; TensorFlow's own end the process."""

        def build(x: Any) -> Any:
            groups = 1 if kind != "grouped" else 3
            x = tf.concat([x] * groups, -1)
            given = {"input": x, "strides": [1, 2, 2, 1], "padding": "EXPLICIT", "explicit_paddings": MARGINS}
            if kind in ("depthwise", "bias alone"):
                padded = tf.pad(x, np.reshape(MARGINS, (4, 2)))
                # Eagerly TensorFlow ends as well: the oracle is padded by hand.
                if tf.executing_eagerly():
                    given |= {"input": padded, "padding": "VALID", "explicit_paddings": []}
                y = raw.DepthwiseConv2dNative(filter=weights(3, 3, 3, 2), name="dw", **given)
            elif kind == "dilated":
                given |= {"strides": [1, 1, 1, 1], "dilations": [1, 2, 3, 1]}
                y = raw.Conv2D(filter=weights(3, 3, 3, 6), name="dil", **given)
            else:
                y = raw.Conv2D(filter=weights(3, 3, 3, 6), name="grouped", **given)
            y = tf.nn.bias_add(y, weights(6), name="bias" if kind != "bias alone" else "end")
            return y if kind == "bias alone" else tf.nn.relu(y, name="end")

        net = loaded(tmp_path, build)
        assert not [node for node in net.graph_def.node if node.attr["padding"].s == b"EXPLICIT"]
        assert len(net.layers) == (2 if kind == "grouped" else 1)
        check(net, build)

    def test_names_stay_unique(self, tmp_path: Path) -> None:
        """The op that pads gets a name that the graph does not have."""

        def build(x: Any) -> None:
            y = conv(x, 3, "dw/Pad")
            given = {"strides": [1, 1, 1, 1], "padding": "EXPLICIT", "explicit_paddings": MARGINS}
            raw.DepthwiseConv2dNative(input=y, filter=weights(3, 3, 3, 1), name="dw", **given)

        net = loaded(tmp_path, build)
        names = [node.name for node in net.graph_def.node]
        assert len(names) == len(set(names))


class TestDilation:
    @pytest.mark.parametrize("kind", ["conv", "depthwise", "valid", "uneven", "relu inside"])
    @pytest.mark.parametrize("free", [False, True])
    def test_space_to_batch_is_a_dilation(self, tmp_path: Path, kind: str, free: bool) -> None:
        """A convolution between SpaceToBatchND and BatchToSpaceND becomes a dilated one of equal value."""
        rate = (2, 3) if kind == "uneven" else (3, 3)

        def build(x: Any) -> Any:
            size = tf.shape(x)[1:3]
            base = [[0, 0], [0, 0]] if kind == "valid" else [[rate[0]] * 2, [rate[1]] * 2]
            paddings, crops = tf.required_space_to_batch_paddings(size, list(rate), base)
            y = tf.space_to_batch(x, list(rate), paddings)
            if kind == "depthwise":
                y = raw.DepthwiseConv2dNative(
                    input=y, filter=weights(3, 3, 3, 2), strides=[1, 1, 1, 1], padding="VALID", name="dw"
                )
            else:
                y = tf.nn.conv2d(y, weights(3, 3, 3, 6), 1, "VALID", name="conv")
            if kind == "relu inside":
                y = tf.nn.relu(tf.nn.bias_add(y, weights(6)), name="end")
                return tf.batch_to_space(y, list(rate), crops)
            return tf.nn.bias_add(tf.batch_to_space(y, list(rate), crops), weights(6), name="end")

        net = loaded(tmp_path, build, (None, None, None, 3) if free else (None, 20, 23, 3))
        assert not {"SpaceToBatchND", "BatchToSpaceND"} & {node.op for node in net.graph_def.node}
        assert list(net.view.nodes[net.layers[0].tensor[:-2]].name)
        field = net.layers[0].receptive_field
        assert field is not None
        assert field.size == (2 * rate[0] + 1, 2 * rate[1] + 1)
        check(net, build)
        if free:
            check(net, build, np.random.default_rng(3).random((1, 25, 32, 3)).astype(np.float32))


class TestFused:
    def test_what_an_optimizer_joined_is_taken_apart(self, tmp_path: Path) -> None:
        """A convolution joined with bias and activation computes what its parts do."""
        graph = graph_def(lambda x: tf.nn.relu(tf.nn.bias_add(x, [0.1, 0.2, 0.3]), name="start"))
        kernel, bias = weights(3, 3, 3, 4), weights(4)
        for name, value in (("kernel", kernel), ("bias", bias)):
            node = graph.node.add(name=name, op="Const")
            node.attr["dtype"].type = 1
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        node = graph.node.add(name="end", op="_FusedConv2D", input=["start", "kernel", "bias"])
        node.attr["T"].type = 1
        node.attr["strides"].list.i[:] = [1, 1, 1, 1]
        node.attr["padding"].s = b"SAME"
        node.attr["num_args"].i = 1
        node.attr["fused_ops"].list.s[:] = [b"BiasAdd", b"Relu6"]
        (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
        net = load_model(tmp_path / "net.pb", value_range=(0, 1))
        start = tf.nn.relu(IMAGES + np.array([0.1, 0.2, 0.3], np.float32))
        expected = tf.nn.relu6(tf.nn.conv2d(start, kernel, 1, "SAME") + bias)
        np.testing.assert_allclose(net.activations(IMAGES, ["end"])["end"], expected, rtol=1e-4, atol=1e-4)
        node.attr["fused_ops"].list.s[:] = [b"BiasAdd", b"Add"]
        (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
        with pytest.raises(ModelError, match=r"end \(_FusedConv2D\).*BiasAdd, Add"):
            load_model(tmp_path / "net.pb", value_range=(0, 1))


class TestQuantized:
    def test_quantized_is_refused(self, tmp_path: Path) -> None:
        """A graph that computes with quantized numbers is refused by the op's name."""

        def build(x: Any) -> None:
            y = conv(x, 4, "a")
            raw.QuantizeV2(input=y, min_range=0.0, max_range=6.0, T=tf.quint8, name="small")

        with pytest.raises(ModelError, match=r"is quantized: found QuantizeV2 \(node small"):
            loaded(tmp_path, build)

    def test_training_for_quantization_is_fine(self, tmp_path: Path) -> None:
        """A graph of floats that was trained for quantization is read."""

        def build(x: Any) -> None:
            y = tf.quantization.fake_quant_with_min_max_args(conv(x, 4, "a"), 0, 6)
            conv(y, 5, "b")

        assert [layer.name for layer in loaded(tmp_path, build).layers][-1] == "b"
