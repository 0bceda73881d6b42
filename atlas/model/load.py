"""A zoo name, a manifest folder, a frozen .pb, a Keras model or a SavedModel -> Network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from atlas.errors import AtlasError, ModelError
from atlas.model.admission import NONSENSE
from atlas.model.assembly import Frozen, checked_range, network_of
from atlas.model.freezing import SAVED_MODEL, first_line, read_saved_model
from atlas.model.graph_file import parse_graph, sha256_of
from atlas.model.keras import read_application, read_keras_file
from atlas.model.manifest import MANIFEST, read_manifest
from atlas.model.network import Network
from atlas.model.source import model_path
from atlas.model.zoo import read_zoo

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
    told: dict[str, Any] = {
        "input_tensor": input_name,
        "value_range": checked_range(value_range, text) if value_range is not None else None,
        "input_shape": tuple(input_shape) if input_shape is not None else None,
        "labels": tuple(labels) if labels is not None else None,
        "name": name,
    }
    told = {key: value for key, value in told.items() if value is not None}
    try:
        return network_of(replace(frozen, **told))
    except AtlasError:
        raise
    except NONSENSE as error:
        raise ModelError(
            f"the graph of {text} makes no sense: {first_line(error)}",
            expected="a frozen network that TensorFlow can run",
            remedy="export it again",
        ) from error


def _read(source: str) -> Frozen:
    if source.startswith("keras:"):
        return read_application(source)
    path = model_path(source)
    if path is None:
        if Path(source).suffix in _GRAPHS | _KERAS_FILES or "/" in source:
            raise ModelError(f"no model at {source}", found="nothing", expected="a file or a folder")
        return read_zoo(source)
    try:
        return _read_folder(path) if path.is_dir() else _read_file(path)
    except OSError as error:
        raise ModelError(f"{source} cannot be read: {first_line(error)}") from error


def _read_folder(path: Path) -> Frozen:
    if (path / MANIFEST).is_file():
        return read_manifest(path)
    if (path / SAVED_MODEL).is_file():
        return read_saved_model(path)
    raise ModelError(
        f"the folder {path} holds no model",
        found=", ".join(sorted(each.name for each in path.iterdir())[:6]) or "nothing",
        expected=f"{MANIFEST} (Lucid) or {SAVED_MODEL} (TensorFlow)",
    )


def _read_file(path: Path) -> Frozen:
    if path.suffix in _KERAS_FILES:
        return read_keras_file(path)
    if path.name == MANIFEST:
        raise ModelError(f"{path} is not a model", remedy=f"name its folder, {path.parent}")
    data = path.read_bytes()
    return Frozen(path.stem, sha256_of(data), parse_graph(data, str(path)))
