"""A zoo name, a manifest folder, a frozen .pb, a Keras model or a SavedModel -> Network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from atlas.errors import ModelError
from atlas.model.assembly import Frozen, checked_range, network_of
from atlas.model.backend import tf
from atlas.model.network import Network

MANIFEST = "manifest.json"
_SAVED_MODEL = "saved_model.pb"
_GRAPHS = frozenset({".pb", ".pbtxt"})
_KERAS_FILES = frozenset({".keras", ".h5", ".hdf5"})


def load_model(
    source: str | PathLike[str],
    *,
    input_name: str | None = None,
    value_range: tuple[float, float] | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    labels: Sequence[str] | None = None,
    name: str | None = None,
) -> Network:
    """Return the network that `source` names; what is given beside it overrides what it tells.

    `source` is a name of Lucid's zoo ("InceptionV1"), a folder with Lucid's manifest.json, a frozen
    GraphDef (.pb, .pbtxt), a Keras file (.keras, .h5), "keras:MobileNetV2" (with ImageNet's weights;
    "keras:MobileNetV2?weights=none" draws them at random, always the same), or a SavedModel folder.
    `value_range` is what the graph expects for black and white, `input_shape` (h, w, c), `labels`
    the classes' names in order. Raises ModelError.
    """
    text = fspath(source)
    frozen = _read(text)
    told = {
        "input_tensor": input_name,
        "value_range": checked_range(value_range, text) if value_range is not None else None,
        "input_shape": tuple(input_shape) if input_shape is not None else None,
        "labels": tuple(labels) if labels is not None else None,
        "name": name,
    }
    return network_of(replace(frozen, **{key: value for key, value in told.items() if value is not None}))


def _read(source: str) -> Frozen:
    path = Path(source)
    if source.startswith("keras:"):
        from atlas.model.keras import read_application

        return read_application(source)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_file(path)
    if path.suffix in _GRAPHS | _KERAS_FILES or "/" in source:
        raise ModelError(f"no model at {source}", found="nothing", expected="a file or a folder")
    from atlas.model.zoo import read_zoo

    return read_zoo(source)


def _read_folder(path: Path) -> Frozen:
    if (path / MANIFEST).is_file():
        return _read_manifest(path)
    if (path / _SAVED_MODEL).is_file():
        from atlas.model.keras import read_saved_model

        return read_saved_model(path)
    raise ModelError(
        f"the folder {path} holds no model",
        found=", ".join(sorted(p.name for p in path.iterdir())[:6]) or "nothing",
        expected=f"{MANIFEST} (Lucid) or {_SAVED_MODEL} (TensorFlow)",
    )


def _read_file(path: Path) -> Frozen:
    if path.suffix in _KERAS_FILES:
        from atlas.model.keras import read_keras_file

        return read_keras_file(path)
    if path.suffix == ".json":
        raise ModelError(f"{path} is not a model", remedy=f"name its folder, {path.parent}")
    data = path.read_bytes()
    return Frozen(path.stem, sha256_of(data), parse_graph(data, str(path)))


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def parse_graph(data: bytes, where: str) -> Any:
    """Return the GraphDef in a file's bytes, binary or text; raises ModelError, naming `where`."""
    if not data[:64].strip():
        raise ModelError(f"{where} is empty", expected="a frozen GraphDef")
    if where.endswith(".pbtxt"):
        return _parse_text(data, where)
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(data)
    except DecodeError:
        graph_def.Clear()
    if graph_def.node and all(node.name and node.op for node in graph_def.node):
        return graph_def
    raise _not_a_graph(data, where)


def _parse_text(data: bytes, where: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    try:
        return text_format.Parse(data, graph_def)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{where} is not a GraphDef in text form: {error}") from error


def _not_a_graph(data: bytes, where: str) -> ModelError:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    try:
        saved.ParseFromString(data)
    except DecodeError:
        saved.Clear()
    if any(meta.HasField("meta_info_def") or meta.graph_def.node for meta in saved.meta_graphs):
        folder = Path(where).parent
        return ModelError(f"{where} is part of a SavedModel, not a frozen graph", remedy=f"name its folder, {folder}")
    return ModelError(
        f"{where} cannot be read as a graph",
        found=f"{len(data)} bytes that are none, or cut off",
        expected="a frozen GraphDef",
        remedy="copy or export the file again",
    )


def _read_manifest(folder: Path) -> Frozen:
    """Return what Lucid's `SerializedModel.from_directory` would read; paths are the folder's own."""
    where = folder / MANIFEST
    manifest = _manifest(where)
    data = _beside(folder, manifest.get("model_path", "graph.pb"), "model_path")
    labels = manifest.get("labels_path")
    return Frozen(
        name=str(manifest.get("name") or folder.resolve().name),
        sha256=sha256_of(data),
        graph_def=parse_graph(data, str(folder / str(manifest.get("model_path", "graph.pb")))),
        input_tensor=str(manifest["input_name"]),
        input_shape=_shape(manifest["image_shape"], where),
        value_range=checked_range(manifest["image_value_range"], str(where)),
        labels=read_labels(_beside(folder, labels, "labels_path")) if labels else (),
    )


def _manifest(where: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(where.read_text("utf-8"))
    except ValueError as error:
        raise ModelError(f"{where} is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise ModelError(f"{where} is not a manifest", found=type(manifest).__name__, expected="an object")
    kind = manifest.get("type", "frozen")
    if kind != "frozen":
        raise ModelError(f"{where}: this type cannot be read", found=repr(kind), expected="frozen")
    missing = [key for key in ("input_name", "image_shape", "image_value_range") if manifest.get(key) is None]
    if missing:
        raise ModelError(f"{where} lacks {', '.join(missing)}", remedy="add what is missing")
    return manifest


def _shape(value: Any, where: Path) -> tuple[int | None, ...]:
    whole = isinstance(value, list) and all(v is None or isinstance(v, int) for v in value)
    if not whole or len(value) != 3:
        raise ModelError(f"{where}: image_shape is wrong", found=value, expected="[height, width, channels]")
    return tuple(value)


def _beside(folder: Path, name: object, key: str) -> bytes:
    """Return the bytes of a file that a manifest names: in its folder, or at a remote address."""
    text = str(name)
    if "://" in text:
        from atlas.model.lucid import read_remote

        return read_remote(text)
    path = folder / text
    if not path.is_file():
        raise ModelError(f"{folder / MANIFEST}: {key} names {text}, which is not there")
    return path.read_bytes()


def read_labels(data: bytes) -> tuple[str, ...]:
    """Return the labels in a text file, one a line."""
    return tuple(data.decode("utf-8", "replace").splitlines())
