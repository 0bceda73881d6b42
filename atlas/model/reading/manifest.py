"""A folder with Lucid's manifest.json -> a frozen graph, read without Lucid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.graph.files import parse_graph, read_labels, sha256_of
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.image_range import checked_range
from atlas.model.reading.lucid import read_remote

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> Frozen:
    """Return the model that a folder's manifest.json describes; raises ModelError.

    The format is that of Lucid's `SerializedModel.from_directory`; paths are relative to the folder.
    """
    where = folder / MANIFEST
    manifest = _manifest(where)
    data = _file_bytes(folder, manifest.get("model_path", "graph.pb"), "model_path")
    labels = manifest.get("labels_path")
    return Frozen(
        name=str(manifest.get("name") or folder.resolve().name),
        sha256=sha256_of(data),
        graph_def=parse_graph(data, str(folder / str(manifest.get("model_path", "graph.pb")))),
        input_tensor=str(manifest["input_name"]),
        input_shape=_shape(manifest["image_shape"], where),
        value_range=checked_range(manifest["image_value_range"], str(where)),
        range_source="as the manifest states",
        labels=read_labels(_file_bytes(folder, labels, "labels_path")) if labels else (),
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


def _file_bytes(folder: Path, name: object, key: str) -> bytes:
    """Return the bytes of a file that a manifest names: in its folder, or at a remote address."""
    text = str(name)
    if "://" in text:
        return read_remote(text)
    path = folder / text
    if not path.is_file():
        raise ModelError(f"{folder / MANIFEST}: {key} names {text}, which is not there")
    return path.read_bytes()
