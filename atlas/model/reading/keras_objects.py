"""Read Keras files that Keras 3 cannot read alone: those with a user's classes, and those of Keras 2."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas.core.errors import ModelError, first_line, nearest

log = logging.getLogger(__name__)

# Messages of Keras 2 and Keras 3 on a class or a function that is not theirs, and the advice at their end.
# Keras 2 calls some functions "function".
_UNKNOWN = re.compile(
    r"(?:Unknown|Could not (?:locate|interpret))\s[\w ]+?:?\s*'(?:[\w.]+>)?(?!function')([\w.]+)'"
)
_ADVICE = re.compile(r"\.? (?:Please ensure|Make sure|Full object config)\b")


def custom_objects_of(names: Sequence[str]) -> dict[str, Any]:
    """Return a user's classes and functions by name, from "module:name"; the modules are imported.

    Modules may lie in the working folder. The object may be a dictionary of classes and functions. Raises
    ModelError.
    """
    objects: dict[str, Any] = {}
    for each in names:
        module_name, _, name = each.partition(":")
        if not module_name or not name:
            raise ModelError(
                f"custom objects cannot be read from {each!r}", expected="module:name, like layers:MyLayer"
            )
        log.warning("the code of the Python module %s is run, for %s", module_name, name)
        value = _attribute(_imported(module_name), module_name, name)
        objects |= dict(value) if isinstance(value, Mapping) else {name: value}
    return objects


def _imported(name: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a user's code may raise any error
        raise ModelError(
            f"the module {name} of --custom-objects cannot be imported: {first_line(error)}",
            remedy=f"start in the folder of {name.partition('.')[0]}.py, or install it",
        ) from error


def _attribute(module: Any, module_name: str, name: str) -> Any:
    if not hasattr(module, name):
        names = [each for each in vars(module) if not each.startswith("_")]
        raise ModelError(f"the module {module_name} has no {name}", remedy=nearest(name, names))
    return getattr(module, name)


def read_by_keras_2(path: Path, objects: dict[str, Any], error: Exception) -> Any:
    """Return a model of Keras 2, which Keras 3 refused with `error`; raises ModelError.

    tf_keras, which is Keras 2, reads it; it is an optional dependency.
    """
    if not written_by_keras_2(path):
        raise _unreadable(path, error) from error
    try:
        legacy = importlib.import_module("tf_keras")
    except ImportError:
        raise ModelError(
            f"{path} was written by Keras 2, and Keras 3 cannot read it",
            found=_reason(error),
            remedy="install tf_keras (pip install 'circuit-atlas[keras2]'), or export it as a SavedModel",
        ) from error
    try:
        return legacy.models.load_model(path, compile=False, custom_objects=objects or None)
    except Exception as second:  # like Keras 3, it raises errors of many types
        raise ModelError(
            f"{path} was written by Keras 2, and tf_keras cannot read it: {_reason(second)}",
            remedy=_to_name(second) or "export it as a SavedModel where it was made",
        ) from second


def _unreadable(path: Path, error: Exception) -> ModelError:
    """Return the error for a file of Keras 3 that it could not read; Keras goes by the file's ending."""
    is_zip = zipfile.is_zipfile(path)
    if is_zip == (path.suffix.lower() == ".keras"):
        return ModelError(f"{path} cannot be read as a Keras model: {_reason(error)}", remedy=_to_name(error))
    ending = ".keras" if is_zip else ".h5"
    return ModelError(
        f"{path} cannot be read as a Keras model",
        found="an archive" if is_zip else "an HDF5 file",
        expected=f"the ending {ending}",
        remedy=f"call it {path.with_suffix(ending).name}",
    )


def _reason(error: Exception) -> str:
    """Return Keras's reason alone; its message also holds the whole configuration of the model."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return _ADVICE.split(text.splitlines()[0])[0] if text else first_line(error)


def _to_name(error: Exception) -> str | None:
    """Return the remedy for a class or a function that Keras does not know; None for other errors."""
    unknown = _UNKNOWN.search(str(error))
    if unknown is None:
        return None
    return f"name it with --custom-objects module:{unknown[1]}, or export the model as a SavedModel"


def written_by_keras_2(path: Path) -> bool:
    """Return whether a .keras or .h5 file states that Keras 1 or 2 wrote it."""
    return _version(path).partition(".")[0] in ("1", "2")


def _version(path: Path) -> str:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        with importlib.import_module("h5py").File(path, "r") as root:
            version = root.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, KeyError, ValueError, AttributeError):
        return ""
