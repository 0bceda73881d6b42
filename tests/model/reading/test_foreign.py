"""Files that are nearly models: one line each, with the way out."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from graphs import graph_def, small

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


GRAPH = graph_def(small).SerializeToString()
FILES = {
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite"),
    "lite.pb": (b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite"),
    "net.pt": (zipped(), "PyTorch"),
    "net.pth": (b"\x80\x02", "PyTorch"),
    "net.safetensors": (b"\x08" + bytes(9), "weights alone"),
    "net.weights.h5": (b"\x89HDF\r\n\x1a\n", "weights alone"),
    "net.npz": (zipped(), "weights alone"),
    "net.npy": (b"\x93NUMPY", "an array"),
    "model.ckpt": (b"x" * 40, "checkpoint"),
    "model.ckpt-10.index": (b"x" * 40, "checkpoint"),
    "model.ckpt-10.data-00000-of-00001": (b"x" * 40, "checkpoint"),
    "ckpt.data-00000-of-00002": (b"x" * 40, "checkpoint"),
    "variables.index": (b"x" * 40, "checkpoint"),
    "model.meta": (b"x" * 40, "TensorFlow 1"),
    "net.pkl": (pickle.dumps([1]), "pickled"),
    "pickled.h5": (pickle.dumps([1]), "pickled"),
    "net.zip": (zipped(), "archive"),
    "net.bin": (zipped(), "archive"),
    "net.tar.gz": (gzip.compress(tarred()), "archive"),
    "net.tar": (tarred(), "archive"),
    "net.json": (b'{"class_name": "Functional"}', "description without weights"),
    "net.yaml": (b"a: 1", "description without weights"),
    "atlas.toml": (b'model = "x"', "a config"),
    "net.py": (
        b"import os",
        r"a program,.*name what makes a PyTorch network in it, like net:make_net, or save",
    ),
    "run3.pth.tar": (b"\x80\x02", "PyTorch"),
    "net.caffemodel": (b"x", "Caffe"),
    "empty.pb": (b"", "empty"),
    "empty.keras": (b"", "empty"),
    "empty.h5": (b"", "empty"),
    "text.pb": (b"this is no graph", "cannot be read as a graph"),
    "text.h5": (b"this is no model", "neither HDF5 nor an archive"),
    "text.keras": (b"this is no model", "neither HDF5 nor an archive"),
    "zip.keras": (zipped(), "an archive of readme.txt"),
    "html.keras": (b"<!DOCTYPE html>", "neither HDF5 nor an archive"),
    "image.png": (b"\x89PNG\r\n\x1a\n" + bytes(30), "cannot be read as a graph"),
    "cut.pb": (GRAPH[:-9], "cut off"),
    "cut.keras": (zipped()[:-30], "Keras"),
    "cut.h5": (b"\x89HDF\r\n\x1a\n" + bytes(30), "Keras"),
    "graph.h5": (GRAPH, "neither HDF5 nor an archive"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model(tmp_path: Path, name: str) -> None:
    """Each file is refused in one line that says what it is."""
    data, reason = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_checkpoint_of_pytorchs_example(tmp_path: Path) -> None:
    """A file that ends in .pth.tar is answered like its bytes under the name .pth."""
    messages = []
    for name in ("run3.pth.tar", "run3.pth"):
        (tmp_path / name).write_bytes(b"\x80\x02")
        with pytest.raises(ModelError) as caught:
            load_model(tmp_path / name)
        messages.append(str(caught.value).replace(name, "FILE"))
    assert messages[0] == messages[1]


def test_keras_file_under_another_name(tmp_path: Path) -> None:
    """A Keras file that is called otherwise is told apart from an archive by the way out."""
    keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Conv2D(4, 3)]).save(tmp_path / "net.keras")
    (tmp_path / "net.keras").rename(tmp_path / "net.model")
    with pytest.raises(ModelError, match=r"call it net\.keras"):
        load_model(tmp_path / "net.model")


def test_weights_alone(tmp_path: Path) -> None:
    """Weights that Keras saved are refused with the way to save the model."""
    model = keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Conv2D(4, 3)])
    model.save_weights(tmp_path / "net.weights.h5")
    (tmp_path / "net.weights.h5").rename(tmp_path / "net.h5")
    with pytest.raises(ModelError, match=r"holds weights alone.*model\.save"):
        load_model(tmp_path / "net.h5")


@pytest.mark.parametrize("kind", ["checkpoint", "saved model", "several", "empty", "other"])
def test_a_folder_that_is_no_model(tmp_path: Path, kind: str) -> None:
    """A folder is refused by what it holds, with the file to name where it holds models."""
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind == "checkpoint":
        tf.train.Checkpoint(a=tf.Variable(np.ones(3))).save(str(folder / "net"))
    names = {"saved model": ["variables"], "several": ["a.keras", "b.pb"], "other": ["cat.txt"]}
    for name in names.get(kind, []):
        (folder / name).mkdir() if kind == "saved model" else (folder / name).touch()
    reason = {
        "checkpoint": "is a checkpoint, which holds weights alone",
        "saved model": r"without its saved_model\.pb",
        "several": r"name one of its files, like .*a\.keras",
        "empty": "found nothing",
        "other": r"found cat\.txt",
    }[kind]
    with pytest.raises(ModelError, match=reason):
        load_model(folder)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """A pipe, which would wait for ever, is refused."""
    os.mkfifo(tmp_path / "net.pb")
    with pytest.raises(ModelError, match="no file"):
        load_model(tmp_path / "net.pb")
