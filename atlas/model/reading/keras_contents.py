"""Check a Keras file before Keras reads it: it may hold Keras's own layers only, and no code.

Keras's safe mode also refuses Lambda layers, but only some versions of Keras do so for every kind of file.
"""

from __future__ import annotations

import importlib
import json
import stat
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from atlas.core.errors import ModelError

SAVE_WHOLE = "build the model, load the weights into it, and save it whole: model.save('net.keras')"
_CONFIG = "config.json"
# Layers that hold code, or read it from another file: a Python function, a pickled module, a SavedModel.
_CODE = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"})
_LAMBDAS = frozenset({"Lambda", "__lambda__"})
# Modules whose classes are Keras's own; tf_keras is Keras 2.
_MODULES = ("keras", "tf_keras", "builtins")
_HDF5 = b"\x89HDF\r\n\x1a\n"
# The most bytes that a .keras file may unpack to, for each byte of the file: weights hardly compress.
_LARGEST_RATIO = 100


def check_keras_file(path: Path, *, allowed: Collection[str] = (), unsafe: bool = False) -> None:
    """Raise ModelError unless a .keras or .h5 file holds a plain model.

    `allowed` are names of the user's classes that it may hold too; `unsafe` allows Lambda layers.
    """
    rules = _Rules(path, frozenset(allowed), unsafe)
    with path.open("rb") as file:
        is_hdf5 = file.read(len(_HDF5)) == _HDF5
    if zipfile.is_zipfile(path):
        _check_zip(path, rules)
    elif is_hdf5:
        _check_hdf5(path, rules, whole=True)
    else:  # a file that does not begin as an archive was refused before
        raise ModelError(
            f"{path} cannot be read as a Keras model",
            found="an archive that is cut off",
            expected="a file that model.save made",
            remedy="copy or save it again",
        )


@dataclass(frozen=True)
class _Rules:
    """What a file may hold besides Keras's own layers."""

    path: Path
    """The file, which errors name."""
    allowed: frozenset[str]
    """Names of the user's classes that it may hold."""
    unsafe: bool
    """Whether it may hold Lambda layers."""


def _check_zip(path: Path, rules: _Rules) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            for info in infos:
                _check_member(info, path)
            n_bytes = sum(info.file_size for info in infos)
            if n_bytes > _LARGEST_RATIO * path.stat().st_size:
                raise ModelError(
                    f"{path} unpacks to more than its size allows",
                    found=f"{n_bytes:,} bytes",
                    expected=f"{_LARGEST_RATIO} times the file's at most",
                )
            if _CONFIG not in archive.namelist():
                raise ModelError(
                    f"{path} is no Keras model",
                    found="an archive of " + (", ".join(archive.namelist()[:4]) or "nothing"),
                    expected=_CONFIG,
                    remedy="unpack it, and name the model in it",
                )
            _check_config(archive.read(_CONFIG), rules)
            for info in infos:
                if info.filename.endswith(".h5"):
                    with archive.open(info) as file:
                        _check_hdf5(file, rules)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{path} cannot be read as a Keras model: {error}") from error


def _check_member(info: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(info.filename.replace("\\", "/"))
    link = stat.S_ISLNK(info.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or ":" in info.filename or link:
        raise ModelError(
            f"{path} holds a file that would be written elsewhere",
            found=info.filename,
            expected="names below the archive",
            remedy="do not trust this file",
        )


def _check_hdf5(file: Any, rules: _Rules, *, whole: bool = False) -> None:
    """Check an HDF5 file, a path or an open file; `whole` requires the model, not only its weights."""
    path = rules.path
    h5py = importlib.import_module("h5py")
    try:
        with h5py.File(file, "r") as root:
            config = root.attrs.get("model_config")
            if config is not None:
                _check_config(config.encode() if isinstance(config, str) else bytes(config), rules)
            elif whole:
                raise ModelError(
                    f"{path} holds weights alone",
                    expected="a model with its layers",
                    remedy=SAVE_WHOLE,
                )
            for name, link in _links(root, h5py):
                raise ModelError(
                    f"{path} refers to another file",
                    found=f"{name} -> {link}",
                    expected="a file that holds all of its weights",
                )
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be read as a Keras model: {error}") from error


def _links(root: Any, h5py: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, file) of all data in other files: linked groups, and arrays stored or assembled there."""
    waiting, seen = [root], set()
    while waiting:
        group = waiting.pop()
        if group.id in seen:  # a group may contain itself
            continue
        seen.add(group.id)
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield name, str(link.filename)
                continue
            value = group.get(name)
            if isinstance(value, h5py.Group):
                waiting.append(value)
            elif isinstance(value, h5py.Dataset) and (value.external or value.is_virtual):
                yield name, "another file's array"


def _check_config(data: bytes, rules: _Rules) -> None:
    try:
        waiting = [json.loads(data)]
    except (ValueError, RecursionError):
        raise ModelError(
            f"{rules.path} does not describe its layers", expected="a description in JSON"
        ) from None
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            _check_class(value, rules)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_class(value: dict[str, Any], rules: _Rules) -> None:
    name, module = value.get("class_name"), value.get("module")
    is_keras = module is None or str(module).partition(".")[0] in _MODULES
    if name in rules.allowed or (rules.unsafe and name in _LAMBDAS):
        return
    if name not in _CODE and (is_keras or name is None):
        return
    remedy = (
        "read it with --unsafe where you trust the file, or export the model as a SavedModel"
        if name in _LAMBDAS
        else f"name the class with --custom-objects module:{name}, or export the model as a SavedModel"
    )
    raise ModelError(
        f"{rules.path} holds code, which is never run",
        found=name if is_keras else f"{module}.{name}",
        expected="Keras's own layers",
        remedy=remedy,
    )
