"""Tests of atlas.model.reading.lucid and atlas.model.reading.zoo: Lucid under TensorFlow 2, offline."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.assembly import Frozen, network_of
from atlas.model.reading.load import load_model
from atlas.model.reading.lucid import lucid_model, lucid_modules, read_remote, rotate
from atlas.model.reading.zoo import zoo_names
from graphs import conv, dense, graph_def, small


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lucid's cache, empty: it lies where temporary files do."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    folder = tmp_path / "served"
    folder.mkdir()
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def fill(url: str, data: bytes) -> None:
    Path(lucid_modules().reading.local_cache_path(url)).write_bytes(data)


class TestImport:
    @pytest.mark.slow
    def test_modules_are_left_alone(self) -> None:
        """Importing Lucid prints nothing, warns of nothing, and leaves TensorFlow and logging alone."""
        code = (
            "import sys, logging, atlas.model.reading.lucid as door\n"
            "before = {k: v for k, v in sys.modules.items() if k.split('.')[0] == 'tensorflow'}\n"
            "modules = door.lucid_modules()\n"
            "after = {k: v for k, v in sys.modules.items() if k.split('.')[0] == 'tensorflow'}\n"
            "assert all(after[k] is v for k, v in before.items()), 'replaced'\n"
            "assert not [k for k in after if 'contrib' in k], 'stand-ins left'\n"
            "assert not logging.getLogger().handlers\n"
            "import tensorflow; assert hasattr(tensorflow, 'GradientTape')\n"
            "assert modules.render.render_vis and modules.param.cppn and modules.objectives.neuron\n"
        )
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_zoo_names(self) -> None:
        """The zoo's models are known by name."""
        assert {"InceptionV1", "InceptionV1_caffe", "AlexNet"} <= set(zoo_names())
        assert "Model" not in zoo_names()


class TestRotate:
    @pytest.mark.parametrize("turns", [-1, 0, 1, 2])
    def test_quarter_turns(self, turns: int) -> None:
        """Quarter turns are NumPy's, counterclockwise."""
        image = np.arange(2 * 5 * 5 * 3, dtype=np.float32).reshape(2, 5, 5, 3)
        got = np.asarray(rotate(image, turns * np.pi / 2))
        np.testing.assert_allclose(got, np.rot90(image, turns, axes=(1, 2)), atol=1e-3)

    def test_oblong_and_outside(self) -> None:
        """An oblong image turns about its centre, keeps its size, and is zero outside."""
        image = np.ones((1, 3, 7, 1), np.float32)
        expected = np.zeros((3, 7))
        expected[:, 2:5] = 1
        np.testing.assert_allclose(np.asarray(rotate(image, np.pi / 2))[0, :, :, 0], expected, atol=1e-5)

    def test_one_angle_each(self) -> None:
        """Every image of a batch may have its own angle."""
        image = np.random.default_rng(0).random((2, 5, 5, 1)).astype(np.float32)
        got = np.asarray(rotate(image, [0.0, np.pi]))
        np.testing.assert_allclose(got[0], image[0], atol=1e-5)
        np.testing.assert_allclose(got[1], image[1, ::-1, ::-1], atol=1e-5)

    def test_bilinear(self) -> None:
        """Between pixels, values are those of bilinear interpolation."""
        image = np.random.default_rng(1).random((1, 9, 9, 1)).astype(np.float32)
        angle = 0.3
        y, x = np.mgrid[0:9, 0:9] - 4.0
        # Counterclockwise with y downwards: what is now at (x, y) came from the point turned back.
        u, v = np.cos(angle) * x - np.sin(angle) * y + 4, np.sin(angle) * x + np.cos(angle) * y + 4
        row, column = np.floor(v).astype(int), np.floor(u).astype(int)
        fy, fx = v - row, u - column
        padded = np.pad(image[0, :, :, 0], 6)
        at = [padded[row + 6 + i, column + 6 + j] for i in (0, 1) for j in (0, 1)]
        expected = (at[0] * (1 - fx) + at[1] * fx) * (1 - fy) + (at[2] * (1 - fx) + at[3] * fx) * fy
        got = np.asarray(rotate(image, angle, "BILINEAR"))[0, :, :, 0]
        np.testing.assert_allclose(got[2:7, 2:7], expected[2:7, 2:7], atol=1e-4)

    def test_gradient(self) -> None:
        """Gradients pass: they turn the other way."""
        image = tf.random.stateless_uniform([1, 5, 5, 1], [1, 2])
        weight = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
        with tf.GradientTape() as tape:
            tape.watch(image)
            total = tf.reduce_sum(rotate(image, np.pi / 2) * weight)
        np.testing.assert_allclose(tape.gradient(total, image), np.rot90(weight, -1, axes=(1, 2)), atol=1e-3)


class TestLucidModel:
    def test_same_values(self) -> None:
        """Lucid sees the network's values, by the layers' names as by the graph's."""
        net = network_of(Frozen("toy", "0" * 64, graph_def(small), value_range=(-1.0, 3.0)))
        image = np.random.default_rng(0).random((1, 20, 23, 3)).astype(np.float32)
        modules = lucid_modules()
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            tensor = modules.render.import_model(lucid_model(net), tf.constant(image), tf.constant(image))
            got = session.run([tensor("conv1"), tensor("conv2/Relu")])
        expected = net.activations(image, ["conv1", "conv2"])
        np.testing.assert_allclose(got[0], expected["conv1"], rtol=1e-5)
        np.testing.assert_allclose(got[1], expected["conv2"], rtol=1e-4)

    @pytest.mark.slow
    @pytest.mark.filterwarnings("default")
    def test_render_vis(self, shared: Path) -> None:
        """Lucid's own optimizer runs on the real network, rotations included, and raises its objective."""
        modules = lucid_modules()
        model = lucid_model(load_model(shared / "models" / "googlenet"))
        objective = modules.objectives.neuron("mixed3a", 3)
        image = partial(modules.param.image, 64)
        start, end = modules.render.render_vis(model, objective, image, thresholds=(0, 12), verbose=False)
        net = load_model(shared / "models" / "googlenet")
        centre = [net.activations(x, ["mixed3a"])["mixed3a"][0, 4, 4, 3] for x in (start, end)]
        assert end.shape == (1, 64, 64, 3)
        assert centre[1] > centre[0]


class TestReadRemote:
    def test_cached(self, cache: Path, server: tuple[Path, str]) -> None:
        """A file is fetched once; afterwards the cache serves it, until it is asked for afresh."""
        folder, address = server
        (folder / "x.pb").write_bytes(b"one")
        assert read_remote(f"{address}/x.pb") == b"one"
        (folder / "x.pb").write_bytes(b"two")
        assert read_remote(f"{address}/x.pb") == b"one"
        assert read_remote(f"{address}/x.pb", afresh=True) == b"two"

    def test_absent(self, cache: Path, server: tuple[Path, str]) -> None:
        """What cannot be fetched is told with the place in the cache, and nothing half is kept."""
        with pytest.raises(ModelError, match=f"put the file at {cache}"):
            read_remote(f"{server[1]}/gone.pb")
        assert not [path for path in cache.iterdir() if path.suffix != ".lockfile"]


class TestZoo:
    def test_from_the_cache(self, cache: Path) -> None:
        """A zoo model is read from Lucid's cache, with Lucid's own range, size and labels."""
        url = "gs://modelzoo/vision/other_models/InceptionV1.pb"
        fill(url, graph_def(small, (None, None, None, 3)).SerializeToString())
        fill("gs://modelzoo/labels/ImageNet_alternate.txt", b"a\nb\nc\nd\ne")
        net = load_model("InceptionV1")
        assert (net.name, net.input_shape, net.value_range) == ("InceptionV1", (224, 224, 3), (-117.0, 138.0))
        assert net.labels == tuple("abcde")

    def test_bgr(self, cache: Path) -> None:
        """A model that reads BGR less the mean gets its images so, from RGB."""
        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.float32, [None, 227, 227, 3], name="Placeholder")
            dense(tf.reduce_mean(conv(tf.identity(x, name="seen"), 4, "a"), [1, 2]), 5, "b")
        fill("gs://modelzoo/vision/other_models/AlexNet.pb", graph.as_graph_def().SerializeToString())
        fill("gs://modelzoo/labels/ImageNet_standard.txt", b"a\n" * 5)
        seen = load_model("AlexNet").activations(np.full((1, 2, 2, 3), [0.0, 0.5, 1.0]), ["seen:0"])["seen:0"]
        np.testing.assert_allclose(seen[0, 0, 0], [255 - 103.939, 127.5 - 116.779, -123.68], rtol=1e-5)

    def test_damaged_cache(self, cache: Path, server: tuple[Path, str]) -> None:
        """A cut-off file in the cache is fetched again."""
        from atlas.model.reading.zoo import _fetched

        folder, address = server
        data = graph_def(small).SerializeToString()
        (folder / "x.pb").write_bytes(data)
        fill(f"{address}/x.pb", data[: len(data) // 3])
        assert _fetched(f"{address}/x.pb")[0] == data

    def test_unknown_name(self) -> None:
        """A name that is no model gets the nearest of the zoo."""
        with pytest.raises(ModelError, match=r"InceptonV1.*did you mean InceptionV1"):
            load_model("InceptonV1")


def test_lucid_logs_nothing_here() -> None:
    """Lucid's import leaves the root logger's level alone."""
    level = logging.getLogger().level
    lucid_modules()
    assert logging.getLogger().level == level
