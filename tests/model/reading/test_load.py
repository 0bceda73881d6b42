"""Tests of atlas.model.reading.load: manifest folders, frozen graphs, and what is wrong with either."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from graphs import graph_def, small

DATA = graph_def(small).SerializeToString()
MANIFEST = {
    "type": "frozen",
    "name": "Small",
    "model_path": "./graph.pb",
    "labels_path": "labels.txt",
    "image_value_range": [0, 255],
    "image_shape": [20, 23, 3],
    "input_name": "input:0",
}


def folder(path: Path, labels: str = "a\nb\nc\nd\ne\n", **changes: Any) -> Path:
    """Write a manifest folder; a change to None leaves the key out."""
    manifest = {key: value for key, value in {**MANIFEST, **changes}.items() if value is not None}
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "graph.pb").write_bytes(DATA)
    (path / "labels.txt").write_text(labels)
    return path


def pb(path: Path, data: bytes = DATA) -> Path:
    file = path / "net.pb"
    file.write_bytes(data)
    return file


class TestManifest:
    def test_all_is_told(self, tmp_path: Path) -> None:
        """A manifest tells name, size, range and labels; the hash is that of the graph's bytes."""
        net = load_model(folder(tmp_path))
        assert (net.name, net.input_shape, net.value_range) == ("Small", (20, 23, 3), (0.0, 255.0))
        assert (net.input_tensor, net.output, net.labels) == ("input:0", "classes", tuple("abcde"))
        assert net.sha256 == hashlib.sha256(DATA).hexdigest()

    def test_arguments_come_first(self, tmp_path: Path) -> None:
        """What is given beside the source overrides the manifest."""
        net = load_model(
            str(folder(tmp_path)), name="N", value_range=(-1, 1), labels="vwxyz", input_shape=(18, 26, 3)
        )
        assert (net.name, net.value_range, net.labels) == ("N", (-1.0, 1.0), tuple("vwxyz"))
        assert net.layer("conv1").shape == (18, 26)

    @pytest.mark.parametrize(("labels", "kept"), [("a\nb", 0), ("a\nb\nc\nd\ne\nf", 6)])
    def test_label_count(self, tmp_path: Path, labels: str, kept: int) -> None:
        """Too few labels are left out; more than there are classes are kept."""
        assert len(load_model(folder(tmp_path, labels)).labels) == kept

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"input_name": None}, "lacks input_name"),
            ({"image_shape": None, "image_value_range": None}, "lacks image_shape, image_value_range"),
            ({"type": "pickled"}, "pickled.*frozen"),
            ({"image_shape": [20, 23]}, "image_shape"),
            ({"image_shape": "20"}, "image_shape"),
            ({"image_value_range": [1, 1]}, "value range"),
            ({"image_value_range": ["a", "b"]}, "value range"),
            ({"model_path": "gone.pb"}, "gone.pb"),
            ({"labels_path": "gone.txt"}, "gone.txt"),
            ({"input_name": "inputs:0"}, "input"),
        ],
    )
    def test_errors(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        """A manifest that lacks something, or tells nonsense, is refused by the key's name."""
        with pytest.raises(ModelError, match=message):
            load_model(folder(tmp_path, **changes))

    @pytest.mark.parametrize("text", ["{", "[]"])
    def test_not_a_manifest(self, tmp_path: Path, text: str) -> None:
        """A manifest that is no JSON object is refused."""
        folder(tmp_path)
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ModelError, match=r"manifest\.json"):
            load_model(tmp_path)

    def test_folder_without_model(self, tmp_path: Path) -> None:
        """A folder that holds no model says what it holds and what was looked for."""
        (tmp_path / "cat.txt").write_text("miaow")
        with pytest.raises(ModelError, match=r"cat\.txt.*manifest\.json.*saved_model\.pb"):
            load_model(tmp_path)


class TestFrozenGraph:
    def test_placeholder_tells(self, tmp_path: Path) -> None:
        """The only placeholder is the input, and its shape the size of the images."""
        net = load_model(pb(tmp_path), value_range=(0, 255))
        assert (net.name, net.input_tensor, net.input_shape) == ("net", "input:0", (20, 23, 3))
        assert net.sha256 == hashlib.sha256(DATA).hexdigest()

    def test_named_input(self, tmp_path: Path) -> None:
        """The input may be named, with or without its output's number."""
        for name in ("input", "input:0"):
            assert load_model(pb(tmp_path), input_name=name, value_range=(0, 1)).input_tensor == "input:0"

    def test_text_form(self, tmp_path: Path) -> None:
        """A graph in text form is read too."""
        file = tmp_path / "net.pbtxt"
        file.write_text(text_format.MessageToString(graph_def(small)))
        assert [layer.name for layer in load_model(file).layers] == ["conv1", "conv2", "classes"]

    def test_no_range_is_zero_to_one(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Without a value range images enter as they are, and the log says so."""
        assert load_model(pb(tmp_path)).value_range == (0.0, 1.0)
        assert "--value-range" in caplog.text

    def test_open_size(self, tmp_path: Path) -> None:
        """A placeholder of open size needs the size told; only what is open is taken from it."""
        file = pb(tmp_path, graph_def(small, (None, None, None, 3)).SerializeToString())
        with pytest.raises(ModelError, match="--input-shape"):
            load_model(file)
        assert load_model(file, input_shape=(19, 24, 3)).input_shape == (19, 24, 3)

    @pytest.mark.parametrize("shape", [(20, 23), (20, 23, 0), (20, -1, 3), (20.5, 23, 3)])
    def test_wrong_size(self, tmp_path: Path, shape: tuple[Any, ...]) -> None:
        """A size that is no three whole numbers above 0 is refused."""
        with pytest.raises(ModelError, match="three whole numbers"):
            load_model(pb(tmp_path), input_shape=shape)

    @pytest.mark.parametrize("value", [(1, 1), (0,), (0, "x"), (0, float("inf")), (0, float("nan")), 3])
    def test_wrong_range(self, tmp_path: Path, value: Any) -> None:
        """A value range that is no two different numbers is refused."""
        with pytest.raises(ModelError, match="value range"):
            load_model(pb(tmp_path), value_range=value)

    def test_wrong_input(self, tmp_path: Path) -> None:
        """An input that is not there gets the nearest name."""
        with pytest.raises(ModelError, match=r"imput.*did you mean input\?"):
            load_model(pb(tmp_path), input_name="imput:0")

    def test_channels_that_do_not_fit(self, tmp_path: Path) -> None:
        """A size whose channels the first kernel does not fit is refused."""
        with pytest.raises(ModelError, match="does not fit"):
            load_model(pb(tmp_path), input_shape=(20, 23, 4))

    def test_input_not_clear(self, tmp_path: Path) -> None:
        """Of two placeholders neither is guessed."""

        def build(x: Any) -> None:
            small(x + tf.compat.v1.placeholder(tf.float32, [None, 20, 23, 3], name="depth"))

        file = pb(tmp_path, graph_def(build).SerializeToString())
        with pytest.raises(ModelError, match=r"(input, depth|depth, input).*--input"):
            load_model(file)


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"this is no graph\n" * 9, "cannot be read as a graph"),
            (b"\x89PNG\r\n\x1a\n" + bytes(99), "cannot be read as a graph"),
            (DATA[: len(DATA) // 2], "cut off"),
            (DATA[:-7], "cut off"),
        ],
    )
    def test_contents(self, tmp_path: Path, data: bytes, message: str) -> None:
        """An empty, foreign or truncated file is refused."""
        with pytest.raises(ModelError, match=message):
            load_model(pb(tmp_path, data))

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is named."""
        with pytest.raises(ModelError, match=r"gone\.pb"):
            load_model(tmp_path / "gone.pb")
        with pytest.raises(ModelError, match="no model at"):
            load_model(tmp_path / "gone")

    def test_text_form(self, tmp_path: Path) -> None:
        """A damaged text form is refused."""
        (tmp_path / "net.pbtxt").write_text("node { name: ")
        with pytest.raises(ModelError, match="text form"):
            load_model(tmp_path / "net.pbtxt")

    def test_manifest_file(self, tmp_path: Path) -> None:
        """Naming the manifest instead of its folder is told."""
        with pytest.raises(ModelError, match="name its folder"):
            load_model(folder(tmp_path) / "manifest.json")

    def test_cycle_names_the_model(self, tmp_path: Path) -> None:
        """A graph that is not feed-forward is refused."""
        graph = graph_def(small)
        graph.node.add(name="a", op="Identity", input=["b"]).attr["T"].type = 1
        graph.node.add(name="b", op="Identity", input=["a"]).attr["T"].type = 1
        with pytest.raises(ModelError, match="cycle"):
            load_model(pb(tmp_path, graph.SerializeToString()))


class TestGoogLeNet:
    def test_folder_and_file_are_one_network(self, shared: Path) -> None:
        """The folder and its .pb give the same hash, layers and values."""
        path = shared / "models" / "googlenet"
        first = load_model(path)
        second = load_model(path / "graph.pb", value_range=(0, 255), input_shape=(224, 224, 3))
        assert first.sha256 == second.sha256
        assert first.layers == second.layers
        image = np.full((1, 64, 70, 3), 0.25)
        np.testing.assert_array_equal(
            *(n.activations(image, ["mixed3a"])["mixed3a"] for n in (first, second))
        )


@pytest.mark.slow
def test_importing_says_nothing() -> None:
    """Loading TensorFlow through this package prints nothing."""
    code = "import atlas.model.reading.load, sys; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
