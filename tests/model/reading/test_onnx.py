"""Tests of atlas.model.reading.onnx: files of ONNX models, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.files import graph_digest
from atlas.model.reading.load import load_model
from atlas.model.reading.onnx import read_onnx
from onnx_models import Dim, model, node, onnx, runtime, weight


def network(shape: tuple[Dim, ...] = ("n", 3, 20, 24), **settings: Any) -> Any:
    """Return a model of two convolutions, the second one's map added to its input, and five classes."""
    weights = {
        "conv1.weight": weight(8, 3, 3, 3) / 5,
        "conv1.bias": weight(8),
        "block.conv.weight": weight(8, 8, 3, 3) / 8,
        "fc.weight": weight(5, 8),
        "fc.bias": weight(5),
    }
    nodes = [
        node("Conv", "images conv1.weight conv1.bias", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "b", name="/relu/Relu"),
        node("Conv", "b block.conv.weight", "c", pads=[1, 1, 1, 1]),
        node("Add", "b c", "d", name="/block/Add"),
        node("Relu", "d", "e", name="/block/relu/Relu"),
        node("GlobalAveragePool", "e", "f"),
        node("Flatten", "f", "g"),
        node("Gemm", "g fc.weight fc.bias", "h", transB=1),
        node("Softmax", "h", "classes", axis=1),
    ]
    return model(nodes, weights, shape=shape, **settings)


def saved(folder: Path, net: Any, name: str = "net.onnx", **settings: Any) -> Path:
    onnx.save(net, str(folder / name), **settings)
    return folder / name


def test_all_is_known(tmp_path: Path) -> None:
    """A file is read by load_model: name, size, layers, and a digest that is the graph's."""
    path = saved(tmp_path, network())
    net = load_model(path, value_range=(0, 1))
    assert (net.name, net.input_shape, net.input_tensor) == ("net", (20, 24, 3), "input:0")
    assert [layer.name for layer in net.layers] == ["conv1", "block.conv", "block", "fc"]
    assert net.output == "fc"
    frozen = read_onnx(path)
    assert net.sha256 == frozen.sha256 == graph_digest(frozen.graph_def)
    assert frozen.aliases == {"images": "input:0"}


@pytest.mark.parametrize("batch", [1, 2, "n"])
def test_fixed_batches_are_freed(tmp_path: Path, batch: Dim) -> None:
    """A model for one image, or two, becomes a network that takes any number, with the same layers."""
    net = load_model(saved(tmp_path, network((batch, 3, 20, 24))), value_range=(0, 1))
    assert [layer.name for layer in net.layers] == ["conv1", "block.conv", "block", "fc"]


def test_open_sizes(tmp_path: Path) -> None:
    """A model that leaves its sizes open gets those of the user, channels first."""
    path = saved(tmp_path, network(("n", 3, "h", "w")))
    assert load_model(path, value_range=(0, 1), input_shape=(3, 18, 22)).input_shape == (18, 22, 3)
    with pytest.raises(ModelError, match=r"net\.onnx reads images \(n, 3, h, w\).*--input-shape"):
        load_model(path)


def test_the_input_by_its_name(tmp_path: Path) -> None:
    """The input may be named as in the model."""
    path = saved(tmp_path, network())
    assert load_model(path, value_range=(0, 1), input_name="images").input_tensor == "input:0"


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A model whose weights lie in another file."""
    settings = {"save_as_external_data": True, "location": "net.weights", "size_threshold": 0}
    return saved(tmp_path, network(), **settings)


def test_weights_in_another_file(tmp_path: Path, apart: Path) -> None:
    """Weights in a file next to the model are found there, and are the same network."""
    whole = saved(tmp_path, network(), "whole.onnx")
    assert (tmp_path / "net.weights").stat().st_size > 1000
    assert read_onnx(apart).sha256 == read_onnx(whole).sha256


def test_weights_that_are_missing(tmp_path: Path, apart: Path) -> None:
    """A file of weights that is not there is named."""
    (tmp_path / "net.weights").unlink()
    with pytest.raises(ModelError, match=r"found no net\.weights in .*; put it next to the model"):
        load_model(apart)


def test_weights_that_are_cut_off(tmp_path: Path, apart: Path) -> None:
    """A file of weights that is too short is named."""
    data = (tmp_path / "net.weights").read_bytes()
    (tmp_path / "net.weights").write_bytes(data[:100])
    with pytest.raises(ModelError, match=r"net\.weights|values of"):
        load_model(apart)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x08\x07", "holds no network"),
        (b"this is no model", r"cannot be read: found bytes that are damaged.*copy or export"),
        (b"", "is empty"),
    ],
)
def test_no_models(tmp_path: Path, data: bytes, reason: str) -> None:
    """A file that is no ONNX model is refused in one line."""
    (tmp_path / "net.onnx").write_bytes(data)
    with pytest.raises(ModelError, match=rf"net\.onnx {reason}"):
        load_model(tmp_path / "net.onnx")


@pytest.mark.parametrize("left", [0.2, 0.5, 0.99])
def test_models_that_are_cut_off(tmp_path: Path, left: float) -> None:
    """A part of a file is refused."""
    path = saved(tmp_path, network())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    with pytest.raises(ModelError, match=r"net\.onnx"):
        load_model(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A name that ends in .onnx is a file's."""
    with pytest.raises(ModelError, match=r"no model at gone\.onnx"):
        load_model("gone.onnx")


def test_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the way to install it is said."""
    path = saved(tmp_path, network())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"net\.onnx needs the package onnx.*circuit-atlas\[onnx\]"):
        load_model(path)


def test_values_are_the_same(tmp_path: Path) -> None:
    """The whole network's classes are those of onnxruntime, image by image."""
    path = saved(tmp_path, network((1, 3, 20, 24)))
    net = load_model(path, value_range=(0, 1))
    images = np.random.default_rng(3).random((3, 20, 24, 3), np.float32)
    session = runtime.InferenceSession(str(path))
    want = [session.run(None, {"images": each.transpose(2, 0, 1)[None]})[0][0] for each in images]
    with tf.Graph().as_default():
        tf.import_graph_def(net.graph_def, name="")
        with tf.compat.v1.Session() as run:
            logits = np.reshape(run.run(net.layer("fc").tensor, {net.input_tensor: images}), (3, 5))
    classes = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(classes, want, atol=1e-5)
