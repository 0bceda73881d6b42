"""Hostile graphs: refused with a message before anything of them runs, however they are broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.cli.model_report import model_lines
from atlas.core.errors import ModelError
from atlas.model.graph.admission import reaches
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from graphs import conv, graph_def, small

ROOT = Path(__file__).parents[3]


def refused(graph: Any, path: Path, message: str) -> None:
    """Assert that a graph is refused with a message."""
    (path / "net.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=message):
        load_model(path / "net.pb")


@pytest.mark.slow
def test_two_hundred_mutations(tmp_path: Path) -> None:
    """Each is read or refused: no other exception, no crash, no more than 10 s of work and 2 GiB."""
    command = [
        sys.executable,
        str(ROOT / "tests/benchmarks/fuzz_graphs.py"),
        "--inputs",
        "200",
        "--seed",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["findings"] == 0, done.stdout
    assert sum(figures["outcomes"].values()) == 200
    assert figures["outcomes"]["read"] > 10
    assert figures["outcomes"]["ModelError"] > 50


class TestReach:
    """Ops that read, write, ask or call."""

    def test_a_file_is_not_read(self, tmp_path: Path) -> None:
        """A bias that is read from a file of this machine is refused where it would have been folded."""
        (tmp_path / "secret").write_bytes(np.ones(4, "f4").tobytes())

        def build(x: Any) -> Any:
            read = tf.reshape(tf.io.decode_raw(tf.io.read_file(str(tmp_path / "secret")), tf.float32), [4])
            return small(tf.nn.bias_add(conv(x, 4, "conv0"), read))

        refused(graph_def(build), tmp_path, r"reaches outside of the network: found the op ReadFile")

    def test_a_file_is_not_written(self, tmp_path: Path) -> None:
        """A debugger's op, which passes a tensor on and writes it down, is refused before an image enters."""
        graph = graph_def(small)
        spy = graph.node.add(name="spy", op="DebugIdentity", input=["conv1/Relu"])
        spy.attr["T"].type = tf.float32.as_datatype_enum
        spy.attr["debug_urls"].list.s.append(f"file://{tmp_path}/spied".encode())
        next(node for node in graph.node if node.name == "pool1").input[0] = "spy"
        refused(graph, tmp_path, "found the op DebugIdentity")
        assert [p.name for p in tmp_path.iterdir()] == ["net.pb"]

    def test_functions_count(self, tmp_path: Path) -> None:
        """What a function of the graph does, the graph does."""

        @tf.function(autograph=False)
        def inner(x: Any) -> Any:
            return x + tf.strings.to_number(tf.io.read_file("/etc/hostname"))

        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.float32, [None, 20, 23, 3], name="input")
            small(inner(conv(x, 4, "conv0")))
        refused(graph.as_graph_def(), tmp_path, "found the op ReadFile")

    def test_a_saved_model_is_not_run(self, tmp_path: Path) -> None:
        """A SavedModel that would read a file as soon as it is loaded is refused unloaded."""

        class Module(tf.Module):  # type: ignore[misc]
            @tf.function(input_signature=[tf.TensorSpec([None, 8, 9, 3], tf.float32)])
            def __call__(self, x: Any) -> Any:
                return x + tf.strings.to_number(tf.io.read_file("/etc/hostname"))

        module = Module()
        tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
        with pytest.raises(ModelError, match="found the op ReadFile"):
            load_model(tmp_path)

    @pytest.mark.parametrize(
        ("op", "expected"),
        [("Conv2D", False), ("RandomUniform", False), ("Placeholder", False), ("NoOp", False)]
        + [(op, True) for op in ("ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "RestoreV2", "SaveV2")]
        + [(op, True) for op in ("DebugIdentity", "MatchingFiles", "RpcCall", "QueueDequeueV2", "Print")],
    )
    def test_ops(self, op: str, expected: bool) -> None:
        """What computes may stay; what has an effect or a source elsewhere may not."""
        assert reaches(op) == expected


class TestAnswers:
    """The same image has the same answer, and it is a number."""

    @pytest.mark.parametrize(
        "draw",
        [tf.random.normal, tf.random.uniform, tf.random.truncated_normal],
        ids=lambda each: each.__name__,
    )
    def test_random_numbers(self, tmp_path: Path, draw: Any) -> None:
        """A graph of training, with dropout or noise in it, is refused."""
        graph = graph_def(lambda x: conv(conv(x, 4, "a") + draw([1, 20, 23, 4]), 5, "b"))
        refused(graph, tmp_path, "draws random numbers.*for inference")

    def test_random_numbers_that_no_layer_reads(self, tmp_path: Path) -> None:
        """What hangs loosely in a graph does no harm."""
        graph = graph_def(lambda x: (conv(x, 4, "a"), tf.random.normal([1, 20, 23, 4])))
        (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
        assert load_model(tmp_path / "net.pb", value_range=(0, 1)).layers

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", ["kernel", "bias"])
    def test_weights_that_are_no_numbers(self, tmp_path: Path, value: float, place: str) -> None:
        """One lost weight is told with its node: a picture might pass it for zero."""
        kernel, bias = np.ones((3, 3, 3, 4), np.float32), np.ones(4, np.float32)
        (kernel if place == "kernel" else bias).flat[-1] = value

        def build(x: Any) -> Any:
            return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias), name="a")

        (tmp_path / "net.pb").write_bytes(graph_def(build).SerializeToString())
        notes = load_model(tmp_path / "net.pb", value_range=(0, 1)).notes
        size = 108 if place == "kernel" else 4
        assert any(note.startswith(f"1 of the {size} numbers in ") for note in notes), notes

    def test_masks_may_be_infinite(self, tmp_path: Path) -> None:
        """What an attention adds to forbid a position is no weight."""
        mask = np.where(np.eye(4), 0, -np.inf).astype(np.float32)

        def build(x: Any) -> Any:
            y = tf.reshape(tf.nn.avg_pool2d(conv(x, 4, "a"), 10, 10, "VALID"), [-1, 4, 4])
            return tf.matmul(tf.nn.softmax(tf.matmul(y, y, transpose_b=True) + mask), y)

        (tmp_path / "net.pb").write_bytes(graph_def(build).SerializeToString())
        assert not load_model(tmp_path / "net.pb", value_range=(0, 1)).notes


class TestSizes:
    """Claims of size that the file does not bear out."""

    def test_a_constant_larger_than_the_file(self, tmp_path: Path) -> None:
        """One number that stands for 10 GB is refused before it takes them."""
        graph = graph_def(small)
        kernel = next(node for node in graph.node if node.op == "Const")
        tensor = kernel.attr["value"].tensor
        tensor.CopyFrom(tf.make_tensor_proto(np.float32([[1.0]])))
        for dim, size in zip(tensor.tensor_shape.dim, (50_000, 50_000), strict=True):
            dim.size = size
        refused(graph, tmp_path, "claim to be larger than the file: found 9,999,999,9")

    def test_a_constant_of_two_types(self, tmp_path: Path) -> None:
        """Values of another type than the constant's would end TensorFlow's process."""
        graph = graph_def(small)
        axes = next(n for n in graph.node if n.op == "Const" and n.attr["value"].tensor.dtype == 3)
        axes.attr["value"].tensor.dtype = tf.bool.as_datatype_enum
        refused(graph, tmp_path, "of one type and holds values of another")

    def test_a_constant_that_is_computed(self, tmp_path: Path) -> None:
        """Ops that make much from little are not run."""
        graph = graph_def(lambda x: small(x + tf.fill([20, 23, 3], 1.0)[None]))
        dims = next(n for n in graph.node if n.op == "Const" and n.attr["value"].tensor.dtype == 3)
        dims.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.array([60_000, 60_000, 3], np.int32)))
        refused(graph, tmp_path, "computes a constant that is too large")

    @pytest.mark.parametrize("shape", [(60_000, 60_000, 3), (1, 1, 2**31 - 1)])
    def test_an_image(self, tmp_path: Path, shape: tuple[int, int, int]) -> None:
        """A network for images that no machine holds is refused."""
        (tmp_path / "net.pb").write_bytes(graph_def(small).SerializeToString())
        with pytest.raises(ModelError, match="67,108,864 values at most"):
            load_model(tmp_path / "net.pb", input_shape=shape)


class TestShape:
    """Graphs that are deep, or no graphs at all."""

    @pytest.mark.parametrize("kind", ["Relu", "double", "silu", "residual", "concat"])
    def test_a_deep_chain_is_read(self, tmp_path: Path, kind: str) -> None:
        """Thousands of steps one after the other, or hundreds of layers, take seconds and not for ever."""

        def build(x: Any) -> Any:
            y = conv(x, 4, "conv0")
            for _ in range(200 if kind in ("concat", "residual") else 2_000):
                match kind:
                    case "Relu":
                        y = tf.nn.relu(y)
                    case "double":
                        y = y + y
                    case "silu":
                        y = y * tf.sigmoid(y)
                    case "residual":
                        y = y + tf.nn.relu(y)
                    case "concat":
                        y = tf.concat([y, tf.concat([y[..., :1], y[..., 1:2]], 3)[..., :0]], 3)
            return small(y)

        (tmp_path / "net.pb").write_bytes(graph_def(build).SerializeToString())
        assert len(list(model_lines(load_model(tmp_path / "net.pb")))) > 5

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda node: node.__setattr__("op", "MyOwnOp"),
                "needs an op that TensorFlow does not have: found MyOwn",
            ),
            (lambda node: node.__setattr__("name", "conv2/Relu"), "two nodes conv2/Relu"),
            (
                lambda node: node.__setattr__("name", "a\nerror: b\u202e"),
                "cannot be read as a graph",
            ),
            (lambda node: node.attr["T"].Clear(), "makes no sense|does not fit"),
        ],
        ids=["op", "double", "name", "attr"],
    )
    def test_nonsense_is_told_in_one_line(self, tmp_path: Path, change: Any, message: str) -> None:
        """Unknown ops, names that stand twice or end lines, attributes that are gone."""
        graph = graph_def(small)
        node = next(node for node in graph.node if node.name == "conv1/Relu")
        old = node.name
        change(node)
        for reader in graph.node:
            reader.input[:] = [node.name if tensor == old else tensor for tensor in reader.input]
        (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
        with pytest.raises(ModelError, match=message) as error:
            load_model(tmp_path / "net.pb")
        assert str(error.value).isprintable()

    def test_text_without_end(self, tmp_path: Path) -> None:
        """A text form that is nested thousands of times is told."""
        (tmp_path / "net.pbtxt").write_text("node { attr { value { func { " * 5_000)
        with pytest.raises(ModelError, match=r"is nested too deeply|not a GraphDef in text form"):
            load_model(tmp_path / "net.pbtxt")
