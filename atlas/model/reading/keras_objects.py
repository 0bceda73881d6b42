"""Keras files that need more than Keras 3: a user's own classes, and models that Keras 2 wrote."""

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

from atlas.core.errors import ModelError, nearest
from atlas.model.reading.freezing import first_line

log = logging.getLogger(__name__)

# What Keras 2 and Keras 3 say of a class or a function that is not theirs, and what they advise. Keras 2
# calls some functions "function".
_UNKNOWN = re.compile(
    r"(?:Unknown|Could not (?:locate|interpret))\s[\w ]+?:?\s*'(?:[\w.]+>)?(?!function')([\w.]+)'"
)
_ADVICE = re.compile(r"\.? (?:Please ensure|Make sure|Full object config)\b")


def custom_objects_of(names: Sequence[str]) -> dict[str, Any]:
    """Return a user's classes and functions by name, from "module:name"; the modules are imported.

    They are looked for in the working folder too. A name may be that of a dictionary of objects. Raises
    ModelError.
    """
    found: dict[str, Any] = {}
    for each in names:
        module_name, _, name = each.partition(":")
        if not module_name or not name:
            raise ModelError(
                f"custom objects cannot be read from {each!r}", expected="module:name, like layers:MyLayer"
            )
        log.warning("the code of the Python module %s is run, for %s", module_name, name)
        value = _attribute(_imported(module_name), module_name, name)
        found |= dict(value) if isinstance(value, Mapping) else {name: value}
    return found


def _imported(name: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a user's code raises anything
        raise ModelError(
            f"the module {name} of --custom-objects cannot be imported: {first_line(error)}",
            remedy=f"start in the folder of {name.partition('.')[0]}.py, or install it",
        ) from error


def _attribute(module: Any, module_name: str, name: str) -> Any:
    if not hasattr(module, name):
        own = [each for each in vars(module) if not each.startswith("_")]
        raise ModelError(f"the module {module_name} has no {name}", remedy=nearest(name, own))
    return getattr(module, name)


def read_by_keras_2(path: Path, objects: dict[str, Any], error: Exception) -> Any:
    """Return the model that Keras 2 wrote, which Keras 3 refused with `error`; raises ModelError.

    Read by tf_keras, which is Keras 2 and an extra.
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
    except Exception as second:  # as Keras 3
        raise ModelError(
            f"{path} was written by Keras 2, and tf_keras cannot read it: {_reason(second)}",
            remedy=_to_name(second) or "export it as a SavedModel where it was made",
        ) from second


def _unreadable(path: Path, error: Exception) -> ModelError:
    """Return the message for a file that Keras 3 should have read: it goes by the ending."""
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
    """Return what Keras says of the part that it failed on; around it stands the whole configuration."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return _ADVICE.split(text.splitlines()[0])[0] if text else first_line(error)


def _to_name(error: Exception) -> str | None:
    """Return what to do about a class or a function of a user's that Keras does not know."""
    unknown = _UNKNOWN.search(str(error))
    if unknown is None:
        return None
    return f"name it with --custom-objects module:{unknown[1]}, or export the model as a SavedModel"


def written_by_keras_2(path: Path) -> bool:
    """Return whether a .keras or .h5 file states a version of Keras below 3."""
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
