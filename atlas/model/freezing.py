"""TensorFlow functions and SavedModels -> frozen graphs: variables become constants, calls are unfolded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from atlas.errors import ModelError
from atlas.model.admission import check_reach
from atlas.model.assembly import Frozen
from atlas.model.backend import tf
from atlas.model.source import files_digest

SAVED_MODEL = "saved_model.pb"
_SIGNATURE = "serving_default"


def freeze(function: Any) -> tuple[Any, str]:
    """Return the GraphDef of a concrete function and the name of the tensor that images enter by.

    Nothing is optimized beyond unfolding calls, so that every op of the model can still be seen.
    Raises ModelError when the function takes anything but one tensor.
    """
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=True, aggressive_inlining=True)
    entries = [tensor.name for tensor in frozen.inputs if tensor.dtype != tf.resource]
    if len(entries) != 1:
        raise ModelError("the model has several inputs", found=", ".join(entries), expected="one image")
    return frozen.graph.as_graph_def(), entries[0]


def read_saved_model(folder: Path) -> Frozen:
    """Return the model in a SavedModel folder, by its signature serving_default; raises ModelError."""
    _check_ops(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises what the folder's files raise
        raise ModelError(f"{folder} cannot be read as a SavedModel: {first_line(error)}") from error
    signatures = dict(getattr(loaded, "signatures", {}))
    if _SIGNATURE not in signatures:
        raise ModelError(
            f"{folder} does not say how it is called",
            found="the signatures " + (", ".join(signatures) or "(none)"),
            expected=_SIGNATURE,
            remedy="export it with a signature",
        )
    graph_def, entry = freeze(signatures[_SIGNATURE])
    return Frozen(folder.resolve().name, folder_sha256(folder), graph_def, input_tensor=entry)


def _check_ops(folder: Path) -> None:
    """Raise ModelError when loading would run ops that reach outside: a SavedModel is run when it is read."""
    saved = SavedModel()
    try:
        saved.ParseFromString((folder / SAVED_MODEL).read_bytes())
    except DecodeError as error:
        raise ModelError(f"{folder} cannot be read as a SavedModel: {first_line(error)}") from error
    for meta in saved.meta_graphs:
        check_reach(meta.graph_def, str(folder), variables=True)


def folder_sha256(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of all files in a folder, in the names' order."""
    return files_digest(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
